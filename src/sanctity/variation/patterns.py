"""The patterns that name what a run writes (``out/**``).

A pattern is a path relative to the working folder, whose parts may hold ``*``, ``?`` and ``[…]``; the part ``**`` stands for any
number of them, none too. One that names a folder names all below it. Names that begin with a dot are no exception.
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, Final

from sanctity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Patterns"]

_WILD: Final = re.compile(r"[*?\[]")


class Patterns:
    """The patterns *texts*, none of them for everything.

    Raises:
        UsageError: ``usage``, one is absolute, empty, or leads out of the folder.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        rows = [self._parts(text) for text in texts]
        #: Patterns that name everything are none.
        self.all = not rows or any(not row or set(row) == {"**"} or row == ["**", "*"] for row in rows)
        self._rows: list[list[str]] = [] if self.all else rows
        self._compiled = [(_compile(row), not _WILD.search(row[0]), row) for row in self._rows]

    @staticmethod
    def _parts(text: str) -> list[str]:
        hint = "name it relative to the working folder, such as 'out/**'"
        if not text or "\0" in text:
            raise UsageError("usage", "an empty pattern names no outputs", where=f"--outputs {text!r}", hint=hint)
        if os.path.isabs(text):
            raise UsageError("usage", "outputs lie in the working folder", where=f"--outputs {text}", hint=hint)
        parts = [part for part in text.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise UsageError("usage", "a pattern leads out of the working folder", where=f"--outputs {text}", hint=hint)
        return parts

    def match(self, path: str) -> bool:
        """Whether the file or folder *path*, or one that it is below of, is named. Where there are no patterns nothing is."""
        return any(compiled.match(path) for compiled, _, _ in self._compiled)

    def fresh(self, path: str) -> bool:
        """Whether *path* is named by a pattern that begins with a name: it is left out. Else it may be an input as well."""
        return any(literal and compiled.match(path) for compiled, literal, _ in self._compiled)

    def is_folder(self, path: str) -> bool:
        """Whether *path* is a folder that patterns name by its name alone (``out`` or ``out/**``)."""
        parts = path.split("/")
        return any(row in (parts, [*parts, "**"], [*parts, "**", "*"]) for row in self._rows)

    def leads(self, folder: str) -> bool:
        """Whether *folder* is on the way to what a pattern names that begins with a name, part by part."""
        parts = folder.split("/")
        return any(
            literal
            and len(row) > len(parts)
            and "**" not in row[: len(parts)]
            and all(fnmatch.fnmatchcase(part, wanted) for part, wanted in zip(parts, row, strict=False))
            for _, literal, row in self._compiled
        )

    def reach(self, folder: str) -> bool:
        """Whether a pattern that begins with a name can name something below *folder*."""
        parts = folder.split("/")
        for _, literal, row in self._compiled:
            if literal:
                for number, part in enumerate(row):
                    if number == len(parts) or part == "**":
                        return True
                    if not fnmatch.fnmatchcase(parts[number], part):
                        break
        return False


def _compile(parts: Sequence[str]) -> re.Pattern[str]:
    text = ""
    for number, part in enumerate(parts):
        last = number + 1 == len(parts)
        if part == "**":
            text += ".+" if last else "(?:.+/)?"
        else:
            text += _part(part) + ("" if last else "/")
    return re.compile(f"(?:{text})(?:/.*)?\\Z", re.DOTALL)


def _part(part: str) -> str:
    """The regular expression for one *part* of a pattern, as `fnmatch` has it, but that no wildcard reaches over a slash."""
    text, at = "", 0
    while at < len(part):
        sign, at = part[at], at + 1
        end = part.find("]", at + 1 + part.startswith("!", at)) if sign == "[" else -1
        if sign in "*?":
            text += "[^/]*" if sign == "*" else "[^/]"
        elif end > 0:
            inner = (
                part[at:end].replace("\\", r"\\").replace("[", r"\[").replace("&", r"\&").replace("~", r"\~").replace("|", r"\|")
            )
            text += f"[^{inner[1:]}]" if inner.startswith("!") else "[" + (rf"\{inner}" if inner.startswith("^") else inner) + "]"
            at = end + 1
        else:
            text += re.escape(sign)
    return text


# -- what was written --------------------------------------------------------------------------------------------------------------
