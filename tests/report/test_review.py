"""Reviews in every format: what each says, that nothing a lock says becomes more than text, and that long ones stay short."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from factories import a_digest
from reports import HOSTILE, TEXT
from sanctity.model.difference import Change, Difference, Look, LookCode, PackageChange, PartChange, Step, Why
from sanctity.model.drift import Unchecked
from sanctity.model.inventory import Inventory, InventoryKind, LockedFile, Package
from sanctity.report.difference import (
    difference_document,
    difference_github,
    difference_json,
    difference_markdown,
    difference_sarif,
    difference_text,
    schema,
)
from sanctity.report.review import TITLES, why_words

SCHEMA = jsonschema.Draft202012Validator(schema())
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LIMITS = settings(max_examples=60, derandomize=True, deadline=None)


def _inventory(path: str) -> Inventory:
    return Inventory(kind=InventoryKind.LOCK, path=path, format="uv", digest=str(a_digest()))


def _change(name: str, *changes: Change, was: str = "1.0", now: str = "1.1", **fields: object) -> PackageChange:
    before = None if Change.ADDED in changes else Package(name=name, version=was)
    after = None if Change.REMOVED in changes else Package(name=name, version=now)
    return PackageChange(**{"name": name, "changes": changes, "before": before, "after": after, **fields})  # type: ignore[arg-type]


def _why(*names: str, root: str = "", member: str = "") -> Why:
    return Why(steps=tuple(Step(name, "2.0") for name in names), root=root, member=member)


def a_review(*changes: PackageChange, unchecked: tuple[Unchecked, ...] = ()) -> Difference:
    return Difference(
        before=_inventory("main:uv.lock"), after=_inventory("uv.lock"), packages=changes, unchecked=unchecked, reviewed="2026-07-11"
    )


WHOLE = a_review(
    _change(
        "annotated-types",
        Change.ADDED,
        now="0.7.0",
        why=_why("pydantic", "annotated-types"),
        looks=(Look(LookCode.NEW_TRANSITIVE, "new, and only another package asks for it"),),
        age_days=800,
    ),
    _change("click", Change.REMOVED, was="8.0", why=_why("typer", "click", root="group dev")),
    _change(
        "idna",
        Change.HASHES,
        now="1.0",
        looks=(Look(LookCode.HASH_CHANGED, "the same version, and other bytes for a file that both locks name"),),
        gone=(LockedFile("idna.whl", "sha256:a"),),
        new=(LockedFile("idna.whl", "sha256:b"),),
    ),
    _change(
        "pydantic",
        Change.UP,
        now="2.0",
        why=_why("pydantic"),
        looks=(Look(LookCode.RECENT, "released 2 days ago, on 2026-07-09"), Look(LookCode.MAJOR, "major version 1 to 2")),
        age_days=2,
    ),
    _change("six", Change.UP, age_days=40),
    unchecked=(Unchecked(code="index-unreachable", what="six", reason="it did not answer"),),
)


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (None, ""),
        (_why("a"), "asked for by the project itself"),
        (_why("a", root="group dev"), "asked for by group dev"),
        (_why("a", member="app"), "asked for by app"),
        (_why("a", root="extra plot", member="app"), "asked for by extra plot of app"),
        (_why("a", "b"), "via a 2.0"),
        (_why("a", "b", "c"), "via a -> b 2.0"),
        (_why("a", "b", root="group dev"), "via a 2.0 (group dev)"),
        (_why("a", "b", root="environment default"), "via a 2.0 (environment default)"),
    ],
)
def test_why_in_words(why: Why | None, words: str) -> None:
    assert why_words(why) == words


def test_text_says_why_and_what_to_look_at_what_weighs_most_first() -> None:
    lines = difference_text([WHOLE]).splitlines()
    assert lines[0].endswith(
        "5 packages: 1 with other bytes under the same version, 1 added, 1 removed, 2 moved; 3 deserve a look (!)"
    )
    assert [line[2:].split()[1] for line in lines[1:6]] == ["idna", "pydantic", "annotated-types", "click", "six"]
    assert [line[:2] for line in lines[1:6]] == ["! ", "! ", "! ", "  ", "  "]
    assert lines[2].endswith("1.0 -> 2.0   released 2 days ago, on 2026-07-09; major version 1 to 2")
    assert lines[3].endswith("0.7.0        via pydantic 2.0; new, and only another package asks for it")
    assert lines[4].endswith("8.0          via typer 2.0 (group dev)")
    assert lines[1].count("other bytes") == 1


def test_the_document_has_every_reason_by_its_code() -> None:
    document = difference_document([WHOLE])
    SCHEMA.validate(document)
    (found,) = document["differences"]
    assert found["as_of"] == "2026-07-11"
    by_name = {change["name"]: change for change in found["packages"]}
    assert by_name["pydantic"]["looks"][0] == {
        "code": "recent",
        "severity": "warning",
        "message": "released 2 days ago, on 2026-07-09",
    }
    assert (by_name["pydantic"]["age_days"], by_name["click"]["age_days"]) == (2, None)
    assert by_name["click"]["why"] == {
        "root": "group dev",
        "member": None,
        "path": [{"name": "typer", "version": "2.0"}, {"name": "click", "version": "2.0"}],
    }
    assert by_name["six"]["why"] is None
    bare = difference_document([replace(WHOLE, reviewed="")])
    SCHEMA.validate(bare)
    assert "looks" not in bare["differences"][0]["packages"][0]


def test_markdown_for_a_pull_request() -> None:
    assert difference_markdown([WHOLE]) == (
        "### sanctity diff: 5 packages: 1 with other bytes under the same version, 1 added, 1 removed, 2 moved; 3 deserve a look\n"
        "\n"
        "`main:uv.lock` → `uv.lock`. Ages as of 2026-07-11.\n"
        "\n"
        "**1 package has other bytes than a name and version that stayed the same allow.**\n"
        "\n"
        "**Deserves a look: 3**\n"
        "\n"
        "| package | version | why look | why it is there |\n"
        "| --- | --- | --- | --- |\n"
        "| `idna` | `1.0` | **the same version, and other bytes for a file that both locks name** |  |\n"
        "| `pydantic` | `1.0` → `2.0` | released 2 days ago, on `2026-07-09`; major version 1 to 2 | asked for by the project itself |\n"
        "| `annotated-types` | `0.7.0` | new, and only another package asks for it | via `pydantic 2.0` |\n"
        "\n"
        "**Added: 1**\n"
        "\n"
        "| package | version | released | why |\n"
        "| --- | --- | --- | --- |\n"
        "| `annotated-types` | `0.7.0` | 2024-05-02 | via `pydantic 2.0` |\n"
        "\n"
        "**Removed: 1**\n"
        "\n"
        "| package | version | why it was there |\n"
        "| --- | --- | --- |\n"
        "| `click` | `8.0` | via `typer 2.0` (group `dev`) |\n"
        "\n"
        "**Moved: 2**\n"
        "\n"
        "| package | version | released |\n"
        "| --- | --- | --- |\n"
        "| `pydantic` | `1.0` → `2.0` | 2026-07-09 |\n"
        "| `six` | `1.0` → `1.1` | 2026-06-01 |\n"
        "\n"
        "**Otherwise changed: 1**\n"
        "\n"
        "| package | version | what |\n"
        "| --- | --- | --- |\n"
        "| `idna` | `1.0` | other bytes under one version: `idna.whl` |\n"
        "\n"
        "<details>\n"
        "<summary>not compared: 1</summary>\n"
        "\n"
        "| code | what | reason |\n"
        "| --- | --- | --- |\n"
        "| index-unreachable | `six` | it did not answer |\n"
        "\n"
        "</details>\n"
    )


def test_a_review_that_finds_nothing_says_so() -> None:
    assert difference_markdown([a_review()]).startswith("### sanctity diff: SAME\n")
    assert difference_text([a_review()]).startswith("SAME  main:uv.lock -> uv.lock")


def test_annotations_and_results_weigh_what_the_gravest_reason_does() -> None:
    lines = difference_github([WHOLE], [("uv.lock", {("pydantic", "2.0"): 7})]).splitlines()
    assert any(
        line.startswith("::warning file=uv.lock,line=7,title=sanctity diff%3A up::pydantic 1.0 -> 2.0: released 2")
        for line in lines
    )
    assert any(line.startswith("::notice") and "six" in line for line in lines)
    run = json.loads(difference_sarif([WHOLE], [("uv.lock", {})]))["runs"][0]
    levels = {result["ruleId"]: result["level"] for result in run["results"] if "pydantic" in result["message"]["text"]}
    assert levels["diff-recent"] == "warning"
    assert levels["diff-major"] == "note"
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert rules["diff-recent"]["shortDescription"]["text"] == "A release is very young."
    assert set(TITLES) == set(LookCode)


def _sides(change: Change, before: Package, after: Package, *looks: LookCode, **fields: Any) -> PackageChange:
    reasons = tuple(Look(code, f"so it is {code}") for code in looks)
    return PackageChange(name="six", changes=(change,), before=before, after=after, looks=reasons, **fields)


WIN, LINUX = "by default for Python 3.12 on Windows", "by default for Python 3.12 on Linux"
HASHED, BARE = Package(name="six", artifacts=(LockedFile("", "sha256:a"),)), Package(name="six", artifacts=(LockedFile("", ""),))
FORK = "python_full_version >= '3.11' and sys_platform == 'win32'"


@pytest.mark.parametrize(
    ("change", "words", "markdown"),
    [
        (
            _sides(
                Change.REACH,
                Package(name="six", reach=frozenset({LINUX})),
                Package(name="six", reach=frozenset({LINUX, WIN})),
                LookCode.WIDER,
            ),
            "so it is wider",
            "now also by default for Python `3.12` on Windows",
        ),
        (_sides(Change.ARTIFACTS, HASHED, BARE, LookCode.HASH_LOST), "so it is hash-lost", "it has no hash any more"),
        (
            _sides(Change.ARTIFACTS, HASHED, HASHED, LookCode.MORE_FILES, new=HASHED.artifacts, gone=BARE.artifacts),
            "artifacts: 1 fewer; so it is more-files",
            "artifacts: 1 more, 1 fewer",
        ),
        (
            _sides(Change.ARTIFACTS, HASHED, HASHED, LookCode.HASH_SWAPPED, new=HASHED.artifacts, gone=HASHED.artifacts),
            "so it is hash-swapped",
            "artifacts: 1 more, 1 fewer",
        ),
        (
            _sides(Change.MARKER, Package(name="six"), Package(name="six", marker="'dev' in dependency_groups"), LookCode.WIDER),
            "marker none -> 'dev' in dependency_groups; so it is wider",
            "marker none → `'dev' in dependency_groups`",
        ),
        (
            _sides(
                Change.SOURCE,
                Package(name="six", place="https://index.example/simple"),
                Package(name="six", origin="git:" + "0123456789" * 4, place="https://git.example/six"),
                LookCode.SOURCE_CHANGED,
            ),
            "source index https://index.example/simple -> git:012345678901… https://git.example/six",
            "source `index https://index.example/simple` → `git:012345678901… https://git.example/six`",
        ),
        (
            _sides(Change.UP, Package(name="six", version="1"), Package(name="six", version="2"), fork=FORK),
            f"where {FORK}",
            f"`six` where `{FORK}`",
        ),
    ],
)
def test_nothing_is_said_twice_and_arrows_stand_between_code_spans(change: PackageChange, words: str, markdown: str) -> None:
    (line,) = [line for line in difference_text([a_review(change)]).splitlines() if "six" in line]
    assert line.split("   ")[-1] == words
    table = difference_markdown([a_review(change)]).partition("**Otherwise changed")[2] or difference_markdown([a_review(change)])
    assert markdown in table


def test_a_change_and_the_reason_that_it_is_itself_are_one_result() -> None:
    down = _change(
        "six", Change.DOWN, looks=(Look(LookCode.DOWNGRADE, "an earlier version"), Look(LookCode.NATIVE_CODE, "machine"))
    )
    found = a_review(down)
    found = replace(found, parts=(PartChange("options", "no-binary", "", "six"),))
    run = json.loads(difference_sarif([found]))["runs"][0]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        ("diff-down", "warning"),
        ("diff-native-code", "note"),
        ("diff-options", "note"),
    ]
    titles = {rule["name"]: rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert titles == {
        "DiffDown": "A package went to an earlier version.",
        "DiffNativeCode": "A package is machine code now.",
        "DiffOptions": "A difference in options.",
    }


def test_rows_of_several_platforms_are_told_once() -> None:
    many = a_review(
        *(_change("numpy", Change.UP, now="2.0", looks=(Look(LookCode.MAJOR, "major version 1 to 2"),)) for _ in range(4))
    )
    assert [line for line in difference_text([many]).splitlines() if "numpy" in line] == [
        "! up   numpy   1.0 -> 2.0   major version 1 to 2 (4 times)"
    ]
    assert difference_markdown([many]).count("| `numpy` (4 times) |") == 2


def test_long_reviews_are_capped_folded_and_fit_a_comment() -> None:
    look = Look(LookCode.NEW_TRANSITIVE, "new, and only another package asks for it")
    many = a_review(
        *(_change(f"p{number:03}", Change.ADDED, why=_why("top", f"p{number}"), looks=(look,)) for number in range(600))
    )
    text = difference_markdown([many])
    assert len(text) < 65_536
    assert "| and 575 more | | | |" in text
    assert "<summary>Added: 600</summary>" in text
    assert "| and 560 more | | |" in text
    few = a_review(*(_change(f"p{number:03}", Change.UP) for number in range(9)))
    assert "<details>" not in difference_markdown([few])


def _hostile(names: tuple[str, ...]) -> Difference:
    return a_review(
        *(
            _change(
                name,
                change,
                was=name,
                now=f"{name}2",
                why=Why(steps=(Step(name, name), Step(names[-1], name)), root=f"group {name}", member=name),
                looks=tuple(Look(code, name) for code in LookCode),
                fork=name,
                age_days=3,
            )
            for name in names
            for change in (Change.ADDED, Change.REMOVED, Change.UP, Change.HASHES)
        ),
        *(
            PackageChange(
                name=name,
                changes=(Change.SOURCE, change, Change.PLACE),
                before=Package(name=name, version="1", place="x", locations=((name, "x"),)),
                after=Package(
                    name=name,
                    version="1",
                    origin=name,
                    place=name,
                    marker=name,
                    locations=((name, f"{name}2"),),
                    reach=frozenset({name}),
                ),
                fork=name,
            )
            for name in names
            for change in (Change.MARKER, Change.REACH)
        ),
    )


def _check(found: Difference, harmless: Difference) -> None:
    SCHEMA.validate(json.loads(difference_json([found])))
    for line in difference_github([found], [("uv.lock", {})]).splitlines():
        assert re.match(r"::(error|warning|notice) ", line)
    text = difference_text([found])
    assert all(c.isprintable() for c in text if c != "\n")
    assert text.count("\n") == difference_text([harmless]).count("\n")
    shapes = [
        [(token.type, token.tag, token.level) for token in PARSER.parse(difference_markdown([each]))] for each in (found, harmless)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_becomes_more_than_a_name(name: str) -> None:
    _check(_hostile((name,)), _hostile(("x" * len(name),)))


@LIMITS
@given(st.lists(TEXT.filter(bool), min_size=1, max_size=3, unique=True))
def test_no_names_become_more_than_names(names: list[str]) -> None:
    _check(_hostile(tuple(names)), _hostile(tuple(f"{'x' * len(name)}{number}" for number, name in enumerate(names))))


def test_a_digest_is_cut_where_people_read_and_whole_where_programs_do() -> None:
    words = f"six.whl: the file there has sha256:{'a' * 64}, and sha256:{'b' * 64} is locked"
    found = [a_review(_change("six", Change.UP, looks=(Look(LookCode.HASH_CONTRADICTED, words),)))]
    for report in (difference_text, difference_markdown):
        assert f"sha256:{'a' * 12}…" in report(found)
        assert "b" * 13 not in report(found)
    assert words in difference_json(found)
