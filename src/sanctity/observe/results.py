"""Files that programs wrote, found, read beside each other, and mapped into memory.

A file that another process cuts short while it is looked at ends this one by SIGBUS, which is no verdict; one that is changed
otherwise is told as such.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from sanctity.errors import SanctityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "Opened", "find_results", "opened", "same_beginning"]

#: Bytes of either side that are read at a time, which fit a processor's cache.
_PIECE: Final = 1 << 18
#: Files of so many bytes are worth the import of NumPy.
_LARGE: Final = 64 << 20


class Found(NamedTuple):
    """What lies at a *path*, relative to what was named: a file to read, or with *why* something else; a link's *target*.

    *empty* says that it is a folder with nothing in it.
    """

    path: str
    full: str
    why: str = ""
    target: str = ""
    empty: bool = False


class Opened(NamedTuple):
    """A *file* that is open to be read, and its bytes as they are in memory."""

    file: IO[bytes]
    data: memoryview


def find_results(root: str) -> dict[str, Found]:
    """The files below the folder *root*, by their paths relative to it, sorted; of a file itself one, at the empty path.

    Links to files are followed; those to folders are not, and are told by where they point.

    Raises:
        UsageError: ``result-not-found``, nothing is there.
        SanctityError: ``result-unreadable``, a folder can not be listed.
    """
    try:
        kind = os.stat(root).st_mode
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or "nothing is there"
        raise UsageError("result-not-found", words, where=root, hint="name a file or folder that is there") from error
    if not stat.S_ISDIR(kind):
        return {"": Found("", root, "" if stat.S_ISREG(kind) else "it is no regular file")}
    return {found.path: found for found in sorted(_below(root))}


def _below(root: str) -> Iterator[Found]:
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            with os.scandir(folder) as listed:
                entries = list(listed)
        except OSError as error:
            words = error.strerror or "it can not be listed"
            raise SanctityError("result-unreadable", words, where=folder, hint="make it readable, and compare again") from error
        if not entries and prefix:
            yield Found(prefix, folder, empty=True)
        for entry in entries:
            path = prefix + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{path}/"))
                elif entry.is_file():
                    yield Found(path, entry.path)
                elif entry.is_symlink():
                    yield Found(path, entry.path, target=os.readlink(entry.path))
                else:
                    yield Found(path, entry.path, "it is no regular file")
            except OSError as error:
                yield Found(path, entry.path, error.strerror or "it can not be looked at")


@contextlib.contextmanager
def opened(path: str) -> Iterator[Opened]:
    """The file at *path*, open and mapped.

    Raises:
        SanctityError: ``result-unreadable``; at the end also where it was changed meanwhile.
    """
    try:
        # What became a FIFO since it was found must not be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise SanctityError("result-unreadable", "it is no regular file", where=path)
            yield Opened(file, _mapped(file, before.st_size))
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise SanctityError("result-unreadable", words, where=path, hint="make it readable, and compare again") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SanctityError("result-unreadable", "it was changed while it was looked at", where=path, hint="compare again")


def _mapped(file: IO[bytes], size: int) -> memoryview:
    """The bytes of *file*. What was read may still look into the map, so it is closed when the last view of it goes."""
    if not size:  # also the kernel's own files, which have no size until they are read
        return memoryview(file.read())
    try:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError:  # a file system that maps nothing
        file.seek(0)
        return memoryview(file.read())


def same_beginning(one: Opened, two: Opened) -> int:
    """How many bytes the two begin with are the same, in whole pieces until one differs; all of them where the files are the same.

    Large ones are looked at where they are mapped, by NumPy where it is installed, which costs less than to copy them; small ones
    are read, which needs nothing.
    """
    if min(len(one.data), len(two.data)) >= _LARGE:
        try:
            import numpy as np
        except ImportError:
            pass
        else:
            return _same_words(np, one.data, two.data)
    one.file.seek(0)
    two.file.seek(0)
    first, second = bytearray(_PIECE), bytearray(_PIECE)
    same = 0
    while True:
        read, other = one.file.readinto(first), two.file.readinto(second)  # type: ignore[attr-defined]
        if read != other or first != second or not read:  # what a short piece leaves of the last one is the same on both sides
            return same
        same += read


def _same_words(np: Any, one: memoryview, two: memoryview) -> int:
    """`same_beginning` of what is mapped, eight bytes at a time; but for the last few, all pieces are whole."""
    size = min(len(one), len(two))
    for place in range(0, size, _PIECE):
        end = min(place + _PIECE, size)
        words = (end - place) & ~7
        x, y = (np.frombuffer(side[place : place + words], "u8") for side in (one, two))
        if not (x == y).all() or one[place + words : end] != two[place + words : end]:
            return place
    return size
