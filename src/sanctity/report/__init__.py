"""Any result in, text out: one module a format, imported by whoever asks for that format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Comparison

__all__ = ["FORMATS", "Report"]

if TYPE_CHECKING:
    #: The line of a distribution in the lock or seal, by name and version, as `lockfiles.lines` gives it.
    Lines = Mapping[tuple[str, str], int]


class Report(Protocol):
    """What each format offers for a comparison."""

    def __call__(self, comparison: Comparison, verb: str, *, lines: Lines, exit_code: int | None = None) -> str:
        """The report of *comparison*, which *verb* made.

        *lines* says where in the lock or seal a distribution stands, for the formats that point there; *exit_code* is what the
        process will exit with, where that is not what the verdict alone says.
        """


def _text(comparison: Comparison, verb: str, *, lines: Lines, exit_code: int | None = None) -> str:
    from sanctity.report.text import comparison_text

    del lines, exit_code
    return comparison_text(comparison, verb)


def _json(comparison: Comparison, verb: str, *, lines: Lines, exit_code: int | None = None) -> str:
    from sanctity.report.json import comparison_json

    del lines, exit_code
    return comparison_json(comparison, verb)


def _markdown(comparison: Comparison, verb: str, *, lines: Lines, exit_code: int | None = None) -> str:
    from sanctity.report.markdown import comparison_markdown

    del lines, exit_code
    return comparison_markdown(comparison, verb)


def _sarif(comparison: Comparison, verb: str, *, lines: Lines, exit_code: int | None = None) -> str:
    from sanctity.report.sarif import comparison_sarif

    return comparison_sarif(comparison, verb, lines=lines, exit_code=exit_code)


def _github(comparison: Comparison, verb: str, *, lines: Lines, exit_code: int | None = None) -> str:
    from sanctity.report.github import comparison_github

    del exit_code
    return comparison_github(comparison, verb, lines=lines)


#: The formats of a comparison (section 2 of the contract). Each imports its module when it is asked for, so that text stays fast;
#: text on a terminal, with colours, is `report.text.comparison_text` itself.
FORMATS: Final[dict[str, Report]] = {
    "text": _text,
    "json": _json,
    "markdown": _markdown,
    "sarif": _sarif,
    "github": _github,
}
