"""What goes wrong, as data.

Every error a caller may meet descends from `SanctityError` and carries four plain fields, so that any report can draw it:
a stable kebab-case `code`, `where` it happened (a file and the place inside it), the `message`, and a `hint` that names
the remedy. This module imports nothing of ours, so anything may import it. A drift is a result, never an exception.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

__all__ = [
    "DocumentError",
    "Issue",
    "NoEnvironmentError",
    "ObservationError",
    "SanctityError",
    "UsageError",
]

_CODE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class SanctityError(Exception):
    """The root of everything sanctity raises on purpose.

    *exit_code* follows section 2 of the contract: 2 for bad usage or unreadable input, 3 for undecided or failed.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "") -> None:
        if not _CODE.fullmatch(code):
            raise AssertionError(f"not a kebab-case error code: {code!r}")
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(f"{where}: {message}" if where else message)
        if hasattr(self, "add_note"):  # before Python 3.11 there is none
            # What a program of somebody else's prints that does not catch it.
            more = f"{code}: `sanctity explain {code}` says more"
            self.add_note(f"{hint}\n{more}" if hint else more)


class UsageError(SanctityError):
    """The command line asks for something that can not be done as asked."""

    exit_code: ClassVar[int] = 2


class DocumentError(SanctityError):
    """A lock, seal or policy can not be read; *issues* lists everything found wrong with it, in document order."""

    exit_code: ClassVar[int] = 2

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "", issues: tuple[Issue, ...] = ()) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.issues = issues


class NoEnvironmentError(SanctityError):
    """No environment was found in any of the places looked at."""

    exit_code: ClassVar[int] = 2


class ObservationError(SanctityError):
    """The environment can not be looked at, as a whole."""


class Issue:
    """One fault of a document: a stable *code*, the *where* inside the document, a *message* and a *hint*."""

    __slots__ = ("code", "hint", "message", "where")

    def __init__(self, code: str, where: str, message: str, hint: str = "") -> None:
        self.code = code
        self.where = where
        self.message = message
        self.hint = hint

    def __repr__(self) -> str:
        return f"Issue({self.code!r}, {self.where!r}, {self.message!r})"
