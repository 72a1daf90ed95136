"""The line of each entry of a lock or a seal, against parsers that know nothing of lines."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from factories import a_digest
from sanctity.lockfiles import requirements
from sanctity.lockfiles.lines import line_of, lines, nearest, seal_lines
from sanctity.model.lock import LockFormat

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
TABLES = {"uv": LockFormat.UV, "poetry": LockFormat.POETRY, "pdm": LockFormat.PDM, "pylock": LockFormat.PYLOCK}
REAL = sorted(path for folder in (*TABLES, "requirements") for path in (CORPUS / folder).glob("*") if path.is_file())
real = pytest.mark.parametrize("path", REAL or [None], ids=lambda path: f"{path.parent.name}-{path.name}" if path else "absent")


def _entries(text: str, format: LockFormat) -> list[dict[str, Any]]:  # noqa: A002
    document = tomllib.loads(text.removeprefix("\ufeff"))
    found: list[dict[str, Any]] = document.get("packages" if format is LockFormat.PYLOCK else "package", [])
    return found


def _key(entry: dict[str, Any]) -> tuple[str, str]:
    return str(canonicalize_name(entry["name"])), entry.get("version", "")


def _agrees(text: str, format: LockFormat, *, every: int = 1) -> dict[tuple[str, str], int]:  # noqa: A002
    """The lines, having checked that what comes before each of them holds just the entries before it."""
    found = lines(text, format)
    entries = _entries(text, format)
    first: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(entries):
        first.setdefault(_key(entry), index)
    assert found.keys() == first.keys()
    physical = text.split("\n")
    for key, index in list(first.items())[::every]:
        before = "\n".join(physical[: found[key] - 1])
        assert len(_entries(before, format)) == index, key
        assert len(_entries(before + "\n" + physical[found[key] - 1] + "\nname='x'", format)) == index + 1, key
    return found


@real
def test_the_lines_of_real_locks(path: Path | None) -> None:
    if path is None:
        pytest.skip("the corpus of real locks is not beside this checkout")
    text = path.read_text("utf-8")
    if path.parent.name in TABLES:
        format = TABLES[path.parent.name]  # noqa: A001
        _agrees(text, format, every=max(1, len(_entries(text, format)) // 12))
        return
    found = lines(text, LockFormat.REQUIREMENTS)
    lock = requirements.parse(text, path=path.name, digest=a_digest(text), beside=dict.fromkeys(requirements.wants(text), ""))
    pinned = {(pin.name, pin.version) for pin in lock.pins if pin.version}
    assert pinned
    assert {key for key in found if key[1]} == pinned
    physical = text.split("\n")
    for name, version in pinned:
        row = physical[found[name, version] - 1]
        assert version in row.lower()
        assert str(canonicalize_name(row.replace("[", " ").replace("=", " ").split()[0])) == name or "/" in row


TRICKY = '''\
# [[package]] in a comment, with """ in it
version = 1
note = "[[package]]"
text = """
[[package]]
name = "in-a-string"
version = "1"
\\"""
[[package]]
"""""
literal = \'\'\'
[[package]]
name = 'also-in-a-string' \\\'\'\'
nested = [
    [["package"]],
    "a]", # ]
[["package"]],
]

[[package]] # the first
source = { registry = "x", extra = [
  { name = "within", version = "9" },
] }
name = "First_One"
version = "1.0"
dependencies = [
    { name = "other", version = "3" },
]

[package.metadata]
name = "not-me"
version = "7"

  [[ package ]]
"name" = 'second'
description = "# [[package]]"
version = "2\\u002e0"

[["package"]]
version = """
3.0"""
name = "third"

[[package]]
name = "first-one"
version = "1.0"

[[package]]
name = "no-version"

[other]
name = "outside"
version = "1"
[[packages]]
name = "of-another-format"
version = "1"
'''


def test_what_looks_like_a_table_is_none() -> None:
    found = _agrees(TRICKY, LockFormat.UV)
    assert sorted(found) == [("first-one", "1.0"), ("no-version", ""), ("second", "2.0"), ("third", "3.0")]
    assert list(lines(TRICKY, LockFormat.PYLOCK)) == [("of-another-format", "1")]


@pytest.mark.parametrize("format", TABLES.values())
def test_windows_line_ends_and_a_byte_order_mark_move_nothing(format: LockFormat) -> None:  # noqa: A002
    text = TRICKY.replace("[other]", "[another]")
    plain = lines(text, format)
    assert plain
    assert lines(text.replace("\n", "\r\n"), format) == plain
    assert lines("\ufeff" + text, format) == plain


def test_the_first_of_two_entries_counts_and_another_version_leads_to_the_name() -> None:
    text = '[[package]]\nname="a"\nversion="2"\n[[package]]\nname="a"\nversion="1"\n[[package]]\nname="a"\nversion="2"\n'
    assert lines(text, LockFormat.POETRY) == {("a", "2"): 1, ("a", "1"): 4}
    assert line_of(text, LockFormat.POETRY, "a", "1") == 4
    assert line_of(text, LockFormat.POETRY, "a", "9") == 1
    assert line_of(text, LockFormat.POETRY, "b", "1") is None
    assert nearest(lines(text, LockFormat.POETRY), "a", "9", "1") == 4


ROWS = """\
# six==0.0 \\
\ufeff
six==1.16.0 ; python_version < "4" \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via zope==9
Zope.Interface[test] === 5.0+local  # six==3
loose>=1,==1.*
wild==1.5.*
two==1.5,!=1.6
bare
-r other==1.txt
-e git+https://index.example/x.git@abc#egg=Edit_Able
named @ https://index.example/named-2.0-py3-none-any.whl#sha256=cc
https://index.example/files/direct_one-3.1-py3-none-any.whl --hash=sha256:dd
./wheels/local-4.0.tar.gz
\\
continued==1.0
-c constraints.txt
last==9 \\
"""


def test_rows_of_requirements() -> None:
    expected = {
        ("six", "1.16.0"): 3,
        ("zope-interface", "5.0+local"): 7,
        ("loose", ""): 8,
        ("wild", ""): 9,
        ("two", ""): 10,
        ("bare", ""): 11,
        ("edit-able", ""): 13,
        ("named", "2.0"): 14,
        ("direct-one", "3.1"): 15,
        ("local", "4.0"): 16,
        ("continued", "1.0"): 17,
        ("last", "9"): 20,
    }
    text = ROWS.replace("\ufeff", "")
    assert lines(text, LockFormat.REQUIREMENTS) == expected
    assert lines("\ufeff" + text.replace("\n", "\r\n"), LockFormat.REQUIREMENTS) == expected


PIPFILE = """\
{
    "_meta": {"hash": {"sha256": "}"}, "version": "1", "sources": [{"name": "{", "url": "x"}],
        "requires": {"a": {"version": "==9"}}},
    "default": {
        "six": {
            "hashes": ["sha256:aa", "version", "==3"],
            "version": "==1.16.0"
        },
        "Zope.Interface": {"markers": "a \\" ] : { b", "version":
            "===5.0"}, "loose": {"version": "*"},
        "v\\u0065rsion": {"version": "==1.*", "extras": ["version"]}
    },
    "develop": {
        "six": {"version": "==1.16.0"},
        "here": {"path": "."},
        "empty": {}
    }
}
"""


def test_rows_of_a_pipfile_lock() -> None:
    assert lines(PIPFILE, LockFormat.PIPFILE) == {
        ("six", "1.16.0"): 5,
        ("zope-interface", "5.0"): 9,
        ("loose", ""): 10,
        ("version", ""): 11,
        ("here", ""): 15,
        ("empty", ""): 16,
    }
    assert set(json.loads(PIPFILE)["default"]) == {"six", "Zope.Interface", "loose", "version"}


@pytest.mark.parametrize("name", ["1", "2", "3"])
def test_the_lines_of_a_real_pipfile_lock(name: str) -> None:
    path = CORPUS / "pipfile" / f"pypa__pipenv__{name}.lock"
    if not path.exists():
        pytest.skip("the corpus of real locks is not beside this checkout")
    text = path.read_text()
    found = lines(text, LockFormat.PIPFILE)
    document = json.loads(text)
    rows = [
        (n, row.get("version", "").removeprefix("==")) for key in document if key != "_meta" for n, row in document[key].items()
    ]
    assert set(found) == {(str(canonicalize_name(n)), version) for n, version in rows}
    physical = text.split("\n")
    for (n, _), line in found.items():
        assert canonicalize_name(json.loads("{" + physical[line - 1].strip() + "}}").popitem()[0]) == n


PROJECT = """\
# dependencies = ["no"]
[project]
name = "x"
version = "1"
dependencies = [
    "six==1.16.0",  # "zope"
    'idna>=3 ; python_version < "4"', "loose",
]
optional-dependencies.a = ["extra-a==1"]
[project.urls]
dependencies = "https://index.example"
[dependency-groups]
"test" = [
    {include-group = "docs"},
    \"\"\"
multi\"\"\",
]
docs = ["sphinx"]
[tool.pdm.dev-dependencies]
dev = ["-e file:///${PROJECT_ROOT}/lib#egg=Lib"]
[tool.poetry.dependencies]
python = "^3.9"
rich = "13.0"
split = [
  {version = "1.0", python = "<3.10"},
  {version = ">=2", python = ">=3.10"},
]
[tool.poetry.group.qa.dependencies]
ruff = {version = "^0.4", optional = true}
"""


def test_requirements_of_a_project() -> None:
    text = PROJECT.replace('\n    """\nmulti""",', "")
    assert lines(text, LockFormat.PYPROJECT) == {
        ("six", "1.16.0"): 6,
        ("idna", ""): 7,
        ("loose", ""): 7,
        ("extra-a", "1"): 9,
        ("sphinx", ""): 16,
        ("lib", ""): 18,
        ("rich", "13.0"): 21,
        ("split", "1.0"): 23,
        ("split", ""): 24,
        ("ruff", ""): 27,
    }
    with_multi = lines(PROJECT, LockFormat.PYPROJECT)
    assert with_multi["multi", ""] == 15
    assert with_multi["ruff", ""] == 29


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(st.sampled_from("[]{}\"'\\\n\r#=, name version package 1.0-e@:/;\f\u2028"), max_size=80))
def test_no_text_fails_and_no_line_is_outside(text: str) -> None:
    for format in LockFormat:  # noqa: A001
        assert all(1 <= line <= text.count("\n") + text.count("\r") + 1 for line in lines(text, format).values())
    seal_lines(text)


@pytest.mark.parametrize("opening", ['"""', "'''", '"', "'", "[", '"""\\', '"\\', '""""'])
def test_a_hostile_text_takes_no_time_to_speak_of(opening: str) -> None:
    """With a square of steps in it this would not end within the test run."""
    text = opening * 300_000
    assert lines(text, LockFormat.UV) == {}
    assert lines(text + '\n[[package]]\nname = "x"\n' * 3, LockFormat.REQUIREMENTS) is not None


def _seal(*environments: dict[str, str]) -> str:
    document = []
    for environment in environments:
        rows = ",\n".join("        " + json.dumps({"name": name, "version": version}) for name, version in environment.items())
        document.append(
            '    {\n      "startup": [\n        {"name": "six", "version": "1.16.0"}\n      ],\n      "distributions": [\n'
            + rows
            + "\n      ]\n    }"
        )
    return '{\n  "environments": [\n' + ",\n".join(document) + "\n  ]\n}\n"


def test_the_lines_of_a_seal() -> None:
    text = _seal({"numpy": "2.0", "six": "1.16.0"}, {"six": "1.17.0", "numpy": "2.0"})
    assert json.loads(text)
    physical = text.split("\n")
    first, second = seal_lines(text, 0), seal_lines(text, 1)
    for found in (first, second):
        for (name, version), line in found.items():
            assert json.loads(physical[line - 1].rstrip(",")) == {"name": name, "version": version}
    assert set(first) == {("numpy", "2.0"), ("six", "1.16.0")}
    assert set(second) == {("numpy", "2.0"), ("six", "1.17.0")}
    assert min(second.values()) > max(first.values())
    assert seal_lines(text) == {**second, **first}


def test_a_seal_of_another_shape_has_no_lines() -> None:
    text = _seal({"six": "1.0"})
    assert seal_lines(json.dumps(json.loads(text))) == {}
    assert seal_lines(text.replace('"version": "1.0"', '"version": 1')) == {}
    assert seal_lines('"distributions": []\n{"name": "six", "version": "1"}\n') == {}
