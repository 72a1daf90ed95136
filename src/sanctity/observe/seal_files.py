"""The rows beside a seal, ``env.seal.files``, as they lie on disk or in a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.observe.view import View
from sanctity.seals.files import files_name, parse_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.seals.files import Rows

__all__ = ["read_rows_beside"]

_LARGEST: Final = 1 << 26
_HERE: Final = View()


def _read(path: str, limit: int) -> bytes | None:
    try:
        return _HERE.read(path, limit)
    except FileNotFoundError:
        return None


def read_rows_beside(seal: str, *, shown: str = "", read: Callable[[str, int], bytes | None] = _read) -> tuple[Rows, str]:
    """The rows in the file beside the seal at the path *seal*, by their digests, and a notice where they can not be believed.

    Without them only the names of files are lost, so a file that is damaged, or that does not hash to what it says, is told and
    passed over. *read* gives the bytes of a file, or None where there is none; *shown* is how a report calls it.
    """
    path = files_name(seal)
    shown = files_name(shown or seal)
    try:
        data = read(path, _LARGEST)
        return ({}, "") if data is None else (parse_files(data, shown), "")
    except OSError as error:
        return {}, f"{shown} was passed over: {error.strerror or error}"
    except DocumentError as error:
        return {}, f"{shown} was passed over: {error.code}: {error.message}"
