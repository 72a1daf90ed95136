"""Where one run works: a private copy of the caller's folder, in a private folder of this process.

The copy is made of real folders, of links to the files, and of copies of the small ones, so that what a program writes to a path
relative to itself, or to its working folder, stays in it. What the outputs' patterns name is left out: a result that was there
before can not be taken for one of the run's. A large or an unreadable folder is linked as a whole. Nothing here ever writes to, or
removes, what a link leads to.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.errors import SanctityError
from sanctity.scratch import Scratch, remove

if TYPE_CHECKING:
    from sanctity.variation.patterns import Patterns

__all__ = ["MOST_LINKS", "Farm", "Planted", "Tree", "is_left_alone", "make_scratch", "no_room", "plant", "read_tree"]

_PREFIX: Final = "sanctity-repeats-"

_LEFT_ALONE: Final = frozenset({
    ".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", "venv", ".tox", ".nox",
    ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints",
})  # fmt: skip
#: So many entries of the caller's folder are made again; the folders that are beyond are linked as a whole.
_MOST_ENTRIES: Final = 600
#: A file of so many bytes at most is copied, and so many files and bytes in all; others are linked.
_SMALL: Final = 256 << 10
_MOST_COPIES: Final = 200
_MOST_COPIED: Final = 16 << 20
#: What a pattern that begins with a wildcard names may be an input as well: so many bytes in all are copied.
_MOST_EITHER: Final = 256 << 20
#: A folder with more entries than that is not linked entry by entry.
MOST_LINKS: Final = 2000


def no_room(error: OSError, where: str) -> SanctityError:
    """The error to raise where the private folder can not be made, or written to."""
    return SanctityError(
        "repeats-no-room",
        f"no place for a run can be made: {error.strerror or error}",
        where=os.fsdecode(error.filename) if error.filename else where,
        hint="name a folder with room for the outputs of three runs in TMPDIR",
    )


def make_scratch(below: str = "") -> Scratch:
    """A private folder in the folder *below*, else in that for temporary files.

    Raises:
        SanctityError: ``repeats-no-room``.
    """
    parent = os.path.realpath(below or tempfile.gettempdir())
    if os.pathsep in parent:
        words = f"PYTHONPATH can not name it, since {os.pathsep!r} stands between its folders"
        raise SanctityError("repeats-no-room", words, where=parent, hint="name another folder in TMPDIR")
    try:
        return Scratch(_PREFIX, parent)
    except OSError as error:
        raise no_room(error, parent) from error


# -- what the caller's folder holds ------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """What is made again at *path*: a ``folder``, a ``copy``, a ``link`` to *target*."""

    path: str
    kind: str
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """How the folder *root* is made again: *rows* in the order of making, parents first."""

    root: str
    rows: tuple[_Row, ...]


@dataclass(slots=True, kw_only=True)
class Planted:
    """What was made below *root*: *folders* by path, with their modes, *links*, with their targets, and *copies*.

    Of a copy it is known what the kernel said of it then: any change to a file changes that (``ctime``).
    """

    root: str
    folders: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    copies: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def untouched(self, path: str, state: os.stat_result) -> bool:
        """Whether what is at *path* now, of which the kernel says *state*, is what was put there."""
        if stat.S_ISDIR(state.st_mode):
            return self.folders.get(path) == state.st_mode
        if path in self.links:
            return stat.S_ISLNK(state.st_mode) and os.readlink(f"{self.root}/{path}") == self.links[path]
        return self.copies.get(path) == _state(state)

    def clear(self, *, but: str = "") -> tuple[bool, list[str]]:
        """Remove what was not put there, *but* for one name: whether all that was is there still, and which names were more."""
        left, more = 0, []
        waiting = [""]
        try:
            whole = os.lstat(self.root).st_mode == self.folders[""]
            while waiting:
                prefix = waiting.pop()
                with os.scandir(f"{self.root}/{prefix}") as listed:
                    entries = list(listed)
                for entry in entries:
                    path = prefix + entry.name
                    if path == but:
                        continue
                    state = entry.stat(follow_symlinks=False)
                    if self.untouched(path, state):
                        left += 1
                        if stat.S_ISDIR(state.st_mode):
                            waiting.append(f"{path}/")
                        continue
                    if path not in self.folders and path not in self.links and path not in self.copies:
                        more.append(path)
                    remove(entry.path)
        except OSError:
            return False, more
        return whole and left + 1 == len(self.folders) + len(self.links) + len(self.copies), more


def _state(state: os.stat_result) -> tuple[int, ...]:
    return (state.st_mode, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def is_left_alone(entry: os.DirEntry[str], root: str, home: str, device: int) -> bool:
    """Whether the folder *entry* below *root* is linked as a whole, and what changes in it is nobody's output.

    Such are the folders of version control, of caches and of environments, what *home*, the user's folder, hides, and what is on
    another *device* than the root. Raises OSError: it can not be looked at.
    """
    if entry.stat(follow_symlinks=False).st_dev != device:
        return True
    if entry.name in _LEFT_ALONE or os.path.lexists(os.path.join(entry.path, "pyvenv.cfg")):
        return True
    return entry.name.startswith(".") and os.path.dirname(entry.path) == root == home


def read_tree(root: str, patterns: Patterns, home: str = "") -> Tree:
    """How to make the folder *root* again, without what *patterns* name; *home* is the user's folder.

    Raises:
        SanctityError: ``no-working-folder``, it is not there or can not be listed.
    """
    rows: list[_Row] = []
    copies, copied, either = 0, 0, 0
    device = _device(root)
    waiting = [""]
    for prefix in waiting:  # it grows while it is walked: breadth first, so that what is near is made and what is far is linked
        folder = os.path.join(root, prefix)
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                words = f"it can not be listed: {error.strerror}"
                raise SanctityError("no-working-folder", words, where=root, hint="change to a folder that is there") from error
            rows.append(_Row(prefix[:-1], "link", os.path.join(root, prefix[:-1])))
            continue
        if prefix:
            wanted = patterns.reach(prefix[:-1])
            if len(rows) + len(entries) > _MOST_ENTRIES and not wanted:
                rows.append(_Row(prefix[:-1], "link", os.path.join(root, prefix[:-1])))
                continue
            rows.append(_Row(prefix[:-1], "folder"))
        for entry in entries:
            path, real = prefix + entry.name, os.path.join(root, prefix, entry.name)
            matched = patterns.match(path)
            if matched and patterns.fresh(path):
                if patterns.is_folder(path) and entry.is_dir():
                    rows.append(_Row(path, "folder"))
                continue
            if patterns.leads(path) and entry.is_dir():
                waiting.append(f"{path}/")  # also where it is a link, or mounted: what is written there is an output
                continue
            if entry.is_symlink():
                rows.append(_Row(path, "link", _inside(real, prefix) or real))
            elif entry.is_dir(follow_symlinks=False):
                if _alone(entry, root, home, device):
                    rows.append(_Row(path, "link", real))
                else:
                    waiting.append(f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                size = _size(entry)
                if matched and either + size <= _MOST_EITHER:
                    either += size
                    rows.append(_Row(path, "copy"))
                elif size <= _SMALL and copies < _MOST_COPIES and copied + size <= _MOST_COPIED:
                    copies, copied = copies + 1, copied + size
                    rows.append(_Row(path, "copy"))
                else:
                    rows.append(_Row(path, "link", real))
            else:
                rows.append(_Row(path, "link", real))
    return Tree(root=root, rows=tuple(rows))


def _alone(entry: os.DirEntry[str], root: str, home: str, device: int) -> bool:
    try:
        return is_left_alone(entry, root, home, device)
    except OSError:
        return True  # it went away just now: a link to it says so to whoever follows it


def _device(path: str) -> int:
    try:
        return os.stat(path).st_dev
    except OSError:
        return -1


def _inside(path: str, prefix: str) -> str:
    """What the link at *path*, in the folder *prefix* (``a/b/``) of the tree, says, where it leads to within the tree."""
    try:
        text = os.readlink(path)
    except OSError:
        return ""
    return "" if os.path.isabs(text) or _climbs(prefix, text) else text


def _climbs(prefix: str, text: str) -> bool:
    """Whether the relative link *text* in the folder *prefix* (``a/b/``) leads above the root."""
    depth = prefix.count("/")
    for part in text.split("/"):
        depth += -1 if part == ".." else 0 if part in {"", "."} else 1
        if depth < 0:
            return True
    return False


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return _MOST_EITHER + 1


def plant(tree: Tree, place: str) -> Planted:
    """Make *tree* again at *place*, where nothing is yet. Raises OSError: there is no room."""
    planted = Planted(root=place)
    _folder(planted, "")
    for row in tree.rows:
        if row.kind == "folder":
            _folder(planted, row.path)
        elif row.kind == "link" or not _copy(os.path.join(tree.root, row.path), f"{place}/{row.path}"):
            _link(planted, row.path, row.target or os.path.join(tree.root, row.path))
        else:
            planted.copies[row.path] = _state(os.lstat(f"{place}/{row.path}"))
    return planted


def _folder(planted: Planted, path: str) -> None:
    os.makedirs(f"{planted.root}/{path}", exist_ok=True)
    planted.folders[path] = os.lstat(f"{planted.root}/{path}").st_mode


def _link(planted: Planted, path: str, target: str) -> None:
    os.symlink(target, f"{planted.root}/{path}")
    planted.links[path] = target


def _copy(source: str, path: str) -> bool:
    """Copy the file *source*, with its mode and times; False where it can not be read. Raises OSError: *path* can not be made."""
    try:
        opened = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(opened, "rb", buffering=0) as file:
        state = os.fstat(opened)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0) as made:
            shutil.copyfileobj(file, made, 1 << 18)
            os.fchmod(made.fileno(), stat.S_IMODE(state.st_mode))
            os.utime(made.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))
    return True


def _plant_links(source: str, place: str, *, but: str = "") -> Planted | None:
    """Make at *place* a folder of links to what is in *source*, *but* for one name; None where that is too much.

    Raises OSError: there is no room.
    """
    try:
        names = sorted(os.listdir(source))
    except OSError:
        return None
    if len(names) > MOST_LINKS:
        return None
    planted = Planted(root=place)
    _folder(planted, "")
    for name in names:
        if name != but:
            _link(planted, name, os.path.join(source, name))
    return planted


class Farm:
    """What a run finds about it: the copy of a *tree* in a folder with links to what lies beside it, and one with those of *home*.

    It is made for the first run, and cleared after each; where a run took away or changed what was there it is made again. An empty
    *home* is not made, nor is anything beside an empty tree.
    """

    def __init__(self, tree: Tree, home: str) -> None:
        self._tree, self._home = tree, home if os.path.isabs(home) else ""
        self.name = os.path.basename(tree.root) or "work"
        self._planted: Planted | None = None
        self._beside: Planted | None = None
        self._own: Planted | None = None
        self._folders: tuple[str, str] = ("", "")

    def lay(self, work: str, home: str) -> tuple[Planted, str]:
        """Have it at *work* and *home*: what is the working folder, and the home folder, empty where it is the caller's.

        Raises OSError: there is no room.
        """
        if self._planted is None:
            self._folders = (work, home)
            os.makedirs(work)
            if self._tree.root not in {"", "/"}:
                self._beside = _plant_links(os.path.dirname(self._tree.root), work, but=self.name)
            self._own = _plant_links(self._home, home) if self._home else None
            self._planted = plant(self._tree, f"{work}/{self.name}")
        for old, new, planted in zip(self._folders, (work, home), (self._beside, self._own), strict=True):
            if old != new and os.path.lexists(old):
                os.makedirs(os.path.dirname(new), exist_ok=True)
                os.rename(old, new)
                if planted is not None:
                    planted.root = new
        self._planted.root = f"{work}/{self.name}"
        self._folders = (work, home)
        return self._planted, home if self._own is not None else ""

    def clear(self) -> list[str]:
        """Remove what a run wrote that nobody takes: what of it lies beside the working folder or in the home folder, by name."""
        outside = []
        whole = self._planted is not None and self._planted.clear()[0]
        if self._beside is not None:
            same, more = self._beside.clear(but=self.name)
            whole = whole and same
            outside += [f"../{name}" for name in more]
        if self._own is not None:
            same, more = self._own.clear()
            whole = whole and same
            outside += [f"~/{name}" for name in more if not name.startswith(".")]
        if not whole:
            self.remove()
        return outside

    def remove(self) -> None:
        """Remove it all."""
        self._planted = self._beside = self._own = None
        for folder in self._folders:
            remove(folder)
