"""Files that are this user's own, or are not believed: how what is remembered is read, and how writers that meet take turns."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["alone", "read_private", "write_private"]


def _is_own(state: os.stat_result) -> bool:
    """Whether a file is this user's own, and nobody else may write to it."""
    geteuid = getattr(os, "geteuid", None)
    return geteuid is None or (state.st_uid == geteuid() and not state.st_mode & 0o022)


def read_private(folder: str, name: str, limit: int) -> bytes | None:
    """The bytes of the file *name* in *folder*, both this user's own; None where they are not, or of more than *limit* bytes.

    Raises:
        OSError: it is not there, or can not be read.
    """
    state = os.lstat(folder)
    if not stat.S_ISDIR(state.st_mode) or not _is_own(state):
        return None
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(f"{folder}/{name}", flags), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode) or not _is_own(state) or state.st_size > limit:
            return None
        return file.read()


def write_private(path: str, data: bytes) -> None:
    """Put *data* in the file at *path*, by way of a temporary one beside it. Raises OSError."""
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def alone(path: str) -> Iterator[None]:
    """Hold the lock of the file at *path*, so that two who write join what they know. Raises OSError."""
    import fcntl

    # To read and to write, which waits for nobody where it is a pipe.
    with os.fdopen(os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb+", buffering=0) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
