"""Which bytecode import would run, by name and header; and what the judgement on its code comes to."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from factories import a_distribution, a_drift, an_environment
from sanctity.compare.bytecode import MAGIC, Runnable, runnable
from sanctity.compare.code import compare_code, without_headers
from sanctity.compare.ownership import own
from sanctity.model.drift import Code, Drift, Severity, Unchecked
from sanctity.model.environment import FileEntry, FileKind

if TYPE_CHECKING:
    from sanctity.model.environment import Environment

_SITE = "lib/python3.11/site-packages"
_SOURCE = FileEntry(f"{_SITE}/six.py", FileKind.FILE, 7, b"s" * 32, 1_700_000_000_000_000_000, 1)


def _header(flags: int, first: int = 1_700_000_000, second: int = 7, magic: int = MAGIC["3.11"]) -> bytes:
    return struct.pack("<H2sIII", magic, b"\r\n", flags, first & 0xFFFFFFFF, second)


def _environment(name: str, header: bytes, source: FileEntry = _SOURCE) -> Environment:
    code = FileEntry(f"{_SITE}/__pycache__/{name}", FileKind.FILE, 99, b"c" * 32, 1, 1, header)
    return an_environment(a_distribution("six"), files={source.path: source, code.path: code})


def _one(environment: Environment) -> Runnable:
    (item,) = runnable(environment, own(environment))
    return item


@pytest.mark.parametrize(
    ("header", "state"),
    [
        (_header(0), "fits"),
        (_header(2), "fits"),  # import looks at the lowest bit alone: it is not by hash, so it is by time
        (_header(1, 0, 0), "unchecked"),
        (_header(3, 0, 0), "fits"),  # whether the hash is the source's is for whoever has the source
        (_header(4), "stale"),
        (_header(5), "stale"),
        (_header(1 << 31), "stale"),
        (_header(0, first=1_700_000_001), "stale"),
        (_header(2, first=1_700_000_001), "stale"),
        (_header(0, second=8), "stale"),
        (_header(0, magic=MAGIC["3.12"]), "stale"),
        (_header(0)[:15], "stale"),
        (b"", "stale"),
    ],
)
def test_headers_as_import_takes_them(header: bytes, state: str) -> None:
    assert _one(_environment("six.cpython-311.pyc", header)).state == state


@pytest.mark.parametrize(
    ("nanoseconds", "seconds"),
    [
        (1_700_000_000_999_999_880, 1_700_000_000),
        (1_700_000_000_999_999_999, 1_700_000_001),
        (-500_000_000, 0),
        (-1_500_000_000, -1),
        (4_294_967_296_000_000_000 + 5_000_000_000, 5),
    ],
)
def test_times_as_import_takes_them(nanoseconds: int, seconds: int) -> None:
    source = _SOURCE._replace(mtime_ns=nanoseconds)
    assert _one(_environment("six.cpython-311.pyc", _header(0, first=seconds), source)).state == "fits"
    assert _one(_environment("six.cpython-311.pyc", _header(0, first=seconds + 1), source)).state == "stale"


@pytest.mark.parametrize(
    ("name", "state", "level"),
    [
        ("six.cpython-311.pyc", "fits", 0),
        ("six.cpython-311.opt-1.pyc", "fits", 1),
        ("six.cpython-311.opt-2.pyc", "fits", 2),
        ("six.cpython-311.opt-3.pyc", "fits", 3),
        ("six.cpython-311.opt-100000.pyc", "fits", 100_000),
        ("six.cpython-311.opt-0.pyc", "foreign", 0),
        ("six.cpython-311.opt-01.pyc", "foreign", 0),
        ("six.cpython-311.opt-x.pyc", "foreign", 0),
        ("six.cpython-311.opt-.pyc", "foreign", 0),
        ("six.cpython-312.pyc", "foreign", 0),
        ("six.cpython-311-pytest-8.0.0.pyc", "foreign", 0),
        ("six.pypy311.pyc", "foreign", 0),
        ("six.opt-1.pyc", "foreign", 0),
        ("gone.cpython-311.pyc", "orphan", 0),
        ("gone.cpython-311.opt-1.pyc", "orphan", 0),
    ],
)
def test_names_as_import_makes_them(name: str, state: str, level: int) -> None:
    item = _one(_environment(name, _header(0)))
    assert (item.state, item.level, item.source) == (state, level, _SOURCE if state == "fits" else None)


def _told(answer: str, name: str = "six.cpython-311.pyc", header: bytes | None = None) -> list[Drift | Unchecked]:
    environment = _environment(name, _header(0) if header is None else header)
    ownership = own(environment)
    return list(compare_code(environment, ownership, [(_one(environment), answer)], "cpython 3.11.7"))


@pytest.mark.parametrize("answer", ["differs", "no-code", "no-source"])
def test_what_is_not_its_sources_gates(answer: str) -> None:
    (drift,) = _told(answer)
    assert isinstance(drift, Drift)
    assert (drift.code, drift.gating, drift.path) == (Code.BYTECODE_FORGED, True, "__pycache__/six.cpython-311.pyc")
    assert drift.actual == "sha256:" + b"c".hex() * 32
    assert "six.py" in drift.message


@pytest.mark.parametrize(
    ("name", "header", "words"),
    [
        ("six.cpython-311.pyc", _header(0), "time and size of the source)"),
        ("six.cpython-311.opt-2.pyc", _header(3), "hash of the source, for -OO)"),
        ("six.cpython-311.opt-100000.pyc", _header(1), "never to be checked, for level 100000)"),
    ],
)
def test_a_report_says_why_import_takes_it(name: str, header: bytes, words: str) -> None:
    (drift,) = _told("differs", name, header)
    assert isinstance(drift, Drift)
    assert drift.message.endswith(words)


@pytest.mark.parametrize("answer", ["changed", "failed", "other-magic", "unread", "unjudged", "never heard of"])
def test_what_is_not_known_is_in_scope_and_open(answer: str) -> None:
    (item,) = _told(answer)
    assert isinstance(item, Unchecked)
    assert item.in_scope


def test_what_import_ignores_is_a_note() -> None:
    (drift,) = _told("stale", header=_header(3))
    assert isinstance(drift, Drift)
    assert (drift.code, drift.severity, drift.gating) == (Code.BYTECODE_STALE, Severity.NOTE, False)


def test_the_judgement_takes_the_place_of_headers() -> None:
    header = a_drift(Code.BYTECODE_UNCHECKED)
    forged = a_drift(Code.BYTECODE_FORGED)
    by_header = Unchecked(code="bytecode", what="code of bytecode files", reason="by its header only", count=3)
    opened = Unchecked(code="bytecode", what="x.pyc", reason="it was not read whole", in_scope=True)
    other = Unchecked(code="editable", what="project", reason="governed by git")
    assert without_headers([header, forged], [by_header, opened, other]) == ([forged], [opened, other])
