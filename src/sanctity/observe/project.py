"""A project's own files, read: manifests, scripts, CI and container files, and what those name; and what git knows of them.

Only regular files are read, within bounds, and none that a link leads out of the project (or of the repository that it lies in): a
FIFO holds nobody up, and nothing that a project names makes us read the rest of the machine. Nothing of it is run.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.linting import commands, installs, stale
from sanctity.model.project import ProjectFacts, Repository, Standing
from sanctity.observe.git import listed
from sanctity.observe.lock_files import lock_above
from sanctity.observe.places import find_lock
from sanctity.observe.seals import SEAL_NAME
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.lock import LockFormat

__all__ = ["observe_project"]

#: The most bytes of one file, of all files, and the most files that are read; a lock may be larger than a file that people write.
_LARGEST: Final = 1 << 19
_LARGEST_LOCK: Final = 1 << 26
_MOST_BYTES: Final = 1 << 27
_MOST_FILES: Final = 400
_MOST_NAMES: Final = 4000
#: How often a file's own text may name more files.
_ROUNDS: Final = 8

#: Folders whose scripts, container and CI files count, beside the project's own.
_FOLDERS: Final = (
    "",
    "scripts",
    "script",
    "bin",
    "ci",
    ".ci",
    "tools",
    "docker",
    "deploy",
    "deployment",
    ".devcontainer",
    ".github/workflows",
    ".circleci",
    ".buildkite",
    ".gitlab",
    ".gitlab/ci",
    ".binder",
    "binder",
)
#: Files that say what a project asks for, or which Python it is for.
_MANIFESTS: Final = (
    "pyproject.toml",
    "Pipfile",
    "setup.cfg",
    "setup.py",
    "pixi.toml",
    "environment.yml",
    "environment.yaml",
    ".python-version",
    ".python-versions",
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    "runtime.txt",
    ".readthedocs.yaml",
    ".readthedocs.yml",
)
_REQUIREMENTS: Final = re.compile(r"requirements[\w.-]*\.(?:txt|in)")
#: In other folders a YAML file may be anything; these are CI's, or say what a container runs.
_CI_FOLDERS: Final = frozenset({".github/workflows", ".circleci", ".buildkite", ".gitlab", ".gitlab/ci"})
_YAML: Final = re.compile(r".+\.ya?ml")
_CI: Final = re.compile(
    r"\.gitlab-ci\.ya?ml|\.?azure-pipelines?[\w.-]*\.ya?ml|bitbucket-pipelines\.yml|\.travis\.yml|\.?appveyor\.yml|\.cirrus\.yml"
    r"|cloudbuild\.ya?ml|buildspec\.ya?ml|\.drone\.yml|\.woodpecker\.ya?ml|\.readthedocs\.ya?ml|action\.ya?ml|[Tt]askfile\.ya?ml"
    r"|(?:docker-)?compose[\w.-]*\.ya?ml"
)
_ACTION: Final = re.compile(r"action\.ya?ml")
_TRACKED: Final = (
    ":(glob)**/pyvenv.cfg",
    ":(glob)**/conda-meta/*.json",
    ":(glob)**/lib/python*/site-packages/**",
    ":(glob)**/Lib/site-packages/**",
    ":(glob)**/site-packages/*.dist-info/**",
)
_MOST_ENVIRONMENTS: Final = 20


def observe_project(folder: str, locks: Iterable[tuple[str, LockFormat]], *, environ: Mapping[str, str]) -> ProjectFacts:
    """What there is to know of the project in *folder*, an absolute path; *locks* are those that were read, with their formats.

    A lock's path is relative to *folder*, as all paths of the facts are. *environ* is the caller's, for git.
    """
    looked = tuple(locks)
    root = _repository_root(folder)
    shelf = _Shelf(folder, boundary=root or folder)
    for path in _own_files(shelf):
        shelf.read(path)
    scripts = tuple(path for path, text in shelf.texts.items() if commands.runs_commands(path, text))
    for path in scripts:
        for name in installs.wants(path, shelf.texts[path]):
            shelf.read(name)
    for path, format in looked:  # noqa: A001 - a lock's format
        _read_inputs(shelf, path, format)
    seals = tuple(name for name in shelf.names("") if name == SEAL_NAME or name.endswith(".seal.json"))
    found = [path for path, format in looked if format.is_lock and not path.startswith("../")]  # noqa: A001
    found = list(dict.fromkeys([*found, *_lock_of(folder)]))
    return ProjectFacts(
        texts=shelf.texts,
        scripts=scripts,
        locks=tuple(found),
        seals=seals,
        above=bool(lock_above(folder)),
        repository=_repository(folder, [*found, *seals], environ) if root or environ.get("GIT_DIR") else None,
        unread=tuple(shelf.unread.items()),
    )


class _Shelf:
    """The files of one project that were read, and what is left of the bounds."""

    def __init__(self, folder: str, *, boundary: str) -> None:
        self.folder = folder
        self.boundary = os.path.realpath(boundary)
        self.texts: dict[str, str] = {}
        self.unread: dict[str, str] = {}
        self.left = _MOST_BYTES
        self._asked: set[str] = set()
        self._view = View()

    def names(self, folder: str) -> list[str]:
        """The names in *folder* of the project, sorted; none where it can not be listed or leads out of the project."""
        place = os.path.join(self.folder, folder)
        try:
            if not self._inside(place):
                if os.path.lexists(place):
                    self.unread[folder] = "a link leads out of the project"
                return []
            with os.scandir(place) as entries:
                found = sorted(entry.name for entry, _ in zip(entries, range(_MOST_NAMES + 1), strict=False))
            if len(found) > _MOST_NAMES:
                self.unread[folder or "."] = f"it has more than {_MOST_NAMES} names"
            return found[:_MOST_NAMES]
        except (OSError, ValueError):
            return []

    def read(self, path: str, *, largest: int = _LARGEST) -> None:
        """Read the file *path* into `texts`, where it is there, is text, and is within bounds."""
        path = posixpath.normpath(path)
        if path in self._asked or path.startswith("/") or len(path) > 1000:
            return
        self._asked.add(path)
        place = os.path.join(self.folder, path)
        try:
            if not os.path.lexists(place):
                return
            if not path.isprintable():
                self.unread[ascii(path)[1:-1]] = "its name has signs that can not be printed"
            elif not self._inside(place):
                self.unread[path] = "a link leads out of the project"
            elif len(self.texts) >= _MOST_FILES:
                self.unread[path] = f"more than {_MOST_FILES} files"
            else:
                data = self._view.read(place, min(largest, self.left))
                self.left -= len(data)
                self.texts[path] = data.decode("utf-8-sig", "replace")
        except (OSError, ValueError) as error:
            self.unread[path] = getattr(error, "strerror", None) or "it can not be read"

    def expanded(self, pattern: str) -> Iterator[str]:
        """The paths that *pattern* stands for, whose ``*`` is a folder's own name."""
        waiting = [""]
        for part in posixpath.normpath(pattern).split("/"):
            if not any(letter in part for letter in "*?["):
                waiting = [posixpath.join(folder, part) for folder in waiting]
            else:
                waiting = [
                    posixpath.join(folder, name)
                    for folder in waiting
                    for name in self.names(folder)
                    if fnmatch.fnmatchcase(name, part)
                ][:_MOST_FILES]
        yield from waiting

    def _inside(self, place: str) -> bool:
        real = os.path.realpath(place)
        return real == self.boundary or real.startswith(self.boundary.rstrip("/") + "/")


def _own_files(shelf: _Shelf) -> Iterator[str]:
    """What is read of every project: its manifests, and the files that run commands in the folders where such files are."""
    yield from _MANIFESTS
    for folder in _FOLDERS:
        for name in shelf.names(folder):
            runs = commands.is_command_file(name) and (folder in _CI_FOLDERS or not _YAML.fullmatch(name) or _CI.fullmatch(name))
            if runs or (not folder and _REQUIREMENTS.fullmatch(name)):
                yield posixpath.join(folder, name)
    for name in shelf.names("requirements"):
        if name.endswith((".txt", ".in")):
            yield f"requirements/{name}"
    for action in shelf.names(".github/actions"):
        for name in shelf.names(f".github/actions/{action}"):
            if _ACTION.fullmatch(name):
                yield f".github/actions/{action}/{name}"


def _read_inputs(shelf: _Shelf, path: str, format: LockFormat) -> None:  # noqa: A002
    """Read the lock *path*, and what it was made from: beside it, or where its project's root is."""
    shelf.read(path, largest=_LARGEST_LOCK)
    text = shelf.texts.get(path)
    if text is None:
        return
    folder, name = posixpath.split(path)
    for _ in range(_ROUNDS):
        known = len(shelf.texts)
        beside = _beside(shelf.texts, folder)
        try:
            wanted = stale.wants(format, name, text, beside)
        except DocumentError:
            return
        for pattern in wanted:
            for base in dict.fromkeys([folder, ""]):
                for place in shelf.expanded(posixpath.join(base, pattern)):
                    shelf.read(place)
        if len(shelf.texts) == known:
            return


def _beside(texts: Mapping[str, str], folder: str) -> dict[str, str]:
    """*texts* by their paths as seen from *folder*."""
    return {posixpath.relpath(path, folder) if folder else path: text for path, text in texts.items()}


def _lock_of(folder: str) -> list[str]:
    """The lock that a look would take as the project's own."""
    from sanctity.errors import SanctityError

    try:
        found, _ = find_lock(folder)
    except SanctityError:
        return []
    return [os.path.basename(found)] if found else []


# --- git


def _repository_root(folder: str) -> str:
    """The folder at or above *folder* that is a git repository's root; empty where there is none."""
    while not os.path.lexists(f"{folder}/.git"):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder


def _repository(folder: str, paths: list[str], environ: Mapping[str, str]) -> Repository:
    """What git says of *paths*, and of environments that are tracked below *folder*."""
    try:
        literal = [f":(literal){path}" for path in dict.fromkeys(paths) if not path.startswith("../")]
        known = set(listed(folder, *literal, environ=environ)) if literal else set()
        ignored = set(listed(folder, *literal, environ=environ, ignored=True)) if literal else set()
        empty = not known and not listed(folder, environ=environ)
        environments = _environments(listed(folder, *_TRACKED, environ=environ)) if not empty else []
        counted = tuple((place, len(listed(folder, f":(literal){place}", environ=environ))) for place in environments)
    except DocumentError as error:
        return Repository(trouble=error.message)
    standing = {
        path: Standing.TRACKED if path in known else Standing.IGNORED if path in ignored else Standing.UNTRACKED for path in paths
    }
    return Repository(standing=standing, environments=counted, empty=empty)


def _environments(paths: Iterable[str]) -> list[str]:
    """The outermost folders of environments among tracked *paths*."""
    found = dict.fromkeys(_environment_of(path.split("/")) for path in paths)
    outermost = [place for place in found if not any(place != other and place.startswith(f"{other}/") for other in found)]
    return sorted(outermost)[:_MOST_ENVIRONMENTS]


def _environment_of(parts: list[str]) -> str:
    """The folder of the environment that the file with the path *parts* is of, ``.`` for the project's own."""
    if parts[-1] == "pyvenv.cfg":
        inside = parts[:-1]
    elif "conda-meta" in parts:
        inside = parts[: parts.index("conda-meta")]
    else:
        at = parts.index("site-packages")
        if at > 1 and parts[at - 1].startswith("python") and parts[at - 2].startswith("lib"):
            inside = parts[: at - 2]
        else:
            inside = parts[: at - 1] if at and parts[at - 1] == "Lib" else parts[: at + 1]
    return "/".join(inside) or "."
