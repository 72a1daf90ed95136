"""The fixture `prove` under a real pytest: it fails the test where a function does not repeat, in whatever way tests are imported."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: What comes first sees what was imported before anybody asked.
LIGHT = """
import sys

def test_light():
    ours = {name for name in sys.modules if name.partition(".")[0] == "sanctity"}
    assert ours == {"sanctity", "sanctity.pytest_plugin"}
"""
TESTS = """
import helping

def shuffled(number):
    return list({f"word {each}" for each in range(number)})

def ordered(number, *, n=0):
    return helping.in_order(shuffled(number))

def nothing():
    pass

def test_same(prove):
    from sanctity.model.repeats import Phase
    found = prove(ordered, 20)
    assert found.claim == "same"
    assert len(found.phase(Phase.VARIED)) == 2

def test_different(prove):
    prove(shuffled, 20, n=1)
    raise AssertionError("it goes on")

def test_nothing(prove):
    prove(nothing)

def test_lambda(prove):
    prove(lambda: 1)

def test_parameter(prove):
    prove(ordered, 20, n=3)
"""
DOCTEST = '''
def ordered():
    """
    >>> import sanctity
    >>> sanctity.prove(ordered, n=1, vary="hash-seed").claim.value
    'same'
    >>> def typed(): return 1
    >>> sanctity.prove(typed)
    Traceback (most recent call last):
    sanctity.errors.UsageError: documented.typed: another process can not import it: Can't pickle ...
    """
    return sorted({"a", "b"})
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "pytest.ini": "[pytest]\nfilterwarnings = error\nsanctity_prove_runs = 2\n",
        "tests/test_a_light.py": LIGHT,
        "tests/deep/test_it.py": TESTS,
        "tests/helping.py": "def in_order(words): return sorted(words)\n",
        "tests/conftest.py": "import os, sys\nsys.path.append(os.path.dirname(__file__))\n",
        "documented.py": DOCTEST,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def _pytest(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # An environment that knows nothing of the entry point was made before there was one.
    known = entry_points(group="pytest11", name="sanctity")
    named = () if known else ("-p", "sanctity.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *named, *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)


def _outcomes(said: str) -> dict[str, str]:
    return {name: word for word, name in re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", said, re.MULTILINE)}


EXPECTED = {
    "test_same": "PASSED",
    "test_different": "FAILED",
    "test_nothing": "FAILED",
    "test_lambda": "FAILED",
    "test_parameter": "FAILED",
}


def _check(said: str) -> None:
    shown = r"test_it\.shuffled: DIFFERENT on this machine: hash seed alone changes what it returns, first at \[\d+\]: "
    assert re.search(rf"^(\w+\.)*{shown}", said, re.MULTILINE), said
    assert re.search(r"test_it\.nothing: UNDECIDED .*returned None \(nothing-returned\)", said)
    assert "error: function-not-importable\n" in said
    assert "it has a parameter n, and prove an option" in said
    assert "it goes on" not in said
    assert "Traceback" not in said
    assert "another exception" not in said


def test_with_tests_that_are_imported_by_their_names(project: Path) -> None:
    documented = ("documented.py", "--doctest-modules", "-o", "doctest_optionflags=ELLIPSIS")
    done = _pytest(project, "-rA", "tests/test_a_light.py", "tests/deep", *documented)
    assert done.returncode == 1, done.stdout + done.stderr
    assert _outcomes(done.stdout) == {**EXPECTED, "test_light": "PASSED", "documented": "PASSED"}, done.stdout
    _check(done.stdout)


def test_with_tests_that_are_imported_by_their_files_in_workers(project: Path) -> None:
    (project / "tests/wide").mkdir()
    wide = "def value():\n    return __file__\n\ndef test_wide(prove):\n    assert prove(value, n=1)\n"
    (project / "tests/wide/test_it.py").write_text(wide)
    done = _pytest(project, "-rA", "-n", "2", "--import-mode", "importlib", "tests/deep", "tests/wide")
    assert done.returncode == 1, done.stdout + done.stderr
    assert _outcomes(done.stdout) == {**EXPECTED, "test_wide": "PASSED"}, done.stdout
    _check(done.stdout)


def test_a_number_of_runs_that_is_none_is_an_error(project: Path) -> None:
    done = _pytest(project, "-rA", "-o", "sanctity_prove_runs=none", "tests/deep", "-k", "same")
    assert done.returncode == 1
    assert "sanctity_prove_runs = none: it is a number of runs" in done.stdout
