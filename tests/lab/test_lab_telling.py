"""How the lab ends: an expectation that does not hold, a tool that is lacking, bad input, no room, no network, a signal."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from lab.worlds import lab_environ, run_small, shelf_of, small_catalogue, small_wheels, world_of
from real.index import loopback_index
from real.tools import interpreters
from sanctity.cli import cli
from sanctity.errors import SanctityError, UsageError
from sanctity.lab import telling
from sanctity.lab.catalogue import choose, real_catalogue
from sanctity.lab.fetching import fill_shelf, find_programs
from sanctity.lab.steps import STEPS, closure
from sanctity.lab.story import Outcome
from sanctity.lab.telling import Asked, run_lab
from sanctity.observe.interpreters import executable_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from real.tools import Workshop


def _outcomes(story: Any) -> dict[str, Outcome]:
    return {step.name: step.outcome for step in story.steps}


@pytest.mark.index
def test_where_nothing_crashes_the_lab_says_so(workshop: Workshop, tmp_path: Path) -> None:
    ran = run_small(workshop, tmp_path, crashes=False, only=("fragile",))
    assert _outcomes(ran.story) == {"prepare": Outcome.EXPECTED, "fragile": Outcome.UNEXPECTED}
    assert ran.fact("fragile", "it crashes") is False
    assert ran.fact("fragile", "right answer") is True
    assert not ran.story.complete


@pytest.mark.index
def test_where_the_later_day_is_no_later_the_lab_says_so(workshop: Workshop, tmp_path: Path) -> None:
    ran = run_small(workshop, tmp_path, change={"after": "2024-06-15"}, only=("fragile",))
    assert ran.fact("fragile", "2024-06-15 it gives numpy 2.0.0") is False
    # The index is on that day too, so what should be the newest is not on it.
    assert ran.fact("prepare", "the index of the lab answers") is False


@pytest.mark.index
def test_a_wheel_with_another_hash_is_never_taken(workshop: Workshop, tmp_path: Path) -> None:
    cache = shelf_of(workshop, tmp_path / "cache")
    wheels = small_wheels(cache / "sanctity/lab/wheels")
    catalogue = small_catalogue(wheels)
    with open(wheels[0].path, "ab") as file:
        file.write(b"more")
    environ = lab_environ(workshop, cache, PIP_NO_INDEX="1", UV_OFFLINE="1")
    with pytest.raises(SanctityError) as caught:
        run_lab(Asked(folder=str(tmp_path / "lab")), world_of(environ, tmp_path), catalogue=catalogue)
    assert caught.value.exit_code == 3
    assert catalogue.wheels[0].filename in f"{caught.value.where} {caught.value.message}"


def test_what_lies_damaged_on_the_shelf_is_fetched_anew(workshop: Workshop, tmp_path: Path) -> None:
    """Through the user's own configuration: here that names an index on the loopback interface."""
    wheels = small_wheels(tmp_path / "served")
    catalogue = small_catalogue(wheels)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / catalogue.wheels[0].filename).write_bytes(b"damaged")
    with loopback_index(tmp_path / "served") as url:
        environ = lab_environ(workshop, tmp_path / "cache", PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=url, UV_NO_CONFIG="1")
        there, came = fill_shelf(catalogue.wheels, str(shelf), world_of(environ, tmp_path))
        assert there == came == sum(wheel.path.stat().st_size for wheel in wheels)
    # The index is gone, and nothing is needed of it.
    assert fill_shelf(catalogue.wheels, str(shelf), world_of(environ, tmp_path)) == (there, 0)
    for wheel in catalogue.wheels:
        assert hashlib.sha256((shelf / wheel.filename).read_bytes()).hexdigest() == wheel.sha256


def test_tools_that_can_not_be_had_are_told_and_what_needs_them_is_skipped(workshop: Workshop, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    wheels = small_wheels(cache / "sanctity/lab/wheels")
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}
    # An empty cache of uv's: what others fetched must not be found.
    environ = lab_environ(workshop, cache, UV_CACHE_DIR=str(tmp_path / "uv"), PIP_CACHE_DIR=str(tmp_path / "pip"), **nowhere)
    asked = Asked(folder=str(tmp_path / "lab"), only=("recorded",))
    story = run_lab(asked, world_of(environ, tmp_path), catalogue=small_catalogue(wheels))
    assert {tool.name: bool(tool.missing) for tool in story.tools} == {"uv": False, "pip": True, "pip-tools": True, "Poetry": True}
    outcomes = _outcomes(story)
    assert outcomes["prepare"] is Outcome.EXPECTED
    assert outcomes["locked"] is Outcome.SKIPPED
    facts = {fact.claim: fact for step in story.steps for fact in step.facts}
    assert facts["Poetry's lock holds the environment still"].held is None
    assert "can not be installed" in facts["Poetry's lock holds the environment still"].seen
    assert facts["uv: the program gives the right answer"].held is True
    assert not story.complete


@pytest.mark.parametrize("case", ["step", "taken", "python", "wheels", "old"])
def test_bad_input_is_told_with_a_remedy_and_nothing_is_done(case: str, workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine").write_text("mine")
    asked: Mapping[str, tuple[dict[str, Any], str]] = {
        "step": ({"only": ("poisoned",)}, "lab-unknown-step"),
        "taken": ({"folder": str(tmp_path / "taken")}, "lab-folder-taken"),
        "python": ({"python": str(tmp_path / "taken/mine")}, "lab-no-python"),
        "wheels": ({"python": str(interpreters().get("3.13", ""))}, "lab-no-wheels"),
        "old": ({"python": "2.7"}, "lab-no-python"),
    }
    options, code = asked[case]
    if case == "wheels" and "3.13" not in interpreters():
        pytest.skip("Python 3.13 is not installed")
    with pytest.raises(UsageError) as caught:
        run_lab(Asked(**{"folder": str(tmp_path / "lab"), **options}), world_of(lab_environ(workshop, tmp_path / "c"), tmp_path))
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert caught.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_too_little_room_is_told_before_anything_is_fetched(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    with pytest.raises(SanctityError) as caught:
        run_lab(Asked(folder=str(tmp_path / "lab")), world_of(lab_environ(workshop, tmp_path / "cache"), tmp_path))
    assert (caught.value.code, caught.value.exit_code) == ("lab-no-room", 3)
    assert not (tmp_path / "cache").exists()


@pytest.mark.index
def test_a_disk_that_is_full_is_an_error_that_names_the_file(workshop: Workshop, tmp_path: Path) -> None:
    cache = shelf_of(workshop, tmp_path / "cache")
    catalogue = small_catalogue(small_wheels(cache / "sanctity/lab/wheels"))
    environ = lab_environ(workshop, cache)
    find_programs(f"{cache}/sanctity/lab", os.path.realpath(sys.executable), environ)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond 512 bytes, which is what the kernel says of a full disk but for the number of the error.
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        with pytest.raises(SanctityError) as caught:
            run_lab(Asked(folder=str(tmp_path / "lab")), world_of(environ, tmp_path), catalogue=catalogue)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.code, caught.value.exit_code) == ("lab-failed", 3)
    assert caught.value.hint


_CHILD = """
import os, pathlib, sys, time
sys.path[:0] = sys.argv[2:]
from lab.worlds import small_catalogue, small_wheels
from sanctity import cli
from sanctity.lab import telling
wheels = small_wheels(pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "sanctity/lab/wheels")
telling.real_catalogue = lambda: small_catalogue(wheels)
cli.main(["lab", "--only", sys.argv[1]])
"""


def _child(step: str, environ: Mapping[str, str], tests: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, step, str(tests)]
    return subprocess.Popen(command, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _running_in(folder: Path) -> list[str]:
    """The processes whose working folder lies in *folder*."""
    found = []
    for name in os.listdir("/proc"):
        try:
            where = os.readlink(f"/proc/{name}/cwd") if name.isdigit() else ""
        except OSError:
            continue
        if where.startswith(str(folder)):
            found.append(name)
    return found


@pytest.mark.index
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing(
    number: int, workshop: Workshop, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environ = lab_environ(workshop, shelf_of(workshop, tmp_path / "cache"), TMPDIR=str(temporary))
    with _child("locked", environ, request.config.rootpath / "tests") as process:
        assert process.stdout is not None
        # The step has begun, so commands are running.
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "index/today" in line:
                break
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert any("index/today" in line for line in seen), said
    assert process.returncode == 130
    assert "interrupted" in said
    assert list(temporary.iterdir()) == []
    assert _running_in(tmp_path) == []


@pytest.mark.index
def test_a_folder_of_its_own_is_removed_at_the_end(workshop: Workshop, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environ = lab_environ(workshop, shelf_of(workshop, tmp_path / "cache"), TMPDIR=str(temporary), PIP_NO_INDEX="1", UV_OFFLINE="1")
    with _child("fragile", environ, request.config.rootpath / "tests") as process:
        out, said = process.communicate(timeout=600)
    # What was fetched before is enough: no index is asked.
    assert process.returncode == 0, said
    assert "2 of 2 steps as expected" in out
    assert list(temporary.iterdir()) == []


@pytest.mark.index
def test_the_command_writes_page_and_data_and_ends_with_three_where_something_did_not_hold(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = shelf_of(workshop, tmp_path / "cache")
    catalogue = small_catalogue(small_wheels(cache / "sanctity/lab/wheels", crashes=False))
    monkeypatch.setattr(telling, "real_catalogue", lambda: catalogue)
    environ = lab_environ(workshop, cache)
    page = tmp_path / "page.html"
    arguments = ["lab", str(tmp_path / "lab"), "--only", "fragile", "--html", str(page), "--format", "json"]
    result = CliRunner().invoke(cli, arguments, env=environ)
    assert result.exit_code == 3, result.output
    document = json.loads(result.stdout)
    assert document["complete"] is False
    assert [step["outcome"] for step in document["steps"]] == ["as expected", "not as expected"]
    text = page.read_text()
    assert "1 of 2 steps as expected" in text
    assert "did not hold" in text
    assert (tmp_path / "lab/activate").exists()


def test_the_steps_are_listed_and_nothing_is_done() -> None:
    result = CliRunner().invoke(cli, ["lab", "--list"])
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.output.splitlines()] == [step.name for step in STEPS]


def test_a_page_that_would_be_a_folder_is_refused_first(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["lab", "--html", str(tmp_path)])
    assert result.exit_code == 2
    assert "folder" in result.output


def test_a_step_brings_all_that_it_needs_in_order() -> None:
    names = [step.name for step in STEPS]
    assert [step.name for step in closure(())] == names
    for step in STEPS:
        chosen = [each.name for each in closure((step.name,))]
        assert step.name in chosen
        assert chosen == [name for name in names if name in chosen]
        assert all(set(each.needs) <= set(chosen) for each in closure((step.name,)))


def test_the_real_catalogue_has_one_wheel_of_each_release_for_this_python() -> None:
    found = executable_at(sys.executable)
    assert found is not None
    if found.interpreter.version.split(".")[:2] not in (["3", "11"], ["3", "12"]):
        pytest.skip("there are no such wheels for this Python")
    wheels = choose(real_catalogue(), found.interpreter)
    assert len({(wheel.name, wheel.version) for wheel in wheels}) == len(wheels) == 7
    moments = {wheel.version: wheel.uploaded for wheel in wheels if wheel.name == "numpy"}
    assert moments["1.26.4"] < "2024-06-15" < moments["2.0.0"] < "2024-06-17"
    assert all(len(wheel.sha256) == 64 for wheel in real_catalogue().wheels)
