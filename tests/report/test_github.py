"""Workflow commands, read back as the runner reads them: nothing that an environment says is a command of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from factories import a_comparison, a_drift
from reports import CASES, COMPARISONS, DRIFTED, HOSTILE, LINES
from sanctity.model.drift import Code, Comparison, Severity, Unchecked, Verdict
from sanctity.report.github import comparison_github
from sanctity.report.words import level

GOLDENS = Path(__file__).parent / "goldens"


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    message: str


def _run(text: str) -> list[Command]:
    """What GitHub's runner makes of *text*: ``ActionCommand.TryParseV2``, line by line, and no line that is none."""
    found = []
    assert text.endswith("\n")
    for line in re.split(r"\r\n|\n|\r", text[:-1]):
        assert line.startswith("::")
        head, mark, data = line[2:].partition("::")
        assert mark
        name, _, words = head.partition(" ")
        properties = {}
        for pair in words.split(","):
            key, equals, value = pair.partition("=")
            assert equals
            assert key not in properties
            properties[key] = (
                value.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
            )
        found.append(Command(name, properties, data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")))
    return found


def _check(comparison: Comparison) -> list[Command]:
    text = comparison_github(comparison, "verify", lines=LINES)
    text.encode()
    assert text.isascii() or all(c.isprintable() for c in text if c != "\n")
    commands = _run(text)
    for name in ("error", "warning", "notice"):
        assert sum(command.name == name for command in commands) <= 10
    assert {command.name for command in commands} <= {"error", "warning", "notice"}
    titles = {str(code) for code in Code} | {"unreadable", "bytecode", "more"}
    for command in commands[1:]:
        assert command.properties.keys() <= {"file", "line", "title"}
        assert set(command.properties["title"].split(" ")) <= titles
    assert (commands[0].name == "notice") == (comparison.verdict is Verdict.CLEAN)
    return commands


@pytest.mark.parametrize("name", CASES)
def test_reports_are_as_reviewed(name: str, *, update_goldens: bool) -> None:
    golden = GOLDENS / f"{name}.github"
    text = comparison_github(CASES[name], "verify", lines=LINES)
    if update_goldens:
        golden.write_text(text)
    assert text == golden.read_text()


def test_each_annotation_stands_at_the_locks_own_line() -> None:
    commands = _check(DRIFTED)
    lines = {(command.properties["title"], command.properties.get("line")) for command in commands[1:]}
    assert {("version-mismatch", "7"), ("file-altered", "40"), ("pth-hook", "99"), ("file-unclaimed", None)} <= lines
    assert {command.properties["file"] for command in commands} == {"uv.lock"}


def test_without_a_lock_there_is_no_file() -> None:
    assert all("file" not in command.properties for command in _check(CASES["alone-drifted"]))


def test_what_is_not_shown_is_counted() -> None:
    drifts = [a_drift(distribution=f"d{n}", path=f"f{m}.py") for n in range(20) for m in range(2)]
    notes = [a_drift(Code.BYTECODE_STALE, severity=Severity.NOTE, gating=False, distribution=f"d{n}") for n in range(12)]
    commands = _check(a_comparison(*drifts, *notes))
    errors = [command for command in commands if command.name == "error"]
    assert len(errors) == 10  # the verdict, eight distributions, and how many more drifts there are
    assert errors[-1].message.startswith("and 24 more")
    notices = [command for command in commands if command.name == "notice"]
    assert len(notices) == 10
    assert notices[-1].message.startswith("and 3 more")


def test_what_just_fits_is_shown() -> None:
    commands = _check(a_comparison(*(a_drift(distribution=f"d{n}") for n in range(9))))
    assert [command.properties["title"] for command in commands[1:]] == ["file-altered"] * 9


def test_no_distribution_crowds_out_another() -> None:
    numpy = [command for command in _check(DRIFTED) if command.message.startswith("numpy")]
    assert len(numpy) == 1
    assert "and 5 more" in numpy[0].message
    assert "a link: shared with other environments" in numpy[0].message


def test_what_could_not_be_looked_at_is_an_error() -> None:
    blind = Unchecked(code="unreadable", what="six.py", reason="Permission denied", in_scope=True)
    commands = _check(a_comparison(unchecked=(blind,)))
    assert [command.name for command in commands] == ["error", "error"]
    assert "UNDECIDED" in commands[0].properties["title"]


def test_a_waived_drift_is_a_notice_with_its_waiver() -> None:
    (waived,) = [command for command in _check(DRIFTED) if command.properties["title"] == "data-altered"]
    assert waived.name == "notice"
    assert "waived by W-7" in waived.message


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_no_command(name: str) -> None:
    drift = a_drift(distribution=name, version=name, path=name, message=name, hint=name, waiver=name)
    commands = _check(a_comparison(drift, prefix=name))
    assert len(commands) == 2
    assert commands[1].properties == {"file": "uv.lock", "title": "file-altered"}


@settings(max_examples=300, derandomize=True, deadline=None)
@given(COMPARISONS)
def test_whatever_was_found_only_our_commands_are_run(comparison: Comparison) -> None:
    commands = _check(comparison)
    blind = sum(item.in_scope for item in comparison.unchecked)
    groups = {(level(drift), drift.distribution or drift.code) for drift in comparison.drifts}
    assert len(commands) == 1 + blind + len(groups)
