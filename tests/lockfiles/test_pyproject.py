"""A pyproject.toml without a lock: what it wishes for, in the words of each tool."""

from __future__ import annotations

import random

import pytest

from sanctity.errors import DocumentError
from sanctity.lockfiles import pyproject, reader_for
from sanctity.lockfiles.summary import summarise
from sanctity.model.digest import Digest
from sanctity.model.lock import Lock, RootKind, SourceKind

DIGEST = Digest("sha256", "0" * 64)
WHOLE = """
[build-system]
requires = ["builder==1"]

[project]
name = "Demo_App"
dynamic = ["version"]
requires-python = ">=3.10"
dependencies = [
    "six==1.16.0",
    "requests[socks, security]>=2.28 ; python_version < '4'",
    "numpy>=1; sys_platform == 'linux'",
    "numpy>=1; sys_platform == 'win32'",
    "direct @ https://user:secret@index.example/direct-1.0-py3-none-any.whl",
]

[project.optional-dependencies]
Fast_Math = ["numpy>=2", "numba"]

[dependency-groups]
test = ["pytest<9", {include-group = "typing"}]
typing = ["mypy", {include-group = "test"}]

[tool.pdm.dev-dependencies]
local = ["-e file:///${PROJECT_ROOT}/lib#egg=lib"]

[[tool.pdm.source]]
url = "https://pdm.index.example/simple"

[tool.uv]
dev-dependencies = ["ruff"]

[[tool.uv.index]]
url = "https://user:secret@uv.index.example/simple"
"""
POETRY = """
[tool.poetry.dependencies]
python = "^3.9"
exact = "1.2"
caret = "^1.2"
either = "1.* || 3.*"
git = {git = "https://git.index.example/x.git", branch = "main"}
path = {path = "../lib", develop = true}
folder = {path = "../lib2"}
wheel = {file = "x-1-py3-none-any.whl"}
url = {url = "https://index.example/u-1.tar.gz"}
extra = {version = ">=1", optional = true, extras = ["one"]}
split = [{version = "<2", python = "<3.10"}, {version = ">=2", markers = "python_version >= '3.10'"}]

[tool.poetry.extras]
more = ["extra"]

[tool.poetry.dev-dependencies]
old = "*"

[tool.poetry.group.docs]
optional = true
include-groups = ["dev"]

[tool.poetry.group.docs.dependencies]
sphinx = ">=7"

[[tool.poetry.source]]
name = "x"
url = "https://poetry.index.example/simple"
"""


def read(text: str) -> Lock:
    return pyproject.parse(text, path="pyproject.toml", digest=DIGEST, beside={})


def outcome(text: str) -> Lock | DocumentError:
    try:
        return read(text)
    except DocumentError as error:
        return error


def test_what_the_standards_say() -> None:
    lock = read(WHOLE)
    assert [(pin.name, pin.version, pin.specifier) for pin in lock.pins] == [
        ("six", "1.16.0", ""),
        ("requests", "", ">=2.28"),
        ("numpy", "", ">=1"),
        ("direct", "1.0", ""),
        ("numpy", "", ">=2"),
        ("numba", "", ""),
        ("pytest", "", "<9"),
        ("mypy", "", ""),
        ("lib", "", ""),
        ("ruff", "", ""),
    ]
    assert [(root.kind, root.name, root.member) for root in lock.roots] == [
        (RootKind.PROJECT, "", "demo-app"),
        (RootKind.EXTRA, "fast-math", "demo-app"),
        (RootKind.GROUP, "test", "demo-app"),
        (RootKind.GROUP, "typing", "demo-app"),
        (RootKind.GROUP, "local", "demo-app"),
        (RootKind.GROUP, "dev", "demo-app"),
    ]
    edges = {root.name: [(edge.name, edge.extras, edge.marker) for edge in root.dependencies] for root in lock.roots}
    assert edges[""][1] == ("requests", ("security", "socks"), "python_version < '4'")
    assert [marker for name, _, marker in edges[""] if name == "numpy"] == ["sys_platform == 'linux'", "sys_platform == 'win32'"]
    # Groups that include each other are one.
    assert sorted(name for name, _, _ in edges["test"]) == sorted(name for name, _, _ in edges["typing"]) == ["mypy", "pytest"]
    (editable,) = [pin for pin in lock.pins if pin.name == "lib"]
    assert editable.source.kind is SourceKind.EDITABLE
    assert lock.indexes == ("https://uv.index.example/simple", "https://pdm.index.example/simple")
    assert lock.requires_python == ">=3.10"
    assert "secret" not in repr(lock)
    assert {note.code for note in lock.notes} == {"lock-url-credentials", "lock-include-cycle"}


def test_rows_are_counted_as_they_are_written() -> None:
    facts = summarise(read(WHOLE))
    assert (facts["packages"], facts["unique_names"]) == (11, 9)
    assert (facts["platform_markers"], facts["python_markers"]) == (2, 1)
    assert facts["unhashed_artifacts"] == 1
    assert facts["vcs_url_path_packages"] == ["direct:url", "lib:editable"]
    assert facts["more_facts"] == {
        "dynamic": ["version"],
        "group_includes": 2,
        "ill_formed_hashes": 0,
        "requires_python": ">=3.10",
        "unique_name_versions": 11,
    }


def test_what_poetry_says() -> None:
    lock = read(POETRY)
    assert {(pin.name, pin.version, pin.specifier, pin.source.kind, pin.source.location) for pin in lock.pins} == {
        ("exact", "1.2", "", SourceKind.REGISTRY, ""),
        ("caret", "", ">=1.2,<2.0", SourceKind.REGISTRY, ""),
        ("either", "", "==1.* || ==3.*", SourceKind.REGISTRY, ""),
        ("git", "", "", SourceKind.GIT, "https://git.index.example/x.git"),
        ("path", "", "", SourceKind.EDITABLE, "../lib"),
        ("folder", "", "", SourceKind.DIRECTORY, "../lib2"),
        ("wheel", "", "", SourceKind.FILE, "x-1-py3-none-any.whl"),
        ("url", "", "", SourceKind.URL, "https://index.example/u-1.tar.gz"),
        ("extra", "", ">=1", SourceKind.REGISTRY, ""),
        ("split", "", "<2", SourceKind.REGISTRY, ""),
        ("split", "", ">=2", SourceKind.REGISTRY, ""),
        ("old", "", "", SourceKind.REGISTRY, ""),
        ("sphinx", "", ">=7", SourceKind.REGISTRY, ""),
    }
    edges = {(root.kind, root.name): {edge.name for edge in root.dependencies} for root in lock.roots}
    assert "extra" not in edges[RootKind.PROJECT, ""]
    assert edges[RootKind.EXTRA, "more"] == {"extra"}
    assert edges[RootKind.GROUP, "docs"] == {"sphinx", "old"}
    assert [root.name for root in lock.roots if root.kind is RootKind.GROUP and root.default] == ["dev"]
    assert lock.requires_python == ">=3.9,<4.0"
    assert lock.indexes == ("https://poetry.index.example/simple",)


def test_where_both_say_it_the_standard_counts() -> None:
    lock = read(
        '[project]\nname = "x"\ndependencies = ["six>=1"]\n[tool.poetry.dependencies]\nsix = {source = "x", version = "^9"}\n'
    )
    assert [(pin.name, pin.specifier) for pin in lock.pins] == [("six", ">=1")]


def test_it_is_no_lock() -> None:
    assert reader_for("pyproject.toml") is pyproject
    assert not read(WHOLE).format.is_lock


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("[project\n", "lock-syntax", "pyproject.toml: line 1 column 9"),
        ("project = 1\n", "lock-bad-type", "pyproject.toml: project"),
        ("[project]\ndependencies = ['a b']\n", "lock-bad-requirement", "pyproject.toml: project.dependencies[0]"),
        ("[project]\ndependencies = ['./folder']\n", "lock-bad-requirement", "pyproject.toml: project.dependencies[0]"),
        ("[project]\ndependencies = [1]\n", "lock-bad-type", "pyproject.toml: project.dependencies[0]"),
        ("[project]\ndependencies = {}\n", "lock-bad-type", "pyproject.toml: project.dependencies"),
        (
            "[project.optional-dependencies]\nx = ['a;b']\n",
            "lock-bad-requirement",
            "pyproject.toml: project.optional-dependencies.x[0]",
        ),
        ("[dependency-groups]\nx = [1]\n", "lock-bad-type", "pyproject.toml: dependency-groups.x[0]"),
        ("[dependency-groups]\nx = 'a'\n", "lock-bad-type", "pyproject.toml: dependency-groups.x"),
        ("[dependency-groups]\nx = [{}]\n", "lock-missing-key", "pyproject.toml: dependency-groups.x[0]"),
        ("[tool.poetry.dependencies]\nx = 'not a version'\n", "lock-bad-specifier", "pyproject.toml: tool.poetry.dependencies.x"),
        ("[tool.poetry.dependencies]\nx = 1\n", "lock-bad-type", "pyproject.toml: tool.poetry.dependencies.x"),
    ],
)
def test_a_broken_project_is_refused_with_its_place(text: str, code: str, where: str) -> None:
    error = outcome(text)
    assert isinstance(error, DocumentError)
    assert (error.code, error.where) == (code, where)
    assert error.hint


def test_a_group_that_includes_what_is_none_is_said() -> None:
    lock = read('[dependency-groups]\nx = [{include-group = "y"}]\n')
    assert [(note.code, note.where) for note in lock.notes] == [("lock-stale", "dependency-groups.x")]


def test_nothing_that_a_project_is_turned_into_fails_otherwise() -> None:
    chance = random.Random(2)
    for _ in range(300):
        text = chance.choice([WHOLE, POETRY])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            piece = chance.choice(["", "1", '"', "[]", "{}", "true", "= {", text[at : at + 40], "\n[project]\n"])
            text = text[:at] + piece + text[at + chance.choice([0, 1, 8, 100]) :]
        found = outcome(text)
        if isinstance(found, Lock):
            assert summarise(found)
