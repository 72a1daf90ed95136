"""A report as another process wrote it is the value that it was written from; anything else is refused."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import CASES, COMPARISONS
from sanctity.errors import DocumentError, SanctityError
from sanctity.report.html import comparison_html
from sanctity.report.json import comparison_document, comparison_json, error_json
from sanctity.report.reading import parse_report
from sanctity.report.text import comparison_text

if TYPE_CHECKING:
    from sanctity.model.drift import Comparison


def _again(comparison: Comparison) -> Comparison:
    found = parse_report(comparison_json(comparison, "verify"), "there")
    assert not isinstance(found, SanctityError)
    return found


@given(COMPARISONS)
def test_what_was_written_is_read(comparison: Comparison) -> None:
    found = _again(comparison)
    assert comparison_document(found, "verify") == comparison_document(comparison, "verify")
    assert found.verdict is comparison.verdict
    assert _again(found) == found


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_as_it_would_have_been_told_there(name: str) -> None:
    here = replace(_again(CASES[name]), seconds=CASES[name].seconds)
    assert comparison_text(here, "verify") == comparison_text(CASES[name], "verify")
    assert comparison_html(here) == comparison_html(CASES[name])


def test_an_error_is_read_as_one() -> None:
    error = SanctityError("worker-failed", "it ended", where="a", hint="b")
    found = parse_report(error_json(error, "verify"), "there")
    assert isinstance(found, SanctityError)
    assert (found.code, found.message, found.where, found.hint) == ("worker-failed", "it ended", "a", "b")


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "Traceback", '{"schema": "sanctity.diff/1"}', "[" * 100_000, "1" * 5000])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse_report(text, "there")
    assert refused.value.code == "report-unreadable"


@pytest.mark.parametrize("claimed", ["clean", "undecided"])
def test_a_verdict_that_its_own_list_contradicts_is_refused(claimed: str) -> None:
    document = comparison_document(CASES["drifted"], "verify") | {"verdict": claimed}
    with pytest.raises(DocumentError, match="makes that drifted"):
        parse_report(json.dumps(document), "there")


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _places(item, (*path, key))
    return found


WHOLE = comparison_document(CASES["drifted"], "verify")


@given(st.sampled_from(_places(WHOLE)), st.sampled_from([None, 7, True, "x", [], {}, 1.5, ["x"], {"x": 1}]))
def test_whatever_stands_in_a_place_it_is_read_or_refused(place: tuple[str | int, ...], value: object) -> None:
    """And nothing that is put there turns a drifted environment into a clean one without being a drift less."""
    document = json.loads(json.dumps(WHOLE))
    table = document
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    with contextlib.suppress(DocumentError):
        found = parse_report(json.dumps(document), "there")
        assert not isinstance(found, SanctityError)
        assert found.verdict is CASES["drifted"].verdict
