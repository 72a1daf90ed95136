"""The traps that PyTorch shows: each recipe as it is found, and it fails; then the call of sanctity, and it is right, or says why not.

One program has both halves where one process can: importing PyTorch is most of what these tests cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from real.learning import ROWS, by, missing, ml_python, said

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.index, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture(scope="module")
def torch_python() -> Path:
    return ml_python()


def test_t02_f01_one_integer_for_numpy_and_torch(torch_python: Path) -> None:
    recipe, ours, old, rows = said(
        torch_python,
        f"""
import json
import numpy as np, torch, sanctity
def equal(seed):
    seed()
    powers = [(np.random.randint(0, n, 4096) == torch.randint(0, n, (4096,)).numpy()).mean() for n in (2, 16, 256)]
    seed()
    return [*map(float, powers), float((np.random.randint(2**24, size=4096) / 2**24 == torch.rand(4096).numpy()).mean())]
def seed_everything():
    np.random.seed(42)
    torch.manual_seed(42)
recipe = equal(seed_everything)
ours = equal(lambda: sanctity.set_global_determinism(42, quiet=True))
old = equal(lambda: sanctity.set_global_determinism(42, scheme="same-integer", quiet=True))
receipt = sanctity.set_global_determinism(42, scheme="same-integer", quiet=True)
print(json.dumps([recipe, ours, old, {ROWS}]))
""",
    )
    assert recipe == [1.0, 1.0, 1.0, 1.0], "every crop of numpy is the crop of torch"
    # By chance one in n of 4096 pairs is equal; six standard deviations above that is far from all of them.
    for share, n in zip(ours, (2, 16, 256, 2**24), strict=True):
        assert share < 1 / n + 6 * (1 / n / 4096) ** 0.5
    assert old == recipe, "the scheme of old runs has the trap"
    assert all("numpy and torch give the same words" in rows[control][1] for control in ("numpy-legacy", "torch-cpu")), (
        "and says so"
    )


def test_t03_f03_torch_keeps_32_bits(torch_python: Path) -> None:
    recipe, ours = said(
        torch_python,
        """
import json
import torch, sanctity
def first(seed):
    seed()
    return torch.rand(4, dtype=torch.float64).tolist()
recipe = [[first(lambda: torch.manual_seed(seed)) for seed in pair] for pair in ((1, 1 + 2**32), (1, 1 + 2**40), (-1, 2**32 - 1))]
ours = [first(lambda: sanctity.set_global_determinism(seed, quiet=True)) for seed in (1, 1 + 2**32, 1 + 2**40, 1 + 2**100)]
print(json.dumps([recipe, ours]))
""",
    )
    assert all(one == other for one, other in recipe)
    assert len({tuple(drawn) for drawn in ours}) == 4


def test_t06_t07_settings_that_come_late_or_are_none(torch_python: Path) -> None:
    recipe, before, after, recorded, rows = said(
        torch_python,
        f"""
import json, os
import torch, sanctity
def threads():
    return torch.get_num_threads()
before = threads()
os.environ["OMP_NUM_THREADS"] = "1"
recipe = [threads()]
kept, torch.set_num_threads = torch.set_num_threads, 1
recipe.append(threads())
torch.set_num_threads = kept
recipe.append(hasattr(torch, "set_deterministic"))
torch.backends.deterministic = True
recipe.append(torch.are_deterministic_algorithms_enabled())
receipt = sanctity.set_global_determinism(42, quiet=True)
print(json.dumps([recipe, before, [threads(), torch.are_deterministic_algorithms_enabled()], receipt.recorded, {ROWS}]))
""",
        env={"OMP_NUM_THREADS": "2"},
    )
    assert before == 2
    assert recipe == [2, 2, False, False], "a variable that is too late; a setter assigned to; one that is gone; one that never was"
    assert after == [2, True], "the call turns on what it says, and leaves threads alone"
    assert rows["torch-algorithms"][0] == "applied"
    assert recorded["torch.threads"] == "2", "what is so is recorded, and not what a variable says"
    assert recorded["OMP_NUM_THREADS"] == "1"


def test_t10_f13_what_a_forked_child_draws_of_torch(torch_python: Path) -> None:
    first, second = by(
        torch_python,
        """
import json, os
import torch, sanctity
def child():
    there, here = os.pipe()
    if os.fork() == 0:
        os.write(here, repr(torch.rand(1, dtype=torch.float64).item()).encode())
        os._exit(0)
    os.wait()
    return float(os.read(there, 100))
torch.manual_seed(42)
recipe = [child() for _ in range(3)]
sanctity.set_global_determinism(42, quiet=True)
print(json.dumps([recipe, [child() for _ in range(3)]]))
""",
        {},
        {},
    )
    recipe, ours = first
    assert len(set(recipe)) == 1, "every child has its parent's stream"
    assert len(set(ours)) == 3
    assert first == second


def test_t11_deterministic_memory_hides_that_it_is_read_unset(torch_python: Path) -> None:
    dirty, filled, recorded = said(
        torch_python,
        """
import json
import torch, sanctity
def reads_what_was_never_set():
    full = torch.full((1000,), 7.0)
    del full
    return torch.empty(1000)
dirty = [bool((reads_what_was_never_set() == 7).any()) for _ in range(50)]
receipt = sanctity.set_global_determinism(42, quiet=True)
filled = [bool(reads_what_was_never_set().isnan().all()) for _ in range(50)]
print(json.dumps([dirty, filled, receipt.recorded]))
""",
    )
    assert any(dirty), "the program has the defect"
    assert all(filled), "and the flag hides it"
    assert recorded["torch.fill_uninitialized_memory"] == "True", "which the receipt tells"


def test_t14_f14_a_validation_loop_that_changes_what_training_draws(torch_python: Path) -> None:
    recipe, ours, own = said(
        torch_python,
        """
import json
import torch, sanctity
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(8))
def training(validated, draw, **options):
    first = draw()
    if validated:
        list(DataLoader(data, **options))
    return [first, draw()]
def shared():
    return torch.rand(1, dtype=torch.float64).item()
def seeded(validated, **options):
    torch.manual_seed(0)
    return training(validated, shared, **options)
recipe = [seeded(False), seeded(True)]
def called(validated, **options):
    sanctity.set_global_determinism(0, quiet=True)
    return training(validated, shared, **options)
sanctity.set_global_determinism(0, quiet=True)
ours = [called(False), called(True, generator=sanctity.stream("validation", kind="torch"))]
def named(validated):
    sanctity.set_global_determinism(0, quiet=True)
    augment = sanctity.stream("augment", kind="torch")
    return training(validated, lambda: torch.rand(1, dtype=torch.float64, generator=augment).item())
print(json.dumps([recipe, ours, [named(False), named(True)]]))
""",
    )
    assert recipe[0][0] == recipe[1][0]
    assert recipe[0][1] != recipe[1][1], "a loader that shuffles nothing draws from the shared stream all the same"
    assert ours[0] == ours[1], "a loader with a stream of its own takes nothing from the shared one"
    assert own[0] == own[1], "and a training that draws from its own name is not moved by anybody"


def test_t17_f07_a_torch_generator_is_constant(torch_python: Path) -> None:
    first, second = by(
        torch_python,
        """
import json
import torch, sanctity
def draw(generator):
    return torch.rand(1, dtype=torch.float64, generator=generator).item()
recipe = []
for seed in (1, 2):
    torch.manual_seed(seed)
    recipe += [draw(torch.Generator()), draw(torch.Generator())]
ours = []
for seed in (1, 2):
    sanctity.set_global_determinism(seed, quiet=True)
    ours += [draw(sanctity.register(torch.Generator(), "noise")), draw(sanctity.stream("noise", kind="torch"))]
    sanctity.unregister("noise")
print(json.dumps([recipe, ours]))
""",
        {},
        {},
    )
    recipe, ours = first
    assert len(set(recipe)) == 1, "each one is the same stream, whatever the seed"
    assert len(set(ours)) == 4
    assert first == second


def test_f07_quasi_random_numbers_of_scipy(torch_python: Path) -> None:
    first, second = by(
        torch_python,
        f"""
import json
import numpy as np, scipy.stats, sanctity
np.random.seed(42)
recipe = [scipy.stats.qmc.Sobol(1).random(1).item(), scipy.stats.norm.rvs()]
receipt = sanctity.set_global_determinism(42, quiet=True)
late = scipy.stats.qmc.Sobol(1).random(1).item()
ours = [scipy.stats.qmc.Sobol(1, rng=sanctity.stream("design")).random(1).item(), scipy.stats.norm.rvs()]
print(json.dumps([recipe, late, ours, {ROWS}]))
""",
        {},
        {},
    )
    assert first[0][0] != second[0][0], "a design draws from a generator of its own"
    assert first[0][1] == second[0][1], "what draws from the shared stream is reached"
    assert first[1] != second[1], "the call does not reach it either"
    status, _, remedy = first[3]["numpy-generators"]
    assert status == "not-controllable"
    assert "sanctity.stream" in remedy
    assert first[2] == second[2]


def test_f18_tasks_of_joblib_that_draw_from_the_shared_stream(torch_python: Path, tmp_path: Path) -> None:
    program = """
import json, sys, time
import numpy as np
from joblib import Parallel, delayed
def draw(number):
    time.sleep(0.05)
    return np.random.rand()
def named(number):
    import sanctity
    return sanctity.stream("task", number).random()
def run(backend, task):
    return [float(value) for value in Parallel(2, backend=backend)(delayed(task)(number) for number in range(4))]
if __name__ == "__main__":
    if "ours" in sys.argv:
        import sanctity
        receipt = sanctity.set_global_determinism(0, quiet=True)
        one = [float(value) for value in Parallel(1)(delayed(named)(number) for number in range(4))]
        print(json.dumps([one, run("loky", named), run("multiprocessing", named), run("threading", named)]))
    else:
        np.random.seed(0)
        loky = run("loky", draw)
        for _ in range(20):
            np.random.seed(0)
            copied = run("multiprocessing", draw)
            if len(set(copied)) < 4:
                break
        print(json.dumps([loky, copied]))
"""
    first, second = (said(torch_python, program, folder=tmp_path) for _ in "ab")
    assert not set(first[0]) & set(second[0]), "workers of loky are new processes, which nobody seeded"
    # Where one worker is given all four tasks, on a busy machine, there is no second copy to be seen.
    assert len(set(first[1])) < 4, "those of multiprocessing have copies of one stream"

    ours: list[list[Any]] = [said(torch_python, program, "ours", folder=tmp_path) for _ in "ab"]
    assert ours[0] == ours[1]
    assert all(drawn == ours[0][0] for drawn in ours[0]), "a stream by the number of the task is the same, whoever draws from it"
    assert len(set(ours[0][0])) == 4


def test_f25_an_object_as_random_state(torch_python: Path) -> None:
    first, second = by(
        torch_python,
        """
import json
import numpy as np, sanctity
from sklearn.model_selection import KFold
from sklearn.cluster import KMeans
from sklearn.base import clone
X = np.random.RandomState(1).rand(60, 2)
def folds(splitter):
    return [test.tolist() for _, test in splitter.split(X)]
def fitted(model):
    return model.fit(X).cluster_centers_.tolist()
def both(state):
    splitter, model = KFold(3, shuffle=True, random_state=state), KMeans(5, n_init=1, init="random", max_iter=1, random_state=state)
    return [folds(splitter), folds(splitter), fitted(model), fitted(model), fitted(clone(model))]
recipe = both(np.random.RandomState(0))
sanctity.set_global_determinism(0, quiet=True)
print(json.dumps([recipe, both(sanctity.stream("split", kind="seed") % 2**32)]))
""",
        {},
        {},
    )
    recipe, ours = first
    assert recipe[0] != recipe[1], "the second split is another one"
    assert recipe[2] != recipe[3], "and so is the second fit"
    assert ours[0] == ours[1]
    assert ours[2] == ours[3] == ours[4]
    assert first == second
