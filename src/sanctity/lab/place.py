"""Where the lab happens: its folder, the programs it runs there, and the process environment they see.

A command is a line of shell, run by ``sh -c`` in a folder of the lab, so that what a report shows is what was run. It sees no
configuration, cache or index of the user's: home, caches and index all lie in the lab's folder, or on the loopback interface.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.lab.story import Command
from sanctity.processes import end_group

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Place", "make_place", "run_line", "selected"]

#: What a command may see of the caller's own environment: how to find programs, and to speak the language.
_KEPT: Final = re.compile(r"PATH|TZ|LANG|LC_\w+|TMPDIR|LD_LIBRARY_PATH|PYENV_ROOT|SYSTEMROOT")
#: Seconds after which a command is ended: nothing here takes more than one minute on two slow cores.
_PATIENCE: Final = 600
_TIMED_OUT: Final = 124  # as timeout(1) says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The lab's folder *root*, the interpreter *python* of *version* (``3.11``), and what commands see (*environ*)."""

    root: str
    python: str
    version: str
    environ: Mapping[str, str]

    @property
    def site(self) -> str:
        """Where an environment has its packages, relative to its prefix."""
        return f"lib/python{self.version}/site-packages"

    def path(self, *parts: str) -> str:
        """A path in the lab."""
        return "/".join((self.root, *parts))

    def write(self, name: str, text: str) -> None:
        """Put *text* in the file *name*, whose folder is made where it is not there."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, folder: str, line: str, keep: str = "", most: int = 3) -> Command:
        """Run *line* in *folder*; of its output those lines matter that match *keep*, or else the last, at most *most* of them."""
        started = time.monotonic()
        code, output = run_line(line, self.path(folder) if folder else self.root, self.environ)
        output = output.replace(self.root, "$LAB")
        lines = selected(output, keep, most)
        return Command(folder=folder, line=line, code=code, output=output, lines=lines, seconds=time.monotonic() - started)


def selected(output: str, keep: str, most: int) -> tuple[str, ...]:
    """The lines of *output* that matter: those that match *keep*, or the last where it is empty; at most *most* of them."""
    # Columns are made for a terminal of their own: between two of them three blanks do.
    lines = [re.sub(r"(?<=\S) {4,}", "   ", line.rstrip()) for line in output.splitlines() if line.strip()]
    if keep:
        return tuple(line for line in lines if re.search(keep, line))[:most]
    return tuple(lines[-most:])


def run_line(line: str, folder: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run *line* by ``sh -c``; its exit code as a shell gives it, and all it said. What it started ends with it."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        end_group(process.pid, 0.0, process)
        return _TIMED_OUT, f"it was ended after {_PATIENCE} s\n"
    except BaseException:
        # Also where a signal came: a session of its own gets none of them.
        end_group(process.pid, 0.0, process)
        raise
    code = process.returncode
    return (code if code >= 0 else 128 - code), said.decode("utf-8", "backslashreplace")


def make_place(root: str, *, python: str, version: str, port: int, programs: Mapping[str, str], caller: Mapping[str, str]) -> Place:
    """Make the folders of the lab at *root*, with *programs* (name to path) in its ``bin``, and a file to source by hand.

    *caller* is the environment of who runs the lab, of which commands see next to nothing. Raises OSError.
    """
    index = f"http://127.0.0.1:{port}/simple/"
    for name in ("bin", "home", "cache", "index/files"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    kept = {name: value for name, value in caller.items() if _KEPT.fullmatch(name)}
    kept.setdefault("PYENV_ROOT", f"{caller.get('HOME', '')}/.pyenv")
    mine = {
        "LAB": root,
        "PATH": f"{root}/bin:{kept.get('PATH', os.defpath)}",
        "HOME": f"{root}/home",
        "XDG_CACHE_HOME": f"{root}/cache",
        "XDG_CONFIG_HOME": f"{root}/home/config",
        "PYTHON": python,
        "NO_COLOR": "1",
        "UV_CACHE_DIR": f"{root}/cache/uv",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "0",
        "UV_DEFAULT_INDEX": index,
        # Hard links are uv's default where the file system can not copy on write. Said aloud, so that every machine shows the same.
        "UV_LINK_MODE": "hardlink",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": f"{root}/cache/pip",
        "PIP_INDEX_URL": index,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_NO_COMPILE": "0",  # pip takes the value of this one for that of "compile"
        "PIP_PROGRESS_BAR": "off",
        "POETRY_CONFIG_DIR": f"{root}/home/poetry/config",
        "POETRY_DATA_DIR": f"{root}/home/poetry/data",
        "POETRY_CACHE_DIR": f"{root}/cache/poetry",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_NO_INTERACTION": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    for name, path in programs.items():
        os.symlink(path, f"{root}/bin/{name}")
    for name, module in (("sanctity", "sanctity"), ("serve-index", "sanctity.lab.index"), ("replace-wheel", "sanctity.lab.tamper")):
        _script(f"{root}/bin/{name}", f'exec {shlex.quote(sys.executable)} -P -m {module} "$@"\n')
    place = Place(root=root, python=python, version=version, environ=kept | mine)
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(mine.items()))
    how = "To go on by hand: source this in a new shell, and start the index with"
    place.write("activate", f"# {how}\n#   serve-index $LAB/index --port {port} &\n{exports}")
    return place


def _script(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{text}")
    os.chmod(path, 0o755)  # noqa: S103  (a program that the owner runs)
