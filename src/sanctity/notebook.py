"""``%load_ext sanctity.notebook``, then ``%sanctity``: the verdict on the environment that the kernel runs in, in a cell.

The look is taken by a process outside of the kernel; see `outside`. What the magic gives is a value too: ``verdict = %sanctity``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanctity.errors import SanctityError
    from sanctity.model.drift import Comparison

__all__ = ["Shown", "load_ipython_extension", "look"]

_USAGE = "%sanctity [REFERENCE] [--seal FILE] [--command EXE] [--timeout SECONDS]"


class Shown:
    """A verdict, as a cell shows it: *comparison* holds what was found, and *error* why nothing was, where that is so."""

    def __init__(self, found: Comparison | SanctityError) -> None:
        from sanctity.model.drift import Comparison

        self.comparison: Comparison | None = found if isinstance(found, Comparison) else None
        self.error: SanctityError | None = None if isinstance(found, Comparison) else found

    @property
    def verdict(self) -> str:
        """``clean``, ``drifted`` or ``undecided``; what failed is undecided."""
        return str(self.comparison.verdict) if self.comparison is not None else "undecided"

    def _repr_html_(self) -> str:
        from html import escape

        from sanctity.report.html import comparison_html
        from sanctity.report.text import error_text

        if self.comparison is not None:
            return comparison_html(self.comparison)
        assert self.error is not None
        style = "border-left:3px solid #cf222e;padding-left:.6em;white-space:pre-wrap;background:none;color:inherit"
        return f'<pre style="{style}">{escape(error_text(self.error))}</pre>\n'

    def __repr__(self) -> str:
        from sanctity.report.text import comparison_text, error_text

        if self.comparison is not None:
            return comparison_text(self.comparison, "verify").rstrip("\n")
        assert self.error is not None
        return error_text(self.error).rstrip("\n")


def look(line: str = "") -> Shown:
    """What the magic gives for *line*, which has its form. A fault of the line, too, is told in the cell and never raised."""
    import os
    import sys

    from sanctity.errors import SanctityError
    from sanctity.outside import find_outside, look_from_outside

    try:
        reference, command, timeout = _arguments(line)
        cwd = os.getcwd()
        outside = find_outside(command, prefix=sys.prefix, cwd=cwd, search=os.environ.get("PATH", ""))
        found = look_from_outside(outside, prefix=sys.prefix, cwd=cwd, environ=os.environ, reference=reference, timeout=timeout)
    except SanctityError as error:
        return Shown(error)
    except OSError as error:
        return Shown(SanctityError("no-working-folder", f"the working folder is gone: {error.strerror}", hint="restart the kernel"))
    return Shown(found)


def _arguments(line: str) -> tuple[str, str, float]:
    """The reference, the command and the time-out in seconds that *line* names. Raises UsageError."""
    from sanctity.errors import UsageError

    try:
        return _parse(line)
    except (ValueError, IndexError) as error:
        said = "an option has no value" if isinstance(error, IndexError) else str(error)
        raise UsageError("usage", said, where=f"%sanctity {line}", hint=_USAGE) from error


def _parse(line: str) -> tuple[str, str, float]:
    import shlex

    found = {"--seal": "", "--command": "", "--timeout": "600"}
    references: list[str] = []
    words = shlex.split(line)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in found:
            found[name] = value if equals else words.pop(0)
        elif word.startswith("-"):
            raise ValueError(f"{word} is not known")
        else:
            references.append(word)
    references += [found["--seal"]] if found["--seal"] else []
    if len(references) > 1:
        raise ValueError(f"{' and '.join(references)} are both named")
    timeout = float(found["--timeout"])
    if not 0 < timeout < 1e6:
        raise ValueError(f"{found['--timeout']} is no number of seconds")
    return references[0] if references else "", found["--command"], timeout


def load_ipython_extension(ipython: Any) -> None:
    """Give *ipython*, an interactive shell, the magic."""
    ipython.register_magic_function(look, magic_kind="line", magic_name="sanctity")
