"""`seal --check`: the seal's locks against the locks, and no environment anywhere."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from running.starting import a_project, sanctity

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from running.starting import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A sealed project that has no environment any more."""
    made = a_project(tmp_path)
    shutil.rmtree(made.env)
    return made


def _check(project: Project, *words: str) -> subprocess.CompletedProcess[bytes]:
    return sanctity("seal", "--check", *words, cwd=project.folder)


def test_fresh_until_the_lock_changes(project: Project) -> None:
    before = {file: file.read_bytes() for file in project.folder.iterdir() if file.is_file()}
    done = _check(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"FRESH  env.seal.json was made under requirements.txt as it is now\n"
    assert {file: file.read_bytes() for file in project.folder.iterdir() if file.is_file()} == before
    lock = project.folder / "requirements.txt"
    lock.write_text(lock.read_text() + "# a note\n")
    done = _check(project)
    assert done.returncode == 1
    assert b"seal-stale   requirements.txt" in done.stdout


@pytest.mark.parametrize("text", [None, "not a lock ==\n"])
def test_a_lock_that_is_gone_or_can_not_be_read_is_stale(text: str | None, project: Project) -> None:
    lock = project.folder / "requirements.txt"
    if text is None:
        lock.unlink()
    else:
        lock.write_text(text)
    done = _check(project)
    assert done.returncode == 1
    assert b"it can not be read" in done.stdout


def test_a_lock_that_nobody_sealed_is_stale(project: Project) -> None:
    """The project went over to uv, and left its old lock behind."""
    (project.folder / "uv.lock").write_text("version = 1\n")
    done = _check(project)
    assert done.returncode == 1
    assert b"seal-stale   uv.lock   (the project's lock, of which the seal says nothing)" in done.stdout


def test_from_another_folder_by_name(project: Project) -> None:
    (project.folder / "deep").mkdir()
    done = sanctity("seal", "--check", "-o", "../env.seal.json", cwd=project.folder / "deep")
    assert done.returncode == 0, done.stderr
    done = sanctity("seal", "--check", cwd=project.folder / "deep")
    assert done.returncode == 0, done.stderr


def test_without_a_seal_or_with_a_broken_one_it_is_2(project: Project) -> None:
    seal = project.folder / "env.seal.json"
    seal.write_text("{")
    assert _check(project).returncode == 2
    seal.unlink()
    done = _check(project)
    assert done.returncode == 2
    assert b"seal-not-found" in done.stderr


def test_a_seal_of_no_lock_is_3(tmp_path: Path) -> None:
    project = a_project(tmp_path, sealed=False)
    (tmp_path / "requirements.txt").unlink()
    project.seal()
    assert all(
        "lock" not in each or not each["lock"] for each in json.loads((tmp_path / "env.seal.json").read_text())["environments"]
    )
    done = _check(project)
    assert done.returncode == 3
    assert b"error: seal-without-lock" in done.stderr
