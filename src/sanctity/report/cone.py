"""The cone, drawn: for people, for a pull request, and as the document ``sanctity.cone/1`` (``report/schema/cone-1.json``).

What each word means stands in `model.timeline`. Names, versions and reasons are others' text, and escaped for whatever draws them.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import sanctity
from sanctity.model.timeline import day_of
from sanctity.report.json import dump, packaged_schema
from sanctity.report.markdown import code_span, folded, prose
from sanctity.report.text import Paint
from sanctity.report.words import count, plain, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sanctity.model.timeline import Cone, Resolution, Strand

__all__ = ["Outage", "cone_document", "cone_json", "cone_markdown", "cone_text", "facts", "outages", "schema", "target_words"]

_MOST: Final = 40
_MOST_MARKDOWN: Final = 30
#: How many cells the strip of a package's changes has at most.
_STRIP: Final = 48
_WIDEST_NAME: Final = 28
_WIDEST_VERSION: Final = 14
_WIDEST_VIA: Final = 44
#: What a line of the table is kept within, as far as it goes.
_WIDEST: Final = 118


def target_words(cone: Cone) -> str:
    """What it was resolved for, in words."""
    return f"Python {cone.target.python} on {cone.target.platform or 'this platform'}"


def facts(cone: Cone, name: Callable[[str], str] = plain) -> tuple[str, ...]:
    """What there is to learn from *cone*, in plain sentences; *name* writes out what others have named in them."""
    if not cone.resolved:
        return ("no date has a resolution",)
    first, last = cone.resolved[0], cone.resolved[-1]
    distinct = len(cone.environments)
    told = [
        f"{count(distinct, 'distinct environment')} at {count(len(cone.resolved), 'date')}: the same file, installed on other days"
    ]
    if distinct == 1:
        told = [f"one environment at {count(len(cone.resolved), 'date')}: whenever it was installed, it came to the same"]
    width = len(cone.apart(last))
    names = len(first.pins.keys() | last.pins.keys())
    when = day_of(last.at)[:10]
    told.append(
        f"on {when} {width:,} of {count(names, 'package')} {_are(width)} not what {_they(width)} on {day_of(first.at)[:10]}"
    )
    widest = cone.strands[0] if cone.strands else None
    if widest is not None and widest.moves[-1]:
        via = f", through {', '.join(map(name, widest.via))}" if widest.via else ""
        span = " to ".join(name(version) if version else "absent" for version in (widest.first, widest.last))
        told.append(f"{name(widest.name)} widens it most: {count(len(widest.versions), 'version')}, {span}{via}")
    apart = cone.from_lock
    if apart is not None:
        pins = len(cone.locked or ())
        told.append(f"{name(cone.lock)} locks {count(pins, 'package')}: one environment at every date")
        differs = f"differs from {name(cone.lock)} in {count(len(apart), 'package')}" if apart else "is just that"
        told.append(f"what would be installed on {when} {differs}")
    return tuple(told)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _they(number: int) -> str:
    return "it was" if number == 1 else "they were"


class Outage:
    """Dates in a row without a resolution, from *first* to *last*, for one *reason*."""

    __slots__ = ("dates", "first", "last", "reason")

    def __init__(self, group: Sequence[Resolution]) -> None:
        self.first = day_of(group[0].at)
        self.last = day_of(group[-1].at)
        self.dates = len(group)
        self.reason = group[0].failure

    @property
    def when(self) -> str:
        """The dates, in words."""
        return self.first if self.dates == 1 else f"{self.first} to {self.last} ({count(self.dates, 'date')})"


def outages(cone: Cone) -> tuple[Outage, ...]:
    """The dates without a resolution, those in a row for one reason together."""
    return tuple(Outage(tuple(group)) for reason, group in groupby(cone.resolutions, key=lambda each: each.failure) if reason)


# --- text


def _clipped(text: str, most: int) -> str:
    text = plain(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _strip(cone: Cone, strand: Strand) -> str:
    """A cell a date, or some dates: a dot where nothing changed, a ring where a new version came, blank where it was absent."""
    cells = min(len(cone.resolved), _STRIP)
    changed = set(strand.changed)
    text = ""
    version = ""
    at = 0
    for cell in range(cells):
        until = (cell + 1) * len(cone.resolved) // cells
        moved = False
        for each in cone.resolved[at:until]:
            version = each.pins.get(strand.name, "")
            moved = moved or each.at in changed
        at = until
        text += "●" if moved else "·" if version else " "
    return text


def _axis(cone: Cone) -> str:
    """What stands over the strips: each year where it begins, as far as there is room, or the first date."""
    cells = min(len(cone.resolved), _STRIP)
    text = ""
    for cell in range(cells):
        years = [day_of(cone.resolved[place * len(cone.resolved) // cells].at)[:4] for place in (max(cell - 1, 0), cell)]
        if (not cell or years[0] != years[1]) and len(text) <= cell:
            text = f"{text:<{cell}}{years[1]} "
    text = text.rstrip()
    return text if cells >= len(text) > 0 else "changed"


def _rows(cone: Cone) -> Iterator[tuple[str, ...]]:
    for strand in cone.strands[:_MOST]:
        yield (
            _clipped(strand.name, _WIDEST_NAME),
            f"{len(strand.versions):,}",
            _clipped(strand.first or "-", _WIDEST_VERSION),
            _clipped(strand.last or "-", _WIDEST_VERSION),
            _strip(cone, strand),
            _clipped(", ".join(strand.via), _WIDEST_VIA),
        )


def cone_text(cone: Cone, paint: Paint | None = None, notices: Sequence[str] = ()) -> str:
    """*cone* for people: what there is to learn, a row a package, and the dates without a resolution."""
    paint = paint or Paint()
    first, last = cone.resolutions[0], cone.resolutions[-1]
    word = paint("bold", "CYLINDER") if len(cone.environments) == 1 and not cone.failed else paint("bold", "CONE")
    if not cone.resolved:
        word = paint("bad", "NO RESOLUTION")
    span = f"{day_of(first.at)} to {day_of(last.at)}" + (f", every {cone.every}" if cone.every else "")
    resolver = plain(cone.resolver).partition(" (")[0]
    lines = [f"{word}  {plain(cone.subject)}   {paint('dim', f'{span}; {target_words(cone)}; {resolver}')}"]
    if cone.resolved:
        lines += [f"  {fact}" for fact in facts(cone)]
        head = ("package", "versions", "first", "last", _axis(cone), "through")
        rows = [head, *_rows(cone)]
        left = _WIDEST - sum(2 + max(len(row[column]) for row in rows) for column in range(len(head) - 1)) - 2
        rows = [(*row[:-1], _clipped(row[-1], max(left, 12))) for row in rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines.append("")
        for number, row in enumerate(rows):
            cells = [
                cell.rjust(width) if column == 1 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            text = f"  {'  '.join(cells)}".rstrip()
            lines.append(paint("dim", text) if number == 0 else text)
        if len(cone.strands) > _MOST:
            lines.append(
                paint("dim", f"  and {len(cone.strands) - _MOST:,} more: --format json and the page of --html have them all")
            )
    failed = outages(cone)
    if failed:
        lines.append("")
        lines += [f"  {paint('doubt', 'no resolution')}  {outage.when}: {plain(outage.reason)}" for outage in failed[:_MOST]]
        if len(failed) > _MOST:
            lines.append(paint("dim", f"  and {len(failed) - _MOST:,} more such times"))
    if cone.undated:
        lines.append(paint("doubt", f"  whatever the date, any release was taken of {plain(', '.join(cone.undated))}"))
    lines += [paint("doubt", f"  note: {plain(notice)}") for notice in notices]
    return "\n".join(lines) + "\n"


# --- Markdown


def cone_markdown(cone: Cone, notices: Sequence[str] = ()) -> str:
    """*cone* as Markdown, for a pull request or a job's summary."""
    first, last = cone.resolutions[0], cone.resolutions[-1]
    lines = [f"### The cone of {code_span(cone.subject)}", ""]
    target = (
        f"Python {code_span(cone.target.python)} on {code_span(cone.target.platform) if cone.target.platform else 'this platform'}"
    )
    lines += [f"{day_of(first.at)} to {day_of(last.at)}; {target}.", ""]
    lines += [f"- {fact}" for fact in facts(cone, code_span)]
    lines += [f"- {prose(notice)}" for notice in notices]
    if cone.resolved:
        lines += ["", "| package | versions | first | last | last changed | through |", "|---|--:|---|---|---|---|"]
        lines += [
            "| "
            + " | ".join(
                (
                    code_span(strand.name),
                    f"{len(strand.versions):,}",
                    code_span(strand.first) if strand.first else "",
                    code_span(strand.last) if strand.last else "",
                    day_of(strand.changed[-1]) if strand.changed else "",
                    ", ".join(code_span(name) for name in strand.via[:6]),
                )
            )
            + " |"
            for strand in cone.strands[:_MOST_MARKDOWN]
        ]
        if len(cone.strands) > _MOST_MARKDOWN:
            lines += ["", f"and {len(cone.strands) - _MOST_MARKDOWN:,} more packages"]
    failed = outages(cone)
    if failed:
        rows = [f"- {outage.when}: {prose(outage.reason)}" for outage in failed[:_MOST_MARKDOWN]]
        if len(failed) > _MOST_MARKDOWN:
            rows.append(f"- and {len(failed) - _MOST_MARKDOWN:,} more such times")
        lines += ["", *folded(f"{count(len(cone.failed), 'date')} without a resolution", [*rows, ""])]
    return "\n".join(lines) + "\n"


# --- JSON


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return packaged_schema("cone-1")


def cone_document(cone: Cone, notices: Sequence[str] = ()) -> dict[str, Any]:
    """*cone* as the document's own plain values."""
    place = {each.digest: number for number, each in enumerate(cone.environments)}
    stages = {stage.at: stage for stage in cone.stages}
    apart = cone.from_lock
    dates: list[dict[str, Any]] = []
    for each in cone.resolutions:
        stage = stages.get(each.at) if not each.failure else None
        dates.append(
            {
                "at": each.at,
                "environment": place[each.digest] if stage else None,
                "width": stage.width if stage else None,
                "environments": stage.environments if stage else None,
                "moves": stage.moves if stage else None,
                "failure": utf8(each.failure) or None,
                "passed_over": [utf8(name) for name in each.passed_over],
            }
        )
    return {
        "schema": "sanctity.cone/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "verb": "cone",
        "subject": utf8(cone.subject),
        "target": {"python": cone.target.python, "platform": cone.target.platform or None},
        "resolver": utf8(cone.resolver),
        "every": cone.every or None,
        "undated": list(cone.undated),
        "lock": None
        if cone.locked is None
        else {
            "path": utf8(cone.lock),
            "packages": [{"name": each.name, "version": utf8(each.version)} for each in cone.locked],
            "differs": None
            if apart is None
            else [{"name": each.name, "locked": utf8(each.old) or None, "last": utf8(each.new) or None} for each in apart],
        },
        "dates": dates,
        "environments": [
            {
                "digest": str(each.digest),
                "dates": list(each.dates),
                "packages": [
                    {
                        "name": release.name,
                        "version": utf8(release.version),
                        "uploaded": release.uploaded or None,
                        "via": [utf8(name) for name in release.via],
                    }
                    for release in each.releases
                ],
            }
            for each in cone.environments
        ],
        "packages": [
            {
                "name": strand.name,
                "versions": [utf8(version) for version in strand.versions],
                "moves": strand.moves[-1],
                "first": utf8(strand.first) or None,
                "last": utf8(strand.last) or None,
                "locked": utf8(strand.locked) if strand.locked is not None else None,
                "via": [utf8(name) for name in strand.via],
                "states": [{"at": at, "version": utf8(version) or None} for at, version in strand.states],
            }
            for strand in cone.strands
        ],
        "notices": [utf8(notice) for notice in notices],
    }


def cone_json(cone: Cone, notices: Sequence[str] = ()) -> str:
    """*cone* as the text of the document."""
    return dump(cone_document(cone, notices))
