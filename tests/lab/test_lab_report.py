"""How the lab is told: on a terminal, as a page with nothing to load, as data; and that what is shown can drive neither."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import jsonschema
import pytest

from sanctity.lab.document import schema, story_document
from sanctity.lab.page import story_page
from sanctity.lab.steps import STEPS
from sanctity.lab.story import Command, Fact, Outcome, Step, Story, Tool
from sanctity.lab.text import begin_text, command_text, end_text, listing_text, story_text
from sanctity.report.text import Paint

HOSTILE = "<script>alert(1)</script>\x1b[31m\x07&\"'"


def a_command(
    line: str = "uv lock", folder: str = "uv", code: int = 0, output: str = "done\n", lines: tuple[str, ...] = ("done",)
) -> Command:
    return Command(folder=folder, line=line, code=code, output=output, lines=lines, seconds=0.25)


def a_step(*facts: Fact, commands: tuple[Command, ...] = (a_command(),), name: str = "locked") -> Step:
    return Step(number=2, name=name, title="A title", why="Why?", shows="It shows.", commands=commands, facts=facts, seconds=1.5)


def a_story(*steps: Step, tools: tuple[Tool, ...] = (Tool(name="uv", version="0.13.9"),), folder: str = "") -> Story:
    return Story(steps=steps, tools=tools, python="3.11.7", folder=folder, seconds=61.4)


HELD, FAILED, UNKNOWN = (
    Fact(claim="it held", held=True),
    Fact(claim="it did", held=False, seen="it did not"),
    Fact(claim="who knows", held=None, seen="no tool"),
)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ((HELD,), Outcome.EXPECTED),
        ((HELD, FAILED), Outcome.UNEXPECTED),
        ((HELD, UNKNOWN), Outcome.SKIPPED),
        ((FAILED, UNKNOWN), Outcome.UNEXPECTED),
        ((), Outcome.SKIPPED),
    ],
)
def test_only_a_step_of_which_all_held_is_as_expected(facts: tuple[Fact, ...], outcome: Outcome) -> None:
    step = a_step(*facts)
    assert step.outcome is outcome
    assert a_story(step).complete is (outcome is Outcome.EXPECTED)


def test_a_story_without_steps_is_not_complete() -> None:
    assert not a_story().complete


def test_a_verdict_shows_what_did_not_hold_and_what_is_not_known() -> None:
    text = end_text(a_step(HELD, FAILED, UNKNOWN))
    assert "NOT as expected   1 of 3 expectations held" in text
    assert "NOT  it did   (it did not)" in text
    assert "not known  who knows   (no tool)" in text
    assert "It shows." not in text
    assert "It shows." in end_text(a_step(HELD))


def test_a_command_is_shown_with_its_folder_once_and_can_be_pasted() -> None:
    first = command_text(a_command(), "")
    assert first == "   $ cd $LAB/uv\n   $ uv lock\n       done\n"
    assert command_text(a_command(), "uv") == "   $ uv lock\n       done\n"
    assert command_text(a_command(folder=""), "uv").startswith("   $ cd $LAB\n")
    long = " && ".join(f"echo {'x' * 60}{number}" for number in range(3))
    shown = command_text(a_command(long, folder=""), "")
    assert max(map(len, shown.splitlines())) < 90
    assert re.sub(r" &&\n\s+", " && ", shown.split("$ ", 1)[1]).startswith(f"{long}\n")


def test_the_end_says_how_many_with_what_and_where() -> None:
    tools = (Tool(name="uv", version="0.13.9"), Tool(name="Poetry", missing="it can not be installed: no index"))
    text = story_text(a_story(a_step(HELD), a_step(FAILED), a_step(UNKNOWN), tools=tools, folder="/somewhere"))
    assert "LAB  1 of 3 steps as expected, 1 NOT as expected, 1 SKIPPED   61 s; Python 3.11.7, uv 0.13.9" in text
    assert "without Poetry: it can not be installed: no index" in text
    assert ". /somewhere/activate" in text


def test_what_a_tool_says_does_not_drive_a_terminal() -> None:
    command = a_command(f"echo {HOSTILE}", lines=(HOSTILE,), output=HOSTILE)
    step = a_step(Fact(claim=HOSTILE, held=False, seen=HOSTILE), commands=(command,))
    tools = (Tool(name="uv", missing=HOSTILE),)
    for text in (command_text(command, ""), end_text(step), story_text(a_story(step, tools=tools, folder=HOSTILE))):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "\x1b[1;31m" in end_text(step, Paint(on=True))


class _Page(HTMLParser):
    """Which tags a page has, whether they are closed, and what they would load or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "data", "action"}:
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            assert not name.startswith("on")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_a_page_loads_nothing_runs_nothing_and_is_whole() -> None:
    steps = tuple(a_step(HELD, FAILED, UNKNOWN, name=step.name) for step in STEPS)
    text = story_page(a_story(*steps, folder="/somewhere"))
    page = _parsed(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base"})
    assert page.links == [f"#{step.name}" for step in STEPS]
    assert page.ids == [step.name for step in STEPS]
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_a_page_shows_hostile_text_as_text() -> None:
    command = a_command(HOSTILE, folder=HOSTILE, lines=(HOSTILE,), output=f"{HOSTILE}\nmore\n")
    step = a_step(Fact(claim=HOSTILE, held=False, seen=HOSTILE), commands=(command,))
    text = story_page(a_story(step, tools=(Tool(name=HOSTILE, missing=HOSTILE),), folder=HOSTILE))
    assert "script" not in _parsed(text).tags
    assert "\x1b" not in text
    assert text.count("&lt;script&gt;") >= 6


def _contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2, relative luminance)."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_its_colours_can_be_read_in_light_and_in_dark() -> None:
    themes = re.findall(r"--page: (#\w{6}).*?--mark: (?:#\w{6})", story_page(a_story(a_step(HELD))), re.DOTALL)
    assert len(themes) == 2
    for block in re.findall(r"--page: #\w{6}.*?--mark: #\w{6}", story_page(a_story(a_step(HELD))), re.DOTALL):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for name in ("ink", "quiet", "good", "bad", "doubt"):
            for ground in ("page", "box"):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def test_the_document_follows_its_schema() -> None:
    tools = (Tool(name="uv", version="0.13.9"), Tool(name="Poetry", missing="no index"))
    document = story_document(a_story(a_step(HELD, FAILED, UNKNOWN), tools=tools))
    jsonschema.validate(document, schema())
    assert document["complete"] is False
    assert document["folder"] is None
    assert [fact["held"] for fact in document["steps"][0]["facts"]] == [True, False, None]


def test_every_step_has_a_title_and_a_question_that_fit() -> None:
    for number, step in enumerate(STEPS):
        assert max(map(len, begin_text(number, step).splitlines())) <= 112
    assert len(listing_text(STEPS).splitlines()) == len(STEPS)


def test_a_verdict_of_ours_is_coloured_and_nothing_else() -> None:
    lines = ("CLEAN  .venv is what uv.lock says", "DRIFTED  .venv is not", "CLEANED 3 files")
    text = command_text(a_command(lines=lines), "uv", Paint(on=True))
    assert "\x1b[1;32mCLEAN\x1b[0m  .venv is what" in text
    assert "\x1b[1;31mDRIFTED\x1b[0m  .venv is not" in text
    assert "       CLEANED 3 files\n" in text
    page = story_page(a_story(a_step(HELD, commands=(a_command(lines=lines),))))
    assert '<span class="verdict bad">DRIFTED</span>  .venv is not' in page
    assert 'verdict good">CLEANED' not in page
