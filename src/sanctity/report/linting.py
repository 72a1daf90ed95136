"""What a lint found, in every format: by file, the worst first, what is alike at once, and the remedy under it.

`Finding` names each thing that is wrong; people are told of those that say the same of many packages in one line. What a lock says
never drives a terminal, and never becomes a link, a mention or a command of a workflow.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sanctity
from sanctity.model.drift import ReferenceKind, Severity, Verdict
from sanctity.report.json import dump, packaged_schema
from sanctity.report.text import Paint
from sanctity.report.words import count, plain, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from sanctity.linting.remedies import Step
    from sanctity.model.finding import Finding, LintedLock, Linting

__all__ = ["FORMATS", "exit_code", "fix_text", "linting_document", "linting_json", "linting_text", "schema"]

_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_STYLES: Final = {Severity.ERROR: "bad", Severity.WARNING: "doubt", Severity.NOTE: "dim"}
_HEADS: Final = {Verdict.CLEAN: ("CLEAN", "good"), Verdict.DRIFTED: ("FAULTY", "bad"), Verdict.UNDECIDED: ("UNREADABLE", "bad")}
#: What people read where nothing gates and there are warnings: "clean" would say too much.
_PASSED: Final = ("PASSED", "doubt")
#: How many packages a line names, how many lines one code gets in a file, and how many a file gets.
_MOST_NAMES: Final = 12
_MOST_LINES: Final = 20
_MOST_GROUPS: Final = 100
_MOST_ROWS: Final = 100
_MOST_UNCHECKED: Final = 8
_ALL: Final = "--format json has all of them"
_NO_STEP: Final = "fix: there is nothing that a tool of this project can mend by itself"
_WIDEST: Final = 118


def exit_code(linting: Linting) -> int:
    """0 clean, 1 something gates, 2 a document could not be read."""
    return {Verdict.CLEAN: 0, Verdict.DRIFTED: 1, Verdict.UNDECIDED: 2}[linting.verdict]


class _Group(NamedTuple):
    """Findings of one code, on one file, that say the same: *words*, of these packages."""

    first: Finding
    findings: tuple[Finding, ...]
    words: str


def _groups(findings: Iterable[Finding]) -> list[_Group]:
    """*findings*, those of one file, code and weight that say the same at once.

    The worst come first, and of one code the most.
    """
    codes: dict[tuple[str, Severity, str], dict[str, list[Finding]]] = {}
    for finding in findings:
        key = (finding.path, finding.severity, finding.code)
        codes.setdefault(key, {}).setdefault(finding.message, []).append(finding)
    found: list[_Group] = []
    for messages in codes.values():
        alike = sorted(messages.values(), key=lambda group: -len(group))
        found += [_Group(group[0], tuple(group), group[0].message) for group in alike]
    return sorted(found, key=lambda group: (group.first.path, _WEIGHT[group.first.severity], group.first.code))


def _names(group: _Group, most: int = _MOST_NAMES) -> str:
    """Whose findings they are: the packages, the first of them by name, else the place."""
    names = list(dict.fromkeys(f"{each.package} {each.version}".strip() for each in group.findings if each.package))
    if not names:
        return ""
    if len(names) == 1:
        return names[0]
    short = list(dict.fromkeys(each.package for each in group.findings if each.package))
    shown = short if len(short) == len(names) else names
    rest = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return f"{count(len(shown), 'package')}: {', '.join(shown[:most])}{rest}"


def _place(group: _Group) -> str:
    """Where a single finding is."""
    first = group.first
    if len(group.findings) > 1:
        return ""
    return f"line {first.line}" if first.line else first.where


def _new(linting: Linting) -> list[Finding]:
    return [finding for finding in linting.findings if not finding.known]


def _numbers(findings: Iterable[Finding]) -> str:
    """``1 error, 3 warnings``."""
    weights = dict.fromkeys(Severity, 0)
    for finding in findings:
        weights[finding.severity] += 1
    return ", ".join(count(number, str(weight)) for weight, number in weights.items() if number)


def _subject(linting: Linting) -> str:
    """What was linted, in words."""
    if linting.project:
        several = "s" if ", " in linting.project else ""
        return f"the project{several} in {linting.project}" if linting.project != "." else "this project"
    return linting.locks[0].path if len(linting.locks) == 1 else count(len(linting.locks), "lock")


def _size(linting: Linting) -> str:
    packages = sum(len(linted.lock.pins) for linted in linting.locks if linted.lock is not None)
    number = sum(linted.lock is None or linted.lock.format.is_lock for linted in linting.locks)
    locks = f"{count(number, 'lock')}, " if linting.project or not linting.locks else ""
    return f"{locks}{count(packages, 'package')}"


def _head(linting: Linting) -> tuple[str, str]:
    """The word that a report begins with, and its style."""
    if linting.verdict is Verdict.CLEAN and any(each.severity is Severity.WARNING for each in _new(linting)):
        return _PASSED
    return _HEADS[linting.verdict]


def _claim(linting: Linting) -> str:
    found = _new(linting)
    return f"{_numbers(found) or 'nothing found'}"


# -- Text -------------------------------------------------------------------------------------------------------------------------


def linting_text(linting: Linting, paint: Paint | None = None) -> str:
    """The report for people."""
    paint = paint or Paint()
    word, style = _head(linting)
    lines = [f"{paint(style, word)}  {plain(_subject(linting))}: {_claim(linting)}   {paint('dim', _size(linting))}"]
    found = _groups(_new(linting))
    width = max((len(group.first.code) for group in found), default=0)
    many = (
        bool(linting.project)
        or {group.first.path for group in found} != {each.path for each in linting.locks}
        or len(linting.locks) != 1
    )
    path = None
    of_code = Counter(map(_shelf, found))
    of_file = Counter(group.first.path for group in found)
    shown: Counter[object] = Counter()
    cut = any(len(group.findings) > _MOST_NAMES for group in found)
    told: set[str] = set()
    for index, group in enumerate(found):
        first = group.first
        if first.path != path:
            path, told = first.path, set()
            if many:
                lines.append(f"  {paint('bold', plain(path) or '.')}")
        shelf = _shelf(group)
        shown.update((path, shelf))
        if shown[path] > _MOST_GROUPS:
            if shown[path] == _MOST_GROUPS + 1:
                lines.append(paint("dim", f"    and {of_file[path] - _MOST_GROUPS:,} more in this file"))
                cut = True
            continue
        if shown[shelf] <= _MOST_LINES:
            lines += _group_lines(group, width, paint)
        elif shown[shelf] == _MOST_LINES + 1:
            lines.append(paint("dim", f"    and {of_code[shelf] - _MOST_LINES:,} more of {first.code}"))
            cut = True
        after = found[index + 1].first if index + 1 < len(found) else None
        if first.hint and first.hint not in told and (after is None or (after.path, after.hint) != (path, first.hint)):
            told.add(first.hint)
            lines.append(f"    {paint('bold', 'fix:')} {plain(first.hint)}")
    if cut:
        lines.append(paint("dim", f"  {_ALL}"))
    lines += _tail(linting, paint)
    return "\n".join(lines) + "\n"


def _shelf(group: _Group) -> tuple[str, str, Severity]:
    """What a group is counted with: its file, code and weight."""
    return group.first.path, group.first.code, group.first.severity


def _group_lines(group: _Group, width: int, paint: Paint) -> list[str]:
    first = group.first
    code = paint(_STYLES[first.severity], f"{first.severity!s:<7}  {first.code:<{width}}")
    place = "  ".join(plain(part) for part in (_names(group), _place(group)) if part)
    words = plain(group.words)
    glue = "   " if width + len(place) + len(words) + 16 <= _WIDEST else "\n" + " " * (width + 14)
    return [f"    {code}   " + (f"{place}{glue}({words})" if place else words)]


def _tail(linting: Linting, paint: Paint) -> list[str]:
    lines: list[str] = []
    if linting.judged_for and any(finding.code == "no-wheel-for-platform" for finding in linting.findings):
        lines.append(paint("dim", f"  wheels judged for {plain(linting.judged_for)}"))
    if linting.unchecked:
        words = [f"{plain(item.what)}: {plain(item.reason)}" for item in linting.unchecked]
        lines.append(paint("dim", "  " + "; ".join(words[:_MOST_UNCHECKED]) + (" …" if len(words) > _MOST_UNCHECKED else "")))
    known = sum(finding.known for finding in linting.findings)
    if known:
        lines.append(paint("dim", f"  {count(known, 'finding')} known before: {plain(linting.baseline)}"))
    if linting.gone:
        some = "; ".join(plain(each) for each in linting.gone[:_MOST_NAMES]) + (" …" if len(linting.gone) > _MOST_NAMES else "")
        lines.append(paint("dim", f"  no longer found, to be taken out of {plain(linting.baseline)}: {some}"))
    return lines


def fix_text(linting: Linting, steps: Sequence[Step], installed: AbstractSet[str]) -> str:
    """The commands that mend what can be mended, in order; *installed* are the tools that are there.

    What a finding's own remedy is and *steps* do not have is for people: it makes another file, or says what a project never said.
    """
    lines = ["fix: run these, or let them be run with --fix --apply" if steps else _NO_STEP]
    for step in steps:
        lacking = "" if step.command[0] in installed else f"; {step.command[0]} is not installed"
        lines += [plain(f"  {step}"), plain(f"      for {', '.join(step.codes)} in {step.path}{lacking}")]
    others: dict[str, dict[str, None]] = {}
    for finding in _new(linting):
        if finding.command and finding.command not in {str(step) for step in steps}:
            others.setdefault(finding.command, {})[f"{finding.code} in {finding.path or '.'}"] = None
    if others:
        lines.append("by hand, since the project does not say that these are wanted:")
        for command, what in others.items():
            lines += [plain(f"  {command}"), plain(f"      for {', '.join(what)}")]
    return "\n".join(lines) + "\n"


# -- JSON -------------------------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return packaged_schema("lint-1")


def _lock(linted: LintedLock) -> dict[str, Any]:
    lock = linted.lock
    return {
        "path": utf8(linted.path),
        "format": str(lock.format) if lock is not None else None,
        "format_version": (utf8(lock.format_version) or None) if lock is not None else None,
        "digest": str(lock.digest) if lock is not None else None,
        "generator": (utf8(lock.generator) or None) if lock is not None else None,
        "summary": _cleaned(linted.summary) if linted.summary is not None else None,
    }


def _cleaned(value: object) -> Any:
    """*value* with text that can be encoded."""
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    if hasattr(value, "items"):
        return {utf8(str(key)): _cleaned(item) for key, item in value.items()}
    return value


def _finding(finding: Finding, linting: Linting) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "code": finding.code,
        "severity": str(finding.severity),
        "gating": linting.gates(finding),
        "path": utf8(finding.path) or None,
        "where": utf8(finding.where) or None,
        "line": finding.line or None,
        "package": utf8(finding.package) or None,
        "version": utf8(finding.version) or None,
        "message": utf8(finding.message),
        "hint": utf8(finding.hint),
    }
    if finding.command:
        entry["command"] = utf8(finding.command)
    if finding.count != 1:
        entry["count"] = finding.count
    if finding.known:
        entry["known"] = True
    return entry


def linting_document(linting: Linting) -> dict[str, Any]:
    """*linting* as the document's own plain values; ``reference`` is the lock where there is just one."""
    reference: dict[str, Any] = {"kind": str(ReferenceKind.NONE)}
    if len(linting.locks) == 1 and linting.locks[0].lock is not None:
        lock = linting.locks[0].lock
        reference = {
            "kind": str(ReferenceKind.LOCK),
            "format": str(lock.format),
            "path": utf8(lock.path),
            "digest": str(lock.digest),
        }
    pins = [pin for linted in linting.locks if linted.lock is not None for pin in linted.lock.pins]
    beside: dict[str, Any] = {}
    if linting.baseline:
        known = sum(finding.known for finding in linting.findings)
        beside["baseline"] = {"path": utf8(linting.baseline), "known": known, "gone": [utf8(each) for each in linting.gone]}
    return {
        "schema": "sanctity.report/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "verb": "lint",
        "verdict": str(linting.verdict),
        "depth": None,
        "reference": reference,
        "environment": None,
        "project": utf8(linting.project) or None,
        "judged_for": utf8(linting.judged_for) or None,
        "checked": {
            "locks": len(linting.locks),
            "packages": len(pins),
            "artifacts": sum(len(pin.artifacts) for pin in pins),
        },
        **beside,
        "unchecked": [
            {
                "code": item.code,
                "what": utf8(item.what),
                "reason": utf8(item.reason),
                "count": item.count,
                "in_scope": item.in_scope,
            }
            for item in linting.unchecked
        ],
        "locks": [_lock(linted) for linted in linting.locks],
        "findings": [_finding(finding, linting) for finding in linting.findings],
    }


def linting_json(linting: Linting) -> str:
    """The document ``sanctity.report/1`` of a lint."""
    return dump(linting_document(linting))


# -- Markdown ---------------------------------------------------------------------------------------------------------------------


def linting_markdown(linting: Linting) -> str:
    """Markdown for a pull request: what gates and what warns in a table, notes folded."""
    from sanctity.report.markdown import code_span, fenced, folded, prose

    word, _ = _head(linting)
    lines = [f"### sanctity lint: {word}", "", f"{code_span(_subject(linting))}: {_claim(linting)} ({_size(linting)}).", ""]
    groups = _groups(_new(linting))

    def table(some: list[_Group]) -> list[str]:
        rows = ["| | code | where | what |", "| --- | --- | --- | --- |"]
        for group in some[:_MOST_ROWS]:
            first = group.first
            where = " ".join(
                part for part in (code_span(first.path) if first.path else "", _place(group) and prose(_place(group))) if part
            )
            names = _names(group)
            what = ": ".join(part for part in (prose(names) if names else "", prose(group.words)) if part)
            weight = f"**{first.severity}**" if linting.gates(first) else str(first.severity)
            rows.append(f"| {weight} | {first.code} | {where} | {what} |")
        if len(some) > _MOST_ROWS:
            rows.append(f"| | and {len(some) - _MOST_ROWS:,} more | | {prose(_ALL)} |")
        return [*rows, ""]

    heavy = [group for group in groups if group.first.severity is not Severity.NOTE]
    light = [group for group in groups if group.first.severity is Severity.NOTE]
    if heavy:
        lines += table(heavy)
        commands = list(dict.fromkeys(group.first.command for group in heavy if group.first.command))
        words = list(dict.fromkeys(group.first.hint for group in heavy if group.first.hint != group.first.command))
        if commands:
            lines += ["To fix it:", "", *fenced([_alone(each) for each in commands[:_MOST_ROWS]])]
        if words:
            lines += [*(f"- by hand: {prose(hint)}" for hint in words[:_MOST_ROWS]), ""]
    if light:
        lines += folded(count(sum(len(group.findings) for group in light), "note"), table(light))
    known = sum(finding.known for finding in linting.findings)
    if known:
        lines += [f"- {count(known, 'finding')} known before: {code_span(linting.baseline)}"]
    if linting.gone:
        lines += [f"- {len(linting.gone):,} of them no longer found: they can be taken out of {code_span(linting.baseline)}"]
    return "\n".join(lines).rstrip("\n") + "\n"


def _alone(command: str) -> str:
    """*command* so that the next one is run in the same folder as it was."""
    return f"({command})" if command.startswith("cd ") else command


# -- GitHub annotations -----------------------------------------------------------------------------------------------------------


def linting_github(linting: Linting) -> str:
    """The annotations: what it comes to, then what was found, at the lines of the files, and how many more."""
    from sanctity.report.github import MOST_ANNOTATIONS, TYPES, clip, workflow_command

    word, _ = _head(linting)
    kind = TYPES[Severity.NOTE if linting.verdict is Verdict.CLEAN else Severity.ERROR]
    head = f"{clip(_subject(linting))}: {_claim(linting)} ({_size(linting)})"
    written = [workflow_command(kind, head, title=f"sanctity lint: {word}")]
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in TYPES.values()}
    for group in _groups(_new(linting)):
        first = group.first
        weight = Severity.ERROR if linting.gates(first) else first.severity
        message = ": ".join(clip(part) for part in (_names(group), group.words) if part)
        message += f"\nfix: {clip(first.hint)}" if first.hint else ""
        command = workflow_command(TYPES[weight], message, title=first.code, file=clip(first.path), line=first.line or None)
        found[TYPES[weight]].append((len(group.findings), command))
    for name, commands in found.items():
        most = MOST_ANNOTATIONS - (name == kind)
        if len(commands) > most:
            rest = sum(number for number, _ in commands[most - 1 :])
            words = f"and {rest:,} more that GitHub would not show here: see the text or JSON report"
            commands[most - 1 :] = [(rest, workflow_command(name, words, title="more"))]
        written += [command for _, command in commands]
    return "".join(written)


# -- SARIF ------------------------------------------------------------------------------------------------------------------------


def linting_sarif(linting: Linting) -> str:
    """A SARIF 2.1.0 log of one run: a rule a code with its page as help, a result a finding; what is known is suppressed."""
    from sanctity.linting.baseline import keys_of
    from sanctity.report.sarif import Marks, artifact_location, message_text, sarif_log

    mark = Marks()
    weights: dict[str, Severity] = {}
    results: list[dict[str, Any]] = []
    for finding in linting.findings:
        weights.setdefault(finding.code, finding.severity)
        physical: dict[str, Any] = {"artifactLocation": artifact_location(finding.path or ".")}
        if finding.line:
            physical["region"] = {"startLine": finding.line}
        location: dict[str, Any] = {"physicalLocation": physical}
        logical = utf8(finding.package or finding.where)
        if logical:
            location["logicalLocations"] = [{"name": logical, "fullyQualifiedName": logical}]
        about = f"{finding.package} {finding.version}".strip()
        message = ": ".join(message_text(part) for part in (about, finding.message) if part)
        message += f". Fix: {message_text(finding.hint)}" if finding.hint else ""
        suppressed = {"kind": "external", "status": "accepted", "justification": f"known before: {utf8(linting.baseline)}"}
        stated = {"gating": linting.gates(finding), "where": utf8(finding.where), "version": utf8(finding.version)}
        results.append(
            {
                "ruleId": finding.code,
                "kind": "fail",
                "level": str(finding.severity),
                "message": {"text": message},
                "locations": [location],
                "partialFingerprints": mark(*(part for key in keys_of(finding) for part in key)),
                "suppressions": [suppressed] if finding.known else [],
                "properties": {name: value for name, value in stated.items() if value != ""},
            }
        )
    notifications = [
        {
            "descriptor": {"id": item.code},
            "level": "note",
            "message": {"text": f"{message_text(item.what)}: {message_text(item.reason)}"},
        }
        for item in linting.unchecked
    ]
    return sarif_log(
        "lint",
        results,
        notifications,
        weights=weights,
        told={item.code: Severity.NOTE for item in linting.unchecked},
        invocation={
            "executionSuccessful": not linting.unreadable,
            "exitCode": exit_code(linting),
            "exitCodeDescription": str(linting.verdict),
        },
        beside={
            "artifacts": [
                {"location": artifact_location(linted.path)}
                | ({"hashes": {"sha-256": linted.lock.digest.value}} if linted.lock is not None else {})
                for linted in linting.locks
            ],
            "properties": {
                "verdict": str(linting.verdict),
                "headline": plain(f"{_subject(linting)}: {_claim(linting)} ({_size(linting)})"),
            },
        },
    )


#: The formats of a lint; text on a terminal, with colours, is `linting_text` itself.
FORMATS: Final[dict[str, Callable[[Linting], str]]] = {
    "text": linting_text,
    "json": linting_json,
    "markdown": linting_markdown,
    "sarif": linting_sarif,
    "github": linting_github,
}
