"""Where environments are made and thrown away, and what only one bisect of a machine may have at a time: a result, a log."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import sys
import tempfile
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from sanctity.errors import SanctityError, UsageError
from sanctity.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Workplace", "alone_with", "alone_with_log"]

_PREFIX: Final = "sanctity-bisect-"


class Workplace:
    """A context manager: the folder `home` is there in it, and gone at its end, but for what was asked to be kept."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __enter__(self) -> Self:
        try:
            self._scratch = Scratch(_PREFIX)
        except OSError as error:
            raise SanctityError(
                "bisect-no-room",
                f"no environment can be made: {error.strerror}",
                where=error.filename or tempfile.gettempdir(),
                hint="name a folder with room for several environments in TMPDIR",
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scratch.close()

    @property
    def home(self) -> str:
        """The folder."""
        return self._scratch.home

    def folder(self) -> str:
        """A new path in it; nothing is there yet."""
        return f"{self.home}/env-{next(self._numbers)}"

    def note(self, number: int) -> None:
        """Note that the process group *number* works here, for whoever finds this folder after a sudden end."""
        self._scratch.note(number)


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
