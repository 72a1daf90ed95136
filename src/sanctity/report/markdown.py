"""Markdown for a pull request or a job summary: the verdict, what gates, the fix; everything else folded.

What an environment says stands in code spans, where GitHub makes no links, mentions or references of it; only plain words and
numbers stand as prose. Line ends never get through, so nothing an environment says can begin a row, a heading or a tag. Long lists
and long texts are cut and counted, so that a comment holds the report (GitHub takes 65,536 characters).
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import ReferenceKind, Severity
from sanctity.report.words import by_distribution, claim, count, detail, level, plain, proven, remedies, size, times, waivers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.drift import Comparison, Drift, Unchecked

__all__ = ["code_span", "comparison_markdown", "fenced", "folded", "prose", "unchecked_list"]

#: How many rows a distribution gets before the rest is counted, and a table; how much of one text is shown.
_MOST_EACH: Final = 5
_MOST_GATING: Final = 30
_MOST_OTHERS: Final = 20
_MOST_UNCHECKED: Final = 15
_MOST_REMEDIES: Final = 8
_MOST_NAMES: Final = 10
_LONGEST: Final = 120
_LONGEST_REMEDY: Final = 1000
#: A word or number that Markdown, and what GitHub does after it, takes as it is. A long one of hex digits could name a commit.
_PLAIN_WORD: Final = re.compile(r"\(?(?![A-Fa-f]{7})(?:[A-Za-z]+(?:['-][A-Za-z]+)*|[0-9]{1,6})[,.;:)]{0,2}|[,.;:)]")
_QUOTED: Final = re.compile(r"`([^`]*[^`\s][^`]*)`")
_BEFORE_STOP: Final = re.compile(r"` ([,.;:)])")
_BACKTICKS: Final = re.compile(r"`+")


def _clip(text: str) -> str:
    """*text* on one line, without what drives a terminal; of a long one both ends."""
    text = plain(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-(_LONGEST // 2 - 1) :]}"


def code_span(text: str) -> str:
    """*text* as a code span. What would end the span, or a table's cell around it, is written out."""
    text = _clip(text.replace("`", "\\x60").replace("|", "\\x7c"))
    if not text.strip():
        text = repr(text)
    # One blank at each end is taken off again where there is one at both.
    around = " " if text[0] == " " and text[-1] == " " else ""
    return f"`{around}{text}{around}`"


def prose(text: str) -> str:
    """*text* with everything in code spans that is not a plain word or number; what stands between backticks is one already."""
    parts: list[str] = []
    for index, piece in enumerate(_QUOTED.split(_clip(text))):
        if index % 2:
            parts.append(code_span(piece.strip()))
            continue
        for sure, words in groupby(piece.split(), lambda word: _PLAIN_WORD.fullmatch(word) is not None):
            run = " ".join(words)
            bare = run if sure else run.rstrip(",.;:") or run
            parts.append(run if sure else code_span(bare) + run[len(bare) :])
    # Two spans never touch, since their backticks would be taken for one mark.
    return _BEFORE_STOP.sub(r"`\1", " ".join(parts))


def fenced(lines: Iterable[str], language: str = "sh") -> list[str]:
    """*lines* in a fenced block that nothing in them can close."""
    shown = [plain(line) for line in lines]
    fence = "`" * max(3, 1 + max((len(run) for text in shown for run in _BACKTICKS.findall(text)), default=0))
    return [f"{fence}{language}", *shown, fence, ""]


def _row(drift: Drift) -> str:
    what = " ".join(code_span(part) for part in (drift.distribution, drift.version) if part)
    about = prose(detail(drift))
    if drift.waiver:
        about = "; ".join(part for part in (about, f"waived by {code_span(drift.waiver)}") if part)
    about = f"{about}{times(drift)}".strip()
    return f"| {drift.code} | {what} | {code_span(drift.path) if drift.path else ''} | {about} |"


def _drifts(drifts: list[Drift], *, each: int, most: int) -> list[str]:
    """A table of at most *most* of *drifts*, *each* of one distribution; the rest is counted."""
    lines = ["| code | package | path | what |", "| --- | --- | --- | --- |"]
    shown = told = 0
    for group in by_distribution(drifts):
        room = min(each, most - shown)
        if room <= 0:
            break
        lines += [_row(drift) for drift in group[:room]]
        shown += min(room, len(group))
        told += len(group)
        if len(group) > room:
            name = f" in {code_span(group[0].distribution)}" if group[0].distribution else ""
            lines.append(f"| | and {len(group) - room:,} more{name} | | |")
    if told < len(drifts):
        lines.append(f"| | and {len(drifts) - told:,} more in other packages | | |")
    return [*lines, ""]


def unchecked_list(items: list[Unchecked]) -> list[str]:
    """A table of *items*, that were not compared; a long one is counted."""
    lines = ["| code | what | reason |", "| --- | --- | --- |"]
    for item in items[:_MOST_UNCHECKED]:
        number = f" ({item.count:,})" if item.count > 1 else ""
        lines.append(f"| {item.code} | {code_span(item.what) if item.what else ''}{number} | {prose(item.reason)} |")
    if len(items) > _MOST_UNCHECKED:
        lines.append(f"| | and {len(items) - _MOST_UNCHECKED:,} more | |")
    return [*lines, ""]


def folded(title: str, lines: list[str]) -> list[str]:
    """*lines* behind a *title* of our own words; with the blank lines, Markdown is read within."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "</details>", ""]


def _names(names: Iterable[str]) -> str:
    """*names* as code spans, the first of them."""
    spans = [code_span(name) for name in names]
    return ", ".join(spans[:_MOST_NAMES]) + (f" and {len(spans) - _MOST_NAMES:,} more" if len(spans) > _MOST_NAMES else "")


def _facts(comparison: Comparison) -> list[str]:
    """What a reader may want to compare with another report: selection, waivers, policy, fingerprint."""
    facts = []
    reference = comparison.reference
    if reference.kind is ReferenceKind.LOCK:
        selection = reference.selection
        chosen = [
            f"{word} {_names(names)}" for word, names in (("groups", selection.groups), ("extras", selection.extras)) if names
        ]
        chosen += [f"environment {code_span(selection.environment)}"] if selection.environment else []
        facts.append(f"- selected: {'; '.join(chosen) or 'no groups, no extras'}")
    used = waivers(comparison)
    if used:
        facts.append(f"- waived: {count(sum(used.values()), 'drift')} by {_names(used)}")
    told = proven(comparison)
    if told:
        facts.append(f"- proven: {prose(told)}")
    if comparison.policy:
        profile = f"{code_span(comparison.profile)} " if comparison.profile else ""
        facts.append(f"- policy: {profile}{code_span(comparison.policy)}")
    if comparison.fingerprint is not None:
        facts.append(f"- fingerprint: {code_span(str(comparison.fingerprint.digest))}")
    return [*facts, ""] if facts else []


def comparison_markdown(comparison: Comparison, verb: str) -> str:
    """The report of *comparison*, which *verb* made."""
    head = claim(comparison)
    subject = f" {code_span(head.subject)}" if head.subject else ""
    lines = [
        f"### sanctity {verb}: {head.word}",
        "",
        f"{code_span(head.env or '.')} {head.middle}{subject}{head.tail}: {size(comparison)}.",
        "",
    ]
    if comparison.looked_at_from == "itself":
        lines += ["> Looked at from itself: code in it could blind this tool. Install it with pipx or `uv tool`.", ""]
    drifts = comparison.by_weight()
    gating = [drift for drift in drifts if drift.gating]
    if gating:
        lines += _drifts(gating, each=_MOST_EACH, most=_MOST_GATING)
    blind = [item for item in comparison.unchecked if item.in_scope]
    if blind:
        lines += ["Could not be looked at:", "", *unchecked_list(blind)]
    commands, words = remedies(gating, _LONGEST_REMEDY)
    if commands:
        lines += ["To fix it:", "", *fenced(commands[:_MOST_REMEDIES])]
    if words:
        lines += [*(f"- by hand: {prose(text)}" for text in words[:_MOST_REMEDIES]), ""]
    if max(len(commands), len(words)) > _MOST_REMEDIES:
        lines += ["`sanctity repair` prints all that there is to do, in order.", ""]
    others = [drift for drift in drifts if not drift.gating]
    if others:
        numbers = {weight: sum(level(drift) is weight for drift in others) for weight in Severity}
        title = ", ".join(count(number, str(weight)) for weight, number in numbers.items() if number)
        lines += folded(title, _drifts(others, each=_MOST_OTHERS, most=_MOST_OTHERS))
    aside = [item for item in comparison.unchecked if not item.in_scope]
    if aside:
        lines += folded(f"not checked: {sum(max(item.count, 1) for item in aside):,}", unchecked_list(aside))
    lines += _facts(comparison)
    return "\n".join(lines).rstrip("\n") + "\n"
