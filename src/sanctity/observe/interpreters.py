"""The interpreters that are installed on this machine, each told by its own bytes. None of them is run.

Looked at are the tool's own, pyenv's versions, uv's, conda's environments, every folder of ``PATH``, and the system's. Links are
followed to the executable itself, so that each is told once. A virtual environment is none of its own: its base counts.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.model.interpreter import InstalledInterpreter, InterpreterKind
from sanctity.observe.build import observe_build
from sanctity.observe.interpreter import observe_executable, parse_pyvenv
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["executable_at", "find_interpreters", "with_build"]

_NAME: Final = re.compile(r"(?:python|pypy)3?(?:\.\d+)?t?")
_SYSTEM: Final = ("/usr/bin", "/usr/local/bin", "/opt/python/bin")
#: Where conda's installers put it, below the home folder.
_CONDA_HOMES: Final = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")
_LARGEST: Final = 1 << 20


def find_interpreters(environ: Mapping[str, str], home: str) -> tuple[InstalledInterpreter, ...]:
    """Every interpreter that is installed where they usually are, the newest first; *home* is the user's home folder.

    Only versions are looked at, which is cheap: `with_build` looks at one whole. Nothing is raised: what can not be read is none.
    """
    view = View()
    found: dict[str, InstalledInterpreter] = {}
    seen: set[str] = set()
    for path, kind in _candidates(view, environ, home):
        executable = _base_of(view, path)
        if not executable or executable in seen:
            continue
        seen.add(executable)
        interpreter = observe_executable(view, executable)
        if interpreter is not None and interpreter.version.startswith("3."):
            found[executable] = InstalledInterpreter(executable=executable, interpreter=interpreter, kind=kind)
    order = tuple(InterpreterKind)
    # `sorted` is stable, so of one version the kinds keep their order whichever way versions go.
    by_kind = sorted(found.values(), key=lambda each: (order.index(each.kind), each.executable))
    return tuple(sorted(by_kind, key=lambda each: _order(each.interpreter.version), reverse=True))


def _order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """What sorts versions of interpreters: a pre-release comes before its release."""
    match = re.match(r"[\d.]*\d", version)
    numbers = match[0] if match else "0"
    return tuple(int(part) for part in numbers.split(".")), numbers == version, version


def executable_at(path: str) -> InstalledInterpreter | None:
    """The interpreter that the user named by *path*, an executable or an environment's folder; None where it is none."""
    view = View()
    places = [f"{path}/bin/python", f"{path}/bin/python3"] if view.is_folder(path) else [path]
    for place in places:
        executable = _base_of(view, place)
        interpreter = observe_executable(view, executable) if executable else None
        if interpreter is not None and interpreter.version:
            return InstalledInterpreter(executable=executable, interpreter=interpreter, kind=InterpreterKind.NAMED)
    return None


def with_build(installed: InstalledInterpreter) -> InstalledInterpreter:
    """*installed* with the identity of its build, for which its executable and libpython are read whole."""
    if installed.build is not None:
        return installed
    build, _ = observe_build(View(), installed.interpreter.base, installed.interpreter)
    return replace(installed, build=build)


def _candidates(view: View, environ: Mapping[str, str], home: str) -> Iterator[tuple[str, InterpreterKind]]:
    """Paths that may be interpreters, and where they were found; the likeliest kind of each path first."""
    yield getattr(sys, "_base_executable", None) or sys.executable, InterpreterKind.OWN
    root = environ.get("PYENV_ROOT") or f"{home}/.pyenv"
    for name in view.listing(f"{root}/versions"):
        yield from _in_folder(view, f"{root}/versions/{name}/bin", InterpreterKind.PYENV)
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    for folder in dict.fromkeys((environ.get("UV_PYTHON_INSTALL_DIR") or "", f"{data}/uv/python")):
        for name in view.listing(folder) if folder else ():
            yield from _in_folder(view, f"{folder}/{name}/bin", InterpreterKind.UV)
    for prefix in dict.fromkeys(_conda_prefixes(view, environ, home)):
        yield from _in_folder(view, f"{prefix}/bin", InterpreterKind.CONDA)
    for folder in dict.fromkeys(environ.get("PATH", "").split(os.pathsep)):
        if folder.startswith("/") and folder not in _SYSTEM:
            yield from _in_folder(view, folder, InterpreterKind.PATH)
    for folder in _SYSTEM:
        yield from _in_folder(view, folder, InterpreterKind.SYSTEM)


def _in_folder(view: View, folder: str, kind: InterpreterKind) -> Iterator[tuple[str, InterpreterKind]]:
    for name in view.listing(folder):
        if _NAME.fullmatch(name):
            yield f"{folder}/{name}", kind


def _conda_prefixes(view: View, environ: Mapping[str, str], home: str) -> Iterator[str]:
    """The prefixes of conda's environments, by its variables, its own list of them, and where its installers put it."""
    for name in ("CONDA_PREFIX", "CONDA_ROOT", "MAMBA_ROOT_PREFIX"):
        if environ.get(name):
            yield environ[name]
    try:
        listed = view.read(f"{home}/.conda/environments.txt", _LARGEST).decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        listed = []
    yield from (line.strip() for line in listed if line.startswith("/"))
    roots = [environ.get("CONDA_ROOT", ""), environ.get("MAMBA_ROOT_PREFIX", "")]
    if environ.get("CONDA_EXE", "").startswith("/"):
        roots.append(os.path.dirname(os.path.dirname(environ["CONDA_EXE"])))
    roots += [f"{home}/{name}" for name in _CONDA_HOMES]
    folders = [f"{root}/envs" for root in roots if root]
    for name in ("CONDA_ENVS_DIRS", "CONDA_ENVS_PATH"):
        folders += [folder for folder in environ.get(name, "").split(os.pathsep) if folder.startswith("/")]
    yield from (root for root in roots if root)
    yield from (f"{folder}/{name}" for folder in dict.fromkeys(folders) for name in view.listing(folder))


def _base_of(view: View, path: str) -> str:
    """The executable that *path* leads to, outside of any virtual environment; empty where that can not be told."""
    executable = view.real(path)
    folder = os.path.dirname(executable)
    for place in (folder, os.path.dirname(folder)):
        if not view.exists(f"{place}/pyvenv.cfg"):
            continue
        try:  # a virtual environment of copies
            home = parse_pyvenv(view.read(f"{place}/pyvenv.cfg", _LARGEST)).home
        except OSError:
            return ""
        for name in (os.path.basename(executable), "python3", "python"):
            if home.startswith("/") and view.exists(f"{home}/{name}"):
                executable = view.real(f"{home}/{name}")
                return "" if view.exists(f"{os.path.dirname(os.path.dirname(executable))}/pyvenv.cfg") else executable
        return ""
    return executable
