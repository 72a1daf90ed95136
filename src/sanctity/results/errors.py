"""The errors of reading results, in one place so that every format says them alike."""

from __future__ import annotations

from typing import Final

from sanctity.errors import DocumentError

__all__ = ["Budget", "invalid", "needs", "too_large"]

#: Values of one file, and characters of all their paths, that are looked at.
_MOST_LEAVES: Final = 2_000_000
_MOST_LETTERS: Final = 300_000_000


class Budget:
    """What reading one file may still take: a small file can describe more than fits into memory."""

    __slots__ = ("leaves", "letters")

    def __init__(self) -> None:
        self.leaves, self.letters = _MOST_LEAVES, _MOST_LETTERS

    def take(self, *texts: str) -> None:
        """Take a leaf with these texts off. Raises DocumentError ``result-too-large``."""
        self.leaves -= 1
        self.letters -= sum(map(len, texts))
        if self.leaves < 0:
            raise too_large(f"it describes more than {_MOST_LEAVES:,} values")
        if self.letters < 0:
            raise too_large(f"the paths of its values have more than {_MOST_LETTERS:,} letters")


def invalid(message: str, where: str = "") -> DocumentError:
    """The bytes are not what their format asks for."""
    return DocumentError("result-invalid", message, where=where, hint="it is damaged, cut short, or something else: write it again")


def too_large(message: str, where: str = "") -> DocumentError:
    """Reading it would take more than is given to one file."""
    return DocumentError("result-too-large", message, where=where, hint="compare its parts, or its bytes with `--bytes`")


def needs(library: str, format_: str) -> DocumentError:
    """A *library* that reads the format is not installed beside sanctity."""
    return DocumentError(
        "result-needs-library",
        f"{library} reads {format_} files, and is not installed beside sanctity",
        hint="install it where sanctity is: `pip install '.[results]'` in a clone; or compare bytes alone with `--bytes`",
    )
