"""A policy on values: it changes verdicts, never facts; a waiver is narrow, ends, and needs two people."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_comparison, a_digest, a_drift
from sanctity.compare.policy import apply_policy
from sanctity.model.drift import Code, Comparison, Severity, Unchecked, Verdict
from sanctity.model.environment import LookedAtFrom
from sanctity.model.policy import GATES, Bytecode, Policy, Profile, Waiver

DAY = date(2026, 11, 25)


def a_waiver(**fields: object) -> Waiver:
    whole = {
        "id": "W-1",
        "code": "file-altered",
        "distribution": "six",
        "reason": "r",
        "owner": "ada",
        "approver": "grace",
        "until": DAY,
    }
    return Waiver(**{**whole, **fields})  # type: ignore[arg-type]


def judged(comparison: Comparison, policy: Policy | None = None, *waivers: Waiver, today: date = DAY) -> Comparison:
    return apply_policy(comparison, policy or Policy(), waivers, digest=a_digest("policy"), today=today)


def test_a_waiver_lets_one_drift_pass_and_is_shown() -> None:
    found = judged(a_comparison(a_drift(actual=str(a_digest("x"))), a_drift(Code.FILE_MISSING)), None, a_waiver())
    waived, other = found.drifts
    assert (waived.waiver, waived.gating, waived.severity) == ("W-1", False, Severity.WARNING)
    assert "until 2026-11-25" in waived.message
    assert (other.waiver, other.gating) == ("", True)
    assert found.policy == str(a_digest("policy"))
    assert found.profile == "default"


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "file-missing"},
        {"distribution": "attrs"},
        {"path": "other.py"},
        {"sha256": str(a_digest("y"))},
        {"path": "six.py", "sha256": str(a_digest("y"))},
        {"control": "hash-seed", "code": ""},
    ],
)
def test_a_waiver_for_something_else_lets_nothing_pass(fields: dict[str, str]) -> None:
    found = judged(a_comparison(a_drift(actual=str(a_digest("x")))), None, a_waiver(**fields))
    assert [(drift.gating, drift.waiver) for drift in found.drifts] == [(True, "")]


@pytest.mark.parametrize("fields", [{}, {"path": "six.py"}, {"distribution": "", "sha256": str(a_digest("x"))}])
def test_all_of_a_scope_must_hold(fields: dict[str, str]) -> None:
    assert judged(a_comparison(a_drift(actual=str(a_digest("x")))), None, a_waiver(**fields)).verdict is Verdict.CLEAN


def test_a_waiver_counts_on_its_last_day_and_not_after() -> None:
    comparison = a_comparison(a_drift())
    assert judged(comparison, None, a_waiver(), today=DAY).verdict is Verdict.CLEAN
    late = judged(comparison, None, a_waiver(), today=DAY + timedelta(days=1))
    assert {drift.code for drift in late.drifts if drift.gating} == {Code.FILE_ALTERED, Code.WAIVER_EXPIRED}


def test_an_expired_waiver_is_an_error_even_where_nothing_needs_it() -> None:
    found = judged(a_comparison(), None, a_waiver(until=DAY - timedelta(days=1)))
    assert [drift.code for drift in found.drifts] == [Code.WAIVER_EXPIRED]
    assert found.verdict is Verdict.DRIFTED


def test_a_waiver_of_a_control_has_to_be_right_too() -> None:
    late = DAY - timedelta(days=1)
    assert judged(a_comparison(), None, a_waiver(code="", control="hash-seed")).verdict is Verdict.CLEAN
    found = judged(a_comparison(), None, a_waiver(code="", control="hash-seed", until=late))
    assert [drift.code for drift in found.drifts] == [Code.WAIVER_EXPIRED]
    assert found.verdict is Verdict.DRIFTED


@pytest.mark.parametrize(
    "approver",
    ["ADA", "ada ", "\uff41\uff44\uff41", "a\u200bda", "\u200b", "\u2002ada"],
    ids=["case", "blank", "wide", "joiner", "nobody", "space"],
)
def test_nobody_approves_their_own_waiver(approver: str) -> None:
    found = judged(a_comparison(a_drift()), None, a_waiver(approver=approver))
    assert {drift.code for drift in found.drifts if drift.gating} == {Code.FILE_ALTERED, Code.WAIVER_SELF_APPROVED}


def test_production_takes_signed_waivers_only() -> None:
    policy = Policy(profile=Profile.PRODUCTION)
    found = judged(a_comparison(a_drift()), policy, a_waiver())
    assert {drift.code for drift in found.drifts if drift.gating} == {Code.FILE_ALTERED, Code.WAIVER_UNSIGNED}
    assert judged(a_comparison(a_drift()), policy, a_waiver(signed=True)).verdict is Verdict.CLEAN


def test_production_is_undecided_from_inside() -> None:
    inside = a_comparison(looked_at_from=LookedAtFrom.ITSELF)
    assert judged(inside).verdict is Verdict.CLEAN
    assert judged(inside, Policy(profile=Profile.PRODUCTION)).verdict is Verdict.UNDECIDED


def test_bytecode_is_judged_forbidden_or_ignored() -> None:
    unchecked = Unchecked(code="bytecode", what="code of bytecode files", reason="…", count=9)
    drift = a_drift(Code.BYTECODE_UNCHECKED)
    comparison = a_comparison(drift, unchecked=(unchecked,))
    assert judged(comparison).verdict is Verdict.DRIFTED
    assert judged(comparison, Policy(bytecode=Bytecode.IGNORE)).verdict is Verdict.CLEAN
    forbidden = judged(replace(comparison, drifts=()), Policy(bytecode=Bytecode.FORBID))
    assert [(each.code, each.count) for each in forbidden.drifts] == [(Code.BYTECODE_FORBIDDEN, 9)]
    assert judged(a_comparison(), Policy(bytecode=Bytecode.FORBID)).verdict is Verdict.CLEAN


waivers = st.builds(
    a_waiver,
    code=st.sampled_from(["file-altered", "file-missing", "pth-hook"]),
    distribution=st.sampled_from(["six", "attrs"]),
    approver=st.sampled_from(["grace", "ada"]),
    until=st.sampled_from([DAY - timedelta(days=1), DAY]),
)
drifts = st.builds(
    a_drift,
    st.sampled_from([Code.FILE_ALTERED, Code.FILE_MISSING, Code.CPU_CHANGED, Code.ACTIVATE_ALTERED]),
    gating=st.booleans(),
    distribution=st.sampled_from(["six", "attrs"]),
)
policies = st.builds(
    Policy,
    gate=st.lists(st.sampled_from(GATES), unique=True).map(lambda parts: tuple(sorted(parts))),
    profile=st.sampled_from(list(Profile)),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(drifts, max_size=5), policies, st.lists(waivers, max_size=3))
def test_laws_of_a_policy(found: list[object], policy: Policy, exceptions: list[Waiver]) -> None:
    comparison = a_comparison(*found)  # type: ignore[arg-type]
    after = judged(comparison, policy, *exceptions)
    assert [drift.code for drift in after.drifts[: len(comparison.drifts)]] == [drift.code for drift in comparison.drifts], (
        "no fact is lost"
    )
    for before, now in zip(comparison.drifts, after.drifts, strict=False):
        assert now.gating or not before.gating or now.waiver, "only a waiver lets something pass"
    production = judged(comparison, replace(policy, profile=Profile.PRODUCTION), *exceptions)
    assert production.verdict is Verdict.DRIFTED or after.verdict is not Verdict.DRIFTED, "production is never looser"
    assert judged(comparison, policy, *reversed(exceptions)).verdict is after.verdict
