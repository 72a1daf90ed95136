"""Bytecode that was proven once: (source, bytecode, compiler, optimisation level), remembered as one digest each.

The same four give the same answer for good, so nothing here is ever stale. It is this user's own file or it is not believed, as the
stat cache; who can write it can make forged bytecode look proven. Sorted digests of 32 bytes each, with a checksum: damaged, it is
none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Final

from sanctity.store.private import alone, read_private, write_private

if TYPE_CHECKING:
    from collections.abc import Collection
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
        try:
            data = read_private(self.folder, _NAME, len(_MAGIC) + _SIZE * (_MOST + 1))
        except OSError:
            return frozenset()
        if data is None:
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
            with alone(self.path):
                before = self.known()
                if proven <= before:
                    return
                both = before | proven
                self._write(both if len(both) <= _MOST else proven)

    def _write(self, keys: Collection[bytes]) -> None:
        body = b"".join(sorted(keys)[:_MOST])
        write_private(self.path, _MAGIC + hashlib.sha256(body).digest() + body)
