"""The interpreters of this machine, found without running any: real ones, where pyenv, uv, conda and PATH would have them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from real.tools import interpreters
from sanctity.model.interpreter import InterpreterKind
from sanctity.observe.interpreters import executable_at, find_interpreters, with_build

if TYPE_CHECKING:
    from pathlib import Path

OWN = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
ANOTHER = next((path for version, path in interpreters().items() if os.path.realpath(path) != OWN), None)
needs_another = pytest.mark.skipif(ANOTHER is None, reason="there is only one Python here")


def said(python: Path | str) -> tuple[str, str]:
    """(version, SOABI tag) as the interpreter itself says."""
    script = "import sys,sysconfig; print(sys.version.split()[0], '-'.join(sysconfig.get_config_var('SOABI').split('-')[:2]))"
    version, abi = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    return version, abi


def test_each_says_what_it_would_say_if_it_were_run(tmp_path: Path) -> None:
    path = os.pathsep.join(str(each.parent) for each in interpreters().values())
    found = {each.executable: each for each in find_interpreters({"PATH": path}, str(tmp_path))}
    for python in interpreters().values():
        each = found[os.path.realpath(python)]
        assert (each.interpreter.version, each.interpreter.abi) == said(python)
    assert found[OWN].kind is InterpreterKind.OWN


def test_each_is_found_once_and_the_newest_first(tmp_path: Path) -> None:
    folder = os.path.dirname(OWN)
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python"):
        (tmp_path / "bin" / name).symlink_to(OWN)
    found = find_interpreters({"PATH": f"{folder}:{tmp_path}/bin:{folder}"}, str(tmp_path))
    executables = [each.executable for each in found]
    assert len(executables) == len(set(executables))
    numbers = [tuple(int(part) for part in each.interpreter.version.split(".")[:2]) for each in found]
    assert numbers == sorted(numbers, reverse=True)


@needs_another
@pytest.mark.parametrize(
    ("place", "environ", "kind"),
    [
        ("root/versions/3.x/bin", {"PYENV_ROOT": "root"}, InterpreterKind.PYENV),
        (".pyenv/versions/3.x/bin", {}, InterpreterKind.PYENV),
        ("pythons/cpython-3.x/bin", {"UV_PYTHON_INSTALL_DIR": "pythons"}, InterpreterKind.UV),
        (".local/share/uv/python/cpython-3.x/bin", {}, InterpreterKind.UV),
        ("data/uv/python/cpython-3.x/bin", {"XDG_DATA_HOME": "data"}, InterpreterKind.UV),
        ("conda/bin", {"CONDA_PREFIX": "conda"}, InterpreterKind.CONDA),
        ("envs/one/bin", {"CONDA_ENVS_DIRS": "envs"}, InterpreterKind.CONDA),
        ("miniforge3/envs/one/bin", {}, InterpreterKind.CONDA),
        ("on/path", {"PATH": "on/path"}, InterpreterKind.PATH),
    ],
)
def test_it_is_found_where_its_tool_puts_it(tmp_path: Path, place: str, environ: dict[str, str], kind: InterpreterKind) -> None:
    assert ANOTHER is not None
    folder = tmp_path / place
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(ANOTHER)
    found = find_interpreters({name: str(tmp_path / value) for name, value in environ.items()}, str(tmp_path))
    assert [each.kind for each in found if each.executable == os.path.realpath(ANOTHER)] == [kind]


@needs_another
def test_condas_own_list_is_read(tmp_path: Path) -> None:
    assert ANOTHER is not None
    (tmp_path / ".conda").mkdir()
    (tmp_path / "far/bin").mkdir(parents=True)
    (tmp_path / "far/bin/python3").symlink_to(ANOTHER)
    (tmp_path / ".conda/environments.txt").write_text(f"/gone\n\nno path\n{tmp_path}/far\n")
    found = find_interpreters({}, str(tmp_path))
    assert os.path.realpath(ANOTHER) in {each.executable for each in found}


@pytest.mark.parametrize("copies", [False, True])
def test_of_a_virtual_environment_the_base_counts(tmp_path: Path, copies: bool) -> None:
    env = tmp_path / "env"
    subprocess.run([OWN, "-m", "venv", "--without-pip", *(["--copies"] if copies else []), env], check=True)
    found = find_interpreters({"PATH": f"{env}/bin"}, str(tmp_path))
    assert not [each for each in found if each.executable.startswith(str(tmp_path))]
    named = executable_at(str(env))
    assert named is not None
    assert named.executable == OWN
    assert named.kind is InterpreterKind.NAMED


def test_what_only_has_the_name_is_none(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    script = tmp_path / "python3"
    script.write_text(f"#!/bin/sh\ntouch {marker}\n")
    script.chmod(0o755)
    (tmp_path / "python3.11").symlink_to("python3.11")
    (tmp_path / "python3.12").write_bytes(b"\x7fELF" + bytes(40))
    os.mkfifo(tmp_path / "python3.13")
    (tmp_path / "python3.10").mkdir()
    found = find_interpreters({"PATH": str(tmp_path)}, str(tmp_path))
    assert not [each for each in found if each.executable.startswith(str(tmp_path))]
    assert executable_at(str(script)) is None
    assert executable_at(str(tmp_path / "nothing")) is None
    assert not marker.exists(), "what was looked at was run"


def test_a_build_is_told_by_the_bytes(tmp_path: Path) -> None:
    own = executable_at(OWN)
    assert own is not None
    assert own.build is None
    built = with_build(own)
    assert built.build is not None
    assert built.build.executable is not None
    digest = subprocess.run(["sha256sum", OWN], capture_output=True, text=True, check=True).stdout.split()[0]
    assert built.build.executable.value == digest
    (tmp_path / "bin").mkdir()
    shutil.copy2(OWN, tmp_path / "bin/python3")
    with open(tmp_path / "bin/python3", "ab") as file:
        file.write(b"\0")
    other = executable_at(str(tmp_path / "bin/python3"))
    assert other is not None
    changed = with_build(other).build
    assert changed is not None
    assert changed.executable != built.build.executable
