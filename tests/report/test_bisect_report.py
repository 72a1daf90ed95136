"""What a bisect says, in words: one line for each kind of answer, and nothing that drives a terminal or breaks a table."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from sanctity.model.bisecting import Answer, Break, Certainty, Counts, Culprit, Outcome, Question, Role, Span, day
from sanctity.model.timeline import Release, Resolution
from sanctity.report.bisect import (
    answer_document,
    bisect_line,
    bisect_markdown,
    bisect_text,
    log_document,
    replay_json,
    replay_text,
    schema,
)
from sanctity.report.text import Paint

QUESTION = Question(
    requirements="requirements.txt", good="2024-03-01", bad="2024-09-01", python="3.11", command=("python", "train.py")
)
GOOD, BAD = "2024-03-02T00:00:00Z", "2024-09-02T00:00:00Z"
COUNTS = Counts(resolutions=12, builds=1, runs=2_000, seconds=3.21)


def a_release(
    name: str, version: str, via: tuple[str, ...] = ("-r requirements.txt",), uploaded: str = "2024-06-16T09:00:00Z"
) -> Release:
    return Release(name=name, version=version, uploaded=uploaded, via=via)


def a_resolution(at: str, **pins: str) -> Resolution:
    return Resolution(at=at, releases=tuple(a_release(name, version) for name, version in sorted(pins.items())))


PASSING = a_resolution("2024-06-16T00:00:00Z", numpy="1.26.4", scipy="1.13.0", old="1")
FAILING = a_resolution("2024-06-17T00:00:00Z", numpy="2.0.0", scipy="1.14.0")


def a_break(*culprits: Culprit, **more: object) -> Break:
    found = Break(passing=PASSING, failing=FAILING, culprits=culprits, alone=Certainty.YES)
    return replace(found, **more)  # type: ignore[arg-type]


def a_culprit(name: str = "numpy", version: str = "2.0.0", old: str = "1.26.4", **more: object) -> Culprit:
    return replace(Culprit(release=a_release(name, version), old=old), **more)  # type: ignore[arg-type]


NUMPY = a_culprit()
SCIPY = a_culprit("scipy", "1.14.0", "1.13.0")
NAMED = ", released 2024-06-16, named in requirements.txt"

LINES = [
    (a_break(NUMPY), f"numpy 2.0.0{NAMED}"),
    (
        a_break(replace(NUMPY, release=a_release("numpy", "2.0.0", ("scikit-learn",)))),
        "numpy 2.0.0, released 2024-06-16, through scikit-learn",
    ),
    (
        a_break(replace(NUMPY, release=a_release("numpy", "2.0.0", ("a", "b", "c", "d", "e")))),
        "numpy 2.0.0, released 2024-06-16, through a, b, c and 2 more",
    ),
    (a_break(replace(NUMPY, release=a_release("numpy", "2.0.0", ("p (pyproject.toml)",)))), f"numpy 2.0.0{NAMED}"),
    (
        a_break(replace(NUMPY, release=a_release("numpy", "2.0.0", uploaded=""))),
        "numpy 2.0.0, released at an unknown time, named in requirements.txt",
    ),
    (a_break(NUMPY, SCIPY), f"numpy 2.0.0{NAMED}, together with scipy 1.14.0{NAMED}"),
    (a_break(SCIPY, earlier=(NUMPY,)), f"scipy 1.14.0{NAMED}, together with numpy 2.0.0{NAMED}"),
    (a_break(SCIPY, replace(NUMPY, role=Role.COMPANION)), f"scipy 1.14.0{NAMED} (not to be had without numpy 2.0.0)"),
    (
        a_break(replace(NUMPY, role=Role.SUSPECT), replace(SCIPY, role=Role.SUSPECT)),
        f"one of: numpy 2.0.0{NAMED}; scipy 1.14.0{NAMED}",
    ),
    (a_break(replace(NUMPY, among=("1.27", "2.0rc1")), exact=False), f"numpy, one of 1.27, 2.0rc1 or 2.0.0{NAMED}"),
    (a_break(a_culprit("old", "1", "", role=Role.SUSPECT)), "old 1 went away"),
    (a_break(replace(NUMPY, yanked="it was broken")), "numpy 2.0.0, released 2024-06-16, yanked since (it was broken)"),
    (a_break(replace(NUMPY, yanked=" ")), "numpy 2.0.0, released 2024-06-16, yanked since"),
]


@pytest.mark.parametrize(("found", "line"), LINES, ids=[line[:40] for _, line in LINES])
def test_each_kind_of_answer_has_its_line_first_in_every_format(found: Break, line: str) -> None:
    answer = Answer(breaks=(found,), complete=Certainty.YES, remedy=("numpy<2.0.0",))
    assert bisect_line(answer, QUESTION) == line
    text = bisect_text(answer, QUESTION, COUNTS, good=GOOD, bad=BAD, log="bisect.json")
    assert text.splitlines()[0] == line
    assert text.splitlines()[1].startswith("  passes  2024-06-15  ")
    assert text.splitlines()[2].startswith("  fails   2024-06-16  ")
    assert text.splitlines()[-1] == "  12 resolutions, 1 build, 2,000 runs, 3.2 s; log bisect.json"
    markdown = bisect_markdown(answer, QUESTION, COUNTS, good=GOOD, bad=BAD, log="bisect.json")
    assert markdown.startswith(f"**{line}**\n")
    pins: dict[tuple[str, tuple[str, ...]], Resolution] = {
        ("2024-06-16T00:00:00Z", ()): PASSING,
        ("2024-06-17T00:00:00Z", ()): FAILING,
    }
    document = log_document(
        QUESTION,
        good=GOOD,
        bad=BAD,
        resolutions=pins,
        environments={},
        steps=["a"],
        counts=COUNTS,
        answer=answer_document(answer, QUESTION),
        error=None,
    )
    jsonschema.validate(document, schema())
    assert document["answer"]["line"] == line


def test_what_was_checked_is_said_and_never_more() -> None:
    def checked(answer: Answer) -> str:
        return bisect_text(answer, QUESTION, COUNTS, good=GOOD, bad=BAD, log="")

    whole = checked(Answer(breaks=(a_break(NUMPY),), complete=Certainty.YES, remedy=("numpy<2.0.0",)))
    assert "the environment of 2024-03-01 fails with it alone" in whole
    assert "that of 2024-09-01 passes with numpy<2.0.0: the only cause" in whole
    assert "log" not in whole
    open_ = checked(Answer(breaks=(a_break(NUMPY, alone=Certainty.UNKNOWN),)))
    assert "could not be tried" in open_
    assert "could not be told" in open_
    assert "only cause" not in open_
    more = checked(Answer(breaks=(a_break(NUMPY, alone=Certainty.NO, earlier=(SCIPY,)), a_break(SCIPY)), complete=Certainty.NO))
    assert "passes with only the later of them" in more
    assert "fails without these too" in more
    assert f"also: scipy 1.14.0{NAMED}" in more
    span = Span(first=GOOD, last=BAD, outcome=Outcome.PASS)
    one_day = Span(first=GOOD, last=GOOD, outcome=Outcome.FAIL)
    broken = a_resolution("2024-06-18T00:00:00Z", numpy="1.27")
    found = a_break(NUMPY, exact=False, between=(broken,))
    told = checked(Answer(breaks=(found,), contradictions=(span, one_day), notes=("a note",)))
    assert "it passes again from 2024-03-01 to 2024-09-01" in told
    assert "it fails already on 2024-03-01" in told
    assert "1 environment between (2024-06-17) gave no verdict" in told
    assert "  a note" in told


def test_text_from_outside_drives_no_terminal_and_breaks_no_table() -> None:
    evil = "1\x1b[31m|`*\nx"
    answer = Answer(breaks=(a_break(a_culprit("numpy", "2.0.0", "1", yanked=evil), SCIPY),), notes=(evil,))
    question = replace(QUESTION, requirements=evil, command=("python", evil))
    text = bisect_text(answer, question, COUNTS, good=GOOD, bad=BAD, log=evil)
    markdown = bisect_markdown(answer, question, COUNTS, good=GOOD, bad=BAD, log=evil)
    assert "\x1b" not in text + markdown
    assert all("|`" not in line for line in markdown.splitlines())
    painted = bisect_text(answer, question, COUNTS, good=GOOD, bad=BAD, log="", paint=Paint(on=True))
    assert painted.startswith("\x1b[1;31m")
    assert "\x1b[31m" not in painted


def test_a_replay_says_whether_it_agrees() -> None:
    sides = [
        ("passing", PASSING.at, Outcome.PASS, Outcome.PASS, "ended with 0", 3),
        ("failing", FAILING.at, Outcome.FAIL, Outcome.PASS, "ended with 0", 2),
    ]
    assert replay_text("bisect.json", "numpy 2.0.0", sides[:1], COUNTS).startswith("AGREES  bisect.json: numpy 2.0.0\n")
    text = replay_text("bisect.json", "numpy 2.0.0", sides, COUNTS)
    assert text.startswith("DOES NOT AGREE  ")
    assert "2024-06-16  failed, and now: ended with 0   (2 packages, by their hashes)" in text
    document = json.loads(replay_json("bisect.json", "numpy 2.0.0", sides, COUNTS))
    jsonschema.validate(document, schema("bisect-replay-1"))
    assert document["agrees"] is False


def test_an_instant_is_the_end_of_a_day_or_itself() -> None:
    assert (day("2024-03-01T00:00:00Z"), day("2024-03-01T12:00:00Z")) == ("2024-02-29", "2024-03-01T12:00:00Z")
