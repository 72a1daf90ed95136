"""Pages of an index: what is stated is read, what is not understood offers nothing, and no page does more than that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sanctity.fetch.simple import is_of, parse_html, parse_json

_URL = "https://index.example/simple/six/"
_SHA256 = "0" * 63 + "1"
_NAME = "six-1.0-py3-none-any.whl"


def _json(*files: object, **fields: object) -> bytes:
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "six", "files": files, **fields}).encode()


def test_a_page_in_json() -> None:
    hashes = {"sha256": _SHA256, "md5": "0" * 32, "crc": "12", "sha512": "short"}
    files = [
        {"filename": _NAME, "url": f"../../f/{_NAME}", "hashes": hashes, "size": 7, "upload-time": "2020-01-01T00:00:00Z"},
        {"filename": "six-1.1.tar.gz", "url": "https://f.example/six-1.1.tar.gz", "hashes": {}, "yanked": "it was broken"},
        {"filename": "six-1.2.tar.gz", "url": "six-1.2.tar.gz", "yanked": True, "size": -1},
        {"filename": "six-1.3.tar.gz", "url": "six-1.3.tar.gz", "yanked": False, "size": True, "hashes": [1]},
    ]
    found = parse_json(_json(*files), _URL)
    assert [offer.url for offer in found] == [
        f"https://index.example/f/{_NAME}",
        "https://f.example/six-1.1.tar.gz",
        f"{_URL}six-1.2.tar.gz",
        f"{_URL}six-1.3.tar.gz",
    ]
    assert sorted(map(str, found[0].digests)) == ["md5:" + "0" * 32, f"sha256:{_SHA256}"]
    assert [offer.yanked for offer in found] == [None, "it was broken", " ", None]
    assert [offer.size for offer in found] == [7, None, None, None]


_BAD: list[Any] = [
    None, 1, [], {}, {"filename": "x"}, {"filename": 1, "url": "x"}, {"filename": "a/b", "url": "x"}, {"filename": "", "url": "x"},
    {"filename": "x", "url": "http://[1/x"}, {"filename": "x", "url": "javascript:x"}, {"filename": "a\nb", "url": "x"},
    {"filename": "x", "url": "ftp://h/x"}, {"filename": "..", "url": "http://]/"},
]  # fmt: skip


@pytest.mark.parametrize("bad", _BAD, ids=repr)
def test_an_entry_that_is_none_does_not_hide_the_others(bad: object) -> None:
    good = {"filename": _NAME, "url": _NAME, "hashes": {"sha256": _SHA256}}
    assert [offer.filename for offer in parse_json(_json(bad, good), _URL)] == [_NAME]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b'{"files": {}}', b"[" * 100_000, b'{"files": [' + b"1" * 5000 + b"]"]
)
def test_what_is_no_page_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(data, _URL)


def test_a_page_in_html() -> None:
    page = (
        f'<!DOCTYPE html><base href="/b/"><a href="{_NAME}#sha256={_SHA256}">x</a>'
        '<A HREF="six-1.1.tar.gz#md5=00" data-yanked="why &amp; how">y</A><a data-yanked href=" six-1%2E2.tar.gz ">z</a>'
        '<a href="http://[1/x.whl">bad</a><a>none</a><a href>none</a><a href="mailto:x">m</a>'
    )
    found = parse_html(page.encode(), _URL)
    assert [(offer.filename, offer.url) for offer in found] == [
        (_NAME, f"https://index.example/b/{_NAME}"),
        ("six-1.1.tar.gz", "https://index.example/b/six-1.1.tar.gz"),
        ("six-1.2.tar.gz", "https://index.example/b/six-1%2E2.tar.gz"),
    ]
    assert [str(digest) for digest in found[0].digests] == [f"sha256:{_SHA256}"]
    assert found[1].digests == ()
    assert [offer.yanked for offer in found] == [None, "why & how", " "]


_PIECES = st.sampled_from(
    ["<", ">", "<a ", "href=", '"', "'", "<![", "<![CDATA[", "]]>", "<!--", "-->", "<?", "</", "&#", "&#x110000;", "\0", "//[", "http://",
     "#sha256=", "<base href=", "data-yanked", " ", "x.whl", "<!doctype", "<!", "<script>", "\ud7ff", "é", "<![if", "<!ELEMENT", "%zz"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=14).map("".join).map(str.encode) | st.binary(max_size=60))
@example(b"<![")
@example(b"<![x\n]>")
@example(b"<base href='http://[x'><a href='y.whl'>")
def test_no_page_raises_but_as_no_page(data: bytes) -> None:
    try:
        found = parse_html(data, _URL)
    except ValueError:
        return
    assert all(offer.filename for offer in found)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["files", "filename", "url", "hashes", "sha256", "size", "yanked", "upload-time"]), inner)))  # fmt: skip
def test_no_document_raises_but_as_no_page(value: object) -> None:
    for data in (json.dumps(value).encode(), _json(value)):
        try:
            found = parse_json(data, _URL)
        except ValueError:
            continue
        assert isinstance(found, list)


@pytest.mark.parametrize(
    ("filename", "is_it"),
    [
        (_NAME, True), ("six-1.0.0-py3-none-any.whl", True), ("six-1.0.tar.gz", True), ("Six-1.0.zip", True), ("six-1.1.tar.gz", False),
        ("six-1.0.post1.tar.gz", False), ("sixer-1.0.tar.gz", False), ("six-extra-1.0.tar.gz", False), ("six", False), ("", False),
        ("six-1.0.tar.gz.asc", False), ("six-1.0-py3-none-any.whl.metadata", False), ("six-1.10.tar.bz2", False),
    ],
)  # fmt: skip
def test_files_of_a_release(filename: str, is_it: bool) -> None:
    assert is_of(filename, "six", "1.0") is is_it
