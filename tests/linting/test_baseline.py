"""What is known: by what a finding is known again, and a file that reads well and can not be misread."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import DocumentError
from sanctity.linting.baseline import SCHEMA, Key, format_baseline, is_baseline, keys_of, parse_baseline, settle
from sanctity.linting.installs import judge_installs
from sanctity.linting.subject import finding
from sanctity.model.drift import Severity

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


@pytest.mark.parametrize(
    "other",
    [
        _finding("weak-hash"),
        _finding(package="idna"),
        _finding(where="package[3].sdist"),
        replace(_finding(), severity=Severity.NOTE),
        replace(_finding(), message="another hash"),
        replace(_finding(), about=("another place",)),
    ],
)
def test_another_finding_is_new_and_the_old_one_gone(other: Finding) -> None:
    known = parse_baseline(format_baseline([_finding()], _same).encode(), "lint.baseline.json")
    (found,), gone = settle([other], known, _same)
    assert not found.known
    assert gone == (Key("unhashed", "warning", "uv.lock", "six", "package[].wheels[]", "no hash"),)


def test_of_several_alike_only_so_many_are_known() -> None:
    known = parse_baseline(format_baseline([_finding(), _finding()], _same).encode(), "lint.baseline.json")
    found, gone = settle([_finding(), _finding(), _finding()], known, _same)
    assert [each.known for each in found] == [True, True, False]
    found, gone = settle([_finding()], known, _same)
    assert [each.known for each in found] == [True]
    assert len(gone) == 1


def test_lines_are_no_part_of_a_key() -> None:
    for where, kept in (("line 12", ""), ("line 12 column 3", ""), ("main.txt: line 12", "main.txt")):
        assert [key.where for key in keys_of(_finding(where=where))] == [kept]


def test_the_version_that_an_upgrade_moves_is_no_part_of_a_key_and_any_other_is() -> None:
    one = replace(_finding(), message="six-1.0.whl of six 1.0 needs idna 1.0.1")
    assert [key.about for key in keys_of(one)] == ["six-1.0.whl of six needs idna 1.0.1"]


def test_what_speaks_of_several_things_is_known_where_each_of_them_is() -> None:
    known = parse_baseline(format_baseline([replace(_finding(), about=("a", "b"))], _same).encode(), "lint.baseline.json")
    for about, is_known, gone in (
        (("a", "b"), True, []),
        (("b",), True, ["a"]),
        (("a", "c"), False, ["b"]),
        (("a", "a"), False, ["b"]),
    ):
        (found,), left = settle([replace(_finding(), about=about, message="others")], known, _same)
        assert (found.known, [key.about for key in left]) == (is_known, gone)


def _installs(*lines: str) -> list[Finding]:
    return list(judge_installs("Dockerfile", "\n".join(["FROM x", *lines]), {}))


@pytest.mark.parametrize(
    ("lines", "new"),
    [
        (["RUN pip install aaa", "RUN pip install -U pip"], []),
        (["", "RUN pip install -U pip", "RUN  pip  install  aaa"], []),
        (["RUN pip install -U pip", "RUN pip install evil"], [3]),
        (["RUN pip install zzz", "RUN pip install -U pip", "RUN pip install aaa"], [2]),
        (["RUN pip install -U pip", "RUN pip install aaa", "RUN pip install aaa"], [4]),
    ],
)
def test_a_command_is_known_by_its_words(lines: list[str], new: list[int]) -> None:
    text = format_baseline(_installs("RUN pip install -U pip", "RUN pip install aaa"), _same)
    found, _ = settle(_installs(*lines), parse_baseline(text.encode(), "lint.baseline.json"), _same)
    assert [each.line for each in found if not each.known] == new


def test_a_command_s_words_may_be_a_secret_and_are_not_kept() -> None:
    text = format_baseline(_installs("RUN pip install --index-url https://me:hunter2@index.example/simple aaa"), _same)
    assert "install-unlocked" in text
    assert "hunter2" not in text


def test_the_file_is_sorted_and_the_same_whatever_the_order() -> None:
    findings = [_finding(package=name) for name in ("six", "idna", "attrs")]
    text = format_baseline(findings, _same)
    assert text == format_baseline(reversed(findings), _same)
    assert [row["package"] for row in json.loads(text)["findings"]] == ["attrs", "idna", "six"]
    assert format_baseline([], _same) == f'{{\n  "schema": "{SCHEMA}",\n  "findings": []\n}}\n'


def _row(fields: bytes) -> bytes:
    return b'{"schema": "sanctity.lint-baseline/1", "findings": [{' + fields + b"}]}"


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
        (_row(b'"code": "unhashed"'), "baseline-missing-key"),
        (_row(b'"code": "unhashed", "severity": "note", "packages": "six"'), "baseline-unknown-key"),
        (_row(b'"code": "unhashed", "severity": "note", "count": "3"'), "baseline-bad-type"),
        (b'{"schema": "sanctity.lint-baseline/1", "waived": []}', "baseline-unknown-key"),
    ],
)
def test_what_is_no_baseline_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_baseline(data, "lint.baseline.json")
    assert caught.value.code == code
    assert "lint.baseline.json" in caught.value.where
    assert caught.value.hint


def test_a_file_that_once_was_a_baseline_may_be_written_over_and_no_other() -> None:
    text = format_baseline([_finding()], _same)
    assert all(map(is_baseline, (b"", b"\n", text.encode(), b"<<<<<<< ours\n" + text.encode())))
    assert not any(map(is_baseline, (b"version = 1\n", b'{"schema": "sanctity.seal/1"}', b"{}")))


def test_a_missing_list_is_an_empty_one() -> None:
    assert parse_baseline(b'{"schema": "sanctity.lint-baseline/1"}', "x") == Counter()
