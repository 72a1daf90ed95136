"""Where environments are made and thrown away: a folder of this process alone, below the folder for temporary files.

A folder is held by a lock on the file ``alive`` in it, which its process gives up however it ends. So what a process that was
killed left behind is known for what it is, by whoever comes next: a command that still runs in it is ended, and the folder removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import stat
import sys
import tempfile
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from sanctity.errors import SanctityError, UsageError
from sanctity.processes import end_group, started_at
from sanctity.timeline.running import remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Workplace", "alone_with", "alone_with_log"]

_PREFIX: Final = "sanctity-bisect-"
#: A process that is making its folder holds it from so many seconds on.
_YOUNG: Final = 60


class Workplace:
    """A context manager: the folder `home` is there in it, and gone at its end, but for what was asked to be kept."""

    def __init__(self) -> None:
        self.home = ""
        self._alive = -1
        self._numbers = count(1)

    def __enter__(self) -> Self:
        try:
            _sweep(tempfile.gettempdir())
            self.home = os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX))
            self._alive = os.open(f"{self.home}/alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SanctityError(
                "bisect-no-room",
                f"no environment can be made: {error.strerror}",
                where=error.filename or tempfile.gettempdir(),
                hint="name a folder with room for several environments in TMPDIR",
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        remove(self.home)
        os.close(self._alive)

    def folder(self) -> str:
        """A new path in it; nothing is there yet."""
        return f"{self.home}/env-{next(self._numbers)}"

    def note(self, number: int) -> None:
        """Note that the process group *number* works here, for whoever finds this folder after a sudden end."""
        with contextlib.suppress(OSError), open(f"{self.home}/running-{number}", "w", encoding="ascii") as file:
            file.write(f"{number} {started_at(number)}\n")


@contextlib.contextmanager
def alone_with(result: str) -> Iterator[None]:
    """In this context no other bisect of this machine removes the file or folder *result*, or takes it for its own.

    Raises:
        UsageError: ``bisect-output-exists``, another one has it.
    """
    with _alone("", result) as alone:
        if not alone:
            words = "another bisect that is running compares it, and removes it after each run"
            hint = "wait until that one has ended, or let this one write another file"
            raise UsageError("bisect-output-exists", words, where=result, hint=hint)
        yield


@contextlib.contextmanager
def alone_with_log(path: str, shown: str) -> Iterator[None]:
    """In this context no other bisect of this machine writes the log at *path*, which people call *shown*.

    Raises:
        SanctityError: ``bisect-log-busy``, another one does.
    """
    with _alone("log-", path) as alone:
        if not alone:
            words = "another bisect works on this log, and writes it after every step"
            hint = "wait until that one has ended, or name another file with --log"
            raise SanctityError("bisect-log-busy", words, where=shown, hint=hint)
        yield


@contextlib.contextmanager
def _alone(kind: str, path: str) -> Iterator[bool]:
    """Whether no other process is in such a context for the same *kind* and *path*; if so, none gets in before this one is left.

    It is a name that only one process can have (unix(7), abstract sockets), and that is free again however that one ends. Where the
    system has no such names, nothing is held.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        try:
            if sys.platform == "linux":
                held.bind(f"\0sanctity-bisect-{kind}{name}")
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                yield False
                return
        yield True


def _sweep(below: str) -> None:
    """Remove what processes of this user that are no more left *below*."""
    with contextlib.suppress(OSError):
        for name in os.listdir(below):
            if name.startswith(_PREFIX):
                with contextlib.suppress(OSError):
                    _sweep_one(os.path.join(below, name))


def _sweep_one(home: str) -> None:
    state = os.lstat(home)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        return
    try:
        alive = os.open(f"{home}/alive", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        import time

        if time.time() - state.st_mtime > _YOUNG:  # else somebody makes it just now
            remove(home)
        return
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        # Closing it gives the lock up again, which matters to nobody: its process is gone.
        os.close(alive)
    for name in os.listdir(home):
        if name.startswith("running-"):
            _end_noted(os.path.join(home, name))
    remove(home)


def _end_noted(path: str) -> None:
    """End the process group that the file at *path* names, if it is the one that was meant, and not another of its number."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        number, _, when = file.read().strip().partition(" ")
        if when and started_at(int(number)) == when:
            end_group(int(number), 0.0)
