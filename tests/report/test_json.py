"""The stable document: valid against its schema whatever was found, in an order that does not depend on the run."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_comparison, a_digest, a_drift
from sanctity.errors import DocumentError, Issue
from sanctity.model.drift import Code, Depth, Reference, ReferenceKind, Severity, Unchecked, Verdict
from sanctity.model.environment import Fingerprint
from sanctity.report.json import comparison_json, error_json, fingerprint_json, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())
TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
DRIFTS = st.builds(
    a_drift,
    st.sampled_from(Code),
    severity=st.sampled_from(Severity),
    gating=st.booleans(),
    distribution=TEXT,
    path=TEXT,
    message=TEXT,
    expected=TEXT,
    count=st.integers(1, 99),
    waiver=TEXT,
)
BLIND = st.builds(Unchecked, code=st.just("unreadable"), what=TEXT, reason=TEXT, in_scope=st.booleans())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(DRIFTS, max_size=6), st.lists(BLIND, max_size=3), st.sampled_from(Depth), st.randoms())
def test_every_comparison_is_a_valid_document_in_a_fixed_order(drifts: list, blind: list, depth: Depth, shuffle: object) -> None:  # type: ignore[type-arg]
    text = comparison_json(a_comparison(*drifts, unchecked=tuple(blind), depth=depth), "verify")
    document = json.loads(text)
    VALIDATOR.validate(document)
    text.encode()
    gating = [drift["gating"] for drift in document["drifts"]]
    assert gating == sorted(gating, reverse=True)
    expected = "drifted" if any(gating) else "undecided" if any(item.in_scope for item in blind) else "clean"
    assert document["verdict"] == expected
    assert shuffle is not None


def test_no_reference_says_so_and_no_more() -> None:
    document = json.loads(comparison_json(a_comparison(reference=Reference()), "check"))
    assert document["reference"] == {"kind": "none"}
    VALIDATOR.validate(document)


def test_the_policy_and_the_waivers_that_were_used_are_stated() -> None:
    waived = [a_drift(path=f"{n}.py", gating=False, waiver="W-7", count=n + 1) for n in range(3)]
    comparison = a_comparison(*waived, a_drift(waiver="A-1"), a_drift(), policy=str(a_digest("policy")), profile="production")
    document = json.loads(comparison_json(comparison, "run"))
    VALIDATOR.validate(document)
    assert document["policy"] == {"profile": "production", "digest": str(a_digest("policy"))}
    assert document["waivers"] == [{"id": "A-1", "count": 1}, {"id": "W-7", "count": 6}]
    assert [drift.get("waiver") for drift in document["drifts"]].count("W-7") == 3
    plain = json.loads(comparison_json(a_comparison(a_drift()), "seal"))
    VALIDATOR.validate(plain)
    assert not {"policy", "waivers"} & plain.keys()
    assert "waiver" not in plain["drifts"][0]


def test_the_schema_refuses_what_the_contract_does() -> None:
    document = json.loads(comparison_json(a_comparison(a_drift()), "verify"))
    for broken in (document | {"verdict": "fine"}, document | {"surprise": 1}, {**document, "drifts": [{"code": "Bad Code"}]}):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(broken)


def test_a_fingerprint_maps_parts_to_digests() -> None:
    found = Fingerprint(digest=a_digest("all"), parts=(("distributions", a_digest("d")),), beside=(("seeds", a_digest("s")),))
    document = json.loads(fingerprint_json(found, ".venv"))
    assert document["parts"] == {"distributions": str(a_digest("d"))}
    assert document["beside"] == {"seeds": str(a_digest("s"))}


def test_an_error_is_data() -> None:
    error = DocumentError(
        "malformed-hash",
        "x",
        where="uv.lock: package[0]",
        hint="lock again",
        issues=(Issue("malformed-hash", "package[0]", "x"),),
    )
    document = json.loads(error_json(error, "verify"))
    assert document["error"]["code"] == "malformed-hash"
    assert document["error"]["issues"][0]["where"] == "package[0]"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(DRIFTS, max_size=6), st.lists(BLIND, max_size=3))
def test_a_verdict_follows_the_contract(drifts: list, blind: list) -> None:  # type: ignore[type-arg]
    comparison = a_comparison(*drifts, unchecked=tuple(blind), reference=Reference(kind=ReferenceKind.NONE))
    if any(drift.gating for drift in drifts):
        assert comparison.verdict is Verdict.DRIFTED
    else:
        assert (comparison.verdict is Verdict.CLEAN) == (not any(item.in_scope for item in blind))
