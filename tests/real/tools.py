"""The tools that build environments, each in a virtual environment of its own, and a clean process environment to run them in.

A tool is named by its hashed requirements file, ``tools/NAME.txt``; it is installed on first use under the test cache
(``$SANCTITY_TEST_CACHE``, else ``.cache/tests`` in the repository) and kept. Test processes may run side by side: whoever
comes second waits on a file lock. No index is named anywhere: pip and uv reach whatever this machine's own settings say.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["HERE", "PYTHONS", "ToolError", "Workshop", "cache_folder", "each_python", "exclusive", "gone", "interpreters", "pins"]

HERE: Final = Path(__file__).resolve().parent

#: The Python versions that tests ask for; each is used where it is installed.
PYTHONS: Final = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

#: What a tool may see of the caller's environment: how to find programs, speak the language, and reach an index. Nothing
#: else, so that no test depends on the shell it is run from.
_KEPT: Final = re.compile(
    r"PATH|TZ|LANG|LC_\w+|TMPDIR|LD_LIBRARY_PATH|\w*SSL\w*|\w*CA_BUNDLE|(?i:(http|https|all|no)_proxy)|XDG_CONFIG_DIRS"
    r"|PIP_(CONFIG_FILE|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|(DEFAULT_)?TIMEOUT"
    r"|RETRIES|CONSTRAINT|KEYRING_PROVIDER|USE_DEPRECATED)"
    r"|UV_(CONFIG_FILE|INDEX\w*|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|OFFLINE|SYSTEM_CERTS|NATIVE_TLS|INSECURE_HOST|HTTP_\w+"
    r"|KEYRING_PROVIDER|CONSTRAINT)"
)


class ToolError(RuntimeError):
    """A tool failed; the text holds its command line and all it said."""


def cache_folder() -> Path:
    """Where tools and wheels are kept between test runs."""
    named = os.environ.get("SANCTITY_TEST_CACHE")
    return Path(named).resolve() if named else HERE.parents[1] / ".cache" / "tests"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to *path*, across processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _version_of(python: Path) -> str | None:
    """The ``3.11`` of a CPython at *python* that can make virtual environments with pip; None where it is not one."""
    ask = (
        "import sys, venv, ensurepip; print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.prefix == sys.base_prefix)"
    )
    try:
        answer = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return answer[1] if answer[::2] == ["cpython", "True"] else None


def _candidates() -> Iterator[Path]:
    """Where interpreters are looked for, the likeliest first."""
    yield Path(getattr(sys, "_base_executable", sys.executable))
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))]
    if pyenv := shutil.which("pyenv"):
        said = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        roots += [Path(said)] if said else []
    for root in dict.fromkeys(roots):
        yield from sorted(root.glob("versions/3.*/bin/python"), reverse=True)
    yield from sorted((Path.home() / ".local/share/uv/python").glob("cpython-3.*/bin/python3"), reverse=True)
    for version in PYTHONS:
        if found := shutil.which(f"python{version}"):
            yield Path(found)
    yield from sorted(Path("/usr/bin").glob("python3.[0-9]*"))


@functools.cache
def interpreters() -> Mapping[str, Path]:
    """The installed CPythons of `PYTHONS`, by version; the Python of this process is always there."""
    found: dict[str, Path] = {}
    for candidate in _candidates():
        named = re.search(r"3\.\d+", str(candidate.parent.parent) if "versions" in candidate.parts else candidate.name)
        if (named and named.group() in found) or not os.access(candidate, os.X_OK):
            continue
        version = _version_of(candidate)
        if version in PYTHONS and version is not None:
            found.setdefault(version, candidate)
    return dict(sorted(found.items(), key=lambda item: PYTHONS.index(item[0])))


def each_python() -> list[pytest.ParameterSet]:
    """The versions of `PYTHONS`, for the fixture ``python``: all but the oldest and newest here, and this process's own, are ``long``."""
    here = list(interpreters())
    shown = {here[0], here[-1], "{}.{}".format(*sys.version_info[:2])} if here else set()
    return [pytest.param(version, marks=() if version in shown else pytest.mark.long) for version in PYTHONS]


def gone(pid: int) -> bool:
    """Whether the process *pid* ended, which it may take a moment to."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z"):
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def pins(name: str) -> tuple[str, ...]:
    """The requirements of the list ``NAME.txt`` beside this file, less their hashes: ``six==1.16.0``, with markers."""
    text = (HERE / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = (re.sub(r"\s--hash=\S+", "", line).strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where environments are built: *cache* is kept between runs, *scratch* is this test session's own.

    The home folder, uv's cache and Poetry's folders lie in *scratch*, so that nothing a test does to a hard link reaches
    the caller's own caches.
    """

    cache: Path
    scratch: Path

    def environ(self, **extra: str) -> dict[str, str]:
        """The process environment for a tool; *extra* is added last."""
        home = Path.home()
        kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
        # The index settings of pip and uv lie in files under the real home; everything else of it stays out of reach.
        kept["XDG_CONFIG_HOME"] = os.environ.get("XDG_CONFIG_HOME") or str(home / ".config")
        if "PIP_CONFIG_FILE" not in kept and (home / ".pip/pip.conf").exists():
            kept["PIP_CONFIG_FILE"] = str(home / ".pip/pip.conf")
        if (home / ".netrc").exists():
            kept.setdefault("NETRC", os.environ.get("NETRC", str(home / ".netrc")))
        mine = self.scratch / "home"
        mine.mkdir(parents=True, exist_ok=True)
        return kept | {
            "HOME": str(mine),
            "PIP_CACHE_DIR": str(self.cache / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "UV_CACHE_DIR": str(self.scratch / "uv-cache"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "POETRY_CONFIG_DIR": str(mine / "poetry/config"),
            "POETRY_DATA_DIR": str(mine / "poetry/data"),
            "POETRY_CACHE_DIR": str(mine / "poetry/cache"),
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "POETRY_NO_INTERACTION": "1",
            "VIRTUALENV_OVERRIDE_APP_DATA": str(mine / "virtualenv"),
            "NO_COLOR": "1",
            **extra,
        }

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 900
    ) -> str:
        """Run *argv* and give what it printed on stdout.

        Raises:
            ToolError: it ended with another code than 0, with all it said.
        """
        words = [str(word) for word in argv]
        done = subprocess.run(
            words,
            cwd=cwd or self.scratch,
            env=dict(env if env is not None else self.environ()),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise ToolError(f"{' '.join(words)}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def equipped(self, home: Path, *wanted: str | Path) -> Path:
        """The interpreter of a new virtual environment at *home*, of this process's Python, with *wanted*: words for ``uv pip install``.

        For what tests use, and neither judge nor change: its files are hard links into a cache that is kept between test runs. It
        has no pip, and no bytecode yet, so it is there in a fraction of the time that ``venv`` and pip take.
        """
        self.run([sys.executable, "-m", "venv", "--without-pip", home])
        environ = self.environ(UV_CACHE_DIR=str(self.cache / "uv"))
        self.run([find_uv_bin(), "pip", "install", "-q", "--python", home / "bin/python", *wanted], env=environ, timeout=1800)
        return home / "bin/python"

    def tool(self, name: str, command: str = "") -> Path:
        """The program *command* (else *name*) of the tool *name*, which is installed now if it was not yet."""
        requirements = HERE / "tools" / f"{name}.txt"
        key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
        home = self.cache / "tools" / f"{name}-{key}"
        done = home / "complete"
        if not done.exists():
            with exclusive(home):
                if not done.exists():
                    # A virtual environment can not be moved, so it is built in place and marked when it is whole.
                    shutil.rmtree(home, ignore_errors=True)
                    self.equipped(home, "--require-hashes", "-r", requirements)
                    done.touch()
        return home / "bin" / (command or name)

    def wheels(self, lock: Path, *, python: str = "") -> Path:
        """A folder with the wheels of the hashed requirements file *lock* for *python* (``3.11``), downloaded once."""
        version = python or "{}.{}".format(*sys.version_info[:2])
        interpreter = interpreters()[version]
        key = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:12]
        home = self.cache / "wheels" / f"{lock.stem}-{version}-{key}"
        done = home.parent / f"{home.name}.complete"
        if not done.exists():
            with exclusive(home):
                if not done.exists():
                    pip = self._pip_of(version, interpreter)
                    command: list[str | Path] = [pip / "bin/python", "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
                    self.run([*command, "--only-binary", ":all:", "-r", lock, "-d", home], timeout=3600)
                    done.touch()
        return home

    def _pip_of(self, version: str, interpreter: Path) -> Path:
        """A virtual environment of *interpreter* with its own pip, made once and used for every lock.

        It has a lock of its own: the caller's is that of one lock's wheels, and two of those are downloaded side by side.
        """
        home = self.cache / "tools" / f"pip-of-{version}-{hashlib.sha256(str(interpreter).encode()).hexdigest()[:12]}"
        done = home / "complete"
        if not done.exists():
            with exclusive(home):
                if not done.exists():
                    shutil.rmtree(home, ignore_errors=True)
                    self.run([interpreter, "-m", "venv", home])
                    done.touch()
        return home
