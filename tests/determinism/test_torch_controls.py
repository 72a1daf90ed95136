"""PyTorch, as it is installed: its stream on the CPU, its settings, what it has in children, and what is found when it is looked at again.

What CUDA is told is looked at with a CUDA that is none: a real one is not to be had where these tests run.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from real.learning import ml_python, said
from sanctity.determinism import controls_torch
from sanctity.determinism.scheme import derive, mt19937
from sanctity.determinism.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.index]

CALL = "import json, random, sanctity\nr = sanctity.set_global_determinism({}, quiet=True)\n"


@pytest.fixture(scope="session")
def python() -> Path:
    return ml_python()


def told(python: Path, code: str, call: str = "7", **env: str) -> Any:
    return said(python, CALL.format(call) + code, env=env)


def test_the_stream_on_the_cpu(python: Path) -> None:
    """All that is asked of one process: the words of the scheme, both orders of import, again at each call, found when overwritten."""
    code = """
import torch, numpy.random
draw = lambda: [int(x) for x in torch.randint(0, 2**32, (3,))]
out = {"first": draw(), "told": torch.initial_seed(), "normal": torch.randn(3).tolist()}
out["status"] = r.recheck()["torch-cpu"].status
r = sanctity.set_global_determinism(7, quiet=True)
out["again"] = draw()
g = sanctity.register(torch.Generator(), "g")
out["registered"] = int(torch.randint(0, 2**32, (1,), generator=g))
out["known"] = [r["torch-cpu"].detail, len(torch.get_rng_state())]
torch.manual_seed(42); torch.rand(3)
out["after"] = [r.recheck()["torch-cpu"].status, r["torch-cpu"].detail]
r = sanctity.set_global_determinism(7 + 2**32, quiet=True)
out["far"] = draw()
r = sanctity.set_global_determinism(7, rank=1, quiet=True)
out["rank"] = draw()
from sanctity.determinism import controls_torch
controls_torch._as_known = lambda torch: False
r = sanctity.set_global_determinism(7, quiet=True)
out["unknown"] = [torch.initial_seed(), r["torch-cpu"].status, r["torch-cpu"].detail, r.recheck()["torch-cpu"].status]
print(json.dumps(out))
"""
    out = told(python, code)
    seed = derive(7, "torch", "cpu", bits=256)
    words = random.Random(seed)
    # A draw below 2**32 takes a word of the generator in this torch, or the lower half of two of them.
    singles = [words.getrandbits(32) for _ in range(8)]
    assert out["first"] in (singles[:3], [singles[1], singles[3], singles[5]], [singles[0], singles[2], singles[4]])
    assert out["again"] == out["first"]
    assert out["told"] == seed & 0xFFFFFFFFFFFFFFFF
    assert out["status"] == "applied"
    assert "all words" in out["known"][0]
    assert out["registered"] not in out["first"]
    assert out["after"][0] == "overwritten"
    assert "is 42" in out["after"][1]
    # T3: torch.manual_seed would give one stream for both.
    assert out["far"] != out["first"]
    assert out["rank"] not in (out["first"], out["far"])
    assert out["unknown"][0] == seed & 0xFFFFFFFF
    assert out["unknown"][1:2] + out["unknown"][3:] == ["applied", "applied"]
    assert "32 bits" in out["unknown"][2]


def test_numpy_and_torch_share_no_words(python: Path) -> None:
    """T2, F01: the popular recipe gives both the same draws."""
    code = "import numpy as np, torch\n{}\nprint(json.dumps([np.random.randint(0, 64, 4096).tolist(), torch.randint(0, 64, (4096,)).tolist()]))"
    popular = told(python, code.format("np.random.seed(7); torch.manual_seed(7)"))
    assert popular[0] == popular[1]
    ours = told(python, code.format(""))
    assert sum(a == b for a, b in zip(*ours, strict=True)) < 200
    classic = told(python, code.format(""), 'seed=7, scheme="same-integer"')
    assert classic == popular


def test_settings_are_turned_on_and_read_back(python: Path) -> None:
    code = """
import torch, os
state = lambda: [torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()]
out = {"raise": state()}
before = dict(os.environ), torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
torch.use_deterministic_algorithms(False)
out["overwritten"] = [r.recheck()["torch-algorithms"].status, r["torch-algorithms"].detail]
r = sanctity.set_global_determinism(7, algorithms="warn", quiet=True)
out["warn"] = state()
torch.use_deterministic_algorithms(False)
r = sanctity.set_global_determinism(7, algorithms="leave", quiet=True)
out["leave"] = [*state(), r["torch-algorithms"].status, r["torch-algorithms"].loud, r.recheck()["torch-algorithms"].status]
out["same"] = before == (dict(os.environ), torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark)
out["none"] = [r[name].status for name in ("torch-cuda", "cudnn", "cublas-workspace", "torch-mps", "torch-xpu", "torch-other")]
out["recorded"] = sorted(r.recorded)
r = sanctity.set_global_determinism(7, quiet=True)
try: torch.bincount(torch.tensor([1, 1]), torch.tensor([.5, .5])); out["raised"] = ""
except RuntimeError as error: out["raised"] = str(error)[:60]
print(json.dumps(out))
"""
    out = told(python, code)
    assert out["raise"] == [True, False]
    assert out["overwritten"][0] == "overwritten"
    assert "is (False, False)" in out["overwritten"][1]
    assert out["warn"] == [True, True]
    assert out["leave"] == [False, False, "refused", False, "refused"]
    assert out["same"]
    assert out["none"] == ["unavailable"] * 6
    assert {"torch", "torch.threads", "torch.matmul_precision"} <= set(out["recorded"])


def test_children_draw_apart(python: Path, tmp_path: Path) -> None:
    """F13 with torch: forked workers have one stream in the popular recipe; DataLoader workers are seeded from a repeatable one."""
    code = """
import json, multiprocessing, sys, torch
class Items(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): return torch.rand(())
def draw(barrier):
    barrier.wait()
    return float(torch.rand(()))
def pool(method):
    context = multiprocessing.get_context(method)
    with context.Manager() as manager:
        barrier = manager.Barrier(2)
        with context.Pool(2) as workers:
            return sorted(workers.map(draw, [barrier] * 2, chunksize=1))
if __name__ == "__main__":
    out = {}
    torch.manual_seed(7)
    out["popular"] = pool("fork")
    import sanctity
    for method in ("fork", "spawn"):
        sanctity.set_global_determinism(7, quiet=True)
        out[method] = pool(method)
    for turn in ("first", "second"):
        sanctity.set_global_determinism(7, quiet=True)
        out[turn] = [float(x) for x in torch.utils.data.DataLoader(Items(), num_workers=2)]
    print(json.dumps(out))
"""
    out = said(python, code, folder=tmp_path)
    assert len(set(out["popular"])) == 1
    assert len(set(out["fork"])) == 2
    assert out["fork"] == out["spawn"]
    assert out["first"] == out["second"]
    assert len(set(out["first"])) == 4


def test_loky_inherits(python: Path, tmp_path: Path) -> None:
    """F18: joblib's own workers are told nothing by a seed; a task that ran where another one was to run draws otherwise."""
    code = """
import json, random, sys, time
import joblib, numpy
def draw(_):
    time.sleep(0.5)
    return float(numpy.random.rand())
def run(): return sorted(joblib.Parallel(2)(joblib.delayed(draw)(i) for i in range(2)))
if sys.argv[1] == "popular": numpy.random.seed(7)
else:
    import sanctity
    sanctity.set_global_determinism(7, quiet=True)
print(json.dumps(run()))
"""
    popular, again = (said(python, code, "popular", folder=tmp_path) for _ in range(2))
    assert popular != again
    ours, again = (said(python, code, "ours", folder=tmp_path) for _ in range(2))
    assert ours == again
    assert len(set(ours)) == 2


# -- a CUDA that is none ------------------------------------------------------------------------------------------------------------


class Generator:
    """A generator on a device: its seed."""

    def __init__(self) -> None:
        self.seed = 0

    def manual_seed(self, seed: int) -> None:
        self.seed = seed

    def initial_seed(self) -> int:
        return self.seed


class Module:
    """A namespace."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


class Torch(Module):
    """As much of a torch with two CUDA devices as the controls ask for."""

    def __init__(self, *, started: bool) -> None:
        self.generators = (Generator(), Generator())
        self.queued: list[tuple[Callable[[], None], dict[str, Any]]] = []
        self.started = started
        self.version = Module(cuda="13.0", hip=None)
        self.cudnn = Module(deterministic=False, benchmark=True)
        self.backends = Module(cudnn=self.cudnn)
        self.cuda = Module(
            device_count=lambda: 2,
            is_initialized=lambda: self.started,
            default_generators=self.generators,
            _lazy_call=lambda function, **how: self.queued.append((function, how)),
        )
        self.default_generator = Generator()

    def start(self) -> None:
        self.started = True
        for function, _ in self.queued:
            function()


def test_cuda_is_seeded_when_it_starts_and_each_device_apart() -> None:
    torch, setting = Torch(started=False), Setting(7)
    (row,) = controls_torch.seed_cuda(setting, torch)
    assert (row.status, "untested here" in row.detail, "when CUDA starts" in row.detail) == ("applied", True, True)
    assert [generator.seed for generator in torch.generators] == [0, 0]
    assert [how for _, how in torch.queued] == [{"seed_all": True}]
    torch.start()
    assert [generator.seed for generator in torch.generators] == [derive(7, "torch", "cuda", n, bits=64) for n in range(2)]


def test_cuda_that_has_started_is_seeded_at_once() -> None:
    torch, setting = Torch(started=True), Setting(7, rank=3)
    controls_torch.seed_cuda(setting, torch)
    assert [generator.seed for generator in torch.generators] == [
        derive(7, "rank", 3, "torch", "cuda", n, bits=64) for n in range(2)
    ]


@pytest.mark.parametrize(
    ("stated", "started", "status", "left"),
    [
        (None, False, "applied", ":4096:8"),
        (None, True, "too-late", None),
        (":4096:8", True, "applied", ":4096:8"),
        (":16:8", False, "applied", ":16:8"),
        # T8: found in more than ten copies of one recipe, and none of the two values.
        (":4096:2", False, "refused", ":4096:2"),
        ("0", True, "refused", "0"),
    ],
)
def test_the_workspace_of_cublas(
    stated: str | None, started: bool, status: str, left: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", stated or "")
    if stated is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    (row,) = controls_torch._cublas(Setting(7), Torch(started=started))
    assert row.status == status
    assert bool(row.remedy) == (status != "applied")
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == left
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_cudnn_is_set_or_left() -> None:
    torch = Torch(started=False)
    assert controls_torch._cudnn(Setting(7, algorithms="leave"), torch)[0].status == "refused"
    assert vars(torch.cudnn) == {"deterministic": False, "benchmark": True}
    assert controls_torch._cudnn(Setting(7), torch)[0].status == "applied"
    assert vars(torch.cudnn) == {"deterministic": True, "benchmark": False}


def test_the_words_of_a_state_are_packed_as_torch_has_them(python: Path) -> None:
    code = "import torch\ng = torch.Generator(); g.manual_seed(5 + 2**40)\nprint(json.dumps(g.get_state().tolist()))"
    state = bytes(told(python, code))
    words = [5]
    for number in range(1, 624):
        words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + number) & 0xFFFFFFFF)
    packed = controls_torch._packed(5 + 2**40, words)
    assert state.startswith(packed)
    assert not any(state[len(packed) :])
    assert len(controls_torch._packed(0, mt19937(3))) == len(packed)
