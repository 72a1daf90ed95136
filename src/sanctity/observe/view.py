"""The file system as the environment sees it: the host's, or an unpacked image below a root folder.

Below a root, every absolute path and every symbolic link is taken to start there, so nothing of the host is looked at in the
image's place.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import Final

__all__ = ["View", "is_blind"]

_MOST_LINKS: Final = 40
_SMALL: Final = 1 << 14
_CHUNK: Final = 1 << 24
#: What an error says of the file itself: it is not there, no regular file, a loop, too large. Any other hides what is there.
_TELLING: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EINVAL,
        errno.ELOOP,
        errno.EFBIG,
        errno.ENXIO,
        errno.ENODEV,
    }
)


def is_blind(error: OSError) -> bool:
    """Whether *error* keeps us from knowing what is there, so that it leaves a verdict undecided; else it is a finding itself."""
    return error.errno not in _TELLING


def _need_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file")


@dataclass(frozen=True, slots=True)
class View:
    """A way to look: *root* is empty for the host's own file system, else an absolute folder.

    Paths given and returned are the environment's own (``/opt/venv/bin/python``); `host` says where such a path lies for us.
    *asked* grows by every path that is looked at, *listed* by the folders whose names are: a look rests on these.
    """

    root: str = ""
    asked: set[str] = field(default_factory=set, compare=False, repr=False)
    listed: set[str] = field(default_factory=set, compare=False, repr=False)

    def host(self, path: str) -> str:
        """The path to open for the environment's own absolute *path*; links on the way are still to be followed."""
        return self.root + path if self.root else path

    def inside(self, host: str) -> str:
        """The environment's own name of a *host* path."""
        if not self.root:
            return host
        return "/" + os.path.relpath(host, self.root).removeprefix("./") if host != self.root else "/"

    def real(self, path: str) -> str:
        """*path* with every link resolved, as the environment would. Loops and absent parts are kept as they are."""
        if "\0" in path:
            return path
        self.asked.add(path)
        if not self.root:
            return os.path.realpath(path)
        done = ""
        left = [part for part in reversed(path.split("/")) if part]
        links = 0
        while left:
            part = left.pop()
            if part == ".":
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            step = f"{done}/{part}"
            try:
                target = os.readlink(self.root + step)
            except OSError:
                done = step
                continue
            links += 1
            if links > _MOST_LINKS:
                return path
            if target.startswith("/"):
                done = ""
            left.extend(piece for piece in reversed(target.split("/")) if piece)
        return done or "/"

    def read(self, path: str, limit: int) -> bytes:
        """The regular file at *path*, links followed, whole. Raises OSError; EFBIG where it has more than *limit* bytes."""
        data = self.read_head(path, limit + 1)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes")
        return data

    def read_head(self, path: str, limit: int) -> bytes:
        """At most the first *limit* bytes of the regular file at *path*, links followed. Raises OSError."""
        place = self._place(path)
        # Opening some devices does something, and opening a FIFO waits: so look first, and look again at what was opened.
        _need_regular(os.stat(place).st_mode)
        fd = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            state = os.fstat(fd)
            _need_regular(state.st_mode)
            step = min(max(state.st_size + 1, _SMALL), _CHUNK)
            parts: list[bytes] = []
            while limit > 0 and (part := os.read(fd, min(limit, step))):
                parts.append(part)
                limit -= len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def _place(self, path: str) -> str:
        """The path to open for *path*, with every link resolved below the root. Raises OSError."""
        if "\0" in path:
            raise OSError(errno.ENOENT, "its name holds a NUL")
        self.asked.add(path)
        return self.host(self.real(path)) if self.root else path

    def exists(self, path: str) -> bool:
        """Whether *path* leads anywhere."""
        self.asked.add(path)
        return os.path.exists(self.host(self.real(path)) if self.root else path)

    def is_folder(self, path: str) -> bool:
        """Whether *path* leads to a folder."""
        self.asked.add(path)
        return os.path.isdir(self.host(self.real(path)) if self.root else path)

    def listing(self, path: str) -> list[str]:
        """The sorted names in the folder *path*, empty where there is none."""
        self.listed.add(path)
        try:
            return sorted(os.listdir(self._place(path)))
        except OSError:
            return []
