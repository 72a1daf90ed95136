"""What every report says, whatever it is drawn in: the claim, the size of what was looked at, places, details and remedies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.model.artifact import Proof
from sanctity.model.drift import Code, Depth, ReferenceKind, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.drift import Comparison, Drift

__all__ = [
    "Claim",
    "by_distribution",
    "claim",
    "count",
    "detail",
    "level",
    "plain",
    "proven",
    "remedies",
    "remedy",
    "size",
    "times",
    "utf8",
    "waivers",
    "without_secrets",
]

#: A remedy longer than this, if it is a list of commands, is left to `repair`, which prints one a line.
_LONGEST_REMEDY: Final = 240
#: How a remedy starts that is a command and no sentence.
_COMMAND: Final = re.compile(
    r"(?:\S*/)?(?:apt-get|cd|conda|env|git|mamba|micromamba|pip|pip-sync|pixi|poetry|python[0-9.]*|rm|sanctity|sed|unset|uv)\s"
)

#: The user and password in a URL, up to the last @ before its path, as installers read it; and its query. The user of a repository
#: over SSH is no secret, and nothing is found there without it.
_USER: Final = re.compile(r"(?<=://)(?:(?<!ssh://)[^/\s]*|[^/\s]*:[^/\s]*)@")
_QUERY: Final = re.compile(r"(?<=://)(?P<before>[^\s?#]*)\?[^\s#`'\")]*")


def _is_bytes(text: str) -> bool:
    """Whether every surrogate of *text* stands for an undecodable byte."""
    return not any("\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" for c in text)


def utf8(text: str) -> str:
    """*text* with bytes that are not UTF-8 written out, so that it can be encoded."""
    return text.encode("utf-8", "surrogateescape" if _is_bytes(text) else "backslashreplace").decode("utf-8", "backslashreplace")


def plain(text: str) -> str:
    """*text* with control characters and undecodable bytes written out: a file name must not drive a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in utf8(text))


def without_secrets(text: str) -> str:
    """*text* with what its URLs may hold of secrets taken out: the user and password (RFC 3986, 3.2.1), and the query."""
    return _QUERY.sub(r"\g<before>?…", _USER.sub("…@", text))


def count(number: int, word: str) -> str:
    """*number* of what *word* names in the singular: ``1 file``, ``2,000 files``."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


class Claim(NamedTuple):
    """The headline in parts: a *word* and its *style*, and the sentence *env*, *middle*, *subject*, *tail*.

    *env* and *subject* are an environment's own text, to be escaped by whoever draws them; *subject* may be empty.
    """

    word: str
    style: str
    env: str
    middle: str
    subject: str = ""
    tail: str = ""


def claim(comparison: Comparison) -> Claim:
    """What *comparison* claims, which is never more than it looked at."""
    env = comparison.prefix
    reference = comparison.reference
    word, style, middle = {
        Verdict.CLEAN: ("CLEAN", "good", "is what"),
        Verdict.DRIFTED: ("DRIFTED", "bad", "is not what"),
        Verdict.UNDECIDED: ("UNDECIDED", "doubt", "could not be compared whole with what"),
    }[comparison.verdict]
    if reference.kind is ReferenceKind.NONE:
        if comparison.verdict is Verdict.CLEAN:
            return Claim("CONSISTENT", "good", env, "is consistent with its own RECORDs (not proof)")
        if all(item.code == "no-reference" for item in comparison.unchecked if item.in_scope) and not any(
            drift.gating for drift in comparison.drifts
        ):
            return Claim(word, style, env, "is consistent with its own RECORDs, but there is no lock to prove it by")
        drifted = comparison.verdict is Verdict.DRIFTED
        return Claim(
            word, style, env, "contradicts its own RECORDs" if drifted else "could not be compared whole with its own RECORDs"
        )
    if reference.kind is ReferenceKind.FINGERPRINT:
        another = any(drift.code is Code.FINGERPRINT_MISMATCH for drift in comparison.drifts)
        verb = "does not have" if another else "may not have" if comparison.verdict is Verdict.UNDECIDED else "has"
        return Claim(word, style, env, f"{verb} the fingerprint", f"{reference.digest[:26]}…")
    if comparison.depth is Depth.VERSION and comparison.verdict is Verdict.CLEAN:
        return Claim(word, style, env, "has the names and versions of", reference.path, "; no byte was compared")
    return Claim(word, style, env, middle, reference.path, " says")


def size(comparison: Comparison) -> str:
    """How much was looked at, and how far."""
    checked = comparison.checked
    fast = f" ({checked.cached:,} remembered: fast, not proof)" if checked.cached else ""
    read = f", {count(checked.files, 'file')}{fast}, {checked.bytes / 1e6:,.0f} MB" if checked.files else ""
    return f"{count(checked.distributions, 'package')}{read}, depth {comparison.depth}"


def proven(comparison: Comparison) -> str:
    """What was proven at depth ``artifact``, in a sentence; empty at other depths, and where nothing was."""
    found = comparison.proven
    if found is None:
        return ""
    kinds = {
        Proof.WHEEL: "by the locked wheel, read now",
        Proof.REMEMBERED: "by what is remembered of the locked wheel",
        Proof.IMPORTED: "by what was imported of the locked wheel",
        Proof.SEALED: "by what the seal states",
    }
    parts = [f"{count(number, 'package')} {kinds[Proof(how)]}" for how, number in found.distributions]
    if found.bytecode:
        before = f", {found.remembered:,} of them compared before" if found.remembered else ""
        parts.append(f"the code of {count(found.bytecode, 'bytecode file')}{before}{f', by {found.judge}' if found.judge else ''}")
    return "; ".join(parts)


def detail(drift: Drift) -> str:
    """What there is to say of *drift* beside its place; an environment's own text is in it."""
    parts = []
    if drift.code is Code.VERSION_MISMATCH and drift.expected and drift.actual:
        parts.append(f"locked {drift.expected}, installed {drift.actual}")
    elif drift.message:
        parts.append(drift.message)
    if drift.shared:
        parts.append("a link: shared with other environments")
    return "; ".join(parts)


def times(drift: Drift) -> str:
    """How many files *drift* speaks of, where its path names only the first: `` (12)``, else nothing."""
    return f" ({drift.count:,})" if drift.count > 1 and drift.path and "," not in drift.path else ""


def level(drift: Drift) -> Severity:
    """How much *drift* weighs where a format knows no gating: what gates is an error, and what is waived a note."""
    if drift.gating:
        return Severity.ERROR
    return Severity.NOTE if drift.waiver else drift.severity


def remedy(hint: str) -> str:
    """*hint* as a line of text; a long list of commands is left to `repair`, which prints one a line."""
    if len(hint) > _LONGEST_REMEDY and " && " in hint:
        return f"{hint.count(' && ') + 1} commands: `sanctity repair` prints them in order"
    return hint


def remedies(drifts: Iterable[Drift], longest: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The remedies of *drifts*, each once, in the order of what they undo: commands to paste, and words for where there are none.

    A command is whole or not there: one that is longer than *longest* is left to `repair`.
    """
    commands: dict[str, None] = {}
    words: dict[str, None] = {}
    for hint in dict.fromkeys(drift.hint for drift in drifts if drift.hint):
        if not _COMMAND.match(hint):
            words[hint] = None
        elif len(plain(hint)) > longest:
            words["`sanctity repair` prints the commands in order"] = None
        else:
            commands[hint] = None
    return tuple(commands), tuple(words)


def by_distribution(drifts: Iterable[Drift]) -> tuple[list[Drift], ...]:
    """*drifts* in groups: one a distribution, or a code for those of none; what is shared comes first in each."""
    groups: dict[str, list[Drift]] = {}
    for drift in drifts:
        groups.setdefault(drift.distribution or f"\0{drift.code}", []).append(drift)
    for group in groups.values():
        group.sort(key=lambda drift: not drift.shared)
    return tuple(groups.values())


def waivers(comparison: Comparison) -> dict[str, int]:
    """The waivers that let a drift pass, by id, with how many drifts each did."""
    used: dict[str, int] = {}
    for drift in comparison.drifts:
        if drift.waiver:
            used[drift.waiver] = used.get(drift.waiver, 0) + max(drift.count, 1)
    return dict(sorted(used.items(), key=lambda item: utf8(item[0])))  # in the order of what is written
