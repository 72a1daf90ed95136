"""SARIF against the standard's own schema, and against the sentences of the standard that a schema can not state.

The schema, sarif-2.1.0-rtm.5.json, is the one that the npm package @microsoft/jest-sarif (MIT) checks logs with.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import jsonschema
import pytest
from hypothesis import given, settings

from factories import a_comparison, a_drift
from reports import CASES, COMPARISONS, DRIFTED, HOSTILE, LINES
from sanctity.model.drift import Code, Comparison, Severity, Unchecked, Verdict
from sanctity.pages import page
from sanctity.report.sarif import comparison_sarif

GOLDENS = Path(__file__).parent / "goldens"
VALIDATOR = jsonschema.Draft4Validator(json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text("utf-8")))
URI = re.compile(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+")


def _messages(value: Any) -> list[str]:
    """Every text of every message."""
    found = []
    if isinstance(value, dict):
        if "message" in value:
            found.append(value["message"]["text"])
        for inner in value.values():
            found += _messages(inner)
    elif isinstance(value, list):
        for inner in value:
            found += _messages(inner)
    return found


def _check(comparison: Comparison, **words: Any) -> dict[str, Any]:
    text = comparison_sarif(comparison, "verify", lines=LINES, **words)
    text.encode()
    log = json.loads(text)
    VALIDATOR.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({result["ruleId"] for result in run["results"]})
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["kind"] == "fail") == (result["level"] != "none")  # 3.27.10
        for location in result["locations"]:
            artifact = location["physicalLocation"]["artifactLocation"]
            uri = artifact["uri"].removeprefix("file://")
            assert URI.fullmatch(uri)
            assert not urlsplit(uri).scheme
            assert ("uriBaseId" in artifact) == (uri == artifact["uri"])
            assert ("uriBaseId" in artifact) == (not uri.startswith("/"))
            if "index" in artifact:
                stated = run["artifacts"][artifact["index"]]["location"]
                assert {**stated, "index": artifact["index"]} == artifact
    assert all("suppressions" in result for result in run["results"])  # 3.27.23
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(marks)) == len(marks)
    for message in _messages(run):
        assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]]", message)  # 3.11.6: no embedded links
        assert "{" not in message.replace("{{", "")  # 3.11.5: no placeholders
        assert "}" not in message.replace("}}", "")
        assert message.isprintable()
    blind = any(item.in_scope for item in comparison.unchecked)
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is not blind
    assert sum(result["kind"] == "open" for result in run["results"]) == sum(item.in_scope for item in comparison.unchecked)
    errors = [notification for notification in invocation["toolExecutionNotifications"] if notification["level"] == "error"]
    assert bool(errors) is blind
    checked: dict[str, Any] = run
    return checked


@pytest.mark.parametrize("name", CASES)
def test_reports_are_as_reviewed(name: str, *, update_goldens: bool) -> None:
    golden = GOLDENS / f"{name}.sarif"
    # The pages are reviewed where they are, and the tool's version is not this report's.
    log = json.loads(comparison_sarif(CASES[name], "verify", lines=LINES))
    driver = log["runs"][0]["tool"]["driver"]
    for rule in driver["rules"] + driver["notifications"]:
        assert rule.pop("help")["markdown"]
        assert rule.pop("shortDescription") == rule.pop("fullDescription")
    assert driver.pop("version") == driver.pop("semanticVersion")
    text = json.dumps(log, indent=2, ensure_ascii=False) + "\n"
    if update_goldens:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", CASES)
def test_every_report_is_valid(name: str) -> None:
    run = _check(CASES[name])
    code = {Verdict.CLEAN: 0, Verdict.DRIFTED: 1, Verdict.UNDECIDED: 3}[CASES[name].verdict]
    assert run["invocations"][0]["exitCode"] == code
    assert run["properties"]["verdict"] == CASES[name].verdict


def test_the_schema_refuses_what_the_standard_does() -> None:
    log = json.loads(comparison_sarif(DRIFTED, "verify"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(log)


def test_a_result_stands_at_the_locks_own_line_and_names_what_it_is_about() -> None:
    run = _check(DRIFTED)
    found = {}
    for result in run["results"]:
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"] == {"uri": "uv.lock", "uriBaseId": "%SRCROOT%", "index": 0}
        names = [logical["fullyQualifiedName"] for logical in location["logicalLocations"]]
        found[names[-1]] = location["physicalLocation"].get("region", {}).get("startLine"), names[0], result["level"]
    assert found["six"] == (7, "six", "error")
    assert found["numpy/numpy/f0.py"] == (40, "numpy", "error")
    assert found["evil.py"] == (None, "evil.py", "error")
    assert found["pip/bin/pip"] == (None, "pip", "warning")
    assert found["coverage/a1_coverage.pth"] == (99, "coverage", "note")


def test_without_a_lock_a_result_stands_at_the_environment() -> None:
    run = _check(CASES["alone-drifted"])
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == ".venv"
    assert "artifacts" not in run


def test_a_rule_is_its_codes_page() -> None:
    for rule in _check(DRIFTED)["tool"]["driver"]["rules"]:
        assert rule["help"]["markdown"] == page(rule["id"])
        assert rule["shortDescription"]["text"].endswith(".")


def test_every_code_makes_a_rule() -> None:
    run = _check(a_comparison(*(a_drift(code) for code in Code)))
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == sorted(Code)


def test_a_waived_drift_is_suppressed_by_its_waiver() -> None:
    suppressed = [result for result in _check(DRIFTED)["results"] if result["suppressions"]]
    assert [result["ruleId"] for result in suppressed] == ["data-altered"]
    assert suppressed[0]["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "waiver W-7"}]
    assert suppressed[0]["level"] == "note"


def test_a_later_run_gives_the_same_fingerprints_whatever_else_it_found() -> None:
    def marks(comparison: Comparison) -> dict[str, Any]:
        return {
            str(result["locations"][0]["logicalLocations"]): result["partialFingerprints"]
            for result in _check(comparison)["results"]
        }

    first = marks(DRIFTED)
    drifts = tuple(replace(drift, actual="sha256:other", hint="", message="in other words") for drift in reversed(DRIFTED.drifts))
    more = (*drifts, a_drift(Code.FILE_MISSING, distribution="zope", path="z.py"))
    second = marks(replace(DRIFTED, drifts=more, prefix="elsewhere", unchecked=()))
    assert first.items() <= second.items()
    assert len(second) == len(first) + 1


def test_what_was_left_unchecked_out_of_scope_is_told_and_changes_nothing() -> None:
    run = _check(a_comparison(unchecked=(Unchecked(code="editable-source", what="demo", reason="git governs it"),)))
    assert run["results"] == []
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (told["level"], told["descriptor"]["id"]) == ("note", "editable-source")


def test_a_log_holds_no_more_than_is_taken_and_says_what_is_left() -> None:
    drifts = [a_drift(path=f"{n}.py", gating=n == 25_001) for n in range(25_002)]
    blind = Unchecked(code="unreadable", what="six.py", reason="EIO", in_scope=True)
    (run,) = json.loads(comparison_sarif(a_comparison(*drifts, unchecked=(blind,)), "verify"))["runs"]
    assert len(run["results"]) == 25_000
    assert run["results"][0]["properties"]["gating"]
    lost, more = run["invocations"][0]["toolExecutionNotifications"]
    assert lost["level"] == "error"
    assert more["message"]["text"].startswith("and 3 more results")


def test_the_exit_code_is_the_processs_own() -> None:
    strict = a_comparison(a_drift(gating=False, severity=Severity.WARNING))
    assert _check(strict, exit_code=1)["invocations"][0]["exitCode"] == 1


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_path_is_percent_encoded_byte_by_byte(name: str) -> None:
    base = a_comparison(a_drift(distribution=name, version=name, path=name, message=name, hint=name, waiver=name))
    run = _check(replace(base, reference=replace(base.reference, path=f"locks/{name}")))
    uri = run["artifacts"][0]["location"]["uri"]
    if "/" not in name and "\ud800" not in name:
        assert unquote_to_bytes(uri) == f"locks/{name}".encode("utf-8", "surrogateescape")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(COMPARISONS)
def test_whatever_was_found_the_log_is_valid(comparison: Comparison) -> None:
    assert _check(comparison)
