"""What is known: by what a finding is known again, and a file that reads well and can not be misread."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from factories import a_digest, a_lock, a_pin, an_edge, an_interpreter
from sanctity.errors import DocumentError
from sanctity.linting.baseline import SCHEMA, Key, format_baseline, is_baseline, keys_of, parse_baseline, settle
from sanctity.linting.installs import judge_installs
from sanctity.linting.rules import judge
from sanctity.linting.subject import Subject, finding
from sanctity.model.drift import Severity
from sanctity.model.lock import Artifact, LockFormat, Source, SourceKind

if TYPE_CHECKING:
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Lock, Pin


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


def _source(location: str, kind: SourceKind = SourceKind.REGISTRY) -> Source:
    return Source(kind=kind, location=location)


def _wheel(filename: str, *, digest: bool = True, location: str = "") -> Artifact:
    return Artifact(filename=filename, digests=(a_digest(filename),) if digest else (), location=location)


def _rows(*pins: Pin, **fields: Any) -> Lock:
    return a_lock(*pins, **{"format": LockFormat.REQUIREMENTS, "path": "requirements.txt", **fields})


ONE, TWO = "https://one.example/simple", "https://two.example/simple"
PYTHON = an_interpreter(version="3.12.1")


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [
        # An upgrade is no other finding.
        (_rows(a_pin("six", "1.0", artifacts=())), _rows(a_pin("six", "2.0", artifacts=())), True),
        (_rows(a_pin("six", "", artifacts=(), specifier=">=1")), _rows(a_pin("six", "", artifacts=(), specifier=">=2")), True),
        (a_lock(a_pin("a", "1", an_edge("b", version="1"))), a_lock(a_pin("a", "2", an_edge("b", version="2"))), True),
        # Another file, place or name is.
        (
            _rows(a_pin("six", "1.0", artifacts=(), source=_source(ONE))),
            _rows(a_pin("six", "1.0", artifacts=(), source=_source(TWO))),
            False,
        ),
        (
            a_lock(a_pin("six", "1.0", artifacts=(_wheel("five-1.0-py3-none-any.whl"),))),
            a_lock(a_pin("six", "1.0", artifacts=(_wheel("evil-1.0-py3-none-any.whl"),))),
            False,
        ),
        (
            _rows(a_pin("six", artifacts=(), source=_source("https://x.example/six.whl", SourceKind.URL))),
            _rows(a_pin("six", artifacts=(), source=_source("https://y.example/six.whl", SourceKind.URL))),
            False,
        ),
        (
            _rows(a_pin("six", artifacts=(), source=_source("https://x.example/six", SourceKind.GIT))),
            _rows(a_pin("six", artifacts=(), source=_source("https://y.example/six", SourceKind.GIT))),
            False,
        ),
        (_rows(indexes=(ONE, TWO)), _rows(indexes=(ONE, TWO, "https://three.example/simple")), False),
        (_rows(indexes=(ONE, TWO, "https://three.example/simple")), _rows(indexes=(ONE, TWO)), True),
        (_rows(a_pin("six"), indexes=(ONE, TWO)), _rows(a_pin("six", artifacts=()), indexes=(ONE, TWO)), False),
        (_rows(indexes=("http://one.example",)), _rows(indexes=("http://two.example",)), False),
        (a_lock(a_pin("a", "1", an_edge("b"))), a_lock(a_pin("a", "1", an_edge("c"))), False),
        (a_lock(a_pin("requets", "1")), a_lock(a_pin("requets", "2")), True),
    ],
)
def test_what_a_rule_finds_is_known_by_what_it_is_about(before: Lock, after: Lock, known: bool) -> None:
    def judged(lock: Lock) -> tuple[Finding, ...]:
        return judge(Subject(lock=replace(lock, requires_python=">=3.9")))

    assert judged(before)
    text = format_baseline(judged(before), _same)
    found, _ = settle(judged(after), parse_baseline(text.encode(), "lint.baseline.json"), _same)
    assert all(each.known for each in found) is known


def test_a_wheel_that_is_missing_is_known_for_one_minor_python_on_one_platform() -> None:
    lock = a_lock(a_pin("six", "1.0", artifacts=(_wheel("six-1.0-cp38-cp38-win_amd64.whl"),)), requires_python=">=3.9")

    def judged(judged_for: str) -> tuple[Finding, ...]:
        return judge(Subject(lock=lock, interpreter=PYTHON, judged_for=judged_for))

    text = format_baseline(judged("Python 3.12.1 on linux-x86_64-glibc, as in .venv"), _same)
    for words, known in (
        ("Python 3.12.7 on linux-x86_64-glibc", True),
        ("Python 3.12 on linux-x86_64-glibc", True),
        ("Python 3.13 on linux-x86_64-glibc", False),
        ("Python 3.12 on linux-aarch64-glibc", False),
    ):
        (found,), _ = settle(judged(words), parse_baseline(text.encode(), "lint.baseline.json"), _same)
        assert found.known is known


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
