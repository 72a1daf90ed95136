"""Seals on disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.observe.view import View

if TYPE_CHECKING:
    from sanctity.model.seal import Seal

__all__ = ["SEAL_NAME", "has_rows", "is_seal", "read_seal"]

#: The name of a project's seal.
SEAL_NAME: Final = "env.seal.json"
_LARGEST: Final = 1 << 26
_HERE: Final = View()


def is_seal(path: str) -> bool:
    """Whether the file at *path* is meant to be a seal: by its name, or by what it begins with."""
    if path.endswith(".seal.json"):
        return True
    try:
        return b'"sanctity.seal/' in _HERE.read_head(path, 200)
    except OSError:
        return False


def read_seal(path: str, *, shown: str = "") -> Seal:
    """The seal at *path*, which a report calls *shown*.

    Raises:
        DocumentError: it can not be read, or is none.
    """
    shown = shown or path
    try:
        data = _HERE.read(path, _LARGEST)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise DocumentError(
            "seal-not-found" if missing else "seal-unreadable",
            "there is no such file" if missing else error.strerror or "it can not be read",
            where=shown,
            hint="write one with `sanctity seal`" if missing else "make it readable",
        ) from error
    from sanctity.seals.document import parse_seal

    return parse_seal(data, shown)


def has_rows(path: str) -> bool:
    """Whether rows are kept beside the seal at *path*."""
    if not os.path.lexists(path) or not is_seal(path):
        return False  # what reads one is imported where there is one
    from sanctity.seals.files import files_name

    return os.path.lexists(files_name(path))
