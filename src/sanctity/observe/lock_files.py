"""The locks of a project, in its folder or in that of its workspace: by their names, and a text file by what it looks like."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, UsageError
from sanctity.linting.uv_inputs import has_member
from sanctity.lockfiles import READERS
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_locks", "lock_above", "projects_below"]

_HERE: Final = View()
#: How much of a text file is looked at.
_ENOUGH: Final = 1 << 16
#: What is a lock only where there is no better one, and what is better.
_WISHES: Final = {
    "sanctity.lockfiles.environment_yml": (
        "sanctity.lockfiles.conda_lock",
        "sanctity.lockfiles.pixi",
        "sanctity.lockfiles.conda_explicit",
    ),
    "sanctity.lockfiles.pyproject": tuple(module for _, module in READERS if module != "sanctity.lockfiles.pyproject"),
}
_REQUIREMENTS: Final = "sanctity.lockfiles.requirements"
_NAMED: Final = re.compile(r"(?i).*(?:requirement|constraint).*\.txt|requirements[\w.-]*\.lock")
_EXPLICIT_MODULE: Final = "sanctity.lockfiles.conda_explicit"
#: The locks of tools that lock folders of packages with the project that depends on them, or a whole workspace.
_WORKSPACE_LOCKS: Final = ("uv.lock", "pdm.lock", "pixi.lock", "poetry.lock", "Pipfile.lock")
_LARGEST_LOCK: Final = 1 << 26
_LARGEST: Final = 1 << 19
#: How deep below a folder without a project others are looked for, and among how many folders.
_DEEP: Final = 2
_MOST_FOLDERS: Final = 200
_EXPLICIT: Final = re.compile(r"^@EXPLICIT\s*$", re.MULTILINE)
#: A line that a requirements file may have, and one that only such a file has.
_LINE: Final = re.compile(r"\s*(?:#.*|-{1,2}[A-Za-z].*|[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*(?:[=<>!~;@(\\].*)?)?")
_CERTAIN: Final = re.compile(
    r"^(?:[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*==|-[rc] |--(?:requirement|constraint|hash)\b)", re.MULTILINE
)


def find_locks(folder: str) -> tuple[str, ...]:
    """The paths of the locks in *folder* and in its folder ``requirements``, in the order in which references are looked for.

    What only says what is wished for, a pyproject.toml or an environment.yml, is one where there is no lock. A member of a
    workspace has the lock of its workspace, and that comes first.

    Raises:
        UsageError: the folder can not be listed.
    """
    found: dict[str, list[str]] = {module: [] for _, module in READERS}
    for path in _files(folder):
        name = os.path.basename(path)
        module = next((module for pattern, module in READERS if re.fullmatch(pattern, name)), "")
        if module == _REQUIREMENTS and not _is_requirements(path, name):
            module = _EXPLICIT_MODULE if _is_explicit(path) else ""
        if module:
            found[module].append(path)
    above = "" if any(os.path.lexists(f"{folder}/{name}") for name in _WORKSPACE_LOCKS) else lock_above(folder)
    for wish, better in _WISHES.items():
        if above or any(found[module] for module in better):
            found[wish] = []
    return (*filter(None, [above]), *(path for paths in found.values() for path in paths))


def lock_above(folder: str) -> str:
    """The lock of the workspace that *folder* is a member of, further up in its repository; empty where there is none.

    A folder is a member where the lock names it as the place of a package, or the workspace's root as one of its members.
    """
    place = os.path.abspath(folder)
    while not os.path.lexists(f"{place}/.git") and os.path.dirname(place) != place:
        place = os.path.dirname(place)
        member = os.path.relpath(folder, place).replace(os.sep, "/")
        for name in _WORKSPACE_LOCKS:
            if os.path.lexists(f"{place}/{name}") and _is_member(place, name, member):
                return f"{place}/{name}"
    return ""


def _is_member(root: str, name: str, member: str) -> bool:
    """Whether the folder *member* is locked by the lock *name* in *root*, or should be."""
    try:
        if name == "uv.lock" and has_member(_HERE.read(f"{root}/pyproject.toml", _LARGEST).decode("utf-8", "replace"), member):
            return True
    except (OSError, DocumentError):
        pass  # a root whose members nobody can tell: what the lock says counts
    try:
        text = _HERE.read(f"{root}/{name}", _LARGEST_LOCK).decode("utf-8", "replace")
    except OSError:
        return False
    return re.search(rf"""["' ](?:\./)?{re.escape(member)}/?["']?(?:[\s,]|$)""", text) is not None


def projects_below(folder: str) -> tuple[str, ...]:
    """The folders up to two levels below *folder*, relative to it, that have a lock or say what they wish for: the outermost."""
    found: list[str] = []
    waiting = [""]
    for _ in range(_DEEP):
        inner: list[str] = []
        for above in waiting:
            for name in _folders(os.path.join(folder, above)):
                below = f"{above}/{name}".lstrip("/")
                if any(_says_what_it_is(path) for path in _names(os.path.join(folder, below))):
                    found.append(below)
                else:
                    inner.append(below)
        waiting = inner[:_MOST_FOLDERS]
    return tuple(sorted(found))


def _says_what_it_is(name: str) -> bool:
    return _NAMED.fullmatch(name) is not None or any(
        re.fullmatch(pattern, name) for pattern, module in READERS if module not in {_REQUIREMENTS, _EXPLICIT_MODULE}
    )


def _folders(folder: str) -> list[str]:
    return [name for name in _names(folder) if not name.startswith(".") and os.path.isdir(f"{folder}/{name}")][:_MOST_FOLDERS]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _files(folder: str) -> Iterator[str]:
    """The files of *folder*, sorted, then those of its folder ``requirements``."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise UsageError("usage", f"it can not be listed: {error.strerror}", where=folder, hint="name the lock itself") from error
    yield from (f"{folder}/{name}" for name in names if not os.path.isdir(f"{folder}/{name}"))
    below = f"{folder}/requirements"
    if os.path.isdir(below):
        yield from (f"{below}/{name}" for name in sorted(os.listdir(below)) if name.endswith(".txt"))


def _is_requirements(path: str, name: str) -> bool:
    if _NAMED.fullmatch(name):
        return not _is_explicit(path)
    text = _head(path)
    return _CERTAIN.search(text) is not None and all(map(_LINE.fullmatch, text.splitlines()[:-1] or text.splitlines()))


def _is_explicit(path: str) -> bool:
    return _EXPLICIT.search(_head(path)) is not None


def _head(path: str) -> str:
    try:
        return _HERE.read_head(path, _ENOUGH).decode("utf-8", "replace")
    except OSError:
        return ""
