"""METADATA, direct_url.json and RECORD: whatever they hold, a value or a fault, and soon."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sanctity.canon.record import parse_record
from sanctity.canon.scripts import EntryPointError, parse_entry_points
from sanctity.observe.distributions import parse_metadata, parse_origin

_CASES = 1_000


@settings(max_examples=_CASES, derandomize=True, deadline=None)
@given(st.binary(max_size=400))
@example(b"Name: a" + b" " * 3_000_000 + b"b\n")
@example(b"Name:" * 500_000)
def test_any_metadata_is_read(data: bytes) -> None:
    name, version, requires = parse_metadata(data)
    assert all(text == text.strip() for text in (name, version, *requires))


@pytest.mark.parametrize(
    ("data", "name", "version"),
    [
        (b"Name: six\nVersion: 1.0\n\nName: other\n", "six", "1.0"),
        (b"name:six\r\nVERSION:\t1.0\r\n\r\nVersion: 2\r\n", "six", "1.0"),
        (b"Name: six\nName: other\nVersion: 1.0\nVersion: 2.0\n", "six", "1.0"),
        (b"X-Name: six\nVersion : 1.0\n", "", ""),
        (b"\n\nName: six\n", "", ""),
    ],
)
def test_the_first_headers_count(data: bytes, name: str, version: str) -> None:
    assert parse_metadata(data)[:2] == (name, version)


_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(("file:///x", "http://[", "https://u:p@h/x")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ("url", "dir_info", "vcs_info", "archive_info", "editable", "hashes", "hash", "commit_id", "subdirectory", "sha256")
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=_CASES, derandomize=True, deadline=None)
@given(_JSON)
def test_any_direct_url_is_an_origin_or_an_error(value: object) -> None:
    try:
        origin = parse_origin(json.dumps(value).encode())
    except ValueError:
        return
    assert origin.kind in {"vcs", "archive", "directory"}
    origin.url.encode()
    assert "u:p@" not in origin.url


@settings(max_examples=_CASES, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            (
                ",",
                "\n",
                "\r\n",
                '"',
                '""',
                "a.py",
                "/etc/x",
                "../../../..",
                "sha256=",
                "sha256=" + "A" * 43,
                "md5=",
                "7",
                "-1",
                "\0",
                "\ufeff",
                " ",
                "\udcff",
            )
        ),
        max_size=30,
    )
)
@example(['"', "x" * 200_000])
def test_any_record_is_rows_and_faults(pieces: list[str]) -> None:
    """1,000 cases, derandomised. Each path lies inside, and none is told twice."""
    rows, faults = parse_record("".join(pieces), where="RECORD", site="lib/site", prefix="/env")
    assert rows or faults
    paths = [row.path for row in rows]
    assert len(set(paths)) == len(paths)
    assert not any(path.startswith(("/", "../")) or "\0" in path for path in paths)
    assert all(len(row.digest) == 32 for row in rows if row.algorithm == "sha256")


@settings(max_examples=_CASES, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ("[console_scripts]", "[gui_scripts]", "\n", "a", "=", ":", " ", "%(x)s", "[x]", "\t", "#", ";", "\r", "/", ".")
        )
    )
)
@example(["[console_scripts]\na", " " * 1_000_000, "b\n"])
@example(["[console_scripts]\na = b:c", " " * 1_000_000, "d\n"])
def test_any_entry_points_are_scripts_or_an_error(pieces: list[str]) -> None:
    try:
        found = parse_entry_points("".join(pieces))
    except EntryPointError:
        return
    assert all("/" not in name and ":" in target for name, target in found.items())
