"""Lock files as they lie on disk: bytes read and hashed, neighbours found, the format asked to parse.

A lock is read whole, once, and within bounds: at most 64 MiB for it and everything it pulls in, at most 256 files, regular
files only (a FIFO can not make a verify hang). What a format wants beside the lock and is not there is left out, for the
format to judge; what is there and can not be read is an error, since a lock read in part is no lock.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.lockfiles import LockReader, check_density, decode, is_other_name, reader_for
from sanctity.model.digest import Digest
from sanctity.model.lock import Lock, LockFormat
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_BYTES", "MAX_FILES", "read_lock"]

#: The most bytes of a lock together with all files it pulls in; a file of exactly this size is still read.
MAX_BYTES: Final = 64 * 1024 * 1024
#: The most files that a lock may consist of.
MAX_FILES: Final = 256
_CHUNK: Final = 1024 * 1024
#: What people write in an editor, which may put a byte order mark before it; pip and conda read past that too.
_BY_HAND: Final = frozenset({LockFormat.REQUIREMENTS, LockFormat.ENVIRONMENT_YML})
_NO_LOCK: Final = "name the right file: no real lock is that large"
_LET: Final = "let its reader read it, and try again"
_INCLUDE: Final = "put the file where this line says, or take the line out"


def read_lock(
    path: str | os.PathLike[str],
    *,
    reader: LockReader | None = None,
    read: Callable[[str, int], bytes | None] | None = None,
    revision: str = "",
    partial: bool = False,
) -> Lock:
    """The lock at *path*, in the format that its file name says, or in *reader*'s.

    *read* gives the bytes of a file, at most so many, or None where there is none: it reads what a *revision* (``main:``) had,
    which is then shown before each path. The lock's `path` is *path* as given. Its digest is the SHA-256 of the file's bytes;
    for requirements of several files, that of the canonical list of [path relative to the first file's folder, digest].

    A file that it includes and that is not there is an error, but with *partial*, where the lock only has a note of it: a lock
    that was read in part is there to be looked at, and for nothing to be judged by.

    Raises:
        DocumentError: it can not be read, is too large, or is not a sound lock of its format.
    """
    read = read or _read
    given = reader
    plain = os.fspath(path)
    shown = revision + plain
    folder, name = os.path.split(plain)
    if reader is None:
        reader = reader_for(name)
        if reader is None and not is_other_name(name):
            raise _unknown(name, shown)
    data = read(plain, MAX_BYTES)
    if data is None:
        raise DocumentError("lock-not-found", "there is no such file", where=shown, hint="lock the project, or name its lock")
    text = decode(data, path=shown, bom=reader is not None and reader.FORMAT in _BY_HAND)
    reader = given or reader_for(name, text)
    if reader is None:
        raise _unknown(name, shown)
    check_density(text, reader.FORMAT, path=shown)
    tree = reader.FORMAT is LockFormat.REQUIREMENTS
    own = _printable(name)
    digests = {own: _sha256(data)}
    left = MAX_BYTES - len(data)
    beside: dict[str, str] = {}
    seen = {own}
    waiting = [("", wanted) for wanted in reader.wants(text)]
    while waiting:
        base, wanted = waiting.pop()
        key = _key(base, wanted)
        if key in seen or "://" in wanted:
            continue
        seen.add(key)
        if len(seen) > MAX_FILES:
            raise DocumentError("lock-too-large", f"it consists of more than {MAX_FILES} files", where=shown, hint=_NO_LOCK)
        place = os.path.join(folder, key)
        data = read(place, left)
        if data is None:
            continue
        left -= len(data)
        digests[key] = _sha256(data)
        beside[key] = decode(data, path=revision + place, bom=reader.FORMAT in _BY_HAND) if data.strip() else ""
        check_density(beside[key], LockFormat.REQUIREMENTS if tree else LockFormat.PYPROJECT, path=revision + place)
        if tree:
            waiting.extend((posixpath.dirname(key), more) for more in reader.wants(beside[key]))
    digest = digests[own]
    if tree and len(digests) > 1:
        digest = _sha256(canonical(sorted([key, str(value)] for key, value in digests.items())))
    try:
        lock = replace(reader.parse(text, path=shown, digest=digest, beside=beside), files=tuple(sorted(seen - {own})))
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        message = "it holds a version number with more digits than Python reads"
        raise DocumentError("lock-bad-version", message, where=shown, hint="lock again") from error
    missing = next((note for note in lock.notes if note.code == "lock-include-missing"), None)
    if missing is not None and not partial:
        raise DocumentError(missing.code, missing.message, where=f"{shown}: {missing.where}", hint=_INCLUDE)
    return lock


def _unknown(name: str, shown: str) -> DocumentError:
    hint = "name a lock (uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml, conda-lock.yml, pixi.lock) or requirements"
    return DocumentError("lock-unknown-format", f"no lock format has files like {name!r}", where=shown, hint=hint)


def _key(base: str, wanted: str) -> str:
    """The neighbour *wanted* by a file in *base*, as a path relative to the lock's folder, with ``/`` and without ``.``."""
    return posixpath.normpath(posixpath.join(base, wanted.replace(os.sep, "/")))


def _printable(name: str) -> str:
    """*name* as text that has canonical bytes, whatever bytes the file system has."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _sha256(data: bytes) -> Digest:
    return Digest.of_sha256(hashlib.sha256(data).digest())


def _read(path: str, limit: int) -> bytes | None:
    """The bytes of the regular file *path*, None where there is none; at most *limit* of them, or it is too large.

    Raises:
        DocumentError: ``lock-unreadable``, ``lock-not-a-file`` or ``lock-too-large``.
    """
    try:
        # Opening a FIFO waits for its writer; with O_NONBLOCK it does not, and a regular file does not care.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        raise DocumentError("lock-unreadable", f"can not be opened: {reason}", where=path, hint=_LET) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("lock-not-a-file", "is not a regular file", where=path, hint="name the lock itself")
        chunks: list[bytes] = []
        left = limit + 1
        while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK))):
            chunks.append(chunk)
            left -= len(chunk)
    except OSError as error:
        raise DocumentError("lock-unreadable", f"can not be read: {error.strerror}", where=path, hint=_LET) from error
    finally:
        os.close(descriptor)
    if left <= 0:
        message = f"more than {MAX_BYTES // 2**20} MiB, with all that it pulls in"
        raise DocumentError("lock-too-large", message, where=path, hint=_NO_LOCK)
    return b"".join(chunks)
