"""What a run wrote: found by patterns in its place, taken out of it, and digested; and what it wrote elsewhere."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.model.wire import canonical
from sanctity.variation.place import is_left_alone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from io import BufferedReader

    from sanctity.variation.patterns import Patterns
    from sanctity.variation.place import Planted

__all__ = ["MOST_WATCHED", "STDOUT", "Outputs", "changed", "collect", "digest", "snapshot"]

#: The name of the file that holds what a run wrote to standard output.
STDOUT: Final = "<stdout>"
#: So many entries of the caller's folder are watched, those near its top first.
MOST_WATCHED: Final = 50_000
#: So many are looked at of what links in it lead to.
_MOST_BEYOND: Final = 5000
_CACHES: Final = "__pycache__"
#: What a measurement of coverage writes at the end of each process, where tests are run under one.
_MEASURED: Final = ".coverage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What a run wrote: *files*, sorted by path, taken to a folder; and links among them that lead *outside* of its place."""

    files: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


def collect(planted: Planted, patterns: Patterns, kept: str) -> Outputs:
    """Move what a run wrote to the folder *kept*: what *patterns* name in its place, but for what was *planted* there.

    Raises OSError: there is no room.
    """
    place = planted.root
    files: list[str] = []
    outside: list[str] = []
    made: set[str] = set()
    for path, state in _written(planted):
        if not patterns.all and not patterns.match(path):
            continue
        source, target = f"{place}/{path}", f"{kept}/{path}"
        text = ""
        if stat.S_ISLNK(state.st_mode):
            real = os.path.realpath(source)
            if not _is_below(real, os.path.realpath(place)):
                outside.append(path)
                continue
            text = os.readlink(source)
            if os.path.isabs(text):
                text = os.path.relpath(real, os.path.dirname(os.path.realpath(place) + f"/{path}"))
        folder = os.path.dirname(target)
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        if text:
            os.symlink(text, target)
        else:
            os.rename(source, target)
        files.append(path)
    return Outputs(files=tuple(sorted(files)), outside=tuple(sorted(outside)))


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _written(planted: Planted) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files and links that are not what was *planted*, with what the kernel says of them."""
    place = planted.root
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in _entries(f"{place}/{prefix}"):
            path = prefix + entry.name
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                if entry.name != _CACHES:
                    waiting.append(f"{path}/")
            elif (stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)) and not planted.untouched(path, state):
                yield path, state


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listed:
            return list(listed)
    except FileNotFoundError:
        return []
    except PermissionError:
        os.chmod(folder, 0o700)  # it is in a private place, and the run that shut it has ended
        with os.scandir(folder) as listed:
            return list(listed)


def digest(folder: str, files: Sequence[str]) -> tuple[str, int]:
    """The digest over the paths and bytes of *files* in *folder*, as ``sha256:…``, and how many bytes they hold.

    It is over the canonical list of [path, digest of the bytes], links as [path, target]; modes and times are not in it.
    """
    rows, size = [], 0
    for path in files:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        full = f"{folder}/{path}"
        if os.path.islink(full):
            rows.append([shown, "link " + os.fsencode(os.readlink(full)).decode("utf-8", "backslashreplace")])
            continue
        with _readable(full) as file:
            rows.append([shown, hashlib.file_digest(file, "sha256").hexdigest()])
            size += file.tell()
    return f"sha256:{hashlib.sha256(canonical(rows)).hexdigest()}", size


def _readable(path: str) -> BufferedReader:
    try:
        return open(path, "rb")
    except PermissionError:
        os.chmod(path, 0o600)
        return open(path, "rb")


# -- what was written elsewhere ----------------------------------------------------------------------------------------------------


def snapshot(root: str, private: str = "", home: str = "") -> dict[str, tuple[int, ...]]:
    """What the kernel says of what is in the folder *root*, by path; without what is nobody's output, and the folder *private*.

    What a link in it leads to, and what is mounted in it, is looked at as well, but for so many entries; not what is mounted in the
    root of the system. *home* is the user's folder.
    """
    try:
        device = os.lstat(root).st_dev
    except OSError:
        return {}
    found: dict[str, tuple[int, ...]] = {}
    beyond: list[tuple[str, str]] = []
    below = f"{os.path.realpath(root)}/"
    waiting = [""]
    for prefix in waiting:
        for entry in _listed(os.path.join(root, prefix)):
            path = prefix + entry.name
            try:
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    if entry.path == private:
                        continue
                    found[path] = (stat.S_IFDIR,)
                    if state.st_dev != device:
                        beyond.append((path, entry.path))
                    elif is_left_alone(entry, root, home, device):
                        del found[path]
                    else:
                        waiting.append(f"{path}/")
                elif not entry.name.startswith(_MEASURED):
                    found[path] = _facts(state)
                    if stat.S_ISLNK(state.st_mode) and not is_left_alone(entry, root, home, device):
                        real = os.path.realpath(entry.path)
                        if not f"{real}/".startswith((below, f"{private or below}/")) and not below.startswith(f"{real}/"):
                            beyond.append((path, real))
            except OSError:
                continue
        if len(found) > MOST_WATCHED:
            break
    if root != "/":
        _look_beyond(beyond, found)
    return found


def _look_beyond(beyond: list[tuple[str, str]], found: dict[str, tuple[int, ...]]) -> None:
    """Add to *found* what is at the real paths of *beyond*, as if it were at their others, the folders breadth first."""
    left = _MOST_BEYOND
    seen = set()
    for path, real in beyond:  # it grows
        try:
            state = os.lstat(real)
            if not stat.S_ISDIR(state.st_mode):
                found[path] = (*found.get(path, ()), *_facts(state))
                continue
            if (state.st_dev, state.st_ino) in seen or not os.statvfs(real).f_blocks:  # no disk, but what the kernel tells
                continue
            seen.add((state.st_dev, state.st_ino))
            for entry in _listed(real):
                left -= 1
                if left < 0:
                    return
                inner = f"{path}/{entry.name}"
                state = entry.stat(follow_symlinks=False)
                if not stat.S_ISDIR(state.st_mode):
                    found[inner] = _facts(state)
                elif not is_left_alone(entry, real, "", state.st_dev):
                    found[inner] = (stat.S_IFDIR,)
                    beyond.append((inner, entry.path))
        except OSError:
            continue


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listed:
            return list(listed)
    except OSError:
        return []


def _facts(state: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is: whoever gives it its old time again changes what the kernel keeps (``ctime``)."""
    return (state.st_mode, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def changed(before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The paths that are in one of the snapshots alone, or not the same in both; sorted."""
    return tuple(sorted(path for path in {*before, *after} if before.get(path) != after.get(path)))
