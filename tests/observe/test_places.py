"""Finding the environment and the lock: by looking, held up by nothing, and a lock that can not be read is still a lock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import NoEnvironmentError, UsageError
from sanctity.observe.places import find_environment, find_lock, read_project_name
from sites import build_site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pylock.toml", "requirements.txt"])
@pytest.mark.parametrize("kind", ["fifo", "dangling", "folder", "loop"])
def test_what_bears_the_name_is_the_lock(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "dangling":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to(name)
        case _:
            path.mkdir()
    assert find_lock(str(tmp_path))[0] == str(path)


def test_requirements_without_hashes_are_no_lock(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    lock, notice = find_lock(str(tmp_path))
    assert lock == ""
    assert "no hashes" in notice


@pytest.mark.parametrize(
    "text", [None, "", "[project]\nname = 5\n", "[tool]\npoetry = 1\n", "a = [" + "[" * 5_000, "\0", "name = 'x'"]
)
def test_a_project_without_a_name(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "pyproject.toml"
    if text is None:
        os.mkfifo(path)
    else:
        path.write_text(text)
    assert read_project_name(str(tmp_path)) == ""


def test_the_venv_file_of_pipenv(tmp_path: Path) -> None:
    env = build_site(tmp_path / "elsewhere")
    (tmp_path / ".venv").write_text(f"{env}\n")
    assert find_environment(str(tmp_path), environ={}, cwd=str(tmp_path)).prefix == str(env)
    (tmp_path / ".venv").write_bytes(b"\0\xff\n" * 10_000)
    with pytest.raises(NoEnvironmentError):
        find_environment(str(tmp_path), environ={}, cwd=str(tmp_path))


@pytest.mark.parametrize("kind", ["fifo", "dangling", "loop"])
def test_a_venv_that_is_none_is_passed_over(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".venv"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere" if kind == "dangling" else ".venv")
    with pytest.raises(NoEnvironmentError):
        find_environment(str(tmp_path), environ={}, cwd=str(tmp_path))


def test_the_place_of_pixi_and_what_comes_before_it(tmp_path: Path) -> None:
    place = tmp_path / ".pixi/envs/default"
    (place / "conda-meta").mkdir(parents=True)
    found = find_environment(str(tmp_path), environ={"CONDA_PREFIX": "/elsewhere"}, cwd=str(tmp_path))
    assert (found.prefix, found.shown, found.found) == (str(place), ".pixi/envs/default", "pixi's own place")
    env = build_site(tmp_path / "elsewhere")
    (tmp_path / ".venv").symlink_to(env)
    assert find_environment(str(tmp_path), environ={}, cwd=str(tmp_path)).found == ".venv"


def test_naming_it_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        find_environment(str(tmp_path), environ={}, cwd=str(tmp_path), env="a", python="b")
