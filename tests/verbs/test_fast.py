"""What is told again is what a whole look would say: every change of what a result rests on is noticed, and nothing else costs a look."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from factories import a_comparison, a_drift
from sanctity import verbs
from sanctity.errors import SanctityError
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Unchecked
from sanctity.model.environment import Fingerprint
from sanctity.plan.repair import RepairPlan, Step, Tool
from sanctity.seals.document import format_seal, parse_seal, seal_of
from sanctity.verbs import remembering
from sites import build_site, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: So long after a change it can be trusted that a later one has another time.
SETTLED = 0.06


def _world(folder: Path, **fields: object) -> verbs.World:
    whole = {
        "cwd": str(folder),
        "environ": {"XDG_CACHE_HOME": str(folder.parent / "cache")},
        "clock": time.monotonic,
        "today": lambda: date(2026, 11, 25),
        **fields,
    }
    return verbs.World(**whole)  # type: ignore[arg-type]


def _fast(folder: Path, world: verbs.World | None = None, **options: object) -> verbs.Outcome:
    target = verbs.Target(project=str(folder), env=str(folder / "env"))
    return verbs.verify(target, world or _world(folder), fast=True, workers=1, **options)  # type: ignore[arg-type]


def _whole(folder: Path, world: verbs.World | None = None, **options: object) -> verbs.Outcome:
    target = verbs.Target(project=str(folder), env=str(folder / "env"))
    return verbs.verify(target, world or _world(folder), workers=1, **options)  # type: ignore[arg-type]


def _is_recalled(outcome: verbs.Outcome) -> bool:
    checked = outcome.comparison.checked
    return checked.cached == checked.files > 0


def _bare(outcome: verbs.Outcome) -> verbs.Outcome:
    """*outcome* without what differs between two looks at the same."""
    comparison = outcome.comparison
    return replace(outcome, comparison=replace(comparison, seconds=0.0, checked=replace(comparison.checked, cached=0)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an environment, sealed, that was looked at."""
    folder = tmp_path / "project"
    env = build_site(folder)
    (folder / "pyproject.toml").write_text('[tool.sanctity]\nprofile = "default"\n')
    made = verbs.seal(verbs.Target(project=str(folder), env=str(env)), _world(folder), workers=1)
    (folder / "env.seal.json").write_text(made.text)
    time.sleep(SETTLED)
    _fast(folder)
    assert _is_recalled(_fast(folder))
    return folder


def test_what_is_told_again_is_what_was_told(project: Path) -> None:
    assert _bare(_fast(project)) == _bare(_whole(project))
    assert not _whole(project).comparison.checked.cached


def test_every_kind_of_value_is_told_again() -> None:
    outcome = verbs.Outcome(
        comparison=a_comparison(
            a_drift(waiver="W-1", shared=True, count=7),
            a_drift(Code.CPU_CHANGED, gating=False),
            unchecked=(Unchecked(code="dlopen", what="x", reason="y", in_scope=True),),
            fingerprint=Fingerprint(digest=Digest("sha256", "0" * 64), parts=(("startup", Digest("sha256", "1" * 64)),)),
        ),
        plan=RepairPlan(
            tool=Tool.UV_PROJECT, folder=".", steps=(Step(command=("a", "b"), reason="c"),), left=((a_drift(), "why"),)
        ),
        notices=("one",),
    )
    assert remembering._whole(json.loads(json.dumps(remembering._plain(outcome)))) == outcome


def _append(path: Path) -> None:
    with open(path, "a") as file:
        file.write("\n")


def _lead_elsewhere(link: Path) -> None:
    link.unlink()
    link.symlink_to("/bin/sh")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file": lambda folder: _append(site_packages(folder / "env") / "beta.py"),
    "a new file": lambda folder: (site_packages(folder / "env") / "new.py").touch(),
    "a removed file": lambda folder: (site_packages(folder / "env") / "beta.py").unlink(),
    "a new hook": lambda folder: (site_packages(folder / "env") / "hook.pth").write_text("import os\n"),
    "the seal": lambda folder: _append(folder / "env.seal.json"),
    "the seal gone": lambda folder: (folder / "env.seal.json").unlink(),
    "rows beside it": lambda folder: (folder / "env.seal.files").write_text("{}"),
    "the policy": lambda folder: _append(folder / "pyproject.toml"),
    "a waiver": lambda folder: (folder / "waivers").mkdir(),
    "a lock that goes before": lambda folder: (folder / "uv.lock").write_text("version = 1\n"),
    "hashed requirements": lambda folder: (folder / "requirements.txt").write_text(f"beta==2.5 --hash=sha256:{'0' * 64}\n"),
    "pyvenv.cfg": lambda folder: _append(folder / "env/pyvenv.cfg"),
    "an activate script": lambda folder: (folder / "env/bin/activate").write_text("export LD_PRELOAD=x\n"),
    "the interpreter's link": lambda folder: _lead_elsewhere(folder / "env/bin/python"),
    "a path file beside it": lambda folder: (folder / "env/bin/python3._pth").write_text("x\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_a_result_rests_on_is_noticed(project: Path, change: str) -> None:
    CHANGES[change](project)
    try:
        found = _fast(project)
    except SanctityError as error:
        with pytest.raises(type(error)):
            _whole(project)
        return
    assert not _is_recalled(found)
    assert _bare(found) == _bare(_whole(project))


def test_a_same_size_edit_with_its_time_put_back_is_noticed(project: Path) -> None:
    path = site_packages(project / "env") / "beta.py"
    state = path.stat()
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"1\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert [drift.path for drift in _fast(project).comparison.drifts if drift.gating] == ["beta.py"]


@pytest.mark.parametrize(
    "fields",
    [
        {"today": lambda: date(2026, 11, 26)},
        {"user_base": "/home/somebody/.local"},
    ],
)
def test_another_day_or_user_is_another_question(project: Path, fields: dict[str, object]) -> None:
    assert not _is_recalled(_fast(project, _world(project, **fields)))


def test_another_setting_is_another_question(project: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(project.parent / "cache"), "OMP_NUM_THREADS": "3"}
    assert not _is_recalled(_fast(project, _world(project, environ=environ)))


@pytest.mark.parametrize("options", [{"profile": "production"}, {"settings": True}, {"reference": "env.seal.json"}])
def test_another_way_of_asking_is_another_question(project: Path, options: dict[str, object]) -> None:
    first = _fast(project, None, **options)
    assert not _is_recalled(first) or first.comparison.checked.cached == 0
    assert _bare(first) == _bare(_whole(project, None, **options))
    assert _is_recalled(_fast(project, None, **options))


def test_another_entry_of_the_seal_does_not_matter_but_is_looked_at(project: Path) -> None:
    path = project / "env.seal.json"
    seal = parse_seal(path.read_bytes(), "env.seal.json")
    path.write_text(format_seal(seal_of("env.seal.json", seal.environments, policy=seal.policy)))
    assert not _is_recalled(_fast(project))


def test_a_drifted_result_is_told_again_too(project: Path) -> None:
    _append(site_packages(project / "env") / "beta.py")
    time.sleep(SETTLED)
    _fast(project)
    again = _fast(project)
    assert _is_recalled(again)
    assert [drift.path for drift in again.comparison.drifts if drift.gating] == ["beta.py"]


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_damaged_cache_is_as_good_as_none(project: Path, damage: bytes | None) -> None:
    for path in (project.parent / "cache/sanctity/stat").iterdir():
        data = path.read_bytes()
        path.write_bytes(damage if damage is not None else data[: len(data) // 2])
    found = _fast(project)
    assert not _is_recalled(found)
    assert _bare(found) == _bare(_whole(project))


def test_without_a_home_there_is_no_cache(project: Path) -> None:
    assert not _is_recalled(_fast(project, _world(project, environ={})))
