"""What is known: by what a finding is known again, and a file that reads well and can not be misread."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import DocumentError
from sanctity.linting.baseline import SCHEMA, Key, format_baseline, key_of, parse_baseline, settle
from sanctity.linting.subject import finding

if TYPE_CHECKING:
    from sanctity.model.finding import Finding


def _finding(code: str = "unhashed", where: str = "package[3].wheels[0]", package: str = "six") -> Finding:
    return replace(finding(code, "no hash", package=package, where=where), path="uv.lock", version="1.0")


def _same(path: str) -> str:
    return path


def test_an_entry_that_moved_or_was_upgraded_is_known_again() -> None:
    known = parse_baseline(format_baseline([_finding()], _same).encode(), "lint.baseline.json")
    (found,), gone = settle([replace(_finding(where="package[17].wheels[2]"), version="2.0", line=99)], known, _same)
    assert found.known
    assert gone == ()


@pytest.mark.parametrize("other", [_finding("weak-hash"), _finding(package="idna"), _finding(where="package[3].sdist")])
def test_another_finding_is_new_and_the_old_one_gone(other: Finding) -> None:
    known = parse_baseline(format_baseline([_finding()], _same).encode(), "lint.baseline.json")
    (found,), gone = settle([other], known, _same)
    assert not found.known
    assert gone == (Key("unhashed", "uv.lock", "six", "package[].wheels[]"),)


def test_of_several_alike_only_so_many_are_known() -> None:
    known = parse_baseline(format_baseline([_finding(), _finding()], _same).encode(), "lint.baseline.json")
    found, gone = settle([_finding(), _finding(), _finding()], known, _same)
    assert [each.known for each in found] == [True, True, False]
    found, gone = settle([_finding()], known, _same)
    assert [each.known for each in found] == [True]
    assert len(gone) == 1


def test_lines_are_no_part_of_a_key() -> None:
    assert key_of(_finding(where="line 12")).where == ""
    assert key_of(_finding(where="line 12 column 3")).where == ""
    assert key_of(_finding(where="main.txt: line 12")).where == "main.txt"


def test_the_file_is_sorted_and_the_same_whatever_the_order() -> None:
    findings = [_finding(package=name) for name in ("six", "idna", "attrs")]
    text = format_baseline(findings, _same)
    assert text == format_baseline(reversed(findings), _same)
    assert [row["package"] for row in json.loads(text)["findings"]] == ["attrs", "idna", "six"]
    assert format_baseline([], _same) == f'{{\n  "schema": "{SCHEMA}",\n  "findings": []\n}}\n'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "baseline-syntax"),
        (b"{", "baseline-syntax"),
        (b"[" * 100_000, "baseline-syntax"),
        (b"\xff", "baseline-syntax"),
        (b"[]", "baseline-syntax"),
        (b'{"schema": "sanctity.lint-baseline/2"}', "baseline-syntax"),
        (b'{"schema": "sanctity.lint-baseline/1", "findings": 3}', "baseline-bad-type"),
        (b'{"schema": "sanctity.lint-baseline/1", "findings": [3]}', "baseline-bad-type"),
        (b'{"schema": "sanctity.lint-baseline/1", "findings": [{"package": "six"}]}', "baseline-missing-key"),
        (b'{"schema": "sanctity.lint-baseline/1", "findings": [{"code": "unhashed", "packages": "six"}]}', "baseline-unknown-key"),
        (b'{"schema": "sanctity.lint-baseline/1", "findings": [{"code": "unhashed", "count": "3"}]}', "baseline-bad-type"),
        (b'{"schema": "sanctity.lint-baseline/1", "waived": []}', "baseline-unknown-key"),
    ],
)
def test_what_is_no_baseline_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_baseline(data, "lint.baseline.json")
    assert caught.value.code == code
    assert "lint.baseline.json" in caught.value.where
    assert caught.value.hint


def test_a_missing_list_is_an_empty_one() -> None:
    assert parse_baseline(b'{"schema": "sanctity.lint-baseline/1"}', "x") == Counter()
