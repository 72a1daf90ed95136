"""Pages of indexes: what they offer, and what is made of pages that are none."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from sanctity.fetch.simple import is_of, parse_html, parse_json
from sanctity.model.digest import Digest

HERE = "https://index.example/simple/demo/"
SHA256 = hashlib.sha256(b"").hexdigest()


def test_html_links() -> None:
    page = f"""<!DOCTYPE html><html><head><base href="../../files/"><meta name="pypi:repository-version" content="1.3"></head><body>
    <a href="demo-1.0.tar.gz#sha256={SHA256.upper()}" data-yanked="bad &amp; ugly">demo</a>
    <A HREF="https://other.example/a/demo-1.0%2Blocal-py3-none-any.whl#egg=demo" data-yanked>demo</A>
    <a href="x/demo-2.0.zip#md5=d41d8cd98f00b204e9800998ecf8427e"></a><a name="nothing"></a><a href=""></a>
    <a href="javascript:void(0)">no</a><a href="http://[broken/demo-1.whl">no</a><a href="../">up</a></body>"""
    offers = parse_html(page.encode(), HERE)
    assert [(one.filename, one.url, one.yanked) for one in offers] == [
        ("demo-1.0.tar.gz", "https://index.example/files/demo-1.0.tar.gz", "bad & ugly"),
        ("demo-1.0+local-py3-none-any.whl", "https://other.example/a/demo-1.0%2Blocal-py3-none-any.whl", " "),
        ("demo-2.0.zip", "https://index.example/files/x/demo-2.0.zip", None),
    ]
    assert [one.digests for one in offers] == [
        (Digest("sha256", SHA256),),
        (),
        (Digest("md5", "d41d8cd98f00b204e9800998ecf8427e"),),
    ]


def test_json_files() -> None:
    good = {"filename": "demo-1.0.tar.gz", "url": "../f/demo-1.0.tar.gz", "hashes": {"sha256": SHA256, "odd": "x"}, "size": 3}
    rows: list[Any] = [
        good | {"yanked": True, "upload-time": "2026-01-01T00:00:00Z"},
        good | {"yanked": False, "size": -1, "hashes": None},
        good | {"yanked": "why", "size": True, "hashes": {"sha256": 7}},
        good | {"url": "http://[broken"},
        good | {"url": "file.whl", "filename": "../../evil.whl"},
        good | {"url": "javascript:x"},
        good | {"filename": ""},
        good | {"filename": "a\nb.whl"},
        {"filename": "demo"},
        7,
        None,
    ]
    offers = parse_json(json.dumps({"meta": {"api-version": "1.1"}, "files": rows}).encode(), HERE)
    assert [(one.yanked, one.size, one.digests, one.upload_time) for one in offers] == [
        (" ", 3, (Digest("sha256", SHA256),), "2026-01-01T00:00:00Z"),
        (None, None, (), ""),
        ("why", None, (), ""),
    ]
    assert {one.url for one in offers} == {"https://index.example/simple/f/demo-1.0.tar.gz"}


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"files": {}}', b"\xff", b"[" * 100_000, b'{"files": [' + b"9" * 5000 + b"]}", b'{"files": [NaN'],
    ids=["nothing", "array", "object", "no array", "not UTF-8", "deep", "long number", "cut"],
)
def test_what_is_no_json_page(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(data, HERE)


def test_another_major_version_is_refused() -> None:
    """PEP 629: a client fails where the major version is one that it does not know."""
    with pytest.raises(ValueError, match=r"version '2\.0'"):
        parse_json(b'{"meta": {"api-version": "2.0"}, "files": []}', HERE)
    with pytest.raises(ValueError, match=r"version '2\.0'"):
        parse_html(b'<meta name="pypi:repository-version" content="2.0">', HERE)
    assert parse_json(b'{"meta": {"api-version": "1.99"}, "files": []}', HERE) == []


@given(st.one_of(st.binary(), st.text(alphabet='<a href="#=>![]-:/?&;\n%x\x00é').map(str.encode)))
def test_no_bytes_break_a_parser(data: bytes) -> None:
    """Whatever comes, the answer is a list or a ValueError, and each file offered has a plain name and a URL to ask."""
    for parse in (parse_html, parse_json):
        try:
            offers = parse(data, HERE)
        except ValueError:
            continue
        for offer in offers:
            assert "/" not in offer.filename
            assert offer.url.startswith(("http:", "https:", "file:"))


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("demo_pkg-1.0-py3-none-any.whl", True),
        ("Demo.Pkg-1.0.0-1build-cp311-cp311-linux_x86_64.whl", True),
        ("demo-pkg-1.0.tar.gz", True),
        ("demo_pkg-1.0.zip", True),
        ("demo-pkg-1.0.tar.bz2", True),
        ("demo_pkg-1.0-py2.7.egg", True),
        ("demo_pkg-1.0.1-py3-none-any.whl", False),
        ("demo_pkg-1.0-py3-none-any.whl.asc", False),
        ("demo-pkg-1.0.tar.gz.sig", False),
        ("demo_pkg_more-1.0-py3-none-any.whl", False),
        ("demo-pkg-more-1.0.tar.gz", False),
        ("demo-1.0.tar.gz", False),
        ("demo-pkg-1.0rc1.tar.gz", False),
        ("-1.0.tar.gz", False),
        ("", False),
    ],
)
def test_files_of_a_release(filename: str, expected: bool) -> None:
    assert is_of(filename, "demo-pkg", "1.0") is expected
    if expected and not filename.endswith(("bz2", "egg")):  # what `packaging` says of the same name
        name, version = parse_wheel_filename(filename)[:2] if filename.endswith(".whl") else parse_sdist_filename(filename)
        assert (name, str(version.release[0])) == ("demo-pkg", "1")
