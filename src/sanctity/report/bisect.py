"""A bisect, drawn: the answer for people, and the document ``sanctity.bisect/1``, which is its log.

Its JSON Schema is ``report/schema/bisect-1.json`` in the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import sanctity
from sanctity.model.bisecting import Certainty, Outcome, Role, day
from sanctity.model.timeline import changes
from sanctity.report.json import dump, packaged_schema
from sanctity.report.text import Paint
from sanctity.report.words import count, plain, utf8, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sanctity.errors import SanctityError
    from sanctity.model.bisecting import Answer, Break, Counts, Culprit, Kept, Question
    from sanctity.model.timeline import Change, Release, Resolution

__all__ = [
    "answer_document",
    "bisect_json",
    "bisect_line",
    "bisect_markdown",
    "bisect_text",
    "log_document",
    "replay_json",
    "replay_text",
    "schema",
]

#: So many changed pins of a line are named before the rest is counted.
_MOST_PINS: Final = 6
_MOST_VIA: Final = 3


def schema(name: str = "bisect-1") -> dict[str, Any]:
    """The JSON Schema of the log, or of a replay (``bisect-replay-1``)."""
    return packaged_schema(name)


# -- the document ------------------------------------------------------------------------------------------------------------------


def log_document(
    question: Question,
    *,
    good: str,
    bad: str,
    resolutions: Mapping[tuple[str, tuple[str, ...]], Resolution],
    environments: Mapping[str, Kept],
    steps: Sequence[str],
    counts: Counts,
    answer: dict[str, Any] | None,
    error: SanctityError | None,
) -> dict[str, Any]:
    """The log as plain values."""
    releases = {str(each.digest): each.releases for each in resolutions.values() if not each.failure}
    return {
        "schema": "sanctity.bisect/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "answer": answer,
        "error": _error(error),
        "question": {
            "requirements": utf8(question.requirements),
            "good": question.good,
            "bad": question.bad,
            "python": question.python,
            "command": [utf8(word) for word in question.command],
            "compare": utf8(question.compare),
            "timeout": question.timeout,
            "undated": list(question.undated),
            "only_binary": question.only_binary,
            "extras": list(question.extras),
            "groups": list(question.groups),
            "files": [{"path": utf8(each.path), "digest": str(each.digest)} for each in question.files],
        },
        "good": good,
        "bad": bad,
        "counts": {
            "resolutions": counts.resolutions,
            "builds": counts.builds,
            "runs": counts.runs,
            "milliseconds": round(counts.seconds * 1000),
        },
        "steps": [utf8(text) for text in steps],
        "resolutions": [
            {
                "at": at,
                "constraints": list(constraints),
                "environment": None if each.failure else str(each.digest),
                "failure": utf8(each.failure) or None,
            }
            for (at, constraints), each in resolutions.items()
        ],
        "environments": [_environment(key, entry, releases.get(key, ())) for key, entry in environments.items()],
    }


def _error(error: SanctityError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": error.code, "message": utf8(error.message), "where": utf8(error.where), "hint": utf8(error.hint)}


def _environment(key: str, entry: Kept, releases: Sequence[Release]) -> dict[str, Any]:
    rows = {row.name: row for row in entry.rows}
    # A log is shown to others. One that lost a secret of a URL builds nothing again by itself, and is not said to.
    whole = all(without_secrets(row.url) == row.url for row in entry.rows)
    return {
        "digest": key,
        "at": entry.at,
        "why": utf8(entry.why),
        "hashed": bool(entry.rows) and whole,
        "failure": utf8(entry.failure) or None,
        "packages": [
            {
                "name": release.name,
                "version": utf8(release.version),
                "uploaded": release.uploaded or None,
                "via": [utf8(via) for via in release.via],
                "hashes": list(rows[release.name].hashes) if release.name in rows else [],
                "url": (without_secrets(utf8(rows[release.name].url)) or None) if release.name in rows else None,
                "editable": release.name in rows and rows[release.name].editable,
            }
            for release in releases
        ],
        "runs": [
            {
                "code": run.code,
                "milliseconds": round(run.seconds * 1000),
                "result": str(run.result) if run.result is not None else None,
                "tail": utf8(run.tail),
            }
            for run in entry.runs
        ],
    }


def answer_document(answer: Answer, question: Question) -> dict[str, Any]:
    """*answer* as plain values."""
    return {
        "line": bisect_line(answer, question),
        "exact": answer.exact,
        "complete": str(answer.complete),
        "remedy": list(answer.remedy),
        "breaks": [
            {
                "passing": _at(each.passing),
                "failing": _at(each.failing),
                "culprits": [_culprit(culprit) for culprit in each.culprits],
                "earlier": [_culprit(culprit) for culprit in each.earlier],
                "along": [_culprit(culprit) for culprit in each.along],
                "between": [{"at": one.at, "environment": None if one.failure else str(one.digest)} for one in each.between],
                "exact": each.exact,
                "alone": str(each.alone),
                "held": list(each.held),
            }
            for each in answer.breaks
        ],
        "contradictions": [
            {"first": span.first, "last": span.last, "outcome": str(span.outcome)} for span in answer.contradictions
        ],
        "notes": [utf8(note) for note in answer.notes],
    }


def _at(resolution: Resolution) -> dict[str, Any]:
    return {"at": resolution.at, "environment": str(resolution.digest)}


def _culprit(culprit: Culprit) -> dict[str, Any]:
    release = culprit.release
    return {
        "name": release.name,
        "version": utf8(release.version),
        "old": utf8(culprit.old) or None,
        "released": release.uploaded or None,
        "via": [utf8(via) for via in release.via],
        "role": str(culprit.role),
        "among": list(culprit.among),
        "yanked": None if culprit.yanked is None else utf8(culprit.yanked),
    }


def bisect_json(document: dict[str, Any]) -> str:
    """The text of the document."""
    return dump(document)


# -- for people --------------------------------------------------------------------------------------------------------------------


def bisect_line(answer: Answer, question: Question) -> str:
    """The answer in one line: the first break."""
    return _break_line(answer.breaks[0], question)


def _break_line(found: Break, question: Question) -> str:
    named = [_release(culprit, found, question) for culprit in found.culprits if culprit.role is Role.NECESSARY]
    suspects = [_release(culprit, found, question) for culprit in found.culprits if culprit.role is Role.SUSPECT]
    companions = [f"{one.release.name} {one.release.version}" for one in found.culprits if one.role is Role.COMPANION]
    named += [_release(culprit, found, question) for culprit in found.earlier if culprit.role is Role.NECESSARY]
    companions += [f"{one.release.name} {one.release.version}" for one in found.earlier if one.role is not Role.NECESSARY]
    line = ", together with ".join(named)
    if suspects:
        line = "; ".join((*([line] if line else []), f"one of: {'; '.join(suspects)}" if len(suspects) > 1 else suspects[0]))
    if companions:
        line += f" (not to be had without {_listed(companions)})"
    return line


def _release(culprit: Culprit, found: Break, question: Question) -> str:
    release = culprit.release
    words = f"{release.name} {release.version}"
    if culprit.among:
        words = f"{release.name}, one of {_listed([*culprit.among, release.version], 'or')}"
    elif not culprit.old and release.name not in found.failing.pins:
        return f"{words} went away"
    words += f", released {release.uploaded[:10]}" if release.uploaded else ", released at an unknown time"
    if culprit.yanked is not None:
        return f"{words}, yanked since" + (f" ({culprit.yanked.strip()})" if culprit.yanked.strip() else "")
    return f"{words}, {_asked(release, question)}" if release.via else words


def _asked(release: Release, question: Question) -> str:
    """Who asks for *release*: the requirements themselves, or other packages."""
    files = [via for via in release.via if via.startswith("-") or "(" in via]
    if files or not release.via:
        return f"named in {question.requirements}"
    shown = list(release.via[:_MOST_VIA])
    if len(release.via) > _MOST_VIA:
        return f"through {', '.join(shown)} and {len(release.via) - _MOST_VIA} more"
    return f"through {_listed(shown)}"


def _listed(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _pins(moved: Sequence[Change], *, new: bool, first: Sequence[str]) -> str:
    """The changed pins on one side; those of the packages *first* come first."""
    rows = sorted(moved, key=lambda change: (change.name not in first, change.name))
    words = [f"{one.name} {(one.new if new else one.old) or 'absent'}" for one in rows]
    return ", ".join(words[:_MOST_PINS]) + (f" and {len(words) - _MOST_PINS} more" if len(words) > _MOST_PINS else "")


def _checks(answer: Answer, bad: str, good: str) -> list[str]:
    """What was checked, in sentences."""
    first = answer.breaks[0]
    many = len(first.culprits) > 1
    found = []
    if first.culprits[0].yanked is not None and first.passing.at == bad:
        return ["the index does not choose it any more: what was resolved at --bad then was another environment than now"]
    if first.alone is Certainty.YES:
        found.append(f"the environment of {day(good)} fails with {'these' if many else 'it'} alone")
    elif first.along:
        names = _listed([f"{one.release.name} {one.release.version}" for one in first.along])
        found.append(
            f"the environment of {day(good)} fails with {'these' if many else 'it'} and {names}, and can not be had with less"
        )
    elif first.alone is Certainty.NO:
        found.append(f"the environment of {day(good)} passes with only the later of them")
    else:
        found.append(f"whether the environment of {day(good)} fails with {'these' if many else 'it'} alone could not be tried")
    if answer.complete is Certainty.YES:
        what = "the only cause" if len(answer.breaks) == 1 else "there is no other cause"
        found.append(f"that of {day(bad)} passes with {' '.join(answer.remedy)}: {what}")
    elif answer.complete is Certainty.NO:
        found.append(f"that of {day(bad)} fails without {'these' if many or len(answer.breaks) > 1 else 'it'} too")
    else:
        found.append(f"whether that of {day(bad)} passes without {'these' if many else 'it'} could not be told")
    return found


def _told(answer: Answer, question: Question) -> list[tuple[str, str]]:
    """What else there is to say, as (style, text)."""
    rows = []
    for each in answer.breaks[1:]:
        under = f" (with {', '.join(each.held)})" if each.held else ""
        rows.append(("bad", f"also: {_break_line(each, question)}{under}"))
    for each in answer.breaks:
        if not each.exact and each.between:
            dates = f"{day(each.between[0].at)} to {day(each.between[-1].at)}" if len(each.between) > 1 else day(each.between[0].at)
            rows.append(("doubt", f"not exact: {count(len(each.between), 'environment')} between ({dates}) gave no verdict"))
    for span in answer.contradictions:
        when = f"on {day(span.first)}" if span.first == span.last else f"from {day(span.first)} to {day(span.last)}"
        words = "passes again" if span.outcome is Outcome.PASS else "fails already"
        rows.append(("doubt", f"not one break: it {words} {when}"))
    rows += [("doubt", note) for note in answer.notes]
    return rows


def _took(counts: Counts) -> str:
    numbers = (count(counts.resolutions, "resolution"), count(counts.builds, "build"), count(counts.runs, "run"))
    return f"{', '.join(numbers)}, {counts.seconds:.1f} s"


def bisect_text(
    answer: Answer, question: Question, counts: Counts, *, good: str, bad: str, log: str, paint: Paint | None = None
) -> str:
    """*answer* for people: the release first, then what it rests on."""
    paint = paint or Paint()
    first = answer.breaks[0]
    moved = changes(first.passing, first.failing)
    names = [culprit.release.name for culprit in first.culprits]
    lines = [paint("bad" if answer.exact else "doubt", plain(bisect_line(answer, question)))]
    for style, word, each, new in (("good", "passes", first.passing, False), ("bad", "fails ", first.failing, True)):
        pins = plain(_pins(moved, new=new, first=names))
        lines.append(
            f"  {paint(style, word)}  {day(each.at)}  {pins}" + paint("dim", f"   of {count(len(each.releases), 'package')}")
        )
    lines += [f"  {paint(style, plain(text))}" for style, text in _told(answer, question)]
    lines += [f"  checked: {plain(text)}" for text in _checks(answer, bad, good)]
    lines.append(paint("dim", f"  {_took(counts)}" + (f"; log {plain(log)}" if log else "")))
    return "\n".join(lines) + "\n"


def bisect_markdown(answer: Answer, question: Question, counts: Counts, *, good: str, bad: str, log: str) -> str:
    """*answer* as Markdown."""
    first = answer.breaks[0]
    names = [culprit.release.name for culprit in first.culprits]
    moved = changes(first.passing, first.failing)
    lines = [
        f"**{_escaped(bisect_line(answer, question))}**",
        "",
        f"`{_code(' '.join(question.command))}`, {_escaped(question.requirements)}, Python {question.python}",
        "",
        "| | as of | changed | packages |",
        "|---|---|---|---|",
    ]
    for word, each, new in (("passes", first.passing, False), ("fails", first.failing, True)):
        lines.append(f"| {word} | {day(each.at)} | {_escaped(_pins(moved, new=new, first=names))} | {len(each.releases)} |")
    lines.append("")
    lines += [f"- {_escaped(text)}" for _, text in _told(answer, question)]
    lines += [f"- checked: {_escaped(text)}" for text in _checks(answer, bad, good)]
    lines.append(f"- {_took(counts)}" + (f"; log `{_code(log)}`" if log else ""))
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """*text* as it stands in Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in plain(text))


def _code(text: str) -> str:
    return plain(text).replace("`", "'").replace("|", "\\|")


# -- a replay ----------------------------------------------------------------------------------------------------------------------

_Side: TypeAlias = "tuple[str, str, Outcome, Outcome, str, int]"


def replay_text(path: str, line: str, sides: Sequence[_Side], counts: Counts, paint: Paint | None = None) -> str:
    """A replay for people.

    Each of *sides* is its name, its instant, what it was, what it is now, that in words, and how many packages it has.
    """
    paint = paint or Paint()
    agrees = all(expected is outcome for _, _, expected, outcome, _, _ in sides)
    word = paint("good", "AGREES") if agrees else paint("bad", "DOES NOT AGREE")
    lines = [f"{word}  {plain(path)}: {plain(line)}"]
    for _, at, expected, outcome, reason, packages in sides:
        was = "passed" if expected is Outcome.PASS else "failed"
        style = "good" if expected is outcome else "bad"
        lines.append(
            f"  {day(at)}  {was}, and now: {paint(style, plain(reason))}   ({count(packages, 'package')}, by their hashes)"
        )
    lines.append(paint("dim", f"  {count(counts.builds, 'build')}, {count(counts.runs, 'run')}, {counts.seconds:.1f} s"))
    return "\n".join(lines) + "\n"


def replay_json(path: str, line: str, sides: Sequence[_Side], counts: Counts) -> str:
    """A replay as the document ``sanctity.bisect-replay/1``."""
    document = {
        "schema": "sanctity.bisect-replay/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "log": utf8(path),
        "line": utf8(line),
        "agrees": all(expected is outcome for _, _, expected, outcome, _, _ in sides),
        "sides": [
            {
                "name": name,
                "at": at,
                "expected": str(expected),
                "outcome": str(outcome),
                "reason": utf8(reason),
                "packages": packages,
            }
            for name, at, expected, outcome, reason, packages in sides
        ],
        "counts": {"builds": counts.builds, "runs": counts.runs, "milliseconds": round(counts.seconds * 1000)},
    }
    return dump(document)
