"""The rows beside a seal, ``env.seal.files``, as they lie on disk or in a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.observe.view import View
from sanctity.seals.files import files_name, parse_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.seals.files import Rows

__all__ = ["read_rows", "read_rows_beside"]

_LARGEST: Final = 1 << 26
_HERE: Final = View()


def _read(path: str, limit: int) -> bytes | None:
    try:
        return _HERE.read(path, limit)
    except FileNotFoundError:
        return None


def read_rows(seal: str, *, shown: str = "", read: Callable[[str, int], bytes | None] = _read) -> Rows:
    """The rows in the file beside the seal at the path *seal*, proven by their digests; empty where there is no such file.

    *read* gives the bytes of a file, or None where there is none; *shown* is how a report calls the seal.

    Raises:
        DocumentError: it can not be read, or the rows are not what their digests say.
    """
    shown = files_name(shown or seal)
    try:
        data = read(files_name(seal), _LARGEST)
    except OSError as error:
        reason = error.strerror or "it can not be read"
        raise DocumentError("seal-unreadable", reason, where=shown, hint="make it readable") from error
    return {} if data is None else parse_files(data, shown)


def read_rows_beside(seal: str, *, shown: str = "", read: Callable[[str, int], bytes | None] = _read) -> tuple[Rows, str]:
    """The rows as `read_rows` gives them, and a notice where they can not be believed.

    Without them only the names of files are lost, so a file that is damaged, or that does not hash to what it says, is told and
    passed over.
    """
    try:
        return read_rows(seal, shown=shown, read=read), ""
    except DocumentError as error:
        return {}, f"{files_name(shown or seal)} was passed over: {error.code}: {error.message}"
