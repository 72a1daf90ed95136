"""Bytecode that was proven once: (source, bytecode, compiler, optimisation level), remembered as one digest each.

The same four give the same answer for good, so nothing here is ever stale. It is this user's own file or it is not believed, as the
stat cache; who can write it can make forged bytecode look proven. Sorted digests of 32 bytes each, with a checksum: damaged, it is
none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet

__all__ = ["PairsMemory", "pair_key"]

_NAME: Final = "bytecode.pairs"
_MAGIC: Final = b"sanctity pairs 1\n"
_SIZE: Final = 32
#: So many are kept at most, 32 MB of them; then the memory starts anew with the newest.
_MOST: Final = 1 << 20


def pair_key(source: bytes, bytecode: bytes, compiler: str, level: int) -> bytes:
    """The digest of one pair: raw SHA-256 of *source* and *bytecode*, the exact *compiler* (``cpython 3.11.7``), and the level."""
    return hashlib.sha256(source + bytecode + f"{compiler}\0{level}".encode()).digest()


class PairsMemory:
    """The memory in *folder*, which need not be there; an empty one remembers nothing. Nothing is raised: then nothing is known."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = f"{folder}/{_NAME}"

    def known(self) -> frozenset[bytes]:
        """The pairs that are remembered."""
        if not self.folder:
            return frozenset()
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            if not _is_own(os.lstat(self.folder), stat.S_ISDIR):
                return frozenset()
            with os.fdopen(os.open(self.path, flags), "rb") as file:
                state = os.fstat(file.fileno())
                if not _is_own(state, stat.S_ISREG) or state.st_size > len(_MAGIC) + _SIZE * (_MOST + 1):
                    return frozenset()
                data = file.read()
        except OSError:
            return frozenset()
        head, body = data[: len(_MAGIC) + _SIZE], data[len(_MAGIC) + _SIZE :]
        if head != _MAGIC + hashlib.sha256(body).digest() or len(body) % _SIZE:
            return frozenset()
        return frozenset(body[start : start + _SIZE] for start in range(0, len(body), _SIZE))

    def keep(self, proven: AbstractSet[bytes]) -> None:
        """Remember what was *proven* beside what is known."""
        if not self.folder or not proven:
            return
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            with self._alone():
                before = self.known()
                if proven <= before:
                    return
                both = before | proven
                self._write(both if len(both) <= _MOST else proven)

    def _write(self, keys: Collection[bytes]) -> None:
        body = b"".join(sorted(keys)[:_MOST])
        temporary = f"{self.path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(body).digest() + body)
            os.replace(temporary, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        import fcntl

        # To read and to write, which waits for nobody where it is a pipe.
        with os.fdopen(os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb+", buffering=0) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _is_own(state: os.stat_result, is_kind: object) -> bool:
    """Whether what *state* is of is of that kind, this user's own, and nobody else may write to it."""
    geteuid = getattr(os, "geteuid", None)
    assert callable(is_kind)
    return bool(is_kind(state.st_mode)) and (geteuid is None or (state.st_uid == geteuid() and not state.st_mode & 0o022))
