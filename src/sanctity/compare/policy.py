"""A policy and its waivers, applied to what a comparison found. They change a verdict, and never a fact or a digest.

A part gates where the policy says so. A waiver lets one drift pass, is shown where it does, and counted; one that has expired, or
that its owner approved, is an error of its own. Where the unknown would gate, it is in scope: unknown is never a pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import Code, Comparison, Drift, Severity, Unchecked
from sanctity.model.environment import LookedAtFrom
from sanctity.model.names import normalise_name
from sanctity.model.policy import Bytecode, Profile
from sanctity.policies.waivers import waiver_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from sanctity.model.digest import Digest
    from sanctity.model.policy import Policy, Waiver

__all__ = ["apply_policy"]

#: The part of a policy's ``gate`` that a drift belongs to, where it is told without gating.
_PARTS: Final = {
    Code.INTERPRETER_CHANGED: "interpreter",
    Code.STDLIB_ALTERED: "interpreter",
    Code.NATIVE_LIBRARY_CHANGED: "native",
    Code.CPU_CHANGED: "cpu",
    Code.ACCELERATOR_CHANGED: "accelerators",
    Code.SETTING_CHANGED: "settings",
    Code.ACTIVATE_ALTERED: "activate",
}
#: The part of a policy's ``gate`` that something unknown of the platform belongs to.
_UNKNOWN: Final = {"build": "interpreter", "stdlib": "interpreter"}


def apply_policy(
    comparison: Comparison, policy: Policy, waivers: Iterable[Waiver], *, digest: Digest | None, today: date
) -> Comparison:
    """*comparison* as judged by *policy*, whose *digest* it then names, and by the *waivers* beside it.

    *today* is the day at which waivers are looked at; one counts up to and including its last day.
    """
    drifts = [_by_part(drift, policy) for drift in comparison.drifts]
    unchecked = [_by_unknown(item, policy) for item in comparison.unchecked]
    drifts, unchecked = _by_bytecode(drifts, unchecked, policy)
    if policy.profile is Profile.PRODUCTION and comparison.looked_at_from is LookedAtFrom.ITSELF:
        reason = "a tool that runs inside the environment can be blinded by it; install it with pipx or `uv tool`"
        unchecked.append(Unchecked(code="looked-at-from-itself", what="the environment", reason=reason, in_scope=True))
    valid: list[Waiver] = []
    # One of a control lets no drift pass, and has to be right all the same: a program may relax by it.
    for waiver in sorted(waivers, key=lambda each: each.id):
        fault = _fault(waiver, policy, today)
        if fault is not None:
            drifts.append(fault)
        elif waiver.code:
            valid.append(waiver)
    drifts = [_waived(drift, valid) for drift in drifts]
    return replace(
        comparison,
        drifts=tuple(drifts),
        unchecked=tuple(unchecked),
        policy=str(digest) if digest is not None else "",
        profile=str(policy.profile),
    )


def _by_part(drift: Drift, policy: Policy) -> Drift:
    part = _PARTS.get(drift.code, "")
    if drift.gating or not part or not policy.gates(part):
        return drift
    return replace(drift, gating=True, severity=Severity.ERROR)


def _by_unknown(item: Unchecked, policy: Policy) -> Unchecked:
    if item.code != "platform-unknown" or not policy.gates(_UNKNOWN.get(item.what, item.what)):
        return item
    return replace(item, in_scope=True)


def _by_bytecode(drifts: list[Drift], unchecked: list[Unchecked], policy: Policy) -> tuple[list[Drift], list[Unchecked]]:
    if policy.bytecode is Bytecode.IGNORE:
        ignored = [
            replace(drift, gating=False, severity=Severity.WARNING)
            if drift.code is Code.BYTECODE_UNCHECKED and drift.gating
            else drift
            for drift in drifts
        ]
        return ignored, unchecked
    if policy.bytecode is Bytecode.FORBID:
        for item in unchecked:
            if item.code == "bytecode":
                words = "the policy forbids bytecode: import runs it, and only its header can be compared"
                drifts = [*drifts, Drift(code=Code.BYTECODE_FORBIDDEN, count=item.count, message=words)]
        unchecked = [item for item in unchecked if item.code != "bytecode"]
    return drifts, unchecked


def _fault(waiver: Waiver, policy: Policy, today: date) -> Drift | None:
    """What is wrong with *waiver*, so that it lets nothing pass."""
    found = waiver_fault(waiver, policy, today)
    if found is None:
        return None
    drift = Drift(code=Code(found[0]), path=f"waivers/{waiver.id}.toml", message=found[1])
    if drift.code is Code.WAIVER_EXPIRED:
        drift = replace(drift, expected=waiver.until.isoformat(), actual=today.isoformat())
    return drift


def _waived(drift: Drift, waivers: list[Waiver]) -> Drift:
    if not drift.gating:
        return drift
    waiver = next(_matching(drift, waivers), None)
    if waiver is None:
        return drift
    words = f"{waiver.reason}, until {waiver.until.isoformat()}"
    return replace(
        drift,
        gating=False,
        severity=Severity.WARNING,
        waiver=waiver.id,
        message=f"{drift.message}; {words}" if drift.message else words,
    )


def _matching(drift: Drift, waivers: list[Waiver]) -> Iterator[Waiver]:
    for waiver in waivers:
        if (
            waiver.code == drift.code
            and (not waiver.distribution or waiver.distribution == normalise_name(drift.distribution))
            and (not waiver.path or waiver.path == drift.path)
            and (not waiver.sha256 or waiver.sha256 == drift.actual)
        ):
            yield waiver
