"""Lock files: text in, a `model.lock.Lock` out, one module a format. Nothing here touches a disk.

`decode` is the door: what is not plain UTF-8 text, or holds a merge's leftovers, is refused before a format sees it. The file name
says which format a file is of, and where a file bears a name of its own, how its text begins does; the format says which
neighbouring files it `wants` to see, and then parses.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Final, Protocol, cast

from sanctity.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.digest import Digest
    from sanctity.model.lock import Lock, LockFormat

__all__ = ["READERS", "LockReader", "check_density", "decode", "is_other_name", "reader_for"]


class LockReader(Protocol):
    """What each format's module offers."""

    @property
    def FORMAT(self) -> LockFormat:  # noqa: N802 - a module's constant
        """The format."""

    def wants(self, text: str) -> tuple[str, ...]:
        """The neighbouring files that `parse` would like to see, as paths relative to the file whose *text* this is."""

    def parse(self, text: str, *, path: str, digest: Digest, beside: Mapping[str, str]) -> Lock:
        """The lock that *text* is; *beside* maps the paths of neighbours, relative to the lock's folder, to their text.

        Raises:
            DocumentError: with every fault found.
        """


#: Every format read: the names that its files have, and the module that reads them. A module is imported when its first file comes,
#: since reading one lock is most runs.
READERS: Final[tuple[tuple[str, str], ...]] = (
    (r"uv\.lock|.+\.py\.lock", "sanctity.lockfiles.uv"),
    (r"poetry\.lock", "sanctity.lockfiles.poetry"),
    (r"pdm(?:\.[\w-]+)?\.lock", "sanctity.lockfiles.pdm"),
    (r"Pipfile\.lock", "sanctity.lockfiles.pipfile"),
    (r"pylock(?:\.[^.]+)?\.toml", "sanctity.lockfiles.pylock"),
    (r"(?:.+\.)?conda-lock(?:[.-].+)?\.ya?ml", "sanctity.lockfiles.conda_lock"),
    (r"pixi\.lock", "sanctity.lockfiles.pixi"),
    (r"(?:conda-|explicit)[\w.-]*\.(?:lock|txt)", "sanctity.lockfiles.conda_explicit"),
    (r"(?i:.+\.txt|requirements[\w.-]*\.lock)", "sanctity.lockfiles.requirements"),
    (r"environment(?:[._-].+)?\.ya?ml", "sanctity.lockfiles.environment_yml"),
    (r"pyproject\.toml", "sanctity.lockfiles.pyproject"),
)

#: How a text of each format begins, or what it holds near its beginning, for a file whose name says nothing; the first that fits
#: counts. What none fits is no lock that we know.
_BEGINNINGS: Final[tuple[tuple[str, str], ...]] = (
    (r"^@EXPLICIT\s*$", "sanctity.lockfiles.conda_explicit"),
    (r"\A\s*\{\s*\"(?:_meta|default|develop)\"\s*:", "sanctity.lockfiles.pipfile"),
    (r"^lock-version *= *['\"][^\0]*^(?:packages *=|\[\[ *packages *\]\])", "sanctity.lockfiles.pylock"),
    (r"^lock_version *=", "sanctity.lockfiles.pdm"),
    (r"^lock-version *=|^content-hash *= *['\"]", "sanctity.lockfiles.poetry"),
    (r"^version *= *[0-9]+\s*$[^\0]*^(?:requires-python *=|\[\[package\]\]|\[manifest\])", "sanctity.lockfiles.uv"),
    (r"^version: *(?!1\s*$)[0-9]+\s*$[^\0]*^(?:environments|packages?):", "sanctity.lockfiles.pixi"),
    (r"^(?:package|metadata):\s*$[^\0]*^ *(?:- |content_hash:)", "sanctity.lockfiles.conda_lock"),
    (r"^(?:dependencies|channels):\s*$", "sanctity.lockfiles.environment_yml"),
    (r"^\[(?:project|build-system|tool\.[\w.-]+|dependency-groups)\]", "sanctity.lockfiles.pyproject"),
)
#: Endings that a lock under a name of its own may have.
_OTHER_NAMES: Final = re.compile(r".+\.(?:lock|toml|ya?ml|json)")

_CONFLICT: Final = re.compile(r"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE)
#: How often each of these may stand in a text, and how long one is that is not looked at for it: whoever parses a text makes a
#: value for each of them, which is many times larger. A real lock of 12 MB would have so many.
_DENSE: Final = (("=[{", 300_000), (",", 300_000), ("\n", 1_000_000))
#: The same for lists, a row a line; and for what a person writes.
_LISTS: Final = (("\n", 100_000),)
_WISHES: Final = (("\n", 20_000), (",", 20_000))
_SMALL: Final = 1 << 14
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_OTHER_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


def reader_for(name: str, text: str = "") -> LockReader | None:
    """The format of a file called *name* (without its folder) that holds *text*, or None where no format claims it.

    The name counts before the text; only where it is no format's own is the text looked at, and of a ``.txt`` whether it is a
    list of conda packages, which has no name of its own.
    """
    found = next((module for pattern, module in READERS if re.fullmatch(pattern, name)), "")
    if found == "sanctity.lockfiles.requirements" and "@EXPLICIT" in text and re.search(r"^@EXPLICIT\s*$", text, re.MULTILINE):
        found = "sanctity.lockfiles.conda_explicit"
    if not found and text and is_other_name(name):
        found = next((module for pattern, module in _BEGINNINGS if re.search(pattern, text, re.MULTILINE)), "")
    return cast("LockReader", importlib.import_module(found)) if found else None


def is_other_name(name: str) -> bool:
    """Whether a file called *name*, which is no format's own name, may be a lock, as its text will say."""
    return _OTHER_NAMES.fullmatch(name) is not None


def _line(data: bytes, offset: int) -> str:
    """The line that *offset* is on, in words."""
    return f"line {1 + data.count(10, 0, offset)}"


def decode(data: bytes, *, path: str, bom: bool = False) -> str:
    """The text of the file *path*, whose bytes are *data*.

    A UTF-8 byte order mark is dropped where *bom* allows one; TOML forbids it.

    Raises:
        DocumentError: ``lock-bad-encoding``, ``lock-empty`` or ``lock-merge-conflict``, with the line.
    """
    if data.startswith(_UTF8_BOM):
        if not bom:
            message = "starts with a byte order mark, which files of this format do not have"
            raise DocumentError("lock-bad-encoding", message, where=path, hint="save it as UTF-8 without a byte order mark")
        data = data[len(_UTF8_BOM) :]
    if data.startswith(_OTHER_BOMS):
        raise DocumentError("lock-bad-encoding", "is UTF-16 or UTF-32 text", where=path, hint="save it as UTF-8")
    if not data.strip():
        raise DocumentError("lock-empty", "is empty", where=path, hint="lock again")
    nul = data.find(b"\0")
    if nul >= 0:
        message = "holds a NUL byte, so it is no text"
        raise DocumentError("lock-bad-encoding", message, where=f"{path}: {_line(data, nul)}", hint="lock again")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        where = f"{path}: {_line(data, error.start)}"
        raise DocumentError("lock-bad-encoding", "is not UTF-8 text", where=where, hint="save it as UTF-8") from error
    if "<<<<<<< " in text or ">>>>>>> " in text:
        conflict = _CONFLICT.search(text)
        if conflict:
            newlines = text.count("\n", 0, conflict.start())
            message = "holds the markers of an unfinished merge"
            raise DocumentError(
                "lock-merge-conflict", message, where=f"{path}: line {1 + newlines}", hint="finish the merge, then lock again"
            )
    return text


def check_density(text: str, format_: LockFormat, *, path: str) -> None:
    """Refuse the *text* of the file *path* where it holds more values than any real file of its format.

    Raises:
        DocumentError: ``lock-too-large``.
    """
    if len(text) <= _SMALL:
        return
    is_list = format_.value in {"requirements", "conda-explicit"}
    bounds = (*_DENSE, *(_LISTS if is_list else () if format_.is_lock else _WISHES))
    if any(sum(text.count(mark) for mark in marks) > most for marks, most in bounds):
        message = "holds more values than any real lock"
        raise DocumentError("lock-too-large", message, where=path, hint="name the right file")
