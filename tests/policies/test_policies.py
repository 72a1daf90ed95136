"""Policies and waivers as documents: what is not understood is an error with its place, and never passed over."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.policy import GATES, NUMERIC, Bytecode, Policy, Profile, Variables
from sanctity.policies.document import parse_policy, parse_waiver, policy_digest, policy_document, waiver_document
from sanctity.policies.waivers import NO_RULES, parse_rules, rules_of, rules_text

GOOD = """
code = "file-altered"
distribution = "Six"
path = "six.py"
reason = "patched"
owner = "ada"
approver = "grace"
until = 2027-01-31
"""


def test_a_policy_is_read_and_written() -> None:
    text = 'profile = "production"\ngate = ["numeric", "activate"]\nbytecode = "forbid"\nvariables = "drop"\n'
    policy = parse_policy(tomllib.loads(text), path="pyproject.toml")
    assert policy == Policy(
        profile=Profile.PRODUCTION,
        gate=tuple(sorted({*NUMERIC, "activate"})),
        bytecode=Bytecode.FORBID,
        variables=Variables.DROP,
    )
    assert parse_policy(policy_document(policy), path="pyproject.toml") == policy
    assert parse_policy({}, path="pyproject.toml") == Policy()


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ('profile = "prod"', "policy-bad-value", "tool.sanctity.profile"),
        ('gate = ["cpus"]', "policy-bad-value", "tool.sanctity.gate[0]"),
        ('gate = "cpu"', "policy-bad-type", "tool.sanctity.gate"),
        ("gate = [1]", "policy-bad-type", "tool.sanctity.gate[0]"),
        ("gates = []", "policy-unknown-key", "tool.sanctity.gates"),
        ('bytecode = "allow"', "policy-bad-value", "tool.sanctity.bytecode"),
        ("variables = true", "policy-bad-type", "tool.sanctity.variables"),
    ],
)
def test_a_policy_that_is_not_understood_is_refused(text: str, code: str, where: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_policy(tomllib.loads(text), path="pyproject.toml")
    assert (caught.value.code, caught.value.where) == (code, f"pyproject.toml: {where}")
    assert caught.value.hint


def test_a_waiver_is_read_and_written() -> None:
    waiver = parse_waiver(tomllib.loads(GOOD), path="waivers/W-7.toml", stem="W-7")
    assert (waiver.id, waiver.distribution, waiver.until, waiver.signed) == ("W-7", "six", date(2027, 1, 31), False)
    assert parse_waiver(waiver_document(waiver), path="x", stem="W-7") == waiver


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace('approver = "grace"\n', ""), "waiver-missing-key"),
        (lambda text: text.replace("until = 2027-01-31\n", ""), "waiver-missing-key"),
        (lambda text: text.replace("2027-01-31", '"soon"'), "waiver-bad-value"),
        (lambda text: text.replace("2027-01-31", "2027-01-31T00:00:00"), "waiver-bad-value"),
        (lambda text: text.replace("2027-01-31", '"2027-02-31"'), "waiver-bad-value"),
        (lambda text: text.replace("file-altered", "file-changed"), "waiver-bad-value"),
        (lambda text: text.replace("file-altered", "waiver-expired"), "waiver-bad-value"),
        (lambda text: text.replace("file-altered", "seal-stale"), "waiver-bad-value"),
        (lambda text: text + 'control = "hash-seed"\n', "waiver-bad-value"),
        (lambda text: text.replace('code = "file-altered"\n', ""), "waiver-bad-value"),
        (lambda text: text.replace('distribution = "Six"\npath = "six.py"\n', ""), "waiver-bad-value"),
        (lambda text: text.replace('reason = "patched"', 'reason = "  "'), "waiver-bad-value"),
        (lambda text: text + 'sha256 = "sha256:zz"\n', "waiver-bad-value"),
        (lambda text: text + 'id = "W-8"\n', "waiver-bad-value"),
        (lambda text: text + "expires = 2027-01-31\n", "waiver-unknown-key"),
        (lambda text: text.replace('"ada"', "7"), "waiver-bad-type"),
    ],
)
def test_a_waiver_that_is_not_whole_is_refused(change: object, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_waiver(tomllib.loads(change(GOOD)), path="waivers/W-7.toml", stem="W-7")  # type: ignore[operator]
    assert code in {issue.code for issue in caught.value.issues}
    assert caught.value.where.startswith("waivers/W-7.toml")


OF_A_CONTROL = """
control = "torch-algorithms"
reason = "put_ has no deterministic way"
owner = "ada"
approver = "grace"
until = 2027-01-31
"""
EXPLAINED = OF_A_CONTROL + 'cost = "38 % (31 % to 46 %)"\ntolerance = "1e-4 of the loss"\n'


def test_a_waiver_of_a_control_says_what_it_costs_and_what_is_accepted() -> None:
    waiver = parse_waiver(tomllib.loads(EXPLAINED), path="x", stem="W-9")
    assert (waiver.control, waiver.cost, waiver.tolerance) == ("torch-algorithms", "38 % (31 % to 46 %)", "1e-4 of the loss")
    assert parse_waiver(waiver_document(waiver), path="x", stem="W-9") == waiver
    bare = parse_waiver(tomllib.loads(OF_A_CONTROL), path="x", stem="W-9")
    assert not {"cost", "tolerance"} & waiver_document(bare).keys(), "a document of before is the same document"
    digests = {
        policy_digest(Policy(), [each]) for each in (waiver, bare, replace(waiver, cost=""), replace(waiver, tolerance="all"))
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (GOOD + 'cost = "3 %"\n', "cost"),
        (GOOD + 'tolerance = "all"\n', "tolerance"),
        (OF_A_CONTROL + "cost = 38\n", "cost"),
        (OF_A_CONTROL + "tolerance = 1e-4\n", "tolerance"),
        (OF_A_CONTROL + f'cost = "{"x" * 2001}"\n', "cost"),
    ],
)
def test_a_cost_is_a_text_and_a_controls_own(text: str, where: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_waiver(tomllib.loads(text), path="waivers/W-9.toml", stem="W-9")
    assert {issue.where for issue in caught.value.issues} == {where}
    assert {issue.code for issue in caught.value.issues} <= {"waiver-bad-value", "waiver-bad-type"}


def test_rules_are_of_controls_alone_and_too_many_are_an_error() -> None:
    ours, other = (parse_waiver(tomllib.loads(text), path="x", stem="W-9") for text in (EXPLAINED, GOOD))
    assert rules_of(Policy(), [other, ours]) == rules_of(Policy(), [ours])
    assert rules_text(rules_of(Policy(), [other])) == NO_RULES
    many = [replace(ours, id=f"W-{number}", reason="x" * 2000) for number in range(60)]
    with pytest.raises(SanctityError) as caught:
        rules_text(rules_of(Policy(), many))
    assert caught.value.code == "rules-too-long"
    assert parse_rules(rules_text(rules_of(Policy(), many[:40])), where="").waivers == tuple(
        sorted(many[:40], key=lambda each: each.id)
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.builds(
        Policy,
        profile=st.sampled_from(list(Profile)),
        gate=st.lists(st.sampled_from(GATES), unique=True).map(lambda parts: tuple(sorted(parts))),
        bytecode=st.sampled_from(list(Bytecode)),
        variables=st.sampled_from(list(Variables)),
    )
)
def test_the_digest_of_a_policy_is_of_what_it_says(policy: Policy) -> None:
    again = parse_policy(policy_document(policy), path="x")
    assert policy_digest(again) == policy_digest(policy)
    assert (policy_digest(policy) == policy_digest(Policy())) is (policy == Policy())


def test_the_order_of_waivers_does_not_matter_and_each_counts() -> None:
    one = parse_waiver(tomllib.loads(GOOD), path="x", stem="W-1")
    two = parse_waiver(tomllib.loads(GOOD), path="x", stem="W-2")
    assert policy_digest(Policy(), (one, two)) == policy_digest(Policy(), (two, one))
    assert len({policy_digest(Policy(), each) for each in ((), (one,), (two,), (one, two))}) == 4
