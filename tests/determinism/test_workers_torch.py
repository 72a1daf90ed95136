"""DataLoaders of PyTorch: what each worker draws, what each epoch draws, what no number of workers changes, what a loader takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from real.learning import missing, ml_python, said

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.index, pytest.mark.skipif(bool(missing()), reason=missing())]

PROGRAM = """
import json, random, sys
import numpy as np, torch, sanctity
from torch.utils.data import DataLoader, Dataset, IterableDataset

class Drawing(Dataset):
    # A generator of torch in a dataset can be forked, and torch 2.13 can not send it to a spawned worker.
    def __init__(self, own=True):
        self.rng = np.random.default_rng(0)
        self.steps = [random.Random(0), {"legacy": np.random.RandomState(0)}]
        self.torch = torch.Generator() if own else None
    def __len__(self):
        return 8
    def __getitem__(self, i):
        own = [self.rng.random(), self.steps[0].random(), self.steps[1]["legacy"].rand()]
        own += [torch.rand(1, generator=self.torch).item()] if self.torch is not None else []
        return [int(i), *own, random.random(), np.random.rand(), torch.rand(1).item()]

class Stream(IterableDataset):
    def __init__(self):
        self.rng = np.random.default_rng(0)
    def __iter__(self):
        for _ in range(4):
            yield [self.rng.random(), random.random(), np.random.rand(), torch.rand(1).item()]

def epochs(loader, count=2):
    return [[[float(x) for x in sample] for sample in loader] for _ in range(count)]
def distinct(found):
    return [len({sample[column] for epoch in found for sample in epoch}) for column in range(len(found[0][0]))]
"""


@pytest.fixture(scope="module")
def torch_python() -> Path:
    return ml_python()


def told(python: Path, folder: Path, code: str) -> Any:
    return said(python, f'{PROGRAM}\nif __name__ == "__main__":\n    ' + code.strip().replace("\n", "\n    "), folder=folder)


def test_t09_f12_generators_that_a_dataset_holds(torch_python: Path, tmp_path: Path) -> None:
    """The modern advice: each value twice, both epochs alike, and the seeding of the call does not help; `worker_init` does."""
    found = told(
        torch_python,
        tmp_path,
        """
sanctity.set_global_determinism(42, quiet=True)
popular = epochs(DataLoader(Drawing(), batch_size=None, num_workers=2))
loader = lambda: DataLoader(Drawing(), batch_size=None, num_workers=2, worker_init_fn=sanctity.worker_init,
                            generator=sanctity.stream("loader", kind="torch"))
ours = epochs(loader())
print(json.dumps([distinct(popular), [a[1:5] for a in popular[0]] == [a[1:5] for a in popular[1]],
                  distinct(ours), ours == epochs(loader()),
                  list(sanctity.held_generators(Drawing()).generators)]))
""",
    )
    assert found == [
        [8, 4, 4, 4, 4, 16, 16, 16],
        True,
        [8, *[16] * 7],
        True,
        ["rng", "steps[0]", "steps[1]['legacy']", "torch"],
    ]


def test_no_number_of_workers_changes_a_sample(torch_python: Path, tmp_path: Path) -> None:
    """With and without workers, under each start method, with workers that live on, in batches, and in a run taken up in epoch 1."""
    found = told(
        torch_python,
        tmp_path,
        """
sanctity.set_global_determinism(42, quiet=True)
def loaded(own=True, epoch=0, count=2, **options):
    arguments = sanctity.loader_arguments(Drawing(own), "train", shuffle=True, epoch=epoch)
    return epochs(DataLoader(**arguments, batch_size=None, **options), count)
def with_popular(workers):
    return epochs(DataLoader(Drawing(), batch_size=None, num_workers=workers, generator=torch.Generator().manual_seed(1)))
whole = [loaded(num_workers=workers) for workers in (0, 1, 2, 3)]
sent = [loaded(False, num_workers=0)]
sent += [loaded(False, num_workers=2, multiprocessing_context="spawn", persistent_workers=True),
         loaded(False, num_workers=2, persistent_workers=True)]
batches = DataLoader(**sanctity.loader_arguments(Drawing(), "train", shuffle=True), batch_size=3, num_workers=2)
columns = [[list(row) for row in zip(*[column.tolist() for column in batch])] for batch in batches]
print(json.dumps([[each == whole[0] for each in whole], [each == sent[0] for each in sent],
                  distinct(whole[0]), [sample[0] for sample in whole[0][0]] != [sample[0] for sample in whole[0][1]],
                  loaded(epoch=1, count=1, num_workers=2) == whole[0][1:],
                  [sample for batch in columns for sample in batch] == whole[0][0],
                  with_popular(1)[0] == with_popular(2)[0]]))
""",
    )
    assert found == [[True] * 4, [True] * 3, [8, *[16] * 7], True, True, True, False]


def test_t14_f14_a_loader_that_takes_nothing(torch_python: Path, tmp_path: Path) -> None:
    """An unshuffled loader of PyTorch draws from the shared stream when it is iterated, and moves the draws of training."""
    found = told(
        torch_python,
        tmp_path,
        """
def after(**arguments):
    sanctity.set_global_determinism(42, quiet=True)
    first = torch.rand(1).item()
    if arguments:
        list(DataLoader(**arguments))
    return [first, torch.rand(1).item(), random.random(), np.random.rand()]
alone = after()
sanctity.set_global_determinism(42, quiet=True)
ours = sanctity.loader_arguments(Drawing(), "valid")
own = {"dataset": [1, 2, 3], "generator": sanctity.stream("valid", kind="torch")}
sanctity.set_global_determinism(42, quiet=True)
first = torch.rand(1).item()
with sanctity.preserved():
    list(DataLoader([1, 2, 3]))
block = [first, torch.rand(1).item(), random.random(), np.random.rand()]
print(json.dumps([after(dataset=[1, 2, 3]) == alone, after(**own) == alone, after(**ours) == alone, block == alone]))
""",
    )
    assert found == [False, True, True, True]


def test_a_dataset_that_is_iterated_and_a_worker_without_a_seed(torch_python: Path, tmp_path: Path) -> None:
    found = told(
        torch_python,
        tmp_path,
        """
try:
    list(DataLoader(Drawing(), num_workers=1, worker_init_fn=sanctity.worker_init))
except Exception as error:
    without = "set_global_determinism was not called" in str(error)
sanctity.set_global_determinism(42, quiet=True)
loader = lambda: DataLoader(**sanctity.loader_arguments(Stream(), "stream"), batch_size=None, num_workers=2)
ours = epochs(loader())
try:
    sanctity.loader_arguments(Stream(), shuffle=True)
except sanctity.errors.UsageError as error:
    refused = error.code
print(json.dumps([without, distinct(epochs(DataLoader(Stream(), batch_size=None, num_workers=2)))[0],
                  distinct(ours), ours == epochs(loader()), refused]))
""",
    )
    assert found == [True, 4, [16, 16, 16, 16], True, "stream-argument"]


def test_what_a_worker_did_is_what_its_receipt_says(torch_python: Path, tmp_path: Path) -> None:
    """The streams of a worker read back as applied, though PyTorch seeds them with integers of its own before."""
    found = told(
        torch_python,
        tmp_path,
        """
import sanctity.determinism.setting as setting
class Reading(Drawing):
    def __getitem__(self, i):
        super().__getitem__(i)
        rows = setting.current().receipt.recheck().rows
        return {row.control: row.status for row in rows if row.control in ("random", "numpy-legacy", "torch-cpu")}
sanctity.set_global_determinism(42, quiet=True)
read = lambda **options: next(iter(DataLoader(Reading(), batch_size=None, num_workers=1, **options)))
print(json.dumps([read(), read(worker_init_fn=sanctity.worker_init)]))
""",
    )
    popular, ours = found
    assert set(popular.values()) == {"overwritten"}
    assert ours == {"random": "applied", "numpy-legacy": "applied", "torch-cpu": "applied"}
