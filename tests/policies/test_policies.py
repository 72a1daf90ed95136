"""Policies and waivers as documents: what is not understood is an error with its place, and never passed over."""

from __future__ import annotations

import tomllib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.errors import DocumentError
from sanctity.model.policy import GATES, NUMERIC, Bytecode, Policy, Profile, Variables
from sanctity.policies.document import parse_policy, parse_waiver, policy_digest, policy_document, waiver_document

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
