"""Checkpoints that PyTorch wrote, and dumps of joblib, read without either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from real.learning import ml_python, run_script
from results.pairs import folders
from sanctity.model.result import FileResult, Sameness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch

WRITE = """
import collections, io, os, zipfile
import torch
for side in ("one", "two"):
    os.makedirs(side, exist_ok=True)

def nudged(tensor):
    raw = tensor.clone().contiguous()
    raw.view(-1).view(torch.uint8)[5 * tensor.element_size()] ^= 1
    return raw

def pair(name, one, two, **more):
    torch.save(one, f"one/{name}.pt", **more)
    torch.save(two, f"two/{name}.pt", **more)

numbers = torch.linspace(-2, 2, 12).reshape(3, 4)
names = "float64 float32 float16 bfloat16 float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e5m2fnuz int8 int16 int32 int64 uint8 "
names += "uint16 uint32 uint64 complex64 complex128 bool"
for name in names.split():
    dtype = getattr(torch, name)
    tensor = (numbers.abs() * 8).to(torch.int64).to(dtype) if name.startswith("uint") else numbers.to(dtype)
    pair(f"dtype-{name}", {"w": tensor}, {"w": nudged(tensor)})

same = {"transposed": (numbers.t(), numbers.t().contiguous()), "sliced": (numbers[:, 1:3], numbers[:, 1:3].clone()),
        "expanded": (numbers[0].expand(5, 4), numbers[0].expand(5, 4).contiguous()), "part": (numbers[1], numbers[1].clone()),
        "scalar": (numbers[1, 1], numbers[1, 1].clone()), "empty": (torch.zeros(0, 3), torch.zeros(5, 3)[:0])}
for name, (one, two) in same.items():
    pair(f"same-{name}", {"w": one}, {"w": two})
shared = numbers.clone()
pair("same-shared", [shared, shared[0]], [shared.clone(), shared[0].clone()])
pair("same-order", {"a": shared, "b": 1}, {"b": 1, "a": shared})
torch.save({"w": shared}, "one/same-name.pt"); torch.save({"w": shared}, "two/other.pt"); os.rename("two/other.pt", "two/same-name.pt")
torch.save({"w": shared}, "one/same-stream.pt")
stream = io.BytesIO(); torch.save({"w": shared}, stream); open("two/same-stream.pt", "wb").write(stream.getvalue())
pair("same-protocol", {"w": shared, "n": {1, 2}}, {"w": shared, "n": {1, 2}}); torch.save({"w": shared, "n": {1, 2}}, "two/same-protocol.pt", pickle_protocol=5)

def trained(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    rule = torch.optim.Adam(model.parameters())
    model(torch.randn(8, 4)).sum().backward(); rule.step()
    return {"model": model.state_dict(), "optimizer": rule.state_dict(), "epoch": 3, "args": {"lr": [1e-3, None]}}, model

one, model = trained(0)
two, _ = trained(0)
two["optimizer"]["state"][0]["exp_avg"] = nudged(two["optimizer"]["state"][0]["exp_avg"])
pair("trained", one, two)
pair("module", model, trained(1)[1])
pair("parameter", {"w": torch.nn.Parameter(numbers)}, {"w": torch.nn.Parameter(nudged(numbers))})
pair("kind", {"w": torch.nn.Parameter(numbers)}, {"w": numbers})
pair("grad", {"w": numbers.clone().requires_grad_()}, {"w": numbers})
pair("conjugate", {"w": numbers.to(torch.complex64).conj()}, {"w": numbers.to(torch.complex64)})
pair("sparse", {"w": numbers.to_sparse()}, {"w": nudged(numbers).to_sparse()})
pair("quantised", torch.quantize_per_tensor(numbers, .1, 0, torch.qint8), torch.quantize_per_tensor(nudged(numbers) + 1, .1, 0, torch.qint8))
pair("storage", numbers.clone().untyped_storage(), nudged(numbers).untyped_storage())
class Tagged(torch.Tensor): pass
pair("subclass", numbers.clone().as_subclass(Tagged), nudged(numbers).as_subclass(Tagged))
huge = numbers[0, :1]
pair("wide", {"w": huge.expand(1 << 27)}, {"w": huge.expand(1 << 28)})
pair("legacy", {"w": numbers}, {"w": nudged(numbers)}, _use_new_zipfile_serialization=False)
pair("same-legacy", {"w": numbers}, {"w": numbers}, _use_new_zipfile_serialization=False)
class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)
pair("evil", {"w": numbers, "e": Evil()}, {"w": nudged(numbers), "e": Evil()})

def big(path, source):  # the same archive as a machine of the other byte order writes it
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(path, "w") as write:
        for info in read.infolist():
            data = read.read(info)
            if "/data/" in info.filename:
                data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
            write.writestr(info.filename, b"big" if info.filename.endswith("byteorder") else data)
torch.save({"w": numbers}, "one/same-big.pt")
big("two/same-big.pt", "one/same-big.pt")
"""

JOBLIB = """
import os
import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier, GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
for side in ("one", "two"):
    os.makedirs(side, exist_ok=True)
x = np.random.default_rng(0).normal(size=(60, 4)); y = (x[:, 0] > 0).astype(int)
def models(seed):
    yield "pipeline", make_pipeline(StandardScaler(), LogisticRegression()).fit(x + seed * 1e-9, y)
    yield "forest", RandomForestClassifier(3, random_state=seed).fit(x, y)
    yield "boosting", GradientBoostingRegressor(n_estimators=3, subsample=.5, random_state=seed).fit(x, y)
for name, model in models(0):
    joblib.dump(model, f"one/{name}.joblib")
    joblib.dump(model, f"one/same-{name}.joblib")
    joblib.dump(model, f"two/same-{name}.joblib", compress=("gzip", 3))
for name, model in models(1):
    joblib.dump(model, f"two/{name}.joblib")
joblib.dump({"o": np.array([1, None, "x"], object), "f": np.asfortranarray(np.ones((2, 3)))}, "one/same-odd.joblib")
joblib.dump({"o": np.array([1, None, "x"], object), "f": np.ones((2, 3))}, "two/same-odd.joblib", protocol=4)
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, FileResult]]:
    """Where they lie, and how each pair of checkpoints compares."""
    folder = tmp_path_factory.mktemp("checkpoints")
    run_script(ml_python(), WRITE, folder=folder)
    return folder, {file.path.removesuffix(".pt"): file for file in folders(folder).files}


def test_one_bit_is_found_in_every_type(checkpoints: tuple[Path, dict[str, FileResult]]) -> None:
    found = {name: file for name, file in checkpoints[1].items() if name.startswith("dtype-")}
    assert len(found) == 19
    for name, file in found.items():
        assert [(item.path, item.first, item.differing) for item in file.differences] == [("w", (1, 1), 1)], (name, file)
        dtype = name.removeprefix("dtype-")
        measured = not dtype.endswith("fnuz") and dtype.startswith(("float", "bfloat", "complex"))
        assert (file.differences[0].ulps is not None) is measured, name
        if measured:
            assert file.differences[0].ulps.most == 1, name  # type: ignore[union-attr]


def test_what_is_the_same_however_it_lies(checkpoints: tuple[Path, dict[str, FileResult]]) -> None:
    found = {name: file for name, file in checkpoints[1].items() if name.startswith("same-")}
    assert len(found) >= 12
    for name, file in found.items():
        assert file.sameness in {Sameness.EQUAL, Sameness.IDENTICAL}, (name, file)
        assert file.sameness is Sameness.IDENTICAL or file.noise
    assert any("archive: same-name against other" in line for line in found["same-name"].noise)
    assert any("byte order: little against big" in line for line in found["same-big"].noise)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("trained", ["['optimizer']['state'][0]['exp_avg']"]),
        ("parameter", ["w"]),
        ("kind", ["w:class", "w:requires_grad"]),
        ("grad", ["w:requires_grad"]),
        ("wide", ["w"]),
        ("evil", ["w"]),
    ],
)
def test_what_differs_is_named(checkpoints: tuple[Path, dict[str, FileResult]], name: str, paths: list[str]) -> None:
    file = checkpoints[1][name]
    assert file.sameness is Sameness.DIFFERENT
    assert [item.path for item in file.differences] == paths


@pytest.mark.parametrize("name", ["module", "conjugate", "sparse", "quantised", "storage", "subclass"])
def test_no_tensor_hides_in_what_is_not_known(checkpoints: tuple[Path, dict[str, FileResult]], name: str) -> None:
    assert checkpoints[1][name].sameness is Sameness.DIFFERENT


def test_what_is_older_is_never_equal(checkpoints: tuple[Path, dict[str, FileResult]]) -> None:
    assert checkpoints[1]["legacy"].sameness is Sameness.UNDECIDED


def test_nothing_was_executed(checkpoints: tuple[Path, dict[str, FileResult]]) -> None:
    folder = checkpoints[0]
    assert (folder / "one/evil.pt").is_file()
    assert not list(folder.rglob("ran"))


def test_models_that_joblib_wrote(tmp_path: Path) -> None:
    run_script(ml_python(), JOBLIB, folder=tmp_path)
    found = {file.path.removesuffix(".joblib"): file for file in folders(tmp_path).files}
    assert len(found) == 7
    for name, file in found.items():
        assert file.sameness is (Sameness.EQUAL if name.startswith("same-") else Sameness.DIFFERENT), (name, file)
    assert any("coef_" in item.path for item in found["pipeline"].differences)
