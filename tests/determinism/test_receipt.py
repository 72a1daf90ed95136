"""The receipt as a value and as a document: a closed set of statuses, a digest that an edit does not survive, a table to read."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sanctity
from sanctity.determinism.receipt import STATUSES, Receipt, Row
from sanctity.errors import DocumentError, SanctityError, UsageError

SCHEMA = json.loads((Path(sanctity.__file__).parent / "report/schema/receipt-1.json").read_text("utf-8"))

names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,6})?", fullmatch=True)
texts = st.text(st.characters(codec=None), max_size=40)
rows = st.builds(Row, names, st.text(max_size=10), st.sampled_from(sorted(STATUSES)), texts, texts, loud=st.none() | st.booleans())
receipts = st.builds(
    Receipt,
    seed=st.integers(0, 2**128 - 1),
    scheme=st.sampled_from(["sanctity-seed/1", "same-integer"]),
    version=st.just("1.0"),
    rank=st.none() | st.integers(0, 2**40),
    child=st.lists(st.integers(0, 99), max_size=3).map(tuple),
    algorithms=st.sampled_from(["raise", "warn", "leave"]),
    rows=st.lists(rows, max_size=5, unique_by=lambda row: row.control),
    recorded=st.dictionaries(st.text(max_size=8), texts, max_size=3),
)


def a_receipt() -> Receipt:
    found = [
        Row("random", "random", "applied", "the shared stream"),
        Row("hash-seed", "python", "too-late", "random <b>here</b>", "start it otherwise & in time"),
        Row("torch-cpu", "torch", "pending", "torch is not imported yet"),
        Row("entropy", "python", "not-controllable", "a fact that holds for every program", "use a stream", loud=False),
    ]
    return Receipt(seed=42, scheme="sanctity-seed/1", version="1", rows=found, recorded={"cpus": "2"})


@given(receipts)
@settings(max_examples=40)
def test_what_is_written_is_read(receipt: Receipt) -> None:
    document = json.loads(receipt.to_json())
    jsonschema.validate(document, SCHEMA)
    again = Receipt.from_json(receipt.to_json())
    assert again == receipt
    assert again.digest == receipt.digest == document["digest"]
    assert again.to_json() == receipt.to_json()
    assert pickle.loads(pickle.dumps(receipt)) == receipt
    assert copy.deepcopy(receipt) == receipt


@given(receipts)
@settings(max_examples=40)
def test_nothing_in_it_drives_a_terminal(receipt: Receipt) -> None:
    text = str(receipt)
    assert all(line.isprintable() for line in text.split("\n"))
    assert all(row.control in text for row in receipt.rows)
    receipt.to_json().encode("utf-8")


def _edits(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value stands in *value*, innermost first."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [inner for key, item in below for inner in _edits(item, (*path, key))] + ([path] if path else [])


@pytest.mark.parametrize("path", _edits(json.loads(a_receipt().to_json())), ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("edit", ["other", "gone", "wrong kind"])
def test_an_edit_is_found(path: tuple[Any, ...], edit: str) -> None:
    document = json.loads(a_receipt().to_json())
    *outer, last = path
    place = document
    for key in outer:
        place = place[key]
    value = place[last]
    if edit == "gone":
        del place[last]
    elif edit == "wrong kind":
        place[last] = 1.5
    elif isinstance(value, bool):
        place[last] = not value
    elif isinstance(value, str):
        place[last] = value + "0"
    elif isinstance(value, int) or value is None:
        place[last] = 7
    else:
        place[last] = [*value, {}] if isinstance(value, list) else {**value, "more": "x"}
    with pytest.raises(DocumentError) as error:
        Receipt.from_json(json.dumps(document))
    assert error.value.code == "receipt-invalid"
    assert error.value.where


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '"a"', "[" * 100_000, b"\xff\xfe{", '{"schema": "sanctity.receipt/2"}']
)
def test_what_is_no_receipt(text: str | bytes) -> None:
    with pytest.raises(DocumentError) as error:
        Receipt.from_json(text)
    assert error.value.code == "receipt-invalid"


def test_two_rows_of_one_control_are_no_receipt() -> None:
    receipt = a_receipt()
    receipt.rows = (*receipt.rows, Row("random", "random", "refused"))
    with pytest.raises(DocumentError, match="two rows"):
        Receipt.from_json(receipt.to_json())


def test_a_row_is_a_value() -> None:
    row = Row("random", "random", "applied", "a", "b")
    assert row == Row("random", "random", "applied", "a", "b")
    assert row != Row("random", "random", "applied", "a", "c")
    assert row != "random"
    assert len({row, Row("random", "random", "applied", "a", "b")}) == 1
    assert pickle.loads(pickle.dumps(row)) == row
    with pytest.raises(AttributeError):
        row.status = "refused"
    with pytest.raises(AttributeError):
        del row.status
    with pytest.raises(AssertionError):
        Row("random", "random", "done")


@pytest.mark.parametrize(
    ("status", "loud"), [(status, status not in {"applied", "pending", "unavailable", "relaxed"}) for status in STATUSES]
)
def test_what_is_told(status: str, loud: bool) -> None:
    assert Row("a", "b", status).loud is loud
    assert Row("a", "b", status, loud=not loud).loud is not loud


def test_require_names_what_is_not_applied() -> None:
    receipt = a_receipt()
    assert receipt.require("random") is receipt
    with pytest.raises(SanctityError, match=r"hash-seed is too-late: .*; torch-cpu is pending") as error:
        receipt.require("random", "hash-seed", "torch-cpu")
    assert error.value.code == "control-not-applied"
    assert error.value.hint == "start it otherwise & in time"
    with pytest.raises(SanctityError) as error:
        receipt.require("entropy")
    assert error.value.code == "control-not-applied"
    with pytest.raises(UsageError) as unknown:
        receipt.require("hashseed")
    assert unknown.value.code == "control-unknown"
    assert "hash-seed" in unknown.value.hint


def test_require_without_a_name_is_about_all_that_is_told() -> None:
    receipt = a_receipt()
    with pytest.raises(SanctityError, match="hash-seed") as error:
        receipt.require()
    assert "entropy" not in str(error.value)
    receipt.update([Row("hash-seed", "python", "applied")])
    assert receipt.require() is receipt


def test_a_receipt_that_was_read_is_not_alive() -> None:
    with pytest.raises(UsageError) as error:
        Receipt.from_json(a_receipt().to_json()).recheck()
    assert error.value.code == "receipt-detached"


def test_rows_are_replaced_in_place_and_new_ones_come_last() -> None:
    receipt = a_receipt()
    receipt.update([Row("torch-cpu", "torch", "applied"), Row("keras", "keras", "applied")])
    assert [row.control for row in receipt.rows] == ["random", "hash-seed", "torch-cpu", "entropy", "keras"]
    assert receipt["torch-cpu"].status == "applied"
    assert "keras" in receipt
    assert "jax" not in receipt


def test_the_table_says_what_helps() -> None:
    lines = str(a_receipt()).splitlines()
    assert lines[0] == 'seed 42, sanctity-seed/1, algorithms "raise": 1 applied, 1 pending, 1 too-late, 1 not-controllable'
    assert max(map(len, lines)) <= 100
    assert any(line.strip() == "-> start it otherwise & in time" for line in lines)
    assert lines[-1].strip() == "cpus 2"


def test_the_table_of_a_notebook_is_escaped() -> None:
    receipt = a_receipt()
    page = receipt._repr_html_()
    assert "random &lt;b&gt;here&lt;/b&gt;" in page
    assert "start it otherwise &amp; in time" in page
    assert page.count("<tr>") == len(receipt.rows) + 1
