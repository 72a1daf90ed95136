"""Where a project's environment and its lock are: what its own tool would use, found by looking and never by running it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import NoEnvironmentError, UsageError
from sanctity.observe.dpkg import DIST_PACKAGES
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "CONDA_LOCKS",
    "LOCK_NAMES",
    "REQUIREMENTS",
    "Place",
    "find_environment",
    "find_lock",
    "find_project",
    "is_environment",
    "read_project_name",
]

#: Locks of conda's kin, which come after every other one.
CONDA_LOCKS: Final = ("conda-lock.yml", "pixi.lock")
#: Lock files by the names their tools give them, in the order of section 2 of the contract.
LOCK_NAMES: Final = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", *CONDA_LOCKS)
REQUIREMENTS: Final = ("requirements.txt", "requirements.lock", "requirements-lock.txt", "requirements/requirements.txt")
_HASHED: Final = re.compile(rb"--hash[ =](?:sha256|sha384|sha512):")


_LARGEST: Final = 1 << 26
_HERE: Final = View()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An environment's *prefix* as it sees itself, how it was *found*, how to *show* it, and a *notice* for the reader."""

    prefix: str
    shown: str
    found: str
    notice: str = ""


def find_project(start: str) -> str:
    """The nearest folder at or above *start* that holds a lock, a pyproject.toml or a ``.venv``; else *start* itself."""
    folder = os.path.abspath(start)
    while True:
        if any(os.path.exists(f"{folder}/{name}") for name in (*LOCK_NAMES, "pyproject.toml", ".venv", *REQUIREMENTS)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder or os.path.isdir(f"{folder}/.git"):
            return os.path.abspath(start)
        folder = parent


def is_environment(folder: str) -> bool:
    """Whether *folder* is an environment's own, by what lies in it."""
    return os.path.isfile(f"{folder}/pyvenv.cfg") or os.path.isdir(f"{folder}/conda-meta") or _has_site(folder)


def _has_site(folder: str) -> bool:
    try:
        names = os.listdir(f"{folder}/lib")
    except (OSError, ValueError):
        return os.path.isdir(f"{folder}/Lib/site-packages")
    if os.path.isdir(f"{folder}/{DIST_PACKAGES}"):
        return True
    return any(name.startswith(("python3", "pypy3")) and os.path.isdir(f"{folder}/lib/{name}/site-packages") for name in names)


def read_project_name(project: str) -> str:
    """The project's name from its pyproject.toml, as written; empty where there is none."""
    try:
        data = tomllib.loads(_HERE.read(f"{project}/pyproject.toml", _LARGEST).decode())
    except (OSError, ValueError, RecursionError):
        return ""
    for table in (data.get("project"), data.get("tool", {}).get("poetry") if isinstance(data.get("tool"), dict) else None):
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            return str(table["name"])
    return ""


def _short_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()).decode()[:8]


def _newest(folder: str, prefix: str) -> str:
    """The entry of *folder* that starts with *prefix* and names the newest Python, or an empty text."""
    found = [name for name in (os.listdir(folder) if os.path.isdir(folder) else ()) if name.startswith(prefix)]
    found.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name.rpartition("-py")[2])])
    return f"{folder}/{found[-1]}" if found else ""


def _tools_places(project: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(folder, whose place it is) for every place that the project's tools would use, in the contract's order."""
    home = environ.get("HOME", "")
    data_home = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    cache_home = environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    name = read_project_name(project)
    chosen = environ.get("UV_PROJECT_ENVIRONMENT")
    if chosen:
        yield os.path.join(project, chosen), "UV_PROJECT_ENVIRONMENT"
    yield f"{project}/.venv", ".venv"
    if name and os.path.isfile(f"{project}/pyproject.toml"):
        folder = (
            environ.get("POETRY_VIRTUALENVS_PATH") or f"{environ.get('POETRY_CACHE_DIR') or cache_home + '/pypoetry'}/virtualenvs"
        )
        sanitised = re.sub(r'[ $`!*@"\\\r\n\t]', "_", name.lower())[:42]
        stem = f"{sanitised}-{_short_hash(os.path.realpath(project))}"
        yield _newest(folder, stem + "-py") or f"{folder}/{stem}-py3", "Poetry's own place"
    if os.path.isfile(f"{project}/Pipfile"):
        folder = environ.get("WORKON_HOME") or f"{data_home}/virtualenvs"
        stem = re.sub(r'[ &$`!*@"()\[\]\\\r\n\t]', "_", os.path.basename(project))[:42]
        yield f"{folder}/{stem}-{_short_hash(project + '/Pipfile')}", "pipenv's own place"
    if name:
        folder = environ.get("HATCH_DATA_DIR") or f"{data_home}/hatch"
        normal = re.sub(r"[-_.]+", "-", name).lower()
        yield f"{folder}/env/virtual/{normal}/{_short_hash(os.path.realpath(project))}/{normal}", "hatch's own place"
    try:
        interpreter = _HERE.read_head(f"{project}/.pdm-python", 4096).decode().strip()
    except (OSError, UnicodeDecodeError):
        interpreter = ""
    if interpreter:
        yield os.path.dirname(os.path.dirname(interpreter)), "PDM's .pdm-python"
    yield f"{project}/.pixi/envs/default", "pixi's own place"
    active = environ.get("VIRTUAL_ENV")
    if active:
        yield active, "VIRTUAL_ENV"
    conda = environ.get("CONDA_PREFIX")
    if conda and environ.get("CONDA_DEFAULT_ENV") != "base":
        yield conda, "CONDA_PREFIX"


def find_environment(
    project: str,
    *,
    environ: Mapping[str, str],
    cwd: str,
    env: str = "",
    python: str = "",
    root: str = "",
) -> Place:
    """The environment to look at: the one named by *env* or *python*, else the first that the project's tools would use.

    Below *root*, *env* is a path inside the image; without one, the usual places of images are tried.

    Raises:
        NoEnvironmentError: none was found; the message lists what was tried.
        UsageError: *env* and *python* are both given, or *python* is no interpreter of an environment.
    """
    if env and python:
        raise UsageError("usage", "--env and --python name the same thing twice", hint="give one of them")
    if root:
        return _find_in_image(os.path.abspath(os.path.join(cwd, root)), env, python)
    if python:
        return _from_interpreter(os.path.abspath(os.path.join(cwd, os.path.expanduser(python))), python)
    if env:
        folder = os.path.abspath(os.path.join(cwd, os.path.expanduser(env)))
        if not os.path.isdir(folder):
            raise NoEnvironmentError(
                "no-environment", "there is no such folder", where=env, hint="name the environment's own folder"
            )
        return Place(prefix=folder, shown=env.rstrip("/") or "/", found="--env")
    tried: list[str] = []
    for folder, how in _tools_places(project, environ):
        if os.path.isfile(folder) and how == ".venv":  # pipenv and others: a file that holds the path
            try:
                stated = os.fsdecode(_HERE.read_head(folder, 4096).strip())
            except OSError as error:
                raise UsageError(
                    "no-environment",
                    f"it can not be read: {error.strerror}",
                    where=folder,
                    hint="name the environment with --env DIR",
                ) from error
            folder = os.path.join(project, stated)  # noqa: PLW2901 - the file stands for the folder
        if is_environment(folder):
            active = environ.get("VIRTUAL_ENV", "")
            other = active and os.path.realpath(active) != os.path.realpath(folder)
            notice = f"the active environment is {active}; looked at {folder}" if other else ""
            shown = os.path.relpath(folder, cwd) if folder.startswith(cwd.rstrip("/") + "/") else folder
            return Place(prefix=os.path.abspath(folder), shown=shown, found=how, notice=notice)
        tried.append(f"{folder} ({how})")
    raise NoEnvironmentError(
        "no-environment",
        "no Python environment found; tried " + ", ".join(tried),
        where=project,
        hint=f"make one with {_own_tool(project)}, or name one with --env DIR",
    )


def _own_tool(project: str) -> str:
    """The command that makes the project's environment, by the lock it has."""
    for lock, command in (
        ("uv.lock", "`uv sync`"),
        ("poetry.lock", "`poetry sync`"),
        ("pdm.lock", "`pdm sync`"),
        ("Pipfile.lock", "`pipenv sync`"),
        ("conda-lock.yml", "`conda-lock install --prefix DIR conda-lock.yml`"),
        ("pixi.lock", "`pixi install --frozen`"),
    ):
        if os.path.isfile(f"{project}/{lock}"):
            return command
    return "the project's own tool (uv sync, poetry sync, python -m venv .venv)"


def _from_interpreter(path: str, shown: str) -> Place:
    if not os.path.exists(path):
        raise UsageError(
            "no-interpreter", "there is no such file", where=shown, hint="name an interpreter, such as .venv/bin/python"
        )
    prefix = os.path.dirname(os.path.dirname(path))
    if not os.path.isfile(f"{prefix}/pyvenv.cfg") and not _has_site(prefix):
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(path)))
    if not os.path.isfile(f"{prefix}/pyvenv.cfg") and not _has_site(prefix):
        raise UsageError(
            "no-interpreter",
            "no environment lies around this file; a shim only forwards to an interpreter",
            where=shown,
            hint="name the interpreter itself, such as .venv/bin/python",
        )
    return Place(prefix=prefix, shown=prefix, found="--python")


def _find_in_image(root: str, env: str, python: str) -> Place:
    if not os.path.isdir(root):
        raise NoEnvironmentError(
            "no-environment", "there is no such folder", where=root, hint="name the folder the image is unpacked in"
        )
    view = View(root)
    if python:
        env = os.path.dirname(os.path.dirname(python if python.startswith("/") else "/" + python))
    candidates = (
        ["/" + env.strip("/")] if env else ["/.venv", "/app/.venv", "/opt/venv", "/venv", "/opt/app-root", "/usr/local", "/usr"]
    )
    for candidate in candidates:
        folder = view.host(view.real(candidate))
        if view.exists(f"{candidate}/pyvenv.cfg") or _has_site(folder):
            return Place(prefix=candidate, shown=f"{root}:{candidate}", found="--root")
    raise NoEnvironmentError(
        "no-environment",
        "no Python environment found in the image; tried " + ", ".join(candidates),
        where=root,
        hint="name it with --env DIR, a path inside the image",
    )


def find_lock(project: str) -> tuple[str, str]:
    """The project's lock, and a notice on what was passed over; the lock is empty where there is none.

    A requirements file counts only where it holds hashes: without them it is no lock.

    Raises:
        UsageError: the folder can not be listed.
    """
    try:
        names = os.listdir(project)
    except OSError as error:
        raise UsageError("usage", f"it can not be listed: {error.strerror}", where=project, hint="name the lock itself") from error
    # Whatever bears the name is the lock: what is no readable file is an error, and not the absence of a lock.
    named = sorted(name for name in names if re.fullmatch(r"pylock\.[^.]+\.toml", name))
    first, last = (name for name in LOCK_NAMES if name not in CONDA_LOCKS), CONDA_LOCKS
    for name in (*first, *named, *last):
        if os.path.lexists(f"{project}/{name}"):
            others = named[1:] if named[:1] == [name] else []
            return f"{project}/{name}", f"{', '.join(others)} passed over; name one to compare with it" if others else ""
    loose = ""
    for name in REQUIREMENTS:
        if not os.path.lexists(f"{project}/{name}"):
            continue
        try:
            data = _HERE.read(f"{project}/{name}", _LARGEST)
        except OSError:
            return f"{project}/{name}", ""  # it may be a lock, so whoever reads it says what is wrong with it
        if _HASHED.search(data):
            return f"{project}/{name}", ""
        loose = loose or name
    return "", f"{loose} holds no hashes, so it is no lock" if loose else ""
