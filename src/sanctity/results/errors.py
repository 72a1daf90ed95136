"""The errors of reading results, in one place so that every format says them alike."""

from __future__ import annotations

from sanctity.errors import DocumentError

__all__ = ["invalid", "needs", "too_large"]


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
        hint="install sanctity with its extra, `sanctity[results]`, or compare bytes alone with `--bytes`",
    )
