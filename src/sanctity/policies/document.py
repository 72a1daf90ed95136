"""``[tool.sanctity]`` and ``waivers/ID.toml``: text in, frozen values out, every fault with its place.

What is not understood is an error and never passed over: a key that a newer version knows might be one that forbids something.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from sanctity.model.digest import Digest
from sanctity.model.drift import Code
from sanctity.model.names import normalise_name
from sanctity.model.policy import GATES, NUMERIC, Bytecode, Policy, Profile, Variables, Waiver
from sanctity.model.wire import Reader, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

__all__ = ["parse_policy", "parse_waiver", "policy_digest", "policy_document", "read_policy", "read_waiver", "waiver_document"]

E = TypeVar("E", bound="StrEnum")

_POLICY_KEYS: Final = frozenset({"profile", "gate", "bytecode", "variables"})
_WAIVER_KEYS: Final = frozenset(
    {"id", "code", "control", "distribution", "path", "sha256", "reason", "owner", "approver", "until", "cost", "tolerance"}
)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
#: What no waiver lets pass: a waiver that is wrong, and a seal that is not of this lock.
_NEVER: Final = frozenset({Code.WAIVER_EXPIRED, Code.WAIVER_SELF_APPROVED, Code.WAIVER_UNSIGNED, Code.SEAL_STALE})
_LONGEST: Final = 2000


def _choice(reader: Reader, table: dict[str, object], key: str, kind: type[E], default: E, where: str) -> E:
    value = reader.get(table, key, str, str(default), where)
    try:
        return kind(value)
    except ValueError:
        place = f"{where}.{key}" if where else key
        choices = ", ".join(f'"{each}"' for each in kind)
        reader.fault(f"{reader.noun}-bad-value", place, f"{value[:60]!r} is none of its values", f"one of {choices}")
        return default


def read_policy(reader: Reader, table: dict[str, object], where: str) -> Policy:
    """The policy in *table*; faults go to *reader*. ``numeric`` in ``gate`` stands for the whole numeric class."""
    reader.only(table, _POLICY_KEYS, where)
    gate: set[str] = set()
    for index, part in enumerate(reader.strings(table, "gate", where)):
        if part == "numeric":
            gate.update(NUMERIC)
        elif part in GATES:
            gate.add(part)
        else:
            place = f"{where}.gate[{index}]" if where else f"gate[{index}]"
            hint = f"one of {', '.join(GATES)}, numeric"
            reader.fault(f"{reader.noun}-bad-value", place, f"{part[:60]!r} is no part that may gate", hint)
    return Policy(
        profile=_choice(reader, table, "profile", Profile, Profile.DEFAULT, where),
        gate=tuple(sorted(gate)),
        bytecode=_choice(reader, table, "bytecode", Bytecode, Bytecode.HEADER, where),
        variables=_choice(reader, table, "variables", Variables, Variables.REFUSE, where),
    )


def parse_policy(table: dict[str, object], *, path: str) -> Policy:
    """The policy that the table ``[tool.sanctity]`` of the document *path* states.

    Raises:
        DocumentError: a key or value is not known.
    """
    reader = Reader(path, noun="policy", hint="see docs/policy.md")
    policy = read_policy(reader, table, "tool.sanctity")
    reader.finish()
    return policy


def read_waiver(reader: Reader, table: dict[str, object], where: str, *, stem: str = "") -> Waiver:
    """The waiver in *table*; faults go to *reader*. *stem* is the name of its file, which its id must be."""

    def place(key: str) -> str:
        return f"{where}.{key}" if where else key

    def text(key: str, *, needed: bool) -> str:
        value = (reader.need if needed else reader.get)(table, key, str, "", where).strip()
        if needed and key in table and not value:
            reader.fault(f"{reader.noun}-bad-value", place(key), "it is empty")
        if len(value) > _LONGEST:
            reader.fault(f"{reader.noun}-bad-value", place(key), f"it is longer than {_LONGEST:,} characters")
        return value

    reader.only(table, _WAIVER_KEYS, where)
    name = text("id", needed=not stem) or stem
    if not _ID.fullmatch(name) or (stem and name != stem):
        words = f"it is {name[:60]!r}, and its file is called {stem[:60]!r}" if stem else f"{name[:60]!r} is no id"
        reader.fault(f"{reader.noun}-bad-value", place("id"), words, "letters, digits, dots, hyphens; the same as the file's name")
    code, control = text("code", needed=False), text("control", needed=False)
    if bool(code) is bool(control):
        reader.fault(f"{reader.noun}-bad-value", place("code"), "it needs a drift code or a control, and not both")
    elif code and (code not in set(Code) or code in _NEVER):
        words = f"{code[:60]!r} is no drift code that can be waived"
        reader.fault(f"{reader.noun}-bad-value", place("code"), words, "`sanctity explain` lists the codes")
    distribution, path, sha256 = (text(key, needed=False) for key in ("distribution", "path", "sha256"))
    if code and not (distribution or path or sha256):
        words = "it names no distribution, path or sha256, so it would let everything pass"
        reader.fault(f"{reader.noun}-bad-value", where or "code", words, "narrow it to what was looked at")
    cost, tolerance = text("cost", needed=False), text("tolerance", needed=False)
    for key, value in (("cost", cost), ("tolerance", tolerance)):
        if code and value:
            words = "a drift has none: it is what a control costs, or what difference is accepted without it"
            reader.fault(f"{reader.noun}-bad-value", place(key), words, "leave it out, and say why in the reason")
    if sha256 and not _SHA256.fullmatch(sha256):
        reader.fault(f"{reader.noun}-bad-value", place("sha256"), "it is no sha256: and 64 hex digits")
    until = table.get("until")
    if isinstance(until, str) and _DATE.fullmatch(until):
        try:
            until = date.fromisoformat(until)
        except ValueError:
            until = None
    if not isinstance(until, date) or isinstance(until, datetime):
        if "until" in table:
            reader.fault(f"{reader.noun}-bad-value", place("until"), "it is no date", "such as 2027-01-31")
        else:
            reader.fault(
                f"{reader.noun}-missing-key", where, "'until' is missing", "the last day that it counts, such as 2027-01-31"
            )
        until = date.min
    return Waiver(
        id=name,
        code=code,
        control=control,
        distribution=normalise_name(distribution),
        path=path,
        sha256=sha256,
        reason=text("reason", needed=True),
        owner=text("owner", needed=True),
        approver=text("approver", needed=True),
        until=until,
        cost=cost,
        tolerance=tolerance,
    )


def parse_waiver(table: dict[str, object], *, path: str, stem: str) -> Waiver:
    """The waiver that the document *path*, a file called *stem*, states.

    Raises:
        DocumentError: something is missing, or not known.
    """
    reader = Reader(path, noun="waiver", hint="see docs/policy.md")
    waiver = read_waiver(reader, table, "", stem=stem)
    reader.finish()
    return waiver


def policy_document(policy: Policy) -> dict[str, object]:
    """*policy* as a document's plain values."""
    return {
        "profile": str(policy.profile),
        "gate": list(policy.gate),
        "bytecode": str(policy.bytecode),
        "variables": str(policy.variables),
    }


def waiver_document(waiver: Waiver) -> dict[str, object]:
    """*waiver* as a document's plain values; what it does not say is left out."""
    stated = {
        "id": waiver.id,
        "code": waiver.code,
        "control": waiver.control,
        "distribution": waiver.distribution,
        "path": waiver.path,
        "sha256": waiver.sha256,
        "reason": waiver.reason,
        "owner": waiver.owner,
        "approver": waiver.approver,
        "until": waiver.until.isoformat(),
        "cost": waiver.cost,
        "tolerance": waiver.tolerance,
    }
    return {key: value for key, value in stated.items() if value}


def policy_digest(policy: Policy, waivers: Iterable[Waiver] = ()) -> Digest:
    """The digest over a policy and the waivers beside it, whatever order these are in."""
    stated = {
        "policy": policy_document(policy),
        "waivers": [waiver_document(waiver) for waiver in sorted(waivers, key=lambda waiver: waiver.id)],
    }
    return Digest.of_sha256(hashlib.sha256(canonical(stated)).digest())
