"""Depth artifact on real environments: what RECORD vouches for itself is held to the locked wheel, and bytecode to its source.

Each run plants every forgery where the index can be asked, and those of `_OFFLINE` where it can not; ``-m long`` plants them all in
both, and looks at 200 popular wheels.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import SMALL, Built, copied, made_once, pip_venv, poetry_project, uv_pip, uv_project
from real.index import loopback_index
from real.judging import Judged, examine, judge, sanctity
from real.tampering import (
    FORGERIES,
    OTHER,
    Planter,
    bytecode_never_checked,
    bytecode_of_right_time,
    forged_metadata,
    forged_module,
    forged_with_record,
    older_release,
)
from real.tools import HERE
from sanctity.model.drift import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("made-once")]

POPULAR: Final = HERE / "popular-200.txt"

_BUILDERS: Final[dict[str, Callable[[Workshop, Path], Built]]] = {"uv": uv_project, "pip": pip_venv, "poetry": poetry_project}


@pytest.fixture(scope="module", params=sorted(_BUILDERS))
def built(request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A clean environment of each tool; the index that Poetry's lock names is there again, with another release of six beside."""
    made = made_once(_BUILDERS[request.param], workshop)
    if request.param != "poetry":
        yield made
        return
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in (*workshop.wheels(SMALL).glob("*.whl"), *workshop.wheels(OTHER).glob("six-*.whl")):
        (folder / wheel.name).symlink_to(wheel)
    named = re.search(r"http://127\.0\.0\.1:(\d+)/", made.lock.read_text())
    assert named is not None
    with loopback_index(folder, port=int(named[1])):
        yield made


def _environ(workshop: Workshop, memory: Path) -> dict[str, str]:
    return workshop.environ(XDG_CACHE_HOME=str(memory))


def _prove(built: Built, workshop: Workshop, memory: Path, *words: str) -> Judged:
    return judge(built, "--depth", "artifact", *words, environ=_environ(workshop, memory))


@pytest.fixture(scope="module")
def memory(built: Built, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first look remembers."""
    folder = tmp_path_factory.mktemp("memory")
    report = _prove(built, workshop, folder)
    assert report["verdict"] == "clean", report.told()
    assert report["proof"]["distributions"] == {"wheel": len(_locked(built))}, report["proof"]
    return folder


def _locked(built: Built) -> set[str]:
    return {
        path.name for path in built.site.glob("*.dist-info") if not path.name.startswith(("demo_project", "pip-", "setuptools-"))
    }


def test_the_second_look_remembers_and_asks_no_index(built: Built, workshop: Workshop, memory: Path) -> None:
    report = _prove(built, workshop, memory, "--offline")
    assert report["verdict"] == "clean", report.told()
    assert report["proof"]["distributions"] == {"remembered": len(_locked(built))}
    code = report["proof"]["bytecode"]
    assert code["remembered"] == code["files"]


def test_nothing_known_and_nobody_to_ask_is_undecided(built: Built, workshop: Workshop, tmp_path: Path) -> None:
    away = {"PIP_CACHE_DIR": str(tmp_path / "pip"), "UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_CONFIG_FILE": os.devnull}
    environ = _environ(workshop, tmp_path) | away | {"UV_NO_CONFIG": "1", "PIP_FIND_LINKS": "", "UV_FIND_LINKS": ""}
    report = judge(built, "--depth", "artifact", "--offline", environ=environ)
    assert report["verdict"] == "undecided", report.told()
    blind = [item for item in report["unchecked"] if item["in_scope"]]
    assert {item["code"] for item in blind} == {"unverifiable"}
    assert len(blind) == len(_locked(built))


def test_what_is_known_is_carried_and_said_to_be_imported(built: Built, workshop: Workshop, memory: Path, tmp_path: Path) -> None:
    done = sanctity("contents", "export", tmp_path / "known.json", cwd=built.project, environ=_environ(workshop, memory))
    assert done.returncode == 0, done.stderr
    other = _environ(workshop, tmp_path / "elsewhere")
    done = sanctity("contents", "import", tmp_path / "known.json", cwd=built.project, environ=other)
    assert done.returncode == 0, done.stderr
    report = judge(built, "--depth", "artifact", "--offline", environ=other)
    assert report["verdict"] == "clean", report.told()
    assert report["proof"]["distributions"] == {"imported": len(_locked(built))}


#: Of code, of metadata and of bytecode: without an index, a forgery differs from others only in where it is seen.
_OFFLINE: Final = frozenset({forged_module, forged_metadata, bytecode_of_right_time})


@pytest.mark.parametrize(
    ("planter", "offline"),
    [
        pytest.param(
            each,
            offline,
            id=f"{each.__name__}-{'offline' if offline else 'index'}",
            marks=pytest.mark.long if offline and each not in _OFFLINE else (),
        )
        for each in FORGERIES
        for offline in (False, True)
    ],
)
def test_a_forgery_is_named(planter: Planter, built: Built, workshop: Workshop, memory: Path, *, offline: bool) -> None:
    with copied(built):
        planted = planter(built, workshop)
        at_record = judge(built)
        report = _prove(built, workshop, memory, *(("--offline",) if offline else ()))
    if planter is not bytecode_never_checked:  # which depth record refuses, whatever its code is
        assert at_record["verdict"] == "clean", at_record.told()
    assert report["verdict"] == "drifted", report.told()
    named = {(drift["code"], drift["path"]) for drift in report.gating}
    wanted = {(code, planted.path) for code in planted.codes}
    if offline:  # the content digest is remembered, and not the rows behind it
        assert {drift["distribution"].lower() for drift in report.gating} == {planted.distribution}, report.told()
    else:
        assert wanted <= named, f"{planted}\n{report.told()}"


def test_code_of_another_release_has_its_own_word(built: Built, workshop: Workshop, memory: Path) -> None:
    with copied(built):
        planted = older_release(built, workshop)
        report = _prove(built, workshop, memory)
    assert report["verdict"] == "drifted", report.told()
    (mixed,) = [drift for drift in report.gating if drift["code"] == Code.RELEASE_MIXED]
    assert (mixed["distribution"], mixed["version"]) == ("six", "1.16.0")
    assert planted.actual in mixed["message"]


def test_a_lock_with_every_hash_set_to_zeros_is_named(built: Built, workshop: Workshop, memory: Path) -> None:
    text = built.lock.read_text()
    try:
        built.lock.write_text(re.sub(r"(?<=sha256:)[0-9a-f]{64}", "0" * 64, text))
        report = _prove(built, workshop, memory)
        offline = _prove(built, workshop, memory, "--offline")
    finally:
        built.lock.write_text(text)
    assert report["verdict"] == "drifted", report.told()
    assert {drift["code"] for drift in report.gating} == {Code.ARTIFACT_MISMATCH}, report.told()
    assert len(report.gating) == len(_locked(built))
    assert offline["verdict"] != "clean", offline.told()
    assert offline["proof"]["distributions"] == {}


def test_a_distribution_that_says_it_was_built_here_is_never_a_pass(built: Built, workshop: Workshop, memory: Path) -> None:
    with copied(built):
        forged_with_record(built, workshop)
        (next(built.site.glob("six-*.dist-info")) / "uv_build.json").write_text("{}")
        report = _prove(built, workshop, memory)
    assert report["verdict"] in {"drifted", "undecided"}, report.told()


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_what_was_built_from_source_takes_a_seal_or_an_archive(tool: str, workshop: Workshop, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.in").write_text("crcmod==1.7\nsix==1.16.0\n")
    uv = workshop.tool("uv")
    command: list[str | Path] = [uv, "pip", "compile", "-q", "--generate-hashes", "--no-header", "requirements.in"]
    workshop.run([*command, "-o", "requirements.txt"], cwd=project)
    lock = project / "requirements.txt"
    made = uv_pip(workshop, project, lock=lock) if tool == "uv" else pip_venv(workshop, project, lock=lock)
    memory = tmp_path / "memory"
    alone = judge(made, "--depth", "artifact", environ=_environ(workshop, memory))
    assert alone["verdict"] == "undecided", alone.told()
    assert [(item["code"], item["what"]) for item in alone["unchecked"] if item["in_scope"]] == [("built-here", "crcmod 1.7")]
    environ = _environ(workshop, memory)
    done = sanctity("archive", "add", lock, "--env", made.env, "--archive", tmp_path / "kept", cwd=project, environ=environ)
    assert done.returncode == 0, done.stderr
    kept = judge(made, "--depth", "artifact", "--archive", tmp_path / "kept", "--offline", environ=environ)
    assert kept["verdict"] == "clean", kept.told()
    assert kept["proof"]["distributions"] == {"remembered": 2}
    done = sanctity("seal", "--env", made.env, "--lock", lock, cwd=project, environ=environ)
    assert done.returncode == 0, done.stderr
    # Requirements give hashes alone, and pip leaves no mark: only an index can say that this one is an sdist's.
    sealed = examine("env.seal.json", "--env", made.env, "--depth", "artifact", cwd=project, environ=environ)
    assert sealed["verdict"] == "clean", sealed.told()
    assert sealed["proof"]["distributions"] == {"remembered": 1, "sealed": 1}
    # A seal of depth `record` states what was there, and proves no wheel.
    forgetful = _environ(workshop, tmp_path / "elsewhere") | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "UV_NO_CONFIG": "1",
    }
    forgetful |= {"PIP_CACHE_DIR": str(tmp_path / "pip"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    blind = examine("env.seal.json", "--env", made.env, "--depth", "artifact", "--offline", cwd=project, environ=forgetful)
    assert blind["verdict"] == "undecided", blind.told()


@pytest.mark.long
@pytest.mark.parametrize("tool", ["uv", "uv compiled", "pip"])
def test_no_false_alarm_over_popular_wheels(tool: str, workshop: Workshop, tmp_path: Path) -> None:
    """200 wheels, each held to itself and all bytecode to its source: the first look reads them, the second remembers."""
    if tool == "pip":
        made = pip_venv(workshop, tmp_path / "project", lock=POPULAR, inside=False, options=("--no-deps",))
    else:
        made = uv_pip(workshop, tmp_path / "project", lock=POPULAR, compiled=tool != "uv")
    memory = tmp_path / "memory"
    report = _prove(made, workshop, memory)
    print(tool, report["checked"], report["proof"], f"{len(report.gating)} alarms")
    assert report["verdict"] == "clean", report.told()
    assert report["proof"]["distributions"] == {"wheel": 200}
    assert (report["proof"]["bytecode"]["files"] > 10_000) is (tool != "uv")
    again = _prove(made, workshop, memory, "--offline")
    assert again["verdict"] == "clean", again.told()
    assert again["proof"]["distributions"] == {"remembered": 200}
    assert again["proof"]["bytecode"]["remembered"] == report["proof"]["bytecode"]["files"]
