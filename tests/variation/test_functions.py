"""`sanctity.prove`: who makes a function's value differ is named, what is no value is undecided, and who asks wrongly is told."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proved_functions
import sanctity
from real.learning import SOURCE, missing, ml_python
from sanctity.errors import SanctityError, UsageError
from sanctity.model.repeats import Claim, Level, Phase
from sanctity.report.repeats import FORMATS
from sanctity.report.repeats_words import again

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder in which nobody else writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_who_makes_a_value_differ_is_named() -> None:
    found = sanctity.prove(proved_functions.words_in_order_of_hashes, 20, n=1)
    assert found.claim is Claim.DIFFERENT
    assert not found
    assert [guilty.names for guilty in found.guilty] == [("hash-seed",)]
    assert found.guilty[0].alone
    assert re.match(r"DIFFERENT on this machine: hash seed alone changes what it returns, first at \[\d+\]: ", str(found))
    assert (found.command, found.function) == (("proved_functions.words_in_order_of_hashes",), True)
    assert again(found) == "sanctity.prove(proved_functions.words_in_order_of_hashes, …)"


def test_an_honest_value_is_the_same_whatever_the_order_of_its_sets(folder: Path) -> None:
    found = sanctity.prove(functools.partial(proved_functions.honest, 50), seed=3, n=2, level="process")
    assert found.claim is Claim.SAME, str(found)
    assert found
    assert str(found).startswith("SAME on this machine")
    assert repr(found) == str(found)
    assert (found.level, len(found.phase(Phase.VARIED))) == (Level.PROCESS, 2)
    assert json.loads(FORMATS["json"](found))["claim"] == "same"
    assert os.listdir(folder) == []


def test_to_return_nothing_now_and_then_is_a_difference() -> None:
    found = sanctity.prove(proved_functions.sometimes_none, n=1, vary="hash-seed")
    assert str(found).startswith("DIFFERENT on this machine: hash seed alone changes whether it returns anything\n")


@pytest.mark.long
def test_what_moves_by_itself_is_named() -> None:
    found = sanctity.prove(proved_functions.unseeded, n=1)
    assert found.claim is Claim.DIFFERENT
    assert [guilty.names for guilty in found.guilty] == [("entropy",)]


@pytest.mark.parametrize(
    ("function", "reason", "words"),
    [
        (proved_functions.nothing, "nothing-returned", "proved_functions.nothing returned None"),
        (proved_functions.numbers, "value-not-picklable", "proved_functions.numbers returned generator, which can not be pickled"),
        (proved_functions.fails, "command-failed", "proved_functions.fails raised in each run: ValueError: of no"),
    ],
)
def test_what_is_no_value_is_undecided(function: Callable[[], object], reason: str, words: str) -> None:
    found = sanctity.prove(function)
    assert (found.claim, found.reason) == (Claim.UNDECIDED, reason)
    assert not found
    assert words in str(found)
    assert len(found.runs) == 2


def test_a_call_that_takes_too_long_is_ended() -> None:
    found = sanctity.prove(proved_functions.waits, timeout=0.5)
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "run-timed-out")


def test_files_are_compared_where_they_are_named(folder: Path) -> None:
    (folder / "data.txt").write_text("x")
    assert sanctity.prove(proved_functions.reads, "data.txt", n=1, vary="hash-seed")
    found = sanctity.prove(proved_functions.writes, "out/words.txt", n=1, vary=("hash-seed",), outputs="out/**")
    assert found.claim is Claim.DIFFERENT
    assert "out/words.txt" in str(found)
    assert sorted(os.listdir(folder)) == ["data.txt"]
    found = sanctity.prove(proved_functions.nothing, n=1, outputs=["out/**"])
    assert "returned None, and wrote no file that outputs names" in found.message


def test_what_is_written_beside_is_told_unless_it_is_a_tools_own(folder: Path) -> None:
    (folder / ".hypothesis").mkdir()
    for name in (".hypothesis/example", ".coverage.1"):
        assert sanctity.prove(proved_functions.appends, str(folder / name), n=1, vary="hash-seed")
    found = sanctity.prove(proved_functions.appends, str(folder / "log.txt"), n=1, vary="hash-seed")
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "output-outside")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: sanctity.prove(proved_functions.honest),  # type: ignore[call-overload] # as mypy says too
            "can not be called with these arguments: missing a required argument: 'steps'",
        ),
        (lambda: sanctity.prove(proved_functions.honest, 1, wrong=3, n=2), "unexpected keyword argument 'wrong'"),
        (lambda: sanctity.prove(proved_functions.honest, 1, n=0), "n is 0"),
        (lambda: sanctity.prove(proved_functions.honest, 1, n=True), "n is True"),
        (lambda: sanctity.prove(proved_functions.honest, 1, timeout=-1), "timeout is -1"),
        (
            lambda: sanctity.prove(proved_functions.honest, 1, level="all"),  # type: ignore[call-arg]
            "level is 'all', and is one of process, machine, numerics",
        ),
        (lambda: sanctity.prove(proved_functions.honest, 1, vary="everything"), "vary=everything: it is no variation"),
        (lambda: sanctity.prove(proved_functions.honest, 1, n=1, keep="there"), "keep=there: it is there already"),
        (lambda: sanctity.prove(proved_functions.honest, 1, outputs="../out"), "outputs=../out: a pattern leads out"),
        (
            lambda: sanctity.prove(proved_functions.with_its_own, n=3),
            "it has a parameter n, and prove an option: it can not be told which is meant",
        ),
        (lambda: sanctity.prove(proved_functions.with_its_own, 3, timeout=3), "it has a parameter timeout"),
    ],
)
def test_who_asks_wrongly_is_told(call: Callable[[], object], words: str) -> None:
    os.mkdir("there")
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        call()
    assert caught.value.code == "usage"


def test_without_room_nothing_is_called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))
    with pytest.raises(SanctityError, match="the call can not be written down") as caught:
        sanctity.prove(proved_functions.honest, 1)
    assert (caught.value.code, caught.value.exit_code) == ("repeats-no-room", 3)


def test_a_folder_that_is_gone_is_told(folder: Path) -> None:
    (folder / "gone").mkdir()
    os.chdir("gone")
    (folder / "gone").rmdir()
    with pytest.raises(UsageError, match="the working folder is gone") as caught:
        sanctity.prove(proved_functions.honest, 1)
    assert caught.value.code == "no-working-folder"


def test_a_parameter_of_an_options_name_is_told_apart_where_it_is_bound() -> None:
    found = sanctity.prove(functools.partial(proved_functions.with_its_own, timeout=3.5), 4, n=1, timeout=60, vary="hash-seed")
    assert found, str(found)
    assert len(found.phase(Phase.VARIED)) == 1


PROGRAM = """
import sanctity

class Model:
    def __init__(self, words):
        self.words = words

def train(words):
    return Model(sorted(words))

def shuffled(words):
    return list(set(words))

{guard}
    print(sanctity.prove(train, ["a", "b", "c"], n=1, vary="hash-seed"))
    print(sanctity.prove(shuffled, list(map(str, range(30))), n=1, vary="hash-seed"))
"""


def _program(folder: Path, guard: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(PROGRAM.format(guard=guard))
    return subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_a_program_proves_functions_of_its_own(folder: Path) -> None:
    done = _program(folder, 'if __name__ == "__main__":')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SAME on this machine")
    assert "\nDIFFERENT on this machine: hash seed alone changes what it returns" in done.stdout
    assert os.listdir(folder) == ["program.py"]


def test_a_program_without_a_guard_is_told(folder: Path) -> None:
    done = _program(folder, "if True:")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the program calls prove wherever its main file is imported (function-unguarded)") == 2


def test_the_example_says_what_its_page_shows(folder: Path) -> None:
    """examples/prove_function.py, and the output of it in docs/prove-functions.md."""
    program = (ROOT / "examples/prove_function.py").read_text()
    page = (ROOT / "docs/prove-functions.md").read_text()
    assert f"```python\n{program}```\n" in page
    (folder / "prove_function.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "prove_function.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    shown = re.search(r"\$ python prove_function\.py\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    verdicts = [
        re.findall(r"^(?:SAME|DIFFERENT on this machine: [a-z ]+ changes)", text, re.MULTILINE) for text in (done.stdout, shown[1])
    ]
    assert verdicts[0] == verdicts[1]
    assert len(verdicts[0]) == 2


@pytest.mark.long
@pytest.mark.torch
@pytest.mark.index
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_tensors_are_compared_by_their_numbers(folder: Path) -> None:
    """A tensor's own pickle names an address of memory; in an environment without a checkpoint reader of its own."""
    (folder / "learning.py").write_text(LEARNING)
    program = "import learning, sanctity\nfor each in (learning.trained, learning.in_order_of_hashes):\n    print(sanctity.prove(each, n=1, vary='hash-seed'))\n"
    (folder / "program.py").write_text(f'if __name__ == "__main__":\n    exec({program!r})\n')
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([ml_python(), "program.py"], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SAME on this machine")
    assert "\nDIFFERENT on this machine: hash seed alone changes what it returns, first at " in done.stdout


LEARNING = """
import torch

def trained():
    torch.manual_seed(0)
    model, data = torch.nn.Linear(4, 1), torch.randn(32, 4)
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(data).square().mean()
        loss.backward()
        optimizer.step()
    return {"model": model, "state": model.state_dict(), "optimizer": optimizer.state_dict(), "loss": loss.detach(), "set": {"a", "b"}}

def in_order_of_hashes():
    torch.manual_seed(0)
    return {word: torch.randn(2).bfloat16() for word in {"a", "b", "c", "d"}}
"""
