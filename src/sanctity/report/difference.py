"""A difference in every format: packages first, then files, then what else there is.

Bytes that changed under a version that stayed the same come before everything else, in every format. Names, versions and paths are
the compared documents' own text, and are escaped as in the reports of a comparison.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sanctity
from sanctity.lockfiles.lines import nearest
from sanctity.model.difference import Answer, Change, LookCode
from sanctity.model.drift import Severity
from sanctity.model.inventory import FILE_PARTS
from sanctity.report.json import dump, packaged_schema
from sanctity.report.review import TITLES, by_weight, looks_at, review_markdown, short, spoken, why_words
from sanctity.report.text import Paint
from sanctity.report.words import count, plain, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sanctity.model.difference import Difference, FileChange, PackageChange, PartChange
    from sanctity.model.drift import Unchecked
    from sanctity.model.inventory import Inventory, Package

    #: For each difference the document that a reviewer is pointed to, and the line of each of its packages.
    Places = Sequence[tuple[str, Mapping[tuple[str, str], int]]]

__all__ = [
    "FORMATS",
    "difference_document",
    "difference_github",
    "difference_json",
    "difference_markdown",
    "difference_sarif",
    "difference_text",
    "exit_code",
    "schema",
]

_EXIT: Final = {Answer.SAME: 0, Answer.DIFFERENT: 1, Answer.UNDECIDED: 3}
_HEADS: Final = {Answer.SAME: ("SAME", "good"), Answer.DIFFERENT: ("DIFFERENT", "bad"), Answer.UNDECIDED: ("UNDECIDED", "doubt")}
#: How many files a package, or rows a part, get in text before the rest is counted; and how much of one value is shown.
_MOST_FILES: Final = 5
_MOST_ROWS: Final = 12
_MOST_UNCHECKED: Final = 8
_LONGEST: Final = 60
_MOST_PACKAGES: Final = 60
_MOST_FOLDED: Final = 100
#: What each change is called where the word alone would not say it.
_TITLES: Final = {
    Change.ADDED: "a package was added",
    Change.REMOVED: "a package was removed",
    Change.UP: "a package went to a later version",
    Change.DOWN: "a package went to an earlier version",
    Change.SIDEWAYS: "a package went to another version, neither earlier nor later",
    Change.HASHES: "other bytes are locked under a version that stayed the same",
    Change.CONTENT: "other files are installed under a version that stayed the same",
    Change.ARTIFACTS: "more or fewer artifacts of one version may be installed",
    Change.SOURCE: "a package is taken from another source",
    Change.MARKER: "a package is locked for other environments",
    Change.REACH: "a package is installed for others than before",
    Change.PLACE: "a file of a package is fetched from elsewhere",
}
#: How what an environment has by default begins in a reach, and how what makes it wider does.
_BY_DEFAULT: Final = "by default"
_WIDE: Final = (_BY_DEFAULT, "with its extra")
#: Reasons to look that are a change itself.
_OF_CHANGES: Final = {
    LookCode.HASH_CHANGED: Change.HASHES,
    LookCode.SOURCE_CHANGED: Change.SOURCE,
    LookCode.DOWNGRADE: Change.DOWN,
}
_LEVELS: Final = {Change.HASHES: Severity.ERROR, Change.CONTENT: Severity.ERROR, Change.SOURCE: Severity.WARNING}


def exit_code(differences: Iterable[Difference]) -> int:
    """0 for no difference, 1 where there is one, 3 where not all could be looked at and the rest is the same."""
    return _EXIT[_answer(differences)]


def _answer(differences: Iterable[Difference]) -> Answer:
    answers = {difference.answer for difference in differences}
    return next((answer for answer in (Answer.DIFFERENT, Answer.UNDECIDED) if answer in answers), Answer.SAME)


def schema() -> dict[str, Any]:
    """The JSON Schema of the document ``sanctity.diff/1``."""
    return packaged_schema("diff-1")


# -- words ------------------------------------------------------------------------------------------------------------------------


def _paths(differences: Sequence[Difference]) -> tuple[str, str]:
    """What the user compared."""
    before = next((each.before.path for each in differences if each.before is not None), "")
    after = next((each.after.path for each in differences if each.after is not None), "")
    return before, after


def _word(change: PackageChange) -> str:
    """The one word for all that happened to a package: what alarms, else what comes first."""
    return str(next((each for each in change.changes if each.alarming), change.changes[0]))


def _stated(package: Package) -> str:
    return package.version or package.specifier or "no version"


def _versions(change: PackageChange) -> str:
    if change.before is None or change.after is None:
        side = change.before or change.after
        assert side is not None
        return _stated(side)
    old, new = _stated(change.before), _stated(change.after)
    return f"{old} -> {new}" if old != new else new


def _source(package: Package) -> str:
    origin = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}", r"\1…", package.origin)
    return f"{origin} {package.place}".rstrip()


class _Draw(NamedTuple):
    """How a format draws words of ours with a document's own in them: a *name* or value of it, a *text*, and an *arrow*."""

    name: Callable[[str], str] = str
    text: Callable[[str], str] = str
    arrow: str = " -> "


def _in_markdown() -> _Draw:
    from sanctity.report.markdown import code_span, prose

    return _Draw(code_span, prose, " → ")


def _about(change: PackageChange, draw: _Draw | None = None) -> str:
    """What there is to say of a change beside its word and its versions: why it came or went, what changed, and why to look."""
    draw = draw or _Draw()
    alone = change.before is None or change.after is None
    why = [why_words(change.why, draw.name, draw.arrow)] if alone and change.why is not None else []
    fork = [f"where {draw.name(_cut(change.fork))}"] if change.fork else []
    beside = spoken(change)
    told = frozenset(look.code for look in beside)
    return "; ".join((*fork, *why, *_phrases(change, draw, told), *(draw.text(short(look.words)) for look in beside)))


def _other(change: PackageChange) -> str:
    """What changed beside the version, without what is told of it elsewhere, in Markdown."""
    return "; ".join(_phrases(change, _in_markdown()))


def _cut(text: str) -> str:
    """*text*, or its both ends where it is long."""
    return text if len(text) <= 2 * _LONGEST else f"{text[:_LONGEST]}…{text[-_LONGEST:]}"


def _phrases(change: PackageChange, draw: _Draw, told: frozenset[LookCode] = frozenset()) -> Iterator[str]:
    """What changed, but for what the looks *told* say."""
    before, after = change.before, change.after
    if after is None or before is None:
        side = after or before
        assert side is not None
        if side.direct and change.why is None:
            yield "asked for by the project itself"
        if side.origin != "index":
            yield f"from {draw.name(_source(side))}"
        return
    if Change.HASHES in change.changes:
        yield f"other bytes under one version: {draw.text(_renamed(change))}"
    if Change.CONTENT in change.changes:
        known = f" ({_files(change.files)})" if change.files else ""
        yield f"other files under one version{known}"
    if Change.SOURCE in change.changes:
        yield f"source {draw.name(_source(before))}{draw.arrow}{draw.name(_source(after))}"
    if Change.ARTIFACTS in change.changes and (words := _artifacts(change, told)):
        yield words
    if Change.MARKER in change.changes:
        old, new = (draw.name(_cut(side.where)) if side.where else "none" for side in (before, after))
        yield f"marker {old}{draw.arrow}{new}"
    if Change.REACH in change.changes and Change.MARKER not in change.changes:
        old_reach, new_reach = change.reach
        if LookCode.WIDER in told:
            new_reach = frozenset(each for each in new_reach if each in old_reach or not each.startswith(_WIDE))
        if words := _reach(old_reach, new_reach):
            yield draw.text(words)
    if Change.PLACE in change.changes:
        was = dict(before.locations)
        moved = [(was[name], place) for name, place in after.locations if was.get(name, place) != place]
        more = f" and {len(moved) - 1:,} more" if moved[1:] else ""
        yield f"fetched from {draw.name(moved[0][1])} in place of {draw.name(moved[0][0])}{more}"
    if change.files and Change.CONTENT not in change.changes:
        yield _files(change.files)


def _reach(before: frozenset[str], after: frozenset[str]) -> str:
    """For whom a pin is there now, and for whom no more; of what is always so, or was never, the environments are not told."""
    usual = [{word for word in side if word.startswith(_BY_DEFAULT)} for side in (before, after)]
    if not all(usual):
        before, after = ((side - own) | ({_BY_DEFAULT} if own else set()) for side, own in zip((before, after), usual, strict=True))
    sides = (("now also", sorted(after - before)), ("no more", sorted(before - after)))
    return "; ".join(
        f"{word} {', '.join(found[:2])}" + (f" and {len(found) - 2:,} more" if found[2:] else "") for word, found in sides if found
    )


def _renamed(change: PackageChange) -> str:
    """The artifacts whose bytes changed, by name where they have one."""
    names = sorted({item.filename for item in change.gone} & {item.filename for item in change.new} - {""})
    if not names:
        return "no hash that was allowed is allowed now"
    return ", ".join(names[:2]) + (f" and {len(names) - 2:,} more" if len(names) > 2 else "")


def _artifacts(change: PackageChange, told: frozenset[LookCode]) -> str:
    """What became of the files of one version; empty where the looks *told* say it all."""
    if not told.isdisjoint({LookCode.HASH_LOST, LookCode.HASH_SWAPPED}):
        return ""
    old = sum(bool(item.digest) for item in change.before.artifacts) if change.before else 0
    new = sum(bool(item.digest) for item in change.after.artifacts) if change.after else 0
    if old and not new:
        return "it has no hash any more"
    if new and not old:
        return "it had no hash"
    sides = ((() if LookCode.MORE_FILES in told else change.new, "more"), (change.gone, "fewer"))
    words = [f"{len(items):,} {word}" for items, word in sides if items]
    return f"artifacts: {', '.join(words)}" if words else ""


def _files(files: Sequence[FileChange]) -> str:
    numbers = {
        "altered": sum(bool(each.before and each.after) for each in files),
        "added": sum(not each.before for each in files),
        "removed": sum(not each.after for each in files),
    }
    given = [(word, number) for word, number in numbers.items() if number]
    if len(given) == 1:
        return f"{count(len(files), 'file')} {given[0][0]}"
    return f"{count(len(files), 'file')}: " + ", ".join(f"{number:,} {word}" for word, number in given)


def _kind(before: str, after: str) -> str:
    return "altered" if before and after else "added" if after else "removed"


def _shown_path(path: str) -> str:
    """A row's key as a report shows it: relative to site-packages for what lies there."""
    return path.removeprefix("lib/")


def _value(part: PartChange) -> str:
    """What a row of a part was and is."""
    if part.part in FILE_PARTS:
        return ""
    old, new = short(part.before), short(part.after)
    if old == new:
        old, new = part.before, part.after
    return f"{old or 'none'} -> {new or 'none'}"


def _summary(differences: Sequence[Difference], mark: str = "") -> str:
    """How much differs, in numbers; what deserves a look is marked by *mark*, where rows are."""
    changes = [change for difference in differences for change in difference.packages]
    alarms = sum(change.alarming for change in changes)
    moved = {Change.UP, Change.DOWN, Change.SIDEWAYS}
    numbers = (
        (alarms, "with other bytes under the same version"),
        (sum(change.changes[0] is Change.ADDED for change in changes), "added"),
        (sum(change.changes[0] is Change.REMOVED for change in changes), "removed"),
        (sum(not moved.isdisjoint(change.changes) for change in changes), "moved"),
        (
            sum(
                not change.alarming and moved.isdisjoint(change.changes) and change.changes[0] not in {Change.ADDED, Change.REMOVED}
                for change in changes
            ),
            "otherwise changed",
        ),
    )
    words = [f"{number:,} {word}" for number, word in numbers if number]
    told = [f"{count(len(changes), 'package')}: {', '.join(words)}"] if words else []
    rows = [row for difference in differences for row in difference.parts]
    files = sum(row.part in FILE_PARTS for row in rows)
    parts = {row.part for row in rows if row.part not in FILE_PARTS}
    told += [count(files, "other file")] if files else []
    told += [f"and {', '.join(sorted(parts))}"] if parts else []
    alone = sum(difference.before is None or difference.after is None for difference in differences)
    told += [f"{count(alone, 'environment')} of one side alone"] if alone else []
    looks = looks_at(differences)
    told += [f"{looks:,} {'deserves' if looks == 1 else 'deserve'} a look{mark}"] if looks else []
    if told:
        return "; ".join(told).replace("; and ", " and ").removeprefix("and ")
    sizes = [len(difference.after.packages) for difference in differences if difference.after is not None]
    return count(max(sizes, default=0), "package")


def _side_words(inventory: Inventory) -> str:
    return f"{inventory.kind} {inventory.path}"


# -- text -------------------------------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    style: str
    mark: str
    word: str
    name: str
    versions: str
    about: str


def difference_text(differences: Sequence[Difference], *, paint: Paint | None = None) -> str:
    """The report for people."""
    paint = paint or Paint()
    word, style = _HEADS[_answer(differences)]
    before, after = _paths(differences)
    lines = [f"{paint(style, word)}  {plain(before)} -> {plain(after)}   {paint('dim', _summary(differences, ' (!)'))}"]
    for difference in differences:
        if len(differences) > 1 or (difference.environment and " -> " in difference.environment):
            lines.append(paint("bold", f"  {plain(difference.environment)}"))
        lines += _text_of(difference, paint)
    return "\n".join(lines) + "\n"


def _text_of(difference: Difference, paint: Paint) -> list[str]:
    if difference.before is None or difference.after is None:
        side = difference.before or difference.after
        assert side is not None
        return [f"  only {plain(_side_words(side))} has this environment, with {count(len(side.packages), 'package')}"]
    lines = list(_package_lines(difference.packages, paint))
    lines += _file_lines(difference, paint)
    lines += _part_lines([row for row in difference.parts if row.part not in FILE_PARTS], paint)
    blind = [item for item in difference.unchecked if item.in_scope]
    for item in blind[:_MOST_UNCHECKED]:
        times = f" ({item.count:,})" if item.count > 1 else ""
        lines.append(f"  {paint('doubt', item.code)}   {plain(item.what)}{times}   ({plain(item.reason)})")
    if len(blind) > _MOST_UNCHECKED:
        lines.append(paint("dim", f"  and {len(blind) - _MOST_UNCHECKED:,} more that could not be looked at"))
    aside = [f"{plain(item.what)}: {plain(item.reason)}" for item in difference.unchecked if not item.in_scope]
    lines += [paint("dim", f"  not compared: {words}") for words in aside[:_MOST_UNCHECKED]]
    if len(aside) > _MOST_UNCHECKED:
        lines.append(paint("dim", f"  not compared: {len(aside) - _MOST_UNCHECKED:,} more"))
    return lines


def _style(change: PackageChange) -> str:
    if change.alarming or change.weight is Severity.ERROR:
        return "bad"
    return "doubt" if Change.SOURCE in change.changes or change.weight is Severity.WARNING else "bold"


def _package_lines(changes: Iterable[PackageChange], paint: Paint) -> Iterator[str]:
    counted = Counter(
        _Row(
            _style(change),
            "!" if change.looks else " ",
            _word(change),
            plain(change.name),
            plain(_versions(change)),
            plain(_about(change)),
        )
        for change in by_weight(changes)
    )
    # A lock that has a row a platform says the same of each.
    rows = [
        row._replace(about=f"{row.about} ({number:,} times)".lstrip()) if number > 1 else row for row, number in counted.items()
    ]
    widths = [min(max((len(row[column]) for row in rows), default=0), most) for column, most in ((2, 9), (3, 32), (4, 32))]
    for row in rows:
        cells = f"{row.name:<{widths[1]}}   {row.versions:<{widths[2]}}   {row.about}".rstrip()
        yield f"{paint(row.style, f'{row.mark} {row.word:<{widths[0]}}')}   {cells}"


def _file_lines(difference: Difference, paint: Paint) -> Iterator[str]:
    """The files of packages whose version stayed the same, then those that belong to no package."""
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    for change in difference.packages:
        if change.files and Change.CONTENT in change.changes:
            title = f"{change.name} {_versions(change)}".rstrip()
            groups.append((title, [(_kind(each.before, each.after), _shown_path(each.path)) for each in change.files]))
    for part in FILE_PARTS_IN_ORDER:
        rows = [(_kind(row.before, row.after), row.key) for row in difference.parts if row.part == part]
        if rows:
            groups.append((_PART_TITLES[part], rows))
    for title, rows in groups:
        yield f"  {plain(title)}"
        for kind, path in rows[:_MOST_FILES]:
            yield f"    {paint('bad', f'{kind:<8}')}  {plain(path)}"
        if len(rows) > _MOST_FILES:
            yield paint("dim", f"    and {len(rows) - _MOST_FILES:,} more")


#: The parts whose rows are files, in the order they are told, and what they are called.
_PART_TITLES: Final = {
    "startup": "start-up hooks",
    "unclaimed": "code that no package claims",
    "activation": "activate scripts",
    "stdlib": "standard library",
}
FILE_PARTS_IN_ORDER: Final = tuple(_PART_TITLES)


def _part_lines(parts: Sequence[PartChange], paint: Paint) -> Iterator[str]:
    width = max((len(part.part) for part in parts), default=0)
    shown: dict[str, int] = {}
    for part in parts:
        shown[part.part] = number = shown.get(part.part, 0) + 1
        if number <= _MOST_ROWS:
            value = plain(_value(part))
            clipped = value if len(value) <= 2 * _LONGEST else f"{value[:_LONGEST]}…{value[-_LONGEST:]}"
            yield f"  {paint('bold', f'{part.part:<{width}}')}   {plain(part.key)}   {clipped}"
    for name, number in shown.items():
        if number > _MOST_ROWS:
            yield paint("dim", f"  {name:<{width}}   and {number - _MOST_ROWS:,} more")


# -- JSON -------------------------------------------------------------------------------------------------------------------------


def _package(package: Package | None) -> dict[str, Any] | None:
    if package is None:
        return None
    return {
        "version": utf8(package.version or package.specifier) or None,
        "origin": utf8(package.origin),
        "place": utf8(package.place) or None,
        "content": str(package.content or package.files or "") or None,
        "marker": utf8(package.marker) or None,
        "direct": package.direct,
    }


def _side(inventory: Inventory | None) -> dict[str, Any] | None:
    if inventory is None:
        return None
    return {
        "kind": str(inventory.kind),
        "path": utf8(inventory.path),
        "format": inventory.format or None,
        "digest": inventory.digest or None,
        "environment": inventory.environment or None,
        "packages": len(inventory.packages),
    }


def _review(change: PackageChange) -> dict[str, Any]:
    """What a reviewer is told of *change*."""
    why = change.why
    return {
        "why": {
            "root": utf8(why.root) or None,
            "member": utf8(why.member) or None,
            "path": [{"name": utf8(step.name), "version": utf8(step.version) or None} for step in why.steps],
        }
        if why is not None
        else None,
        "looks": [{"code": str(look.code), "severity": str(look.severity), "message": utf8(look.words)} for look in change.looks],
        "age_days": change.age_days,
    }


def difference_document(differences: Sequence[Difference]) -> dict[str, Any]:
    """The document ``sanctity.diff/1`` as plain values."""
    before, after = _paths(differences)
    return {
        "schema": "sanctity.diff/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "verb": "diff",
        "answer": str(_answer(differences)),
        "before": utf8(before),
        "after": utf8(after),
        "differences": [
            {
                "answer": str(difference.answer),
                "environment": difference.environment or None,
                **({"as_of": difference.reviewed} if difference.reviewed else {}),
                "before": _side(difference.before),
                "after": _side(difference.after),
                "packages": [
                    {
                        "name": utf8(change.name),
                        "changes": [str(each) for each in change.changes],
                        "alarming": change.alarming,
                        "before": _package(change.before),
                        "after": _package(change.after),
                        "files": [
                            {"path": utf8(each.path), "before": utf8(each.before) or None, "after": utf8(each.after) or None}
                            for each in change.files
                        ],
                        "artifacts": {
                            "gone": [
                                {"filename": utf8(item.filename) or None, "digest": item.digest or None} for item in change.gone
                            ],
                            "new": [
                                {"filename": utf8(item.filename) or None, "digest": item.digest or None} for item in change.new
                            ],
                        },
                        **(_review(change) if difference.reviewed else {}),
                    }
                    for change in by_weight(difference.packages)
                ],
                "parts": [
                    {
                        "part": row.part,
                        "key": utf8(row.key),
                        "before": utf8(row.before) or None,
                        "after": utf8(row.after) or None,
                    }
                    for row in difference.parts
                ],
                "unchecked": [
                    {
                        "code": item.code,
                        "what": utf8(item.what),
                        "reason": utf8(item.reason),
                        "count": item.count,
                        "in_scope": item.in_scope,
                    }
                    for item in difference.unchecked
                ],
            }
            for difference in differences
        ],
    }


def difference_json(differences: Sequence[Difference], places: Places = ()) -> str:
    """The document ``sanctity.diff/1``."""
    del places
    return dump(difference_document(differences))


# -- Markdown ---------------------------------------------------------------------------------------------------------------------


def difference_markdown(differences: Sequence[Difference], places: Places = ()) -> str:
    """Markdown for a pull request: a table of packages, and everything else folded."""
    from sanctity.report.markdown import code_span

    del places
    before, after = _paths(differences)
    word, _ = _HEADS[_answer(differences)]
    days = "".join(dict.fromkeys(f" Ages as of {each.reviewed}." for each in differences if _has_ages(each)))
    numbers = _summary(differences)
    if any(difference.reviewed and difference.answer is Answer.DIFFERENT for difference in differences):
        lines = [f"### sanctity diff: {numbers}", "", f"{code_span(before)} → {code_span(after)}.{days}", ""]
    else:
        lines = [f"### sanctity diff: {word}", "", f"{code_span(before)} → {code_span(after)}: {numbers}.{days}", ""]
    for difference in differences:
        if len(differences) > 1 or " -> " in difference.environment:
            lines += [f"#### {code_span(difference.environment)}", ""]
        lines += _markdown_of(difference)
    return "\n".join(lines).rstrip("\n") + "\n"


def _has_ages(difference: Difference) -> bool:
    return any(change.age_days is not None for change in difference.packages)


def _markdown_of(difference: Difference) -> list[str]:
    from sanctity.report.markdown import code_span, folded, unchecked_list

    if difference.before is None or difference.after is None:
        side = difference.before or difference.after
        assert side is not None
        return [f"Only {code_span(side.path)} has this environment, with {count(len(side.packages), 'package')}.", ""]
    lines: list[str] = []
    if difference.reviewed:
        lines += review_markdown(difference, _other, _versions)
    elif difference.packages:
        lines += ["| | package | version | what |", "| --- | --- | --- | --- |"]
        for change in by_weight(difference.packages)[:_MOST_PACKAGES]:
            word = f"**{_word(change)}**" if change.alarming else _word(change)
            old, arrow, new = _versions(change).partition(" -> ")
            versions = f"{code_span(old)} → {code_span(new)}" if arrow else code_span(old)
            lines.append(f"| {word} | {code_span(change.name)} | {versions} | {_about(change, _in_markdown())} |")
        if len(difference.packages) > _MOST_PACKAGES:
            lines.append(f"| | and {len(difference.packages) - _MOST_PACKAGES:,} more | | |")
        lines.append("")
    blind = [item for item in difference.unchecked if item.in_scope]
    if blind:
        lines += ["Could not be looked at:", "", *unchecked_list(blind)]
    rows = [
        f"| {_kind(each.before, each.after)} | {code_span(change.name)} | {code_span(_shown_path(each.path))} |"
        for change in difference.packages
        for each in change.files
    ]
    rows += [
        f"| {_kind(row.before, row.after)} | {_PART_TITLES[row.part]} | {code_span(row.key)} |"
        for row in difference.parts
        if row.part in FILE_PARTS
    ]
    if rows:
        more = [f"| | and {len(rows) - _MOST_FOLDED:,} more | |"] if len(rows) > _MOST_FOLDED else []
        table = ["| | of | file |", "| --- | --- | --- |", *rows[:_MOST_FOLDED], *more, ""]
        lines += folded(count(len(rows), "file"), table)
    parts = [row for row in difference.parts if row.part not in FILE_PARTS]
    if parts:
        rows = [
            f"| {row.part} | {code_span(row.key)} | "
            + " | ".join(code_span(value) if value else "none" for value in row[2:])
            + " |"
            for row in parts
        ]
        more = [f"| | and {len(rows) - _MOST_FOLDED:,} more | | |"] if len(rows) > _MOST_FOLDED else []
        table = ["| part | | before | after |", "| --- | --- | --- | --- |", *rows[:_MOST_FOLDED], *more, ""]
        lines += folded(", ".join(dict.fromkeys(row.part for row in parts)), table)
    aside = [item for item in difference.unchecked if not item.in_scope]
    if aside:
        lines += folded(f"not compared: {sum(max(item.count, 1) for item in aside):,}", unchecked_list(aside))
    return lines


# -- GitHub annotations -----------------------------------------------------------------------------------------------------------


def _level(change: PackageChange) -> Severity:
    """What a change weighs: by what happened, or by the gravest reason to look at it."""
    weights = {_LEVELS[each] for each in change.changes if each in _LEVELS} | ({change.weight} if change.weight else set())
    return next((weight for weight in (Severity.ERROR, Severity.WARNING) if weight in weights), Severity.NOTE)


def _line_of(change: PackageChange, lines: Mapping[tuple[str, str], int]) -> int | None:
    versions = [side.version for side in (change.after, change.before) if side is not None]
    return nearest(lines, change.name, *versions)


def _message(change: PackageChange) -> str:
    about = _about(change)
    return f"{change.name} {_versions(change)}" + (f": {about}" if about else "")


def _blind(differences: Iterable[Difference]) -> list[Unchecked]:
    return [item for difference in differences for item in difference.unchecked if item.in_scope]


def difference_github(differences: Sequence[Difference], places: Places = ()) -> str:
    """The annotations: what it comes to, then the packages that fit, at the new document's own lines, and how many more."""
    from sanctity.report.github import MOST_ANNOTATIONS, TYPES, clip, workflow_command

    before, after = _paths(differences)
    answer = _answer(differences)
    head = f"{clip(before)} -> {clip(after)}: {_summary(differences)}"
    main = {Answer.SAME: Severity.NOTE, Answer.DIFFERENT: Severity.WARNING, Answer.UNDECIDED: Severity.ERROR}[answer]
    file = places[0][0] if places else ""
    found: dict[str, list[str]] = {name: [] for name in TYPES.values()}
    found[TYPES[main]].append(workflow_command(TYPES[main], head, title=f"sanctity diff: {_HEADS[answer][0]}", file=clip(file)))
    for index, difference in enumerate(differences):
        there, lines = places[index] if index < len(places) else (file, {})
        for change in by_weight(difference.packages):
            kind = TYPES[_level(change)]
            title = f"sanctity diff: {_word(change)}"
            found[kind].append(
                workflow_command(kind, clip(_message(change)), title=title, file=clip(there), line=_line_of(change, lines))
            )
        for name in dict.fromkeys(row.part for row in difference.parts):
            rows = [row for row in difference.parts if row.part == name]
            words = f"{name} differs in {count(len(rows), 'row')}: {', '.join(row.key for row in rows[:3])}"
            found["notice"].append(workflow_command("notice", clip(words), title=f"sanctity diff: {name}", file=clip(there)))
    for item in _blind(differences):
        words = f"could not be looked at: {clip(item.what)}: {clip(item.reason)}"
        found["error"].append(workflow_command("error", words, title=item.code, file=clip(file)))
    for kind, commands in found.items():
        if len(commands) > MOST_ANNOTATIONS:
            rest = len(commands) - (MOST_ANNOTATIONS - 1)
            words = f"and {rest:,} more that GitHub would not show here: see the text or JSON report"
            commands[MOST_ANNOTATIONS - 1 :] = [workflow_command(kind, words, title="more", file=clip(file))]
    return "".join(command for commands in found.values() for command in commands)


# -- SARIF ------------------------------------------------------------------------------------------------------------------------


def _rule(name: str, title: str, level: Severity) -> dict[str, Any]:
    return {
        "id": f"diff-{name}",
        "name": "Diff" + "".join(word.capitalize() for word in name.split("-")),
        "shortDescription": {"text": f"{title[0].upper()}{title[1:]}."},
        "defaultConfiguration": {"level": str(level)},
    }


def difference_sarif(differences: Sequence[Difference], places: Places = ()) -> str:
    """A SARIF 2.1.0 log of one run: a result a package or part, at the new document's own line.

    What could not be looked at is a result of kind ``open``, and the run then counts as not successful.
    """
    from sanctity.report.sarif import SCHEMA, Marks, artifact_location, message_text

    mark = Marks()
    rules: dict[str, dict[str, Any]] = {}
    results: list[dict[str, Any]] = []

    def result(name: str, title: str, level: Severity, message: str, file: str, line: int | None, *what: str) -> dict[str, Any]:
        rules.setdefault(name, _rule(name, title, level))
        physical: dict[str, Any] = {"artifactLocation": artifact_location(file or ".")}
        if line:
            physical["region"] = {"startLine": line}
        location: dict[str, Any] = {"physicalLocation": physical}
        if what:
            location["logicalLocations"] = [
                {"name": posixpath.basename(utf8(what[-1])) or utf8(what[-1]), "fullyQualifiedName": "/".join(map(utf8, what))}
            ]
        return {
            "ruleId": f"diff-{name}",
            "kind": "fail",
            "level": str(level),
            "message": {"text": message_text(message)},
            "locations": [location],
            "partialFingerprints": mark(name, file, *what),
        }

    for index, difference in enumerate(differences):
        file, lines = places[index] if index < len(places) else ("", {})
        for change in by_weight(difference.packages):
            word, level = _word(change), _level(change)
            found = result(word, _TITLES[Change(word)], level, _message(change), file, _line_of(change, lines), change.name)
            versions = {
                "before": change.before.version if change.before else "",
                "after": change.after.version if change.after else "",
            }
            found["properties"] = {
                "changes": [str(each) for each in change.changes],
                **{key: utf8(value) for key, value in versions.items() if value},
                "files": len(change.files),
            }
            results.append(found)
            for look in change.looks:
                # The change itself says what happened; each other reason to look is a rule of its own, that can be filtered by.
                if _OF_CHANGES.get(look.code) == word:
                    continue
                reason = result(
                    look.code,
                    TITLES[look.code],
                    look.severity,
                    f"{change.name} {_versions(change)}: {look.words}",
                    file,
                    _line_of(change, lines),
                    change.name,
                )
                results.append(reason)
        for name in dict.fromkeys(row.part for row in difference.parts):
            rows = [row for row in difference.parts if row.part == name]
            level = Severity.WARNING if name in FILE_PARTS else Severity.NOTE
            words = f"{name}: {'; '.join(f'{row.key} {_value(row)}'.rstrip() for row in rows[:_MOST_FILES])}"
            words += f" and {len(rows) - _MOST_FILES:,} more" if len(rows) > _MOST_FILES else ""
            results.append(result(name, f"a difference in {name}", level, words, file, None, name))
        for item in difference.unchecked:
            if item.in_scope:
                words = f"could not be looked at: {item.what}: {item.reason}"
                blind = result(item.code, "something could not be looked at", Severity.ERROR, words, file, None, item.what)
                results.append({**blind, "kind": "open", "level": "none"})
        if difference.before is None or difference.after is None:
            side = difference.before or difference.after
            assert side is not None
            words = f"only {_side_words(side)} has the environment {difference.environment}"
            results.append(
                result(
                    "environment", "only one side has an environment", Severity.WARNING, words, file, None, difference.environment
                )
            )
    codes = sorted(rules)
    for each in results:
        each["ruleIndex"] = codes.index(each["ruleId"].removeprefix("diff-"))
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "sanctity",
                "version": sanctity.__version__,
                "semanticVersion": sanctity.__version__,
                "rules": [rules[code] for code in codes],
            }
        },
        "automationDetails": {"id": "sanctity/diff/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The folder that the tool was started in."}}},
        "invocations": [{"executionSuccessful": not _blind(differences), "exitCode": exit_code(differences)}],
        "results": results,
        "properties": {"answer": str(_answer(differences)), "summary": _summary(differences)},
    }
    return dump({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _plain_text(differences: Sequence[Difference], places: Places = ()) -> str:
    del places
    return difference_text(differences)


#: The formats of a difference; text on a terminal, with colours, is `difference_text` itself.
FORMATS: Final[dict[str, Callable[[Sequence[Difference], Places], str]]] = {
    "text": _plain_text,
    "json": difference_json,
    "markdown": difference_markdown,
    "sarif": difference_sarif,
    "github": difference_github,
}
