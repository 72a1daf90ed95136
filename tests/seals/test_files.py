"""``env.seal.files``: what is written is read back, the same for the same, and nothing in it is believed that does not hash right."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.canon.content import content_digest
from sanctity.canon.fingerprint import part_digest
from sanctity.errors import DocumentError
from sanctity.model.digest import ContentDigest, Digest
from sanctity.model.seal import SealedDistribution
from sanctity.observe.seal_files import read_rows_beside
from sanctity.seals.document import seal_of
from sanctity.seals.files import digests_in, files_name, files_of, format_files, parse_files
from sealing import WHOLE, installed, sealed, with_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEAL = seal_of("env.seal.json", [sealed()])
TEXT = format_files(files_of(WHOLE), SEAL)


def _edited(edit: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(TEXT)
    edit(document)
    return json.dumps(document).encode()


def test_what_is_written_is_read_back() -> None:
    assert parse_files(TEXT.encode(), "env.seal.files") == files_of(WHOLE)
    assert parse_files(TEXT.encode(), "env.seal.files").keys() == digests_in(SEAL)


def test_the_same_environment_gives_the_same_file_whatever_else_was_known() -> None:
    six, other = installed("six", "1.16.0", {"six.py": "code"}), installed("other", "1.0", {"other.py": "x"})
    more = {**files_of(with_files(other, six)), **files_of(WHOLE)}
    assert format_files(dict(reversed(more.items())), SEAL) == TEXT


def test_rows_serve_every_environment_that_has_the_same_content() -> None:
    rows = parse_files(TEXT.encode(), "env.seal.files")
    for item in WHOLE.distributions:
        assert rows[str(item.content)] == item.rows


ROWS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.text("ab:", max_size=4), max_size=4)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_any_rows_are_read_back(contents: list[dict[str, str]]) -> None:
    rows = {}
    for number, content in enumerate(contents):
        listed = tuple(sorted(content.items()))
        digest = part_digest([list(row) for row in listed]) if number % 2 else content_digest(listed)
        rows[str(digest)] = listed
    items = [installed(f"p{number}", "1", {"x": str(number)})[0] for number in range(len(rows))]
    lines = tuple(
        SealedDistribution(name=item.key, version="1", content=ContentDigest.parse(digest))
        if digest.startswith("content")
        else SealedDistribution(name=f"system:{item.key}", version="", files=Digest.parse(digest))
        for item, digest in zip(items, rows, strict=True)
    )
    seal = seal_of("env.seal.json", [replace(sealed(), distributions=lines)])
    assert parse_files(format_files(rows, seal).encode(), "x") == rows


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda document: document["contents"][0]["rows"][0].__setitem__(1, "sha256:" + "0" * 64), "seal-contradictory"),
        (lambda document: document["contents"][0]["rows"].pop(), "seal-contradictory"),
        (lambda document: document["contents"][0].update(digest="sha256:zz"), "seal-contradictory"),
        (lambda document: document["contents"].append(document["contents"][0]), "seal-contradictory"),
        (lambda document: document["contents"][0]["rows"].append("row"), "seal-bad-type"),
        (lambda document: document["contents"][0].pop("digest"), "seal-missing-key"),
        (lambda document: document.update(more=1), "seal-unknown-key"),
        (lambda document: document.update(schema="sanctity.seal-files/2"), "seal-version-unsupported"),
        (lambda document: document.update(schema="sanctity.seal/1"), "seal-syntax"),
    ],
)
def test_an_edited_file_is_not_believed(edit: Callable[[dict[str, Any]], object], code: str, tmp_path: Path) -> None:
    data = _edited(edit)
    with pytest.raises(DocumentError) as caught:
        parse_files(data, "env.seal.files")
    assert caught.value.code == code
    (tmp_path / "env.seal.files").write_bytes(data)
    rows, notice = read_rows_beside(str(tmp_path / "env.seal.json"), shown="env.seal.json")
    assert rows == {}
    assert "env.seal.files was passed over" in notice
    assert code in notice


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"schema": 1.5}'])
def test_what_is_no_such_document_is_an_error(data: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_files(data, "env.seal.files")


def test_a_seal_without_the_file_has_no_rows_and_nothing_is_said(tmp_path: Path) -> None:
    assert read_rows_beside(str(tmp_path / "env.seal.json")) == ({}, "")


def test_the_file_stands_beside_its_seal() -> None:
    assert files_name("folder/env.seal.json") == "folder/env.seal.files"
