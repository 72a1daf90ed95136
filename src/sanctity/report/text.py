"""The verdict as people read it, and as they paste it into a ticket: verdict first, worst drift first, the remedy under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import ReferenceKind, Severity, Verdict
from sanctity.report.words import by_distribution, claim, detail, level, plain, proven, remedy, size, waivers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.errors import SanctityError
    from sanctity.model.drift import Comparison, Drift
    from sanctity.model.environment import Fingerprint
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.plan.repair import RepairPlan

__all__ = ["Paint", "comparison_text", "error_text", "fingerprint_text", "from_lock_text", "plain", "repair_text", "sealing_text"]

#: How many lines a distribution gets before the rest is counted.
_MOST_LINES: Final = 5
_MOST_UNCHECKED: Final = 8
_WHOLE_PATH: Final = 60
_FACTS_COLUMN: Final = 48
_WIDEST: Final = 118


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """Colours on a terminal, and nothing in a pipe."""

    on: bool = False

    def __call__(self, style: str, text: str) -> str:
        """*text* in a *style*: ``good``, ``bad``, ``doubt``, ``dim`` or ``bold``."""
        if not self.on:
            return text
        code = {"good": "1;32", "bad": "1;31", "doubt": "1;33", "dim": "2", "bold": "1"}[style]
        return f"\x1b[{code}m{text}\x1b[0m"


def _headline(comparison: Comparison, paint: Paint) -> str:
    word, style, env, middle, subject, tail = claim(comparison)
    head = f"{paint(style, word)}  {plain(env)} {middle}" + (f" {plain(subject)}" if subject else "") + tail
    facts = f"{size(comparison)}, {comparison.seconds:.1f} s"
    visible = len(head) - (len(paint(style, "")) if paint.on else 0)
    glue = " " * max(3, _FACTS_COLUMN - visible) if visible + len(facts) + 3 <= _WIDEST else "\n  "
    return f"{head}{glue}{paint('dim', facts)}"


def _place(drift: Drift) -> str:
    what = f"{drift.distribution} {drift.version}".strip()
    return "   ".join(part for part in (plain(what), plain(drift.path)) if part)


def _remedy(hint: str, paint: Paint) -> str:
    return f"  {paint('bold', 'fix:')} {plain(remedy(hint))}"


def _drift_lines(drifts: Iterable[Drift], paint: Paint) -> list[str]:
    """One line a drift, a few for each distribution, the rest counted, and each remedy once, under the drifts it undoes."""
    groups = by_distribution(drifts)
    told: set[str] = set()
    lines: list[str] = []
    pending = ""
    width = max((len(drift.code) for group in groups for drift in group[:_MOST_LINES]), default=0)
    for group in groups:
        hint = group[0].hint
        if pending and hint != pending and pending not in told:
            lines.append(_remedy(pending, paint))
            told.add(pending)
        for drift in group[:_MOST_LINES]:
            style = "bad" if drift.gating else "doubt" if drift.severity is Severity.WARNING else "dim"
            about = plain(detail(drift))
            place = _place(drift)
            code = paint(style, f"{drift.code:<{width}}")
            glue = "   " if len(place) <= _WHOLE_PATH else "\n" + " " * (width + 5)
            lines.append(f"  {code}   {place}" + (f"{glue}({about})" if about else ""))
        if len(group) > _MOST_LINES:
            name = group[0].distribution
            lines.append(paint("dim", f"  and {len(group) - _MOST_LINES:,} more" + (f" in {plain(name)}" if name else "")))
        pending = hint
    if pending and pending not in told:
        lines.append(_remedy(pending, paint))
    return lines


def comparison_text(comparison: Comparison, verb: str, paint: Paint | None = None) -> str:
    """The report of *comparison* for people; *verb* is only for the other formats."""
    del verb
    paint = paint or Paint()
    lines = [_headline(comparison, paint)]
    if comparison.looked_at_from == "itself":
        lines.append(paint("doubt", "  looked at from itself: code in it could blind this tool; install it with pipx or `uv tool`"))
    drifts = comparison.by_weight()
    gating = [drift for drift in drifts if drift.gating]
    others = [drift for drift in drifts if not drift.gating]
    lines += _drift_lines(gating, paint)
    blind = [item for item in comparison.unchecked if item.in_scope]
    for item in blind[:_MOST_UNCHECKED]:
        times = f" ({item.count:,})" if item.count > 1 else ""
        lines.append(f"  {paint('doubt', item.code)}   {plain(item.what)}{times}   ({plain(item.reason)})")
    if len(blind) > _MOST_UNCHECKED:
        lines.append(paint("dim", f"  and {len(blind) - _MOST_UNCHECKED:,} more that could not be looked at"))
    for drift in others:
        times = f" and {drift.count - 1:,} more" if drift.count > 1 and drift.path and "," not in drift.path else ""
        about = "; ".join(plain(part) for part in (detail(drift), f"waived by {drift.waiver}" if drift.waiver else "") if part)
        style = "doubt" if level(drift) is Severity.WARNING else "dim"
        place = _place(drift)
        lines.append(
            paint(
                style,
                f"  {level(drift)}: {drift.code}" + (f"   {place}{times}" if place else "") + (f"   ({about})" if about else ""),
            )
        )
    reference = comparison.reference
    if reference.kind is ReferenceKind.LOCK:
        selection = reference.selection
        chosen = [
            f"{name} {', '.join(values)}" for name, values in (("groups", selection.groups), ("extras", selection.extras)) if values
        ]
        chosen += [f"environment {plain(selection.environment)}"] if selection.environment else []
        lines.append(paint("dim", f"  selected: {'; '.join(chosen) or 'no groups, no extras'}"))
    told = proven(comparison)
    if told:
        lines.append(paint("dim", f"  proven: {plain(told)}"))
    aside = [item for item in comparison.unchecked if not item.in_scope]
    if aside:
        words = [
            f"{plain(item.what)}" + (f" ({item.count:,})" if item.count > 1 else "") + f": {plain(item.reason)}" for item in aside
        ]
        lines.append(
            paint("dim", "  not checked: " + "; ".join(words[:_MOST_UNCHECKED]) + (" …" if len(words) > _MOST_UNCHECKED else ""))
        )
    used = waivers(comparison)
    if used:
        words = [plain(name) + (f" ({times:,})" if times > 1 else "") for name, times in used.items()]
        lines.append(
            paint("dim", f"  waived by {'; '.join(words[:_MOST_UNCHECKED])}" + (" …" if len(words) > _MOST_UNCHECKED else ""))
        )
    if comparison.fingerprint is not None:
        lines.append(paint("dim", f"  fingerprint {comparison.fingerprint.digest}"))
    return "\n".join(lines) + "\n"


def fingerprint_text(found: Fingerprint, *, parts: bool) -> str:
    """The digest alone, or one line a part."""
    if not parts:
        return f"{found.digest}\n"
    rows = [("fingerprint", found.digest), *found.parts, *((f"({name})", digest) for name, digest in found.beside)]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {digest}\n" for name, digest in rows)


def sealing_text(seal: Seal, comparison: Comparison, paint: Paint | None = None) -> str:
    """What was sealed, and against what it was compared before."""
    paint = paint or Paint()
    digest = str(comparison.fingerprint.digest) if comparison.fingerprint else ""
    made = next(each for each in seal.environments if str(each.fingerprint) == digest)
    what = f"{made.platform}, {made.implementation} {made.version}, {len(made.distributions):,} packages"
    lines = [f"{paint('good', 'SEALED')}  {plain(seal.path)}   {what}"]
    if made.lock is not None:
        lines.append(f"  as {plain(made.lock.path)} says, {made.lock.digest}")
    else:
        lines.append(paint("doubt", "  compared with its own RECORDs only: there is no lock"))
    if made.accepted:
        lines += [paint("doubt", f"  sealed as it is: {plain(text)}") for text in made.accepted[:_MOST_LINES]]
        if len(made.accepted) > _MOST_LINES:
            lines.append(paint("doubt", f"  and {len(made.accepted) - _MOST_LINES:,} more, each named in it"))
    lines += [f"  for {each.platform}, {each.python}: kept as it was" for each in seal.environments if each is not made]
    lines.append(paint("dim", f"  fingerprint {made.fingerprint}"))
    lines.append(paint("dim", f"  seal        {seal.digest}"))
    return "\n".join(lines) + "\n"


def from_lock_text(seal: Seal, made: Iterable[SealedEnvironment], paint: Paint | None = None) -> str:
    """What was sealed from a lock and its wheels, before there is an environment."""
    paint = paint or Paint()
    made = tuple(made)
    lines = []
    for each in made:
        what = f"{each.platform}, {each.implementation} {each.version}, {len(each.distributions):,} packages"
        lines.append(f"{paint('good', 'SEALED')}  {plain(seal.path)}   {what}")
        if each.lock is not None:
            lines.append(f"  as {plain(each.lock.path)} and its wheels say, {each.lock.digest}")
        lines.append(paint("dim", f"  fingerprint {each.fingerprint}"))
    lines += [f"  for {each.platform}, {each.python}: kept as it was" for each in seal.environments if each not in made]
    lines.append(paint("doubt", "  not stated: the interpreter's build, the standard library, native libraries, the processor"))
    lines.append(paint("dim", f"  seal        {seal.digest}"))
    return "\n".join(lines) + "\n"


def repair_text(plan: RepairPlan, comparison: Comparison, paint: Paint | None = None) -> str:
    """The commands of a plan, each under its reason, ready for a shell."""
    paint = paint or Paint()
    if comparison.verdict is Verdict.CLEAN:
        return "nothing to repair\n"
    lines = [f"cd {plain(plan.folder)}"] if plan.steps and plan.folder not in {"", "."} else []
    for step in plan.steps:
        lines += [paint("dim", f"# {plain(step.reason)}"), plain(str(step))]
    lines += [
        f"# not undone: {' '.join(filter(None, (drift.code, _place(drift))))}: {plain(reason)}" for drift, reason in plan.left
    ]
    if not lines:
        lines = ["# nothing that a command could undo: see what could not be looked at"]
    return "\n".join(lines) + "\n"


def error_text(error: SanctityError, paint: Paint | None = None) -> str:
    """An error with its code, place, message and remedy; of many faults in one document, the first dozen."""
    paint = paint or Paint()
    lines = [f"{paint('bad', 'error:')} {error.code}"]
    issues = getattr(error, "issues", ())
    if issues:
        document = error.where.partition(": ")[0]
        for issue in issues[:12]:
            place = f"{document}: {issue.where}" if issue.where else document
            lines.append(f"  {plain(place)}: {plain(issue.message)}")
        if len(issues) > 12:
            lines.append(f"  and {len(issues) - 12:,} more")
    else:
        lines.append("  " + (f"{plain(error.where)}: " if error.where else "") + plain(error.message))
    if error.hint:
        lines.append(f"{paint('bold', 'hint:')} {plain(error.hint)}")
    return "\n".join(lines) + "\n"
