"""Workflow commands of GitHub Actions: one annotation a distribution that drifted, at the lock's own line of the package.

The runner takes every line that starts with ``::`` for a command, and in other lines looks for an older form that starts with
``##[``. So every line written here is a command, and what an environment says is escaped as the runner's own toolkit does it:
percent sign, carriage return and line feed everywhere, colon and comma in properties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.lockfiles.lines import nearest
from sanctity.model.drift import ReferenceKind, Severity, Verdict
from sanctity.report.words import by_distribution, claim, detail, level, plain, remedies, size, times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Comparison, Drift

__all__ = ["MOST_ANNOTATIONS", "TYPES", "clip", "comparison_github", "workflow_command"]

#: How many annotations of one type GitHub shows a step; more are dropped without a word.
MOST_ANNOTATIONS: Final = 10
#: How many drifts of one distribution an annotation names, so that no distribution crowds the others out.
_MOST_EACH: Final = 5
_LONGEST: Final = 400
_LONGEST_REMEDY: Final = 1000
TYPES: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def clip(text: str) -> str:
    """*text* without what drives a terminal, and no longer than a reader reads."""
    text = plain(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def workflow_command(kind: str, message: str, *, title: str, file: str = "", line: int | None = None) -> str:
    """One annotation, as GitHub's runner reads it from standard output."""
    properties = [
        f"{name}={_property(value)}" for name, value in (("file", file), ("line", str(line or "")), ("title", title)) if value
    ]
    return f"::{kind} {','.join(properties)}::{_data(message)}\n"


def _about(drift: Drift) -> str:
    """What there is to say of *drift* beside its distribution."""
    about = ": ".join(clip(part) for part in (drift.path, detail(drift)) if part)
    about += times(drift)
    if drift.waiver:
        about += f"; waived by {clip(drift.waiver)}"
    return about.strip("; ")


def _message(group: list[Drift]) -> str:
    """What there is to say of a distribution, or of drifts of one code."""
    first = group[0]
    head = " ".join(clip(part) for part in (first.distribution, first.version) if part)
    codes = {drift.code for drift in group}
    rows = [
        f"{drift.code} {about}".strip() if len(codes) > 1 else about
        for drift, about in ((drift, _about(drift)) for drift in group[:_MOST_EACH])
    ]
    glue = ": " if len(group) == 1 else "\n"
    message = glue.join(part for part in (head, *rows) if part) or str(first.code)
    if len(group) > _MOST_EACH:
        message += f"\nand {len(group) - _MOST_EACH:,} more"
    commands, words = remedies(group, _LONGEST_REMEDY)
    fixes = [f"fix: {plain(hint)}" for hint in commands] + [f"fix: {clip(hint)}" for hint in words]
    return "\n".join((message, *fixes[:_MOST_EACH]))


def comparison_github(comparison: Comparison, verb: str, *, lines: Mapping[tuple[str, str], int] | None = None) -> str:
    """The annotations of *comparison*: the verdict, then the drifts that fit, and how many more there are.

    *lines* is where in the lock, or seal, a distribution stands.
    """
    stated = comparison.reference.kind in {ReferenceKind.LOCK, ReferenceKind.SEAL}
    file = plain(comparison.reference.path) if stated else ""
    head = claim(comparison)
    sentence = f"{clip(head.env)} {head.middle}" + (f" {clip(head.subject)}" if head.subject else "") + head.tail
    if comparison.looked_at_from == "itself":
        sentence += "; looked at from itself: code in it could blind this tool"
    kind = TYPES[Severity.NOTE if comparison.verdict is Verdict.CLEAN else Severity.ERROR]
    verdict = workflow_command(kind, f"{sentence} ({size(comparison)})", title=f"sanctity {verb}: {head.word}", file=file)
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in TYPES.values()}
    drifts = comparison.by_weight()
    for weight, name in TYPES.items():
        for group in by_distribution(drift for drift in drifts if level(drift) is weight):
            first = group[0]
            line = nearest(lines, first.distribution, first.expected, first.version) if lines and first.distribution else None
            title = " ".join(sorted({str(drift.code) for drift in group}))
            found[name].append((len(group), workflow_command(name, _message(group), title=title, file=file, line=line)))
    for item in comparison.unchecked:
        if item.in_scope:
            number = f" ({item.count:,})" if item.count > 1 else ""
            message = f"could not be looked at: {clip(item.what)}{number}: {clip(item.reason)}"
            found["error"].append((1, workflow_command("error", message, title=item.code, file=file)))
    written = [verdict]
    for name, commands in found.items():
        most = MOST_ANNOTATIONS - (name == kind)
        if len(commands) > most:
            rest = sum(number for number, _ in commands[most - 1 :])
            message = f"and {rest:,} more that GitHub would not show here: see the text or JSON report"
            commands[most - 1 :] = [(rest, workflow_command(name, message, title="more", file=file))]
        written += [command for _, command in commands]
    return "".join(written)
