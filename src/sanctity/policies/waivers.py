"""What a waiver has to be to count, and the rules as one text that can be handed to a program.

A program that relaxes a control does not own the rules by which it may. `run` hands them on in a variable, with a digest over them;
the digest is the one that a receipt names for each use, so that two readers can tell whether they speak of the same rules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.policy import Policy, Profile
from sanctity.model.wire import Reader, canonical
from sanctity.policies.document import policy_digest, policy_document, read_policy, read_waiver, waiver_document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from sanctity.model.digest import Digest
    from sanctity.model.policy import Waiver

__all__ = ["NO_RULES", "RULES_SCHEMA", "Rules", "parse_rules", "rules_of", "rules_text", "waiver_fault"]

RULES_SCHEMA: Final = "sanctity.rules/1"
#: What is handed on where no waiver is of a control: nothing may be relaxed, whatever the policy.
NO_RULES: Final = "none"
#: How long the text may be, in bytes: Linux has no variable of 128 KiB.
_LONGEST: Final = 100_000
_HINT: Final = "let `sanctity run` set it, or unset it, so that the rules of the project count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By what a control may be relaxed: the *waivers* of controls, the *policy* beside them, where they are *from*.

    *digest* is over both, whatever waivers of drifts there are.
    """

    policy: Policy
    waivers: tuple[Waiver, ...]
    digest: Digest
    where: str = ""


def rules_of(policy: Policy, waivers: Iterable[Waiver], *, where: str = "") -> Rules:
    """The rules for controls among *policy* and *waivers*, read from *where*."""
    ours = tuple(sorted((waiver for waiver in waivers if waiver.control), key=lambda waiver: waiver.id))
    return Rules(policy=policy, waivers=ours, digest=policy_digest(policy, ours), where=where)


def rules_text(rules: Rules) -> str:
    """*rules* as the document ``sanctity.rules/1`` in one line, or `NO_RULES`.

    Raises:
        SanctityError: ``rules-too-long``: no variable holds them.
    """
    if not rules.waivers:
        return NO_RULES
    document = {
        "schema": RULES_SCHEMA,
        "policy": policy_document(rules.policy),
        "waivers": [waiver_document(waiver) for waiver in rules.waivers],
        "digest": str(rules.digest),
    }
    text = canonical(document)
    if len(text) > _LONGEST:
        words = f"the waivers of controls are {len(text):,} bytes, and a variable holds {_LONGEST:,}"
        raise SanctityError("rules-too-long", words, hint="remove those that have expired, and shorten the reasons")
    return text.decode()


def parse_rules(text: str, *, where: str) -> Rules:
    """The rules that `rules_text` wrote as *text*, found at *where*.

    Raises:
        DocumentError: ``rules-invalid``: it is no such text, or not what its digest says.
    """
    if text.strip() == NO_RULES:
        return rules_of(Policy(), (), where=where)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError("rules-invalid", f"it is no JSON: {error}"[:200], where=where, hint=_HINT) from error
    names = {"schema", "policy", "waivers", "digest"}
    if not isinstance(document, dict) or document.get("schema") != RULES_SCHEMA or document.keys() != names:
        raise DocumentError("rules-invalid", f"it is no document {RULES_SCHEMA}", where=where, hint=_HINT)
    reader = Reader(where, noun="rules", hint=_HINT)
    policy = read_policy(reader, cast("dict[str, Any]", reader.need(document, "policy", dict, {}, "")), "policy")
    waivers = tuple(read_waiver(reader, row, place) for place, row in reader.tables(document, "waivers", ""))
    if reader.issues:
        fault = reader.issues[0]
        words = f"{fault.where}: {fault.message}"
        raise DocumentError("rules-invalid", words, where=where, hint=_HINT)
    rules = rules_of(policy, waivers, where=where)
    if len({waiver.id for waiver in waivers}) < len(waivers) or len(rules.waivers) < len(waivers):
        raise DocumentError("rules-invalid", "a waiver stands there twice, or is of no control", where=where, hint=_HINT)
    if str(rules.digest) != document["digest"]:
        words = f"it says {str(document['digest'])[:80]!r}, and the digest of what stands there is {rules.digest}"
        raise DocumentError("rules-invalid", words, where=where, hint=_HINT)
    return rules


def waiver_fault(waiver: Waiver, policy: Policy, today: date) -> tuple[str, str] | None:
    """The drift code and words on what is wrong with *waiver* on the day *today*, so that it lets nothing pass; None if nothing."""
    if _person(waiver.approver) in {"", _person(waiver.owner)}:
        return "waiver-self-approved", f"{waiver.owner} approved it alone: an exception needs somebody else"
    if today > waiver.until:
        return "waiver-expired", f"its last day was {waiver.until.isoformat()}: {waiver.reason}"
    if policy.profile is Profile.PRODUCTION and not waiver.signed:
        return "waiver-unsigned", "the profile production takes signed waivers only"
    return None


def _person(name: str) -> str:
    """*name* as far as it can tell people apart: not by case, blanks, width or what is not seen."""
    import unicodedata

    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(character for character in plain if unicodedata.category(character) not in {"Cf", "Cc"}).split())
