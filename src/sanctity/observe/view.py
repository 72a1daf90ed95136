"""The file system as the environment sees it: the host's, or an unpacked image below a root folder.

Below a root, every absolute path and every symbolic link is taken to start there, so nothing of the host is looked at in the
image's place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

__all__ = ["View"]

_MOST_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class View:
    """A way to look: *root* is empty for the host's own file system, else an absolute folder.

    Paths given and returned are the environment's own (``/opt/venv/bin/python``); `host` says where such a path lies for us.
    """

    root: str = ""

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
        """At most *limit* bytes of the regular file at *path*, links followed. Raises OSError."""
        fd = os.open(self.host(self.real(path)) if self.root else path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(fd, "rb") as file:
            return file.read(limit)

    def exists(self, path: str) -> bool:
        """Whether *path* leads anywhere."""
        return os.path.exists(self.host(self.real(path)) if self.root else path)

    def is_folder(self, path: str) -> bool:
        """Whether *path* leads to a folder."""
        return os.path.isdir(self.host(self.real(path)) if self.root else path)

    def listing(self, path: str) -> list[str]:
        """The sorted names in the folder *path*, empty where there is none."""
        try:
            return sorted(os.listdir(self.host(self.real(path)) if self.root else path))
        except OSError:
            return []
