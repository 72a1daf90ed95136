"""The document that carries what is known of wheels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import a_digest
from sanctity.canon.contents import format_contents, joined, parse_contents
from sanctity.errors import DocumentError
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.digest import ContentDigest


def a_content(of: str, content: str = "", proof: Proof = Proof.REMEMBERED, filename: str = "") -> WheelContent:
    return WheelContent(
        sha256=a_digest(of), content=ContentDigest(a_digest(content or f"content of {of}")), filename=filename, proof=proof
    )


@given(st.dictionaries(st.text(max_size=8), st.from_regex(r"[a-z]{1,5}-1-py3-none-any\.whl", fullmatch=True)))
def test_written_and_read_again_it_is_the_same(wheels: dict[str, str]) -> None:
    known = {a_content(of, filename=name) for of, name in wheels.items()}
    text = format_contents(known)
    assert set(parse_contents(text.encode(), "x", proof=Proof.REMEMBERED)) == known
    assert format_contents(parse_contents(text.encode(), "x", proof=Proof.REMEMBERED)) == text


def test_an_export_says_nothing_of_how_and_a_memory_does() -> None:
    item = a_content("a", proof=Proof.IMPORTED)
    (plain,) = parse_contents(format_contents([item]).encode(), "x", proof=Proof.REMEMBERED)
    (kept,) = parse_contents(format_contents([item], proofs=True).encode(), "x", proof=Proof.REMEMBERED)
    assert (plain.proof, kept.proof) == (Proof.REMEMBERED, Proof.IMPORTED)


def test_what_was_read_here_goes_before_what_was_imported_and_names_are_kept() -> None:
    imported, read = a_content("a", proof=Proof.IMPORTED, filename="a.whl"), a_content("a", proof=Proof.WHEEL)
    for order in ((imported, read), (read, imported)):
        (found,) = joined(order, "x").values()
        assert (found.proof, found.filename) == (Proof.WHEEL, "a.whl")


def test_a_contradiction_is_refused() -> None:
    with pytest.raises(DocumentError) as caught:
        joined((a_content("a"), a_content("a", "another")), "known.json")
    assert caught.value.code == "contents-conflict"


WHOLE: dict[str, Any] = json.loads(format_contents([a_content("a"), a_content("b")]))

ROWS: tuple[Any, ...] = (
    None,
    {},
    WHOLE["wheels"][1] | {"sha256": "ab"},
    WHOLE["wheels"][1] | {"sha256": 1},
    WHOLE["wheels"][1] | {"content": "content/2:sha256:" + "0" * 64},
    WHOLE["wheels"][1] | {"filename": "../x.whl"},
    WHOLE["wheels"][1] | {"filename": "a\n.whl"},
    WHOLE["wheels"][1] | {"other": "x"},
)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": "sanctity.contents/2", "wheels": []}',
        b'{"schema": "sanctity.contents/1"}',
        b'{"schema": "sanctity.contents/1", "wheels": {}}',
        b'{"schema": "sanctity.contents/1", "wheels": [], "more": 1}',
        *(json.dumps(WHOLE | {"wheels": [WHOLE["wheels"][0], row]}).encode() for row in ROWS),
    ],
)
def test_what_is_no_such_document_is_refused_by_its_place(text: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_contents(text, "known.json", proof=Proof.IMPORTED)
    assert caught.value.code == "contents-invalid"
    assert caught.value.where.startswith("known.json")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_an_error(data: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_contents(b"\x00" + data, "x", proof=Proof.IMPORTED)
