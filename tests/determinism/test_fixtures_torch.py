"""The fixtures of PyTorch: data sets in workers, a run that is resumed, a race in a training, and a sum over ranks.

A race is shown by more than one outcome, in as many tries as it takes: a busy machine hides one, and no count of outcomes is a fact.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from real.learning import ROWS, by, missing, ml_python, said

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

pytestmark = [pytest.mark.torch, pytest.mark.index, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture(scope="module")
def torch_python() -> Path:
    return ml_python()


def test_f12_t09_a_generator_that_a_data_set_holds(torch_python: Path) -> None:
    recipe, rows, named, placed = said(
        torch_python,
        f"""
import json
import numpy as np, torch, sanctity
from torch.utils.data import DataLoader
class Held(torch.utils.data.Dataset):
    def __init__(self):
        self.rng = np.random.default_rng(0)
    def __len__(self):
        return 8
    def __getitem__(self, index):
        return int(self.rng.integers(10**9))
def epochs(**options):
    loader = DataLoader(batch_size=None, **options)
    return [[int(value) for value in loader] for _ in range(2)]
recipe = epochs(dataset=Held(), num_workers=2)
def called():
    return sanctity.set_global_determinism(0, quiet=True)
receipt = called()
rows = {ROWS}
named = []
for _ in range(2):
    called()
    named.append(epochs(dataset=Held(), num_workers=2, worker_init_fn=sanctity.worker_init))
placed = []
for workers in (0, 1, 2):
    called()
    placed.append(epochs(**sanctity.loader_arguments(Held(), "train"), num_workers=workers))
print(json.dumps([recipe, rows, named, placed]))
""",
    )
    assert len(set(recipe[0])) == 4, "each value comes twice, once a worker"
    assert recipe[0] == recipe[1], "and again in every epoch"
    status, detail, remedy = rows["dataloader-workers"]
    assert status != "applied", "the call by itself does not reach what an object holds"
    assert "generators in objects are copied" in detail
    assert "sanctity.worker_init" in remedy
    assert len({value for epoch in named[0] for value in epoch}) == 16
    assert named[0] == named[1]
    assert len({value for epoch in placed[0] for value in epoch}) == 16
    assert placed[0] == placed[1] == placed[2], "by sample, the number of workers makes no difference"


def test_t13_f15_a_resume_that_is_seeded_again(torch_python: Path) -> None:
    straight, recipe, ours = said(
        torch_python,
        """
import copy, json
import torch, sanctity
def begin():
    torch.set_num_threads(1)
    sanctity.set_global_determinism(0, quiet=True)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 1))
    return model, torch.optim.Adam(model.parameters())
def train(model, optimiser, steps):
    for _ in range(steps):
        x = torch.randn(16, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return [value for each in model.parameters() for value in each.flatten().tolist()]
straight = train(*begin(), 6)
model, optimiser = begin()
train(model, optimiser, 3)
saved = copy.deepcopy([model.state_dict(), optimiser.state_dict()])
state = sanctity.capture_state()
def resumed():
    model, optimiser = begin()
    model.load_state_dict(copy.deepcopy(saved[0]))
    optimiser.load_state_dict(copy.deepcopy(saved[1]))
    return model, optimiser
recipe = train(*resumed(), 3)
again = resumed()
sanctity.restore_state(state)
print(json.dumps([straight, recipe, train(*again, 3)]))
""",
    )
    assert recipe != straight, "model and optimiser are the saved ones, and the seed is the same: it is another run"
    assert ours == straight, "with the state of what draws it is the same, bit for bit"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two threads do not race on one CPU")
def test_f21_the_same_seed_many_losses() -> None:
    from losses import SEEDS, trained

    recipe, ours = SEEDS
    runs: list[dict[str, Any]] = trained(recipe, "until", runs=60, steps=15)["runs"]
    assert len({run["weights"] for run in runs}) > 1, "one seed, more than one model"
    runs = trained(ours, runs=4, steps=15)["runs"]
    assert len({run["weights"] for run in runs}) == 1
    assert len({tuple(run["losses"]) for run in runs}) == 1


@pytest.mark.long
def test_f27_a_sum_over_ranks(torch_python: Path, tmp_path: Path) -> None:
    program = """
import hashlib, json, multiprocessing, os, sys
import torch, torch.distributed
import sanctity
def one(rank, world, path, answers):
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
    torch.set_num_threads(1)
    receipt = sanctity.set_global_determinism(0, algorithms="leave", quiet=True)
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=world)
    x, y = torch.randn(240, 16), torch.randn(240, 1)
    model = torch.nn.Linear(16, 1)
    (model(x[rank::world]) - y[rank::world]).square().mean().backward()
    gradient = model.weight.grad
    torch.distributed.all_reduce(gradient)
    digest = hashlib.sha256((gradient / world).numpy().tobytes()).hexdigest()
    torch.distributed.destroy_process_group()
    answers.put([rank, digest, receipt["ranks"].detail, receipt.recorded.get("WORLD_SIZE")])
def run(world, name):
    forks = multiprocessing.get_context("fork")
    answers = forks.Queue()
    path = os.path.join(sys.argv[1], name)
    ranks = [forks.Process(target=one, args=(rank, world, path, answers)) for rank in range(world)]
    for each in ranks:
        each.start()
    found = [answers.get(timeout=240) for _ in ranks]
    for each in ranks:
        each.join()
    return sorted(found)
if __name__ == "__main__":
    print(json.dumps([run(world, f"{number}") for number, world in enumerate((1, 2, 2, 3))]))
"""
    found = said(torch_python, program, str(tmp_path), folder=tmp_path)
    for ranks_of in found:
        assert len({digest for _, digest, _, _ in ranks_of}) == 1, "the ranks agree"
    assert found[1] == found[2], "and the sum repeats"
    assert len({ranks_of[0][1] for ranks_of in found}) > 1, "but it is another one for another number of ranks"
    _, _, ranks, world = found[-1][0]
    assert world == "3", "which the receipt records"
    assert "RANK is 0, and was not used" in ranks


def test_t01_t16_started_ones_agree_where_torch_draws(torch_python: Path) -> None:
    program = f"""
import json, torch, sanctity
receipt = sanctity.set_global_determinism(quiet=True)
print(json.dumps([hash("cat"), torch.rand(1).item(), {ROWS}]))
"""
    from sanctity.determinism.scheme import hash_seed
    from sanctity.plan.seeding import plan_seed

    variables = plan_seed(7, hash_seed=hash_seed(7), environ={}).environ
    first, second = by(torch_python, program, variables, variables)
    assert first == second
    assert first[2]["hash-seed"][0] == "applied"
