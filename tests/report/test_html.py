"""The fragment for a notebook, read back by a parser: our own elements and attributes, and nothing that an environment brought."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from factories import a_comparison, a_drift
from reports import CASES, COMPARISONS, DRIFTED, HOSTILE, harmless
from sanctity.report.html import comparison_html
from sanctity.report.words import plain

if TYPE_CHECKING:
    from sanctity.model.drift import Comparison

GOLDENS = Path(__file__).parent / "goldens"
#: What an HTML fragment of ours is made of. None of these loads or runs anything.
ELEMENTS = {"div", "span", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
ATTRIBUTES = {"style", "colspan", "scope"}


class Reader(HTMLParser):
    """The elements of a fragment, and the text of each cell."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        assert not any("url(" in (value or "") for _, value in attrs)
        self.shape.append((tag, tuple(attrs)))
        self.open.append(tag)
        if tag in {"td", "code", "pre", "summary"}:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.shape.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def _check(comparison: Comparison) -> Reader:
    text = comparison_html(comparison)
    text.encode()
    assert all(c.isprintable() for c in text if c != "\n")
    reader, other = Reader(), Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    assert sum(tag == "div" for tag, _ in reader.shape) == sum(tag == "/div" for tag, _ in reader.shape)
    assert reader.shape[0][0] == "div"
    assert reader.shape[-1][0] == "/div"
    other.feed(comparison_html(harmless(comparison)))
    assert reader.shape == other.shape
    return reader


@pytest.mark.parametrize("name", CASES)
def test_reports_are_as_reviewed(name: str, *, update_goldens: bool) -> None:
    golden = GOLDENS / f"{name}.html"
    text = comparison_html(CASES[name])
    if update_goldens:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_fragment_is_whole_and_loads_nothing(name: str) -> None:
    _check(CASES[name])
    assert not re.search(r"<script|href|src=|url\(|@import|http", comparison_html(CASES[name]))


def test_the_verdict_is_first_and_what_does_not_gate_is_folded() -> None:
    text = comparison_html(DRIFTED)
    visible, _, folded = text.partition("<details")
    assert ">DRIFTED<" in visible.partition("</span>")[0] + "<"
    assert "evil.py" in visible
    assert "and 5 more in" in visible
    assert "bin/pip" not in visible
    assert "bin/pip" in folded
    assert "1 warning, 2 notes" in folded
    assert "not checked: 8,103" in folded
    assert "waived: 1 drift by" in folded


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_only_a_name(name: str) -> None:
    drift = a_drift(distribution=name, version=name, path=name, message=name, hint=name, waiver=name)
    reader = _check(a_comparison(drift, replace(drift, gating=False), prefix=name))
    if len(plain(name)) <= 400:
        assert plain(name) in reader.texts


@settings(max_examples=300, derandomize=True, deadline=None)
@given(COMPARISONS)
def test_whatever_was_found_the_fragment_keeps_its_shape(comparison: Comparison) -> None:
    assert len(_check(comparison).shape) > 8
