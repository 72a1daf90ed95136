"""Differences in every format, held against what the readers of each format take them for, whatever names they hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from factories import a_digest
from reports import HOSTILE, TEXT
from sanctity.model.difference import Change, Difference, FileChange, PackageChange, PartChange
from sanctity.model.digest import ContentDigest
from sanctity.model.drift import Unchecked
from sanctity.model.inventory import PART_NAMES, Inventory, InventoryKind, LockedFile, Package
from sanctity.report.difference import (
    FORMATS,
    difference_document,
    difference_github,
    difference_markdown,
    difference_sarif,
    difference_text,
    exit_code,
    schema,
)
from sanctity.report.text import Paint

SARIF = jsonschema.Draft7Validator(json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text("utf-8")))
SCHEMA = jsonschema.Draft202012Validator(schema())
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LIMITS = settings(max_examples=60, derandomize=True, deadline=None)


def _inventory(path: str = "uv.lock", **fields: object) -> Inventory:
    return Inventory(**{"kind": InventoryKind.LOCK, "path": path, "format": "uv", "digest": str(a_digest()), **fields})  # type: ignore[arg-type]


def _package(name: str = "six", version: str = "1.0", **fields: object) -> Package:
    return Package(**{"name": name, "version": version, **fields})  # type: ignore[arg-type]


def _change(name: str, *changes: Change, was: str = "1.0", now: str = "1.0", **fields: object) -> PackageChange:
    before = None if Change.ADDED in changes else _package(name, was)
    after = None if Change.REMOVED in changes else _package(name, now)
    return PackageChange(**{"name": name, "changes": changes, "before": before, "after": after, **fields})  # type: ignore[arg-type]


def a_difference(**fields: object) -> Difference:
    """Something of everything."""
    files = tuple(FileChange(f"lib/six/{number}.py", "sha256:a", "sha256:b") for number in range(9))
    gone, new = (LockedFile("idna.whl", digest) for digest in ("sha256:a", "sha256:b"))
    whole = {
        "before": _inventory("main:uv.lock"),
        "after": _inventory(),
        "packages": (
            _change("attrs", Change.ADDED, now="23.1.0"),
            _change("click", Change.REMOVED, was="8.0"),
            _change("django", Change.UP, Change.SOURCE, was="5.0", now="5.1"),
            _change("idna", Change.HASHES, gone=(gone,), new=(new,)),
            _change("six", Change.CONTENT, files=files),
        ),
        "parts": (
            PartChange("startup", "pth-code evil.pth", "", str(a_digest("evil"))),
            PartChange("python", "version", "3.11.7", "3.11.8"),
        ),
        "unchecked": (
            Unchecked(code="unreadable", what="six.py", reason="Permission denied", in_scope=True),
            Unchecked(code="not-stated", what="idna", reason="the other side does not say"),
        ),
    }
    return Difference(**{**whole, **fields})  # type: ignore[arg-type]


DIFFERENT = a_difference()
SAME = Difference(before=_inventory("a"), after=_inventory("b"))
UNDECIDED = replace(SAME, unchecked=DIFFERENT.unchecked)
ALONE = Difference(before=None, after=_inventory(environment="linux-x86_64-glibc cpython-3.11"))
LINES = {("attrs", "23.1.0"): 7, ("idna", "1.0"): 40}


def _hostile(names: tuple[str, ...]) -> Difference:
    """Every text that a document can hold, replaced."""
    first, *rest = names
    package = _package(first, first, origin=first, place=first, marker=first, content=ContentDigest(a_digest()))
    return Difference(
        before=_inventory(first, environment=first),
        after=_inventory(rest[0] if rest else first),
        packages=tuple(
            PackageChange(
                name=name,
                changes=changes,
                before=package if Change.ADDED not in changes else None,
                after=replace(package, version=name, place=name, marker=name) if Change.REMOVED not in changes else None,
                files=(FileChange(name, name, ""),),
                gone=(LockedFile(name, "sha256:a"),),
                new=(LockedFile(name, "sha256:b"),),
            )
            for name in names
            for changes in ((Change.ADDED,), (Change.REMOVED,), (Change.HASHES, Change.SOURCE, Change.MARKER), (Change.CONTENT,))
        ),
        parts=tuple(PartChange(part, name, name, "") for part in PART_NAMES for name in names),
        unchecked=tuple(
            Unchecked(code="unreadable", what=name, reason=name, in_scope=in_scope) for name in names for in_scope in (True, False)
        ),
    )


def _shape(text: str) -> list[tuple[str, str, int]]:
    return [(token.type, token.tag, token.level) for token in PARSER.parse(text)]


def _check(found: list[Difference], harmless: list[Difference]) -> None:
    """Whatever names *found* has, each format has the shape that *harmless* ones give it."""
    SCHEMA.validate(json.loads(FORMATS["json"](found, [])))
    places = [(found[0].after.path if found[0].after else "", {("six", "1.0"): 3})]
    sarif = json.loads(difference_sarif(found, places))
    SARIF.validate(sarif)
    for line in difference_github(found, places).splitlines():
        assert re.match(r"::(error|warning|notice) ", line)
    assert difference_github(found, places).count("\n") == len(difference_github(found, places).splitlines())
    text = difference_text(found)
    assert all(c.isprintable() for c in text if c != "\n")
    assert text.count("\n") == difference_text(harmless).count("\n")
    markdown = difference_markdown(found)
    assert all(c.isprintable() for c in markdown if c != "\n")
    assert _shape(markdown) == _shape(difference_markdown(harmless))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_becomes_more_than_a_name(name: str) -> None:
    _check([_hostile((name,))], [_hostile(("x" * len(name),))])


@LIMITS
@given(st.lists(TEXT.filter(bool), min_size=1, max_size=3, unique=True))
def test_no_names_become_more_than_names(names: list[str]) -> None:
    harmless = tuple(f"{'x' * len(name)}{number}" for number, name in enumerate(names))
    _check([_hostile(tuple(names))], [_hostile(harmless)])


@pytest.mark.parametrize("found", [[DIFFERENT], [SAME], [UNDECIDED], [ALONE], [DIFFERENT, SAME, ALONE]])
def test_every_format_is_what_its_readers_take(found: list[Difference]) -> None:
    _check(found, found)
    for name, draw in FORMATS.items():
        assert draw(found, []), name


def test_the_exit_code_is_of_the_worst_answer() -> None:
    assert [exit_code(found) for found in ([SAME], [DIFFERENT, SAME], [UNDECIDED, SAME], [UNDECIDED, DIFFERENT], [ALONE])] == [
        0,
        1,
        3,
        1,
        1,
    ]
    document = difference_document([UNDECIDED, SAME])
    assert (document["answer"], [each["answer"] for each in document["differences"]]) == ("undecided", ["undecided", "same"])


def test_what_alarms_comes_first_and_long_lists_are_counted() -> None:
    lines = difference_text([DIFFERENT]).splitlines()
    assert lines[0].startswith("DIFFERENT  main:uv.lock -> uv.lock")
    assert [line.split()[0] for line in lines[1:6]] == ["hashes", "content", "added", "removed", "up"]
    assert sum("six/" in line for line in lines) == 5
    assert "    and 4 more" in lines
    table = difference_markdown([DIFFERENT]).splitlines()
    assert [row.split("|")[1].strip() for row in table if re.match(r"\| \*?\*?[a-z]", row)][:3] == [
        "**hashes**",
        "**content**",
        "added",
    ]


def test_columns_are_aligned_and_colours_are_only_for_a_terminal() -> None:
    lines = difference_text([DIFFERENT]).splitlines()[1:6]
    assert len({re.match(r"  \S+ +\S+ +", line).end() for line in lines}) == 1  # type: ignore[union-attr]
    painted = difference_text([DIFFERENT], paint=Paint(on=True))
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == difference_text([DIFFERENT])


def test_annotations_and_results_stand_at_the_new_locks_own_lines() -> None:
    text = difference_github([DIFFERENT], [("uv.lock", LINES)])
    assert "::notice file=uv.lock,line=7,title=sanctity diff%3A added::attrs 23.1.0" in text
    assert "::error file=uv.lock,line=40,title=sanctity diff%3A hashes::idna 1.0: other bytes under one version: idna.whl" in text
    run = json.loads(difference_sarif([DIFFERENT], [("uv.lock", LINES)]))["runs"][0]
    lines = {
        result["ruleId"]: result["locations"][0]["physicalLocation"].get("region", {}).get("startLine") for result in run["results"]
    }
    assert (lines["diff-added"], lines["diff-hashes"], lines["diff-removed"]) == (7, 40, None)
    assert not run["invocations"][0]["executionSuccessful"]
    assert {result["kind"] for result in run["results"]} == {"fail", "open"}


def test_github_gets_no_more_of_a_type_than_it_shows() -> None:
    many = a_difference(packages=tuple(_change(f"p{number:03}", Change.ADDED) for number in range(300)), unchecked=(), parts=())
    text = difference_github([many], [("uv.lock", {})])
    assert text.count("::notice") == 10
    assert "and 291 more" in text
    assert len(difference_markdown([many])) < 65_536
