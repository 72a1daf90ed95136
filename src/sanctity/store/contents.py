"""What was learnt of wheels once is remembered: {sha256 of the wheel -> content digest}, in one file beside the stat cache.

It is this user's own or it is not believed, as the stat cache; who can write it can make a forged environment look right, as who
can write the lock can (docs/security-model.md). It only ever grows by facts, so writers that meet join what they know.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

from sanctity.canon.contents import format_contents, joined, parse_contents
from sanctity.errors import DocumentError
from sanctity.model.artifact import Proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.artifact import WheelContent

__all__ = ["ContentsMemory"]

_NAME: Final = "contents.json"
_LARGEST: Final = 1 << 27


class ContentsMemory:
    """The memory in *folder*, which need not be there; an empty one remembers nothing."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = f"{folder}/{_NAME}"

    def known(self) -> dict[str, WheelContent]:
        """What is remembered, by the hex of each wheel's SHA-256; empty where nothing can be believed."""
        if not self.folder or not self._is_private():
            return {}
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            with os.fdopen(os.open(self.path, flags), "rb") as file:
                state = os.fstat(file.fileno())
                if not stat.S_ISREG(state.st_mode) or not _is_own(state) or state.st_size > _LARGEST:
                    return {}
                return {item.sha256.value: item for item in parse_contents(file.read(), self.path, proof=Proof.REMEMBERED)}
        except (OSError, DocumentError):
            return {}

    def keep(self, learnt: Iterable[WheelContent], *, path: str = "") -> Mapping[str, WheelContent]:
        """Remember what was *learnt*, beside what is known, which is given back; *path* names where it was learnt from.

        Raises:
            DocumentError: ``contents-conflict``, a wheel is remembered with another content.
            OSError: it can not be written.
        """
        if not self.folder:
            return {}
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with self._alone():
            before = self.known()
            after = joined((*before.values(), *learnt), path or self.path)
            if after != before:
                self._write(format_contents(after.values(), proofs=True))
            return after

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of this memory, so that two who write join what they know."""
        import fcntl

        # To read and to write, which waits for nobody where it is a pipe.
        with os.fdopen(os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb+", buffering=0) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _write(self, text: str) -> None:
        temporary = f"{self.path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _is_private(self) -> bool:
        try:
            state = os.lstat(self.folder)
        except OSError:
            return False
        return stat.S_ISDIR(state.st_mode) and _is_own(state)


def _is_own(state: os.stat_result) -> bool:
    """Whether a file is this user's own, and nobody else may write to it."""
    geteuid = getattr(os, "geteuid", None)
    return geteuid is None or (state.st_uid == geteuid() and not state.st_mode & 0o022)
