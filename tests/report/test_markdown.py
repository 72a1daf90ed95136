"""Markdown, read back by a real parser: whatever names an environment has, the page has the shape that harmless ones give it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from factories import a_comparison, a_drift
from reports import CASES, COMPARISONS, DRIFTED, HOSTILE, harmless
from sanctity.model.drift import Code, Comparison, Selection, Unchecked
from sanctity.report.markdown import comparison_markdown

if TYPE_CHECKING:
    from markdown_it.token import Token

GOLDENS = Path(__file__).parent / "goldens"
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
#: What GitHub makes links or pictures of in running text, after the Markdown: addresses, mentions, references, commits, emoji.
LIVELY = re.compile(r"@|#|://|www\.|\bGH-\d|\b[0-9a-fA-F]{7,}\b|:[a-z_+-]+:|<|\$")
OURS = re.compile(r"<details>\n<summary>[0-9a-z,: ]+</summary>\n?|</details>\n?")


def _tokens(text: str) -> list[Token]:
    return PARSER.parse(text)


def _shape(tokens: list[Token]) -> list[tuple[str, str, int, int]]:
    """The blocks, with how many lines a fenced one holds."""
    return [(token.type, token.tag, token.level, token.content.count("\n") if token.type == "fence" else 0) for token in tokens]


def _check(comparison: Comparison) -> list[Token]:
    text = comparison_markdown(comparison, "verify")
    assert len(text) < 65_536
    text.encode()
    assert all(c.isprintable() for c in text if c != "\n")
    tokens = _tokens(text)
    assert _shape(tokens) == _shape(_tokens(comparison_markdown(harmless(comparison), "verify")))
    for token in tokens:
        if token.type == "html_block":
            assert OURS.fullmatch(token.content)
        for child in token.children or ():
            assert child.type in {"text", "code_inline"}
            assert child.type == "code_inline" or not LIVELY.search(child.content), child.content
    return tokens


def _spans(tokens: list[Token]) -> set[str]:
    return {child.content for token in tokens for child in token.children or () if child.type == "code_inline"}


def _rows(tokens: list[Token]) -> list[str]:
    """What the rows of all tables say, as text."""
    html = PARSER.renderer.render(tokens, PARSER.options, {})
    return re.findall(r"<tr>\n(.*?)\n</tr>", html, re.DOTALL)


@pytest.mark.parametrize("name", CASES)
def test_reports_are_as_reviewed(name: str, *, update_goldens: bool) -> None:
    golden = GOLDENS / f"{name}.md"
    text = comparison_markdown(CASES[name], "verify")
    if update_goldens:
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_verdict_is_the_heading_and_the_fix_is_a_block() -> None:
    tokens = _check(DRIFTED)
    heading = tokens[next(i for i, token in enumerate(tokens) if token.type == "heading_open") + 1]
    assert heading.content == "sanctity verify: DRIFTED"
    (fence,) = [token for token in tokens if token.type == "fence"]
    assert fence.content.splitlines() == ["uv sync", "uv cache clean numpy && uv sync --reinstall-package numpy", "rm evil.py"]


def test_what_does_not_gate_is_folded() -> None:
    tokens = _check(DRIFTED)
    opened = [i for i, token in enumerate(tokens) if token.type == "html_block" and "<summary>" in token.content]
    assert "1 warning, 2 notes" in tokens[opened[0]].content
    assert "not checked: 8,103" in tokens[opened[1]].content
    before = _spans(tokens[: opened[0]])
    assert {"evil.py", "numpy/f0.py"} <= before
    assert not {"bin/pip", "a1_coverage.pth", "share/six.json"} & before


def test_a_long_list_is_capped_and_counted() -> None:
    rows = _rows(_check(DRIFTED))
    assert sum("file-altered" in row for row in rows) == 5
    assert sum("and 5 more in" in row for row in rows) == 1
    many = a_comparison(*(a_drift(distribution=f"d{n}", path=f"{m}.py") for n in range(50) for m in range(3)))
    rows = _rows(_check(many))
    shown = sum("file-altered" in row for row in rows)
    (rest,) = [re.search(r"and ([\d,]+) more in other packages", row) for row in rows if "in other packages" in row]
    assert rest
    assert shown + int(rest[1]) == 150


def test_a_command_is_whole_or_not_there_and_a_reason_is_no_command() -> None:
    long = " && ".join(f"rm evil{n}.py" for n in range(200))
    short = "cd 'a b' && rm 'x && ```y`' && uv sync"
    by_hand = "its name is not UTF-8, so no command can be printed: remove it by hand"
    text = comparison_markdown(
        a_comparison(*(a_drift(path=f"{n}.py", hint=hint) for n, hint in enumerate((long, short, by_hand)))), "check"
    )
    (fence,) = [token for token in _tokens(text) if token.type == "fence"]
    assert fence.content == short + "\n"
    assert "evil1.py" not in text
    assert "- by hand: `sanctity repair` prints the commands in order" in text
    assert "- by hand: its name is not `UTF-8`, so no command can be printed: remove it by hand" in text


def test_waivers_policy_selection_and_fingerprint_are_told() -> None:
    text = comparison_markdown(DRIFTED, "verify")
    assert "- waived: 1 drift by `W-7`" in text
    assert f"- policy: `default` `{DRIFTED.policy}`" in text
    assert "- selected: groups `dev`; extras `cuda`" in text
    assert "- fingerprint: `sha256:" in comparison_markdown(CASES["clean"], "verify")


def test_a_comment_holds_the_worst_report() -> None:
    worst = "`|\\ @a" * 999
    drifts = [
        a_drift(
            code,
            distribution=f"{n}{worst}",
            version=worst,
            path=worst,
            message=worst,
            hint=f"rm {n}{'`' * 900}" if n % 2 else f"{n}{worst}",
            gating=gating,
            waiver=f"{n}{worst}",
        )
        for n in range(300)
        for code, gating in ((Code.FILE_ALTERED, True), (Code.FILE_MISSING, False))
    ]
    blind = [Unchecked(code="unreadable", what=worst, reason=worst, in_scope=side) for side in (True, False) for _ in range(99)]
    groups = tuple(f"{n}{worst}" for n in range(99))
    comparison = a_comparison(*drifts, unchecked=tuple(blind), prefix=worst, profile=worst, policy=worst)
    _check(
        replace(comparison, reference=replace(comparison.reference, path=worst, selection=Selection(groups=groups, extras=groups)))
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_only_a_name(name: str) -> None:
    drift = a_drift(distribution=name, version=name, path=name, message=name, hint=name, waiver=name)
    tokens = _check(a_comparison(drift, replace(drift, gating=False, message=f"about {name}, and more"), prefix=name))
    assert sum(token.type == "heading_open" for token in tokens) == 1
    rows = [row for row in _rows(tokens) if "file-altered" in row]
    assert len(rows) == 2
    assert all(row.count("<td>") == 4 for row in rows)
    if name.isprintable() and not set("`|\ud800") & set(name) and len(name) <= 120 and name.strip():
        assert name in _spans(tokens)


def test_what_a_message_of_ours_quotes_is_a_code_span() -> None:
    drift = a_drift(
        message="not as `uv tool`, says x.y`z.w`: see `a`(b) and ``c``",
        hint="no command undoes this; `sanctity explain` says what to do",
    )
    tokens = _check(a_comparison(drift))
    assert {"uv tool", "x.y", "z.w", "sanctity explain", "a"} <= _spans(tokens)
    assert "`uv tool`, says `x.y` `z.w`: see `a` (b) and" in comparison_markdown(a_comparison(drift), "check")
    assert "by hand: no command undoes this; `sanctity explain` says what to do" in comparison_markdown(
        a_comparison(drift), "check"
    )


@settings(max_examples=300, derandomize=True, deadline=None)
@given(COMPARISONS)
def test_whatever_was_found_the_page_keeps_its_shape(comparison: Comparison) -> None:
    assert _check(comparison)
