"""Files that programs wrote, found and mapped into memory.

A file that another process cuts short while it is looked at ends this one by SIGBUS, which is no verdict.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from sanctity.errors import SanctityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "find_results", "mapped"]


class Found(NamedTuple):
    """What lies at a *path*, relative to what was named: a file to read, or with *why* something else; a link's *target*."""

    path: str
    full: str
    why: str = ""
    target: str = ""


def find_results(root: str) -> dict[str, Found]:
    """The files below the folder *root*, by their paths relative to it, sorted; of a file itself one, at the empty path.

    Links to files are followed; those to folders are not, and are told by where they point.

    Raises:
        UsageError: ``result-not-found``, nothing is there.
        SanctityError: ``result-unreadable``, a folder can not be listed.
    """
    try:
        kind = os.stat(root).st_mode
    except OSError as error:
        raise UsageError(
            "result-not-found", error.strerror or "nothing is there", where=root, hint="name a file or folder that is there"
        ) from error
    if not stat.S_ISDIR(kind):
        return {"": Found("", root, "" if stat.S_ISREG(kind) else "it is no regular file")}
    return {found.path: found for found in sorted(_below(root, ""))}


def _below(folder: str, prefix: str) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise SanctityError("result-unreadable", error.strerror or "it can not be listed", where=folder) from error
    for entry in entries:
        path = prefix + entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, f"{path}/")
            elif entry.is_file():
                yield Found(path, entry.path)
            elif entry.is_symlink():
                yield Found(path, entry.path, target=os.readlink(entry.path))
            else:
                yield Found(path, entry.path, "it is no regular file")
        except OSError as error:
            yield Found(path, entry.path, error.strerror or "it can not be looked at")


@contextlib.contextmanager
def mapped(path: str) -> Iterator[memoryview]:
    """The bytes of the file at *path*. Raises SanctityError ``result-unreadable``."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise SanctityError("result-unreadable", words, where=path, hint="make it readable, and compare again") from error
    # What was read may still look into the map, so it is closed when the last view of it goes.
    yield data
