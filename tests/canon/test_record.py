"""RECORD texts: the reading in bulk, the plain reading, and a slow reader of a few lines all agree, whatever the text."""

from __future__ import annotations

import base64
import csv
import io
import posixpath
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.canon import record
from sanctity.canon.record import parse_record, row_path
from sanctity.model.environment import RecordFault, RecordRow

SITE: Final = "lib/python3.11/site-packages"
PREFIX: Final = "/project/.venv"
#: Random texts a property is tried on; derandomized, so the same ones in every run.
EXAMPLES: Final = 800

HASH: Final = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
OTHER: Final = "sha256=LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"


def parse(text: str, site: str = SITE) -> tuple[tuple[RecordRow, ...], tuple[RecordFault, ...]]:
    return parse_record(text, where="RECORD", site=site, prefix=PREFIX)


def plainly(text: str, site: str = SITE) -> tuple[tuple[RecordRow, ...], tuple[RecordFault, ...]]:
    """The same without the reading in bulk."""
    with patch.object(record, "_read_plain", lambda text, _site: ({}, text)):
        return parse(text, site)


def slowly(text: str) -> set[tuple[str, str, str]]:
    """What a reader that knows no other case than the good one takes from *text*: (path, hex digest, size)."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for fields in csv.reader(io.StringIO(text, newline="")):
        if len(fields) != 3 or not fields[0] or "\0" in fields[0] or not fields[1].startswith("sha256="):
            continue
        path = posixpath.normpath(posixpath.join(PREFIX, SITE, fields[0]))
        value = fields[1].removeprefix("sha256=")
        try:
            raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except ValueError:
            continue
        if (
            not path.startswith(f"{PREFIX}/")
            or len(raw) != 32
            or not ((fields[2].isascii() and fields[2].isdigit()) or not fields[2])
        ):
            continue
        if len(fields[2]) < 16:
            relative = path.removeprefix(f"{PREFIX}/")
            found.setdefault(relative, set()).add((relative, raw.hex(), fields[2] and str(int(fields[2]))))
    return {rows.pop() for rows in found.values() if len(rows) == 1}


NAMES: Final = st.one_of(
    st.sampled_from(
        ["six.py", "a/b.py", "./odd.py", "../../../bin/x", "/etc/passwd", f"{PREFIX}/x", "a//b", "a/../b", "..", ".", ""]
    ),
    st.sampled_from(
        ["a/__pycache__/b.cpython-311.pyc", "a, b.py", 'a"b.py', "a\rb", "a\nb", "\u00e9.py", " a", "'a'", "a\x85b", "a\0b"]
    ),
    st.text(st.sampled_from("ab/.\"', \r\n\t\u00e9\u2028\udc80"), max_size=8),
)
HASHES: Final = st.one_of(
    st.sampled_from([HASH, OTHER, "", "sha256=", "sha256=47DEQ", "md5=1B2M2Y8AsgTpgAmY7PhCfg", f"{HASH}=", HASH.replace("-", "+")]),
    st.binary(min_size=32, max_size=32).map(lambda raw: "sha256=" + base64.urlsafe_b64encode(raw).decode().rstrip("=")),
)
SIZES: Final = st.sampled_from(["", "0", "7", "1024", "-1", "x", "1" * 15, "1" * 16, "\u0663"])
ENDS: Final = st.sampled_from(["\n", "\r\n", "\r", "", "\n\n"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    quoting = draw(st.sampled_from(["as it is", "as csv does", "all", "half"]))
    if quoting == "as csv does":
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow([name])
        name = out.getvalue()
    elif quoting == "all":
        name = '"' + name.replace('"', '""') + '"'
    elif quoting == "half":
        name = f'"{name}'
    return f"{name},{draw(HASHES)},{draw(SIZES)}{draw(ENDS)}"


good_lines = st.builds(
    lambda name, hashed: f"{name},{hashed},7\n", st.text("abc/_.", min_size=1, max_size=6), st.sampled_from([HASH, OTHER])
)
texts = st.lists(st.one_of(lines(), good_lines, st.sampled_from(["x\n", ",,\n", '"\n', "a,b,c,d\n"])), max_size=8).map("".join)


@given(texts, st.sampled_from([SITE, ""]))
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_bulk_and_plain_agree(text: str, site: str) -> None:
    rows, faults = parse(text, site)
    plain_rows, plain_faults = plainly(text, site)
    assert sorted(rows) == sorted(plain_rows)
    assert sorted(faults) == sorted(plain_faults)


@given(st.text(st.sampled_from('a/.,"\r\n=' + HASH[7:12]), max_size=60))
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_bulk_and_plain_agree_on_anything(text: str) -> None:
    text = text.replace("=", HASH)
    assert [sorted(part) for part in parse(text)] == [sorted(part) for part in plainly(text)]


@given(texts)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_good_rows_are_those_of_a_slow_reader(text: str) -> None:
    rows, _ = parse(text)
    expected = slowly(text)
    hashed = {(row.path, row.digest.hex(), "" if row.size < 0 else str(row.size)) for row in rows if row.digest}
    assert hashed <= expected
    # What the slow reader has beyond that are paths that another, hashless or weaker row contradicts.
    _, faults = parse(text)
    told = {fault.path for fault in faults}
    assert {path for path, _, _ in expected - hashed} <= told | {path for path, _, _ in expected if path.endswith(".pyc")}


@given(st.lists(st.tuples(st.text("abcdef/", min_size=1, max_size=9), st.binary(min_size=32, max_size=32)), min_size=1))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_what_csv_writes_is_read_back(files: list[tuple[str, bytes]]) -> None:
    wanted = {posixpath.normpath(f"{SITE}/x{name}"): raw for name, raw in files}
    for end in ("\n", "\r\n"):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator=end)
        for path, raw in wanted.items():
            relative = path.removeprefix(f"{SITE}/")
            writer.writerow([relative, "sha256=" + base64.urlsafe_b64encode(raw).decode().rstrip("="), 5])
        rows, faults = parse(out.getvalue())
        assert not faults
        assert {row.path: row.digest for row in rows} == wanted


@pytest.mark.parametrize(
    "text",
    [
        f'a"b,"c\nsix.py,{HASH},7\n",\n',  # every line has an even number of quotes, and a field goes on
        f'"a\nsix.py,{HASH},7\nb",{HASH},7\n',
        f"six.py,{HASH},7\rother.py,{HASH},7\n",
        f"six.py,{HASH},7\r\r\n",
        f"{'x' * 140_000},{HASH},7\nsix.py,{HASH},7\n",
        f"six.py,{HASH},7\n{'y' * 140_000}\nother.py,{HASH},7\n",
    ],
    ids=["even quotes", "a field of two lines", "a carriage return", "two", "a long name", "a long line"],
)
def test_texts_that_would_fool_a_reader_of_lines(text: str) -> None:
    assert [sorted(part) for part in parse(text)] == [sorted(part) for part in plainly(text)]


def test_line_in_a_quoted_field_is_no_row() -> None:
    rows, faults = parse(f'a"b,"c\nsix.py,{HASH},7\n",\n')
    assert not rows
    assert faults


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "record-invalid"),
        (f"six.py,{HASH}\n", "record-invalid"),
        (f"six.py,{HASH},7,8\n", "record-invalid"),
        ("six.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,7\n", "record-invalid"),
        ("six.py,sha256=AAAA,7\n", "record-invalid"),
        (f"six.py,{HASH},-7\n", "record-invalid"),
        (f"../../../../x,{HASH},7\n", "path-invalid"),
        (f"/etc/passwd,{HASH},7\n", "path-invalid"),
        (f"{PREFIX}ry/x,{HASH},7\n", "path-invalid"),
        (f"a\0b,{HASH},7\n", "path-invalid"),
        (f",{HASH},7\n", "path-invalid"),
    ],
)
def test_faults(text: str, code: str) -> None:
    rows, faults = parse(text)
    assert not rows
    assert [fault.code for fault in faults] == [code]


def test_rows_that_contradict_each_other_claim_nothing() -> None:
    for text in (f"six.py,{HASH},7\nsix.py,{OTHER},7\n", f"six.py,{HASH},7\nsix.py,,\n", f"six.py,{HASH},7\n./six.py,{OTHER},7\n"):
        rows, faults = parse(text)
        assert not rows
        assert [(fault.code, fault.path) for fault in faults] == [("record-invalid", f"{SITE}/six.py")]


def test_repetition_is_none() -> None:
    rows, faults = parse(f"six.py,{HASH},7\n./six.py,{HASH},7\n")
    assert [row.path for row in rows] == [f"{SITE}/six.py"]
    assert not faults


def test_pip_names_shipped_bytecode_twice() -> None:
    path = "a/__pycache__/b.cpython-311.pyc"
    rows, faults = parse(f"{path},{HASH},7\n{path},,\n")
    assert rows == (RecordRow(f"{SITE}/{path}", "", b"", -1),)
    assert not faults


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("six.py", f"{SITE}/six.py"),
        ("./a/../b", f"{SITE}/b"),
        ("../../../bin/x", "bin/x"),
        (f"{PREFIX}/bin/x", "bin/x"),
        (f"{PREFIX}/../x", None),
        ("../../../../.venv/x", None),
        ("../../../..", None),
        ("/", None),
        ("//project/.venv/x", None),
    ],
)
def test_row_path(text: str, path: str | None) -> None:
    assert row_path(text, site=SITE, prefix=PREFIX) == path
