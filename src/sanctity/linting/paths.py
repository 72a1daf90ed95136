"""Paths of a project's files, relative to its folder or to another one in it, as thought has them: without a working folder."""

from __future__ import annotations

import posixpath
from typing import Final

__all__ = ["relative"]

#: A folder that no path names, for those that lead out of the project to be in.
_ABOVE: Final = "/\0"


def relative(path: str, folder: str) -> str:
    """*path* as seen from *folder*, both relative to one place, which may lead out of it (``../all.txt``).

    `posixpath.relpath` asks for the working folder, and near the root of the file system loses what leads out.
    """
    if path.startswith("/"):
        return path
    above = _ABOVE * (1 + path.count("..") + folder.count(".."))
    return posixpath.relpath(f"{above}/{path}", f"{above}/{folder}")
