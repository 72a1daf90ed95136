"""The golden vectors on every Python and every NumPy that is here: one seed is one sequence, wherever it is drawn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from programs import run, told

from real.learning import ml_python
from real.tools import Workshop, cache_folder, exclusive, interpreters
from sanctity.determinism import scheme
from sanctity.determinism.scheme import derive

GOLDEN = Path(__file__).parent / "golden"
DRAWS = json.loads((GOLDEN / "draws.json").read_text("utf-8"))["draws"]
#: NumPys by the oldest Python here that has a wheel of each: before and after the Generator's own spawn (1.25), 2.0, and the latest.
NUMPYS = (("3.11", "1.24.4"), ("3.11", "1.26.4"), ("3.12", "2.0.2"), ("3.13", "2.2.6"), ("3.13", "2.4.6"))

SCHEME = f"""
import json
namespace = {{"__name__": "scheme"}}
exec(open({scheme.__file__!r}, encoding="utf-8").read(), namespace)
seeds = json.load(open({str(GOLDEN / "seeds.json")!r}))["seeds"]
states = json.load(open({str(GOLDEN / "mt19937.json")!r}))["states"]
wrong = [row for row in seeds if namespace["derive"](int(row["root"]), *row["labels"], bits=row["bits"]) != int(row["seed"], 16)]
words = [list(namespace["mt19937"](namespace["derive"](int(row["root"]), *row["labels"], bits=256))[:4]) for row in states]
print(json.dumps([len(seeds), wrong, words == [row["first"] for row in states]]))
"""

#: Draws as golden/draws.json has them, of what is importable.
DRAW = """
import importlib.util, json, random, sys
import sanctity
numpy = importlib.util.find_spec("numpy") and __import__("numpy.random").random
torch = importlib.util.find_spec("torch") and __import__("torch")
drawn = []
for row in json.load(open(sys.argv[1] if len(sys.argv) > 1 else GOLDEN))["draws"]:
    r = sanctity.set_global_determinism(int(row["seed"]), rank=row["rank"], quiet=True, algorithms="leave")
    found = {"random": [random.getrandbits(32) for _ in range(3)]}
    if numpy:
        g = sanctity.register(numpy.default_rng(), "augment")
        found["numpy"] = [int(numpy.randint(2**32, dtype="uint32")) for _ in range(3)]
        found["generator"] = [int(x) for x in g.bit_generator.random_raw(3)]
        sanctity.unregister("augment")
        assert r.recheck()["numpy-legacy"].status == "applied", r
        numpy.seed(5)
        assert r.recheck()["numpy-legacy"].status == "overwritten", r
    if torch:
        found["torch"] = [int(x) for x in torch.empty(3, dtype=torch.int64).random_(0, 2**32)]
    drawn.append(found)
print(json.dumps(drawn))
""".replace("GOLDEN", repr(str(GOLDEN / "draws.json")))


def compare(drawn: Any) -> set[str]:
    """Assert that *drawn* is what the golden file has; returns of which sources."""
    assert len(drawn) == len(DRAWS)
    for found, row in zip(drawn, DRAWS, strict=True):
        assert found == {name: row[name] for name in found}, row
    return set(drawn[0])


@pytest.mark.parametrize("version", interpreters())
def test_the_scheme_on_every_python(version: str) -> None:
    count, wrong, states = told(SCHEME, python=interpreters()[version])
    assert count > 100
    assert not wrong
    assert states


@pytest.mark.parametrize("version", [version for version in interpreters() if int(version.partition(".")[2]) >= 11])
def test_the_call_on_every_python(version: str) -> None:
    assert "random" in compare(told(DRAW, python=interpreters()[version]))


@pytest.mark.parametrize("version", [version for version in interpreters() if int(version.partition(".")[2]) >= 11])
@pytest.mark.parametrize("seed", ["0", "1", "4294967295", "random"])
def test_the_hash_seed_is_found_out_on_every_python(version: str, seed: str) -> None:
    code = "import json\nfrom sanctity.determinism.hashing import seed_in_use\nprint(json.dumps(seed_in_use(7)))"
    assert told(code, python=interpreters()[version], PYTHONHASHSEED=seed) == (None if seed == "random" else int(seed))


def test_here() -> None:
    assert {"random", "numpy", "generator"} <= compare(told(DRAW))


@pytest.mark.torch
@pytest.mark.index
def test_with_torch() -> None:
    assert "torch" in compare(told(DRAW, python=ml_python()))


@pytest.mark.index
@pytest.mark.long
@pytest.mark.parametrize(("version", "numpy"), NUMPYS)
def test_on_every_numpy(version: str, numpy: str) -> None:
    if version not in interpreters():
        pytest.skip(f"Python {version} is not installed")
    home = cache_folder() / "determinism" / f"numpy-{numpy}-{version}"
    with exclusive(home):
        if not (home / "complete").is_file():
            shop = Workshop(cache=cache_folder(), scratch=cache_folder() / "determinism" / "scratch")
            shop.scratch.mkdir(parents=True, exist_ok=True)
            shop.run([interpreters()[version], "-m", "venv", "--clear", home])
            shop.run([home / "bin/python", "-m", "pip", "install", "-q", "--only-binary", ":all:", f"numpy=={numpy}"], timeout=1800)
            (home / "complete").touch()
    python = home / "bin/python"
    assert run("import numpy; print(numpy.__version__)", python=python).stdout.strip() == numpy
    assert compare(told(DRAW, python=python)) == {"random", "numpy", "generator"}


def test_the_golden_draws_are_those_of_the_scheme() -> None:
    """Of a Mersenne Twister that `random` runs, whichever library it is in."""
    assert len(DRAWS) > 20
    for row in DRAWS:
        labels = () if row["rank"] is None else ("rank", row["rank"])
        for name, path in (("random", ("random",)), ("numpy", ("numpy", "legacy"))):
            words = random.Random(derive(int(row["seed"]), *labels, *path, bits=256))
            assert row[name] == [words.getrandbits(32) for _ in range(3)]
    assert len({tuple(row[name]) for row in DRAWS for name in ("random", "numpy", "generator", "torch")}) == 4 * len(DRAWS)
