"""A change of a lock as a reviewer reads it: in words for every format, and in Markdown made to be pasted into a pull request.

What deserves a look comes first, with its reasons; then what was added and why, what was removed, and what moved. What a row says
already is not said again beside it. Names, versions and reasons are the documents' own text, and are escaped by whoever draws them.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from sanctity.model.difference import Change, LookCode
from sanctity.model.drift import Severity
from sanctity.report.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sanctity.model.difference import Difference, Look, PackageChange, Step, Why

__all__ = ["TITLES", "by_weight", "looks_at", "review_markdown", "short", "spoken", "why_words"]

#: How many rows each table gets before the rest is counted, and from how many on it is folded.
_MOST_LOOKS: Final = 25
_MOST_ROWS: Final = 40
_FOLD: Final = 15
#: What each reason to look is called where its words do not stand beside it.
TITLES: Final = {
    LookCode.HASH_CHANGED: "other bytes are locked under a version that stayed the same",
    LookCode.HASH_CONTRADICTED: "the index states another hash for a file that is locked, or has other bytes of it",
    LookCode.HASH_SWAPPED: "one hash took the place of another under a version that stayed the same",
    LookCode.UNHELD: "a file that no hash holds is fetched from elsewhere",
    LookCode.SOURCE_CHANGED: "a package is taken from another source",
    LookCode.NEW_INDEX: "a package comes from an index or host that nothing was locked from before",
    LookCode.NOT_FROM_INDEX: "a package was added that comes from no index",
    LookCode.START_UP_HOOK: "a package brings code that every start of Python runs",
    LookCode.YANKED: "a release was yanked by its publisher",
    LookCode.GONE: "an index has a locked release no more",
    LookCode.FIRST_RELEASE: "a package is the first release of its project",
    LookCode.RECENT: "a release is very young",
    LookCode.HASH_LOST: "a package is not locked by hash any more",
    LookCode.SDIST_ONLY: "a package is only there as source",
    LookCode.WIDER: "a package is installed where it was not before",
    LookCode.DOWNGRADE: "a package went to an earlier version",
    LookCode.RUNPATH: "a package looks for libraries in a folder of where it was built",
    LookCode.NATIVE_CODE: "a package is machine code now",
    LookCode.PRE_RELEASE: "a pre-release is locked",
    LookCode.MORE_FILES: "another file may be installed under a version that stayed the same",
    LookCode.MAJOR: "a package made a jump that may break",
    LookCode.WHEELS_LOST: "a package has no wheel any more for a platform",
    LookCode.NEW_TRANSITIVE: "a package was added that only another package asks for",
}
#: What the words for a change say already.
_SAID: Final = frozenset({LookCode.HASH_CHANGED, LookCode.SOURCE_CHANGED})
_MOVES: Final = frozenset({Change.UP, Change.DOWN, Change.SIDEWAYS})


_DIGEST: Final = re.compile(r"\b((?:sha|md|blake)\w+:[0-9a-f]{12})[0-9a-f]+")


def short(text: str) -> str:
    """*text* with digests cut to what tells them apart."""
    return _DIGEST.sub(r"\1…", text)


def by_weight(changes: Iterable[PackageChange]) -> list[PackageChange]:
    """*changes*, what alarms first, then what deserves a look, the gravest first; else in their own order."""
    return sorted(changes, key=lambda change: (not change.alarming, _RANKS.index(change.weight)))


_RANKS: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE, None)


def looks_at(differences: Iterable[Difference]) -> int:
    """How many packages deserve a look."""
    return sum(bool(change.looks) for difference in differences for change in difference.packages)


def spoken(change: PackageChange) -> tuple[Look, ...]:
    """The looks of *change* that the words for it do not say already."""
    return tuple(look for look in change.looks if look.code not in _SAID)


def why_words(why: Why | None, name: Callable[[str], str] = str, arrow: str = " -> ") -> str:
    """Why a package is there, in words; *name* draws what is a document's own text. Empty where it is not known."""
    if why is None:
        return ""
    root = " ".join(filter(None, (why.root.partition(" ")[0], name(why.root.partition(" ")[2]) if " " in why.root else "")))
    member = name(why.member) if why.member else ""
    *through, _ = why.steps
    if not through:
        return f"asked for by {' of '.join(filter(None, (root, member))) or 'the project itself'}"
    who = " of ".join(filter(None, (root, member)))
    return f"via {_path(through, name, arrow)}" + (f" ({who})" if who else "")


def _path(steps: Sequence[Step], name: Callable[[str], str], arrow: str) -> str:
    """The names of *steps*, the last one with its version: it is the one that needs the package."""
    last = steps[-1]
    end = name(f"{last.name} {last.version}".rstrip())
    return arrow.join((*(name(step.name) for step in steps[:-1]), end))


# -- Markdown ---------------------------------------------------------------------------------------------------------------------


def review_markdown(
    difference: Difference, phrases: Callable[[PackageChange], str], versions: Callable[[PackageChange], str]
) -> list[str]:
    """The packages of the reviewed *difference*; *phrases* draws what else is to say of one, *versions* is what it was and is."""
    drawn = _Drawn(difference, phrases, versions)
    changes = difference.packages
    return [
        *drawn.alarms(),
        *drawn.looks(),
        *drawn.table("Added", [change for change in changes if change.changes[0] is Change.ADDED]),
        *drawn.table("Removed", [change for change in changes if change.changes[0] is Change.REMOVED]),
        *drawn.table("Moved", [change for change in changes if not _MOVES.isdisjoint(change.changes)]),
        *drawn.table("Otherwise changed", [change for change in changes if _is_otherwise(change)]),
    ]


def _is_otherwise(change: PackageChange) -> bool:
    return _MOVES.isdisjoint(change.changes) and change.changes[0] not in {Change.ADDED, Change.REMOVED}


class _Drawn:
    """The tables of one difference."""

    def __init__(
        self, difference: Difference, phrases: Callable[[PackageChange], str], versions: Callable[[PackageChange], str]
    ) -> None:
        self.difference = difference
        self.phrases = phrases
        self.versions = versions

    def alarms(self) -> list[str]:
        """What no upgrade explains, in a sentence before everything else."""
        number = sum(change.weight is Severity.ERROR for change in self.difference.packages)
        if not number:
            return []
        verb = "has" if number == 1 else "have"
        return [f"**{count(number, 'package')} {verb} other bytes than a name and version that stayed the same allow.**", ""]

    def looks(self) -> list[str]:
        """The table of what deserves a look."""
        from sanctity.report.markdown import code_span, prose

        found = [change for change in by_weight(self.difference.packages) if change.looks]
        if not found:
            return []
        lines = [f"**{_title('Deserves a look', len(found))}**", "", "| package | version | why look | why it is there |"]
        lines.append("| --- | --- | --- | --- |")
        rows: Counter[tuple[str, ...]] = Counter(
            (
                _named(change),
                self._version(change),
                "; ".join(
                    f"**{prose(short(look.words))}**" if look.severity is Severity.ERROR else prose(short(look.words))
                    for look in change.looks
                ),
                why_words(change.why, code_span, " → "),
            )
            for change in found
        )
        return [*lines, *_rows(rows, _MOST_LOOKS), ""]

    def table(self, title: str, changes: Sequence[PackageChange]) -> list[str]:
        """The table of *changes*; a long one is folded."""
        from sanctity.report.markdown import folded

        if not changes:
            return []
        dated = any(change.age_days is not None for change in changes)
        told = [self._told(title, change) for change in changes]
        last = {"Added": "why", "Removed": "why it was there"}.get(title, "what")
        columns = ["package", "version", *(["released"] if dated else []), *([last] if any(told) else [])]
        rows = Counter(
            (
                _named(change),
                self._version(change),
                *([self._released(change)] if dated else []),
                *([what] if any(told) else []),
            )
            for change, what in zip(changes, told, strict=True)
        )
        lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}", *_rows(rows, _MOST_ROWS), ""]
        if len(changes) > _FOLD:
            return folded(_title(title, len(changes)), lines)
        return [f"**{_title(title, len(changes))}**", "", *lines]

    def _told(self, title: str, change: PackageChange) -> str:
        """What there is to say beside a row: for what came or went why, for the rest what else changed."""
        from sanctity.report.markdown import code_span

        parts = [why_words(change.why, code_span, " → ")] if title in {"Added", "Removed"} else []
        return "; ".join(filter(None, (*parts, self.phrases(change))))

    def _version(self, change: PackageChange) -> str:
        from sanctity.report.markdown import code_span

        old, arrow, new = self.versions(change).partition(" -> ")
        return f"{code_span(old)} → {code_span(new)}" if arrow else code_span(old)

    def _released(self, change: PackageChange) -> str:
        if change.age_days is None:
            return ""
        return f"{date.fromisoformat(self.difference.reviewed) - timedelta(days=change.age_days)}"


def _named(change: PackageChange) -> str:
    """The name of a package, and which of several of that name it is."""
    from sanctity.report.markdown import code_span

    return code_span(change.name) + (f" where {code_span(change.fork)}" if change.fork else "")


def _rows(rows: Counter[tuple[str, ...]], most: int) -> Iterator[str]:
    """The *rows* of a table, each once with how often it is there, for a lock may have one a platform; the rest is counted."""
    for cells, number in list(rows.items())[:most]:
        name, *others = cells
        yield f"| {' | '.join((name + (f' ({number:,} times)' if number > 1 else ''), *others))} |"
    if len(rows) > most:
        yield f"| and {len(rows) - most:,} more |{' |' * (len(next(iter(rows))) - 1)}"


def _title(words: str, number: int) -> str:
    return f"{words}: {number:,}"
