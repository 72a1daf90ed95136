"""What is proved of a command of `sanctity run`, which lets nothing in that loads code: a remedy is proved as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from running.starting import BARE, a_project, sanctity
from sanctity.cli.running import run
from sanctity.errors import SanctityError
from sanctity.model.repeats import Phase
from sanctity.variation.wrapped import FLAGS, wrapped
from variation.harnessing import harness

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "open('out', 'w').write(','.join({'cat', 'dog', 'bird', 'fish', 'cow'}))"
RUN = (sys.executable, "-m", "sanctity", "run", "--env", "env", "--seed", "3")


@pytest.mark.parametrize(
    ("line", "seeded"),
    [
        ("sanctity run -- python x", False),
        ("/usr/bin/sanctity run --seed 3 -- python x", True),
        ("sanctity run --inject --seed=3 python x", True),
        ("sanctity run --env --seed -- python x", False),
        ("sanctity run -- python x --seed 3", False),
        ("sanctity run python --seed 3", False),
        ("python3.12 -X dev -m sanctity run --seed 3 -- x", None),
        ("python3.12 -I -m sanctity run --seed 3 -- x", True),
        ("sanctity verify", None),
        ("python x", None),
        ("python -m other run --seed 3", None),
        ("sanctity", None),
    ],
)
def test_a_command_of_run_is_known(line: str, seeded: bool | None) -> None:
    found = wrapped(line.split())
    assert (found.seeded if found is not None else None) is seeded


def test_options_without_a_value_are_those_of_run() -> None:
    flags = {name for option in run.params if getattr(option, "is_flag", False) for name in option.opts}
    assert flags | {"-h", "--help"} == FLAGS


def test_a_hook_is_not_put_before_run_and_its_hash_seed_is_its_own(tmp_path: Path) -> None:
    folder = a_project(tmp_path / "project").folder
    (folder / "program.py").write_text(PROGRAM)
    with harness(folder, *RUN, "--", "python", "program.py", environ=BARE, outputs=("out",)) as made:
        states = {each.name: each.impossible or each.held for each in made.variations}
        assert states["hash-seed"] == "by sanctity run --seed"
        assert states["clock"]
        told = "`sanctity run` lets nothing in that loads code"
        assert {states[name] for name in ("file-order", "entropy", "time", "pid")} == {told}
        first = made.run(Phase.REPEAT)
        varied = made.run(Phase.VARIED, tuple((each.name, each.values[1]) for each in made.variations if each.varies))
    assert (first.code, varied.code, varied.unseen) == (0, 0, ()), first.tail + varied.tail
    assert varied.same
    assert {"tz", "cwd", "environment"} < {name for name, _ in varied.setting}


@pytest.mark.long
def test_what_run_refuses_is_no_result(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    venv.create(folder / "env", with_pip=False)
    sanctity("seal", "--env", "env", cwd=folder, environ=os.environ)
    (folder / "program.py").write_text(PROGRAM)
    command = (*RUN, "--profile", "production", "--", "python", "program.py")
    with harness(folder, *command, environ=BARE, outputs=("out",)) as made:
        first = made.run(Phase.REPEAT)
        assert first.code == 0, first.tail
        with pytest.raises(SanctityError, match="125") as caught:
            made.run(Phase.VARIED, (("threads", "1"),))
    assert caught.value.code == "repeats-not-set"


@pytest.mark.long
def test_the_remedy_that_is_named_is_proved(tmp_path: Path) -> None:
    """Without the seed the hash seed is guilty, and the one of the user's own is left alone."""
    folder = a_project(tmp_path / "project").folder
    (folder / "program.py").write_text(PROGRAM)
    cases: tuple[tuple[tuple[str, ...], dict[str, str], int], ...] = (
        (RUN[:-2], {}, 1),
        (RUN, {}, 0),
        (RUN, {"PYTHONHASHSEED": "7"}, 3),
    )
    for command, extra, code in cases:
        done = subprocess.run(
            [sys.executable, "-m", "sanctity", "prove", "-n", "1", "--", *command, "--", "python", "program.py"],
            cwd=folder,
            env=BARE | extra | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        if code == 1:
            assert done.stdout.startswith("DIFFERENT on this machine: hash seed alone changes out")
            assert "as `sanctity run --seed N` does" in done.stdout
        if code == 0:
            assert "held: hash seed (by sanctity run --seed)" in done.stdout
        if code == 3:
            assert "seed-conflict" in done.stdout
