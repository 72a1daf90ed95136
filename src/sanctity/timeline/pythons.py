"""The Python that ``--python`` means: a version, or the path of an interpreter, which is asked for its version.

uv finds most. Where the first one of that version on ``PATH`` can not be started, as a shim of pyenv's that ends with 127, uv gives
up; then the others are tried, each by being started: those on ``PATH``, those of pyenv, and those that uv itself installed.
"""

from __future__ import annotations

import os
import re
import subprocess
from glob import glob
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["find_python", "is_path", "version_at"]

_VERSION: Final = re.compile(r"\d{1,3}\.\d{1,3}(?:\.\d{1,3})?", re.ASCII)
_ASK: Final = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
#: Seconds that an interpreter may take to say its version.
_PATIENCE: Final = 60.0
_SHORT: Final = 80


def is_path(python: str) -> bool:
    """Whether *python* names a file and no version."""
    return os.sep in python or python.startswith("~")


def version_at(path: str, environ: Mapping[str, str], cwd: str) -> str:
    """The version of the interpreter at *path*, such as ``3.11``.

    Raises:
        UsageError: it is none.
    """
    place = os.path.join(cwd, os.path.expanduser(path))
    version = _said([place, "-I", "-c", _ASK], environ)
    if not _VERSION.fullmatch(version):
        hint = "name a version such as 3.11, or the path of an interpreter that can be started"
        raise UsageError("usage", "it is no Python that can be started", where=f"--python {path}", hint=hint)
    return ".".join(version.split(".")[:2])


def find_python(python: str, *, uv: str, environ: Mapping[str, str], cwd: str) -> tuple[str, str]:
    """The version that *python* is or names, and the path of the interpreter, empty where *uv* finds one by that version itself.

    Raises:
        UsageError: it is neither a version nor an interpreter.
        SanctityError: ``interpreter-not-found``.
    """
    if is_path(python):
        return version_at(python, environ, cwd), os.path.abspath(os.path.join(cwd, os.path.expanduser(python)))
    if not _VERSION.fullmatch(python):
        hint = "name it as 3.11 or 3.11.7, or give the path of an interpreter"
        raise UsageError("usage", f"{python[:_SHORT]!r} is no version of Python", where="--python", hint=hint)
    environ = {**environ, "UV_PYTHON_DOWNLOADS": "never"}
    if _said([uv, "python", "find", "--system", "--no-project", python], environ):
        return python, ""
    seen: dict[str, str] = {}
    for path in _candidates(python, uv, environ):
        seen[path] = version = _said([path, "-I", "-c", _ASK], environ)
        if version == python or version.startswith(f"{python}."):
            return python, path
    words = f"no Python {python} is here that can be started"
    if failed := [path for path, version in seen.items() if not version]:
        words += f" ({failed[0]} is there, and does not start)"
    hint = "install that Python, name another that is here, or give the path of an interpreter: --python /usr/bin/python3"
    raise SanctityError("interpreter-not-found", words, where=f"--python {python}", hint=hint)


def _candidates(python: str, uv: str, environ: Mapping[str, str]) -> Iterator[str]:
    minor = ".".join(python.split(".")[:2])
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or os.curdir, f"python{minor}")
        if os.access(path, os.X_OK):
            yield path
    home = environ.get("PYENV_ROOT") or os.path.join(environ.get("HOME", ""), ".pyenv")
    found = (*glob(f"{home}/versions/{python}/bin/python"), *sorted(glob(f"{home}/versions/{python}.*/bin/python"), reverse=True))
    yield from (path for path in found if os.access(path, os.X_OK))
    if managed := _said([uv, "python", "find", "--managed-python", "--no-project", python], environ):
        yield managed


def _said(command: list[str], environ: Mapping[str, str]) -> str:
    """The one line that *command* says, empty where it fails."""
    try:
        done = subprocess.run(
            command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
