"""What is wrong with a project, from facts that are values: no folder and no git is needed here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from factories import a_digest, a_pin
from sanctity.linting.project import judge
from sanctity.model.drift import Severity
from sanctity.model.lock import Dependency, Ecosystem, Lock, LockFormat, Root, RootKind, Source, SourceKind
from sanctity.model.project import ProjectFacts, Repository, Standing

if TYPE_CHECKING:
    from sanctity.model.finding import Finding

PYPROJECT = '[project]\nname = "churn"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six"]\n'
UV = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[[package]]\nname = "churn"\nversion = "1"\nsource = { virtual = "." }\n'
UV += '[package.metadata]\nrequires-dist = [{ name = "six" }]\n'


def _lock(format: LockFormat = LockFormat.UV, path: str = "uv.lock", *pins: Any, **fields: Any) -> Lock:  # noqa: A002
    return Lock(format=format, path=path, digest=a_digest(), pins=pins, **fields)


def _judged(facts: ProjectFacts, *locks: Lock) -> list[Finding]:
    return list(judge(facts, [(lock.path, lock) for lock in locks]))


def _codes(facts: ProjectFacts, *locks: Lock) -> list[str]:
    return [finding.code for finding in _judged(facts, *locks)]


def _facts(**fields: Any) -> ProjectFacts:
    """A project of which nothing is wrong, but for *fields*."""
    texts = fields.pop("texts", {"pyproject.toml": PYPROJECT, "uv.lock": UV, ".python-version": "3.12\n"})
    return ProjectFacts(**{"texts": texts, "locks": ("uv.lock",), **fields})


def test_nothing_is_wrong_with_a_good_project() -> None:
    assert _codes(_facts(), _lock()) == []


# --- No lock


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", PYPROJECT),
        ("pyproject.toml", '[project]\nname = "a"\ndynamic = ["dependencies"]\n'),
        ("pyproject.toml", '[project]\nname = "a"\n[dependency-groups]\ntest = ["pytest"]\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\nsix = "*"\n'),
        ("Pipfile", '[packages]\nsix = "*"\n'),
        ("pixi.toml", '[dependencies]\nnumpy = "*"\n'),
        ("environment.yml", "dependencies:\n  - numpy\n"),
        ("requirements.txt", "six\n"),
        ("setup.py", "setup(install_requires=['six'])\n"),
    ],
)
def test_a_project_that_asks_for_packages_needs_a_lock(name: str, text: str) -> None:
    found = [finding for finding in _judged(ProjectFacts(texts={name: text})) if finding.code == "lock-missing"]
    assert [finding.path for finding in found] == [name]
    for facts in ({"locks": ("uv.lock",)}, {"seals": ("env.seal.json",)}, {"above": True}):
        assert "lock-missing" not in _codes(ProjectFacts(texts={name: text}, **facts))
    assert "lock-missing" not in _codes(ProjectFacts(texts={name: text}), _lock())
    unread = list(judge(ProjectFacts(texts={name: text}), [("uv.lock", None)]))
    assert "lock-missing" not in [finding.code for finding in unread]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project]\nname = "a"\ndependencies = []\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\n'),
        ("pyproject.toml", "[tool.ruff]\nline-length = 100\n"),
        ("pyproject.toml", "not toml ["),
        ("setup.py", "setup(name='a')\n"),
        ("README.md", "six\n"),
    ],
)
def test_one_that_asks_for_none_does_not(name: str, text: str) -> None:
    assert _codes(ProjectFacts(texts={name: text})) == []


# --- Locks that disagree


def test_an_export_that_agrees_is_silent() -> None:
    uv = _lock(LockFormat.UV, "uv.lock", a_pin("six", "1.17.0"), a_pin("idna", "3.10"))
    rows = _lock(LockFormat.REQUIREMENTS, "requirements.txt", a_pin("six", "1.17"), generator="uv export")
    assert _codes(_facts(), uv, rows) == []


def test_another_version_is_told_once_with_both_names() -> None:
    uv = _lock(LockFormat.UV, "uv.lock", *(a_pin(name, "1.0") for name in "abcdefg"))
    rows = _lock(LockFormat.REQUIREMENTS, "requirements.txt", *(a_pin(name, "2.0") for name in "abcdefg"))
    (found,) = _judged(_facts(), uv, rows)
    assert (found.code, found.path, found.count) == ("locks-disagree", "uv.lock", 7)
    assert "requirements.txt" in found.message
    assert "a (1.0 and 2.0)" in found.message
    assert "2 more" in found.message
    assert "g (" not in found.message


@pytest.mark.parametrize(
    ("mine", "theirs", "disagree"),
    [
        ([("1", "python_version < '3.12'"), ("2", "python_version >= '3.12'")], [("1", "python_version < '3.12'")], False),
        ([("1", "python_version < '3.12'"), ("2", "python_version >= '3.12'")], [("2", "")], False),
        ([("1", "python_version < '3.12'")], [("2", "python_full_version >= '3.12'")], False),
        ([("1", "python_version < '3.9'")], [("2", "")], False),  # no Python that the locks are for
        ([("1", "sys_platform == 'win32'")], [("2", "os_name == 'posix'")], False),
        ([("1", "sys_platform == 'win32'")], [("2", "")], True),
        ([("1", "")], [("2", "python_version >= '3.12'")], True),
        ([("1", "extra == 'extra-1-a-cpu'")], [("2", "extra == 'extra-1-a-gpu'")], False),
        ([("1", ""), ("2", "")], [("3", "")], True),
        ([("1.0", "")], [("1.0.0", "")], False),
        ([("1", "no marker at all")], [("2", "")], False),  # that can not be told
    ],
)
def test_only_what_can_hold_together_disagrees(mine: list[tuple[str, str]], theirs: list[tuple[str, str]], disagree: bool) -> None:
    one = _lock(
        LockFormat.UV, "uv.lock", *(a_pin("a", version, marker=marker) for version, marker in mine), requires_python=">=3.11"
    )
    other = _lock(LockFormat.PYLOCK, "pylock.toml", *(a_pin("a", version, marker=marker) for version, marker in theirs))
    assert _codes(_facts(), one, other) == (["locks-disagree"] if disagree else [])
    assert _codes(_facts(), other, one) == (["locks-disagree"] if disagree else [])


def test_names_count_only_where_both_are_whole() -> None:
    uv = _lock(LockFormat.UV, "uv.lock", a_pin("six", "1"), a_pin("idna", "1"))
    poetry = _lock(LockFormat.POETRY, "poetry.lock", a_pin("six", "1"), a_pin("attrs", "1"), a_pin("pip", "1"))
    found = [finding for finding in _judged(_facts(), uv, poetry) if finding.code == "locks-disagree"]
    assert [("idna" in finding.message, "attrs" in finding.message) for finding in found] == [(True, False), (False, True)]
    for format, path, generator in (  # noqa: A001
        (LockFormat.REQUIREMENTS, "requirements-docs.txt", "pip-compile"),
        (LockFormat.PYLOCK, "pylock.docs.toml", ""),
        (LockFormat.ENVIRONMENT_YML, "environment.yml", ""),
    ):
        other = _lock(format, path, a_pin("six", "1"), a_pin("sphinx", "1"), generator=generator)
        assert _codes(_facts(), uv, other) == [], path
    export = _lock(LockFormat.REQUIREMENTS, "requirements.txt", a_pin("sphinx", "1"), generator="uv export")
    (told,) = _judged(_facts(), uv, export)
    assert "uv.lock lacks 1 package of it: sphinx" in told.message


def _needing(*needed: str, beside: tuple[str, ...] = ()) -> Lock:
    """A uv.lock whose project needs *needed* by way of the first of them, and *beside* for a group."""
    first, *rest = needed
    pins = [
        a_pin(first, "1", dependencies=tuple(Dependency(name=name) for name in rest)),
        *(a_pin(n, "1") for n in (*rest, *beside)),
    ]
    roots = (
        Root(kind=RootKind.PROJECT, dependencies=(Dependency(name=first),), default=True),
        Root(kind=RootKind.GROUP, name="dev", dependencies=tuple(Dependency(name=name) for name in beside), default=True),
    )
    return _lock(LockFormat.UV, "uv.lock", *pins, roots=roots)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("#    uv export -o requirements.txt", True),
        ("#    uv export --no-dev -o requirements.txt", True),
        ("#    uv export --no-emit-project -o requirements.txt", True),
        ("#    uv export --only-group docs -o requirements.txt", False),
        ("#    uv export --no-emit-package idna -o requirements.txt", False),
    ],
)
def test_an_export_has_all_that_the_project_needs_unless_told_otherwise(head: str, told: bool) -> None:
    uv = _needing("six", "idna", beside=("pytest",))
    facts = _facts(texts={"pyproject.toml": PYPROJECT, "uv.lock": UV, ".python-version": "3.12\n", "requirements.txt": head + "\n"})
    whole = _lock(LockFormat.REQUIREMENTS, "requirements.txt", a_pin("six", "1"), a_pin("idna", "1"), generator="uv export")
    assert _codes(facts, uv, whole) == []
    found = _judged(facts, uv, replace(whole, pins=whole.pins[:1]))
    assert [finding.message for finding in found] == (["requirements.txt lacks 1 package of it: idna"] if told else [])


def test_an_export_for_one_system_lacks_what_others_need() -> None:
    uv = _needing("six", "idna")
    some = replace(uv.pins[0], dependencies=(Dependency(name="idna", marker="sys_platform == 'win32'"),))
    export = _lock(LockFormat.PYLOCK, "pylock.toml", a_pin("six", "1"))
    assert _codes(_facts(), uv, export) == ["locks-disagree"]
    assert _codes(_facts(), replace(uv, pins=(some, uv.pins[1])), export) == []


def test_the_lock_of_a_script_is_of_another_thing() -> None:
    script = _lock(LockFormat.UV, "tool.py.lock", a_pin("idna", "2"))
    assert _codes(_facts(), _lock(LockFormat.UV, "uv.lock", a_pin("six", "1"), a_pin("idna", "1")), script) == []


def test_files_for_one_platform_or_folder_alone_may_differ() -> None:
    one = _lock(LockFormat.REQUIREMENTS, "requirements-py39.txt", a_pin("six", "1"))
    other = _lock(LockFormat.REQUIREMENTS, "requirements-py312.txt", a_pin("six", "2"))
    assert _codes(_facts(), one, other) == []
    one = _lock(LockFormat.REQUIREMENTS, "requirements.txt", a_pin("six", "1"))
    other = _lock(LockFormat.REQUIREMENTS, "docs/requirements.txt", a_pin("six", "2"))
    assert _codes(_facts(), one, other) == []
    conda = a_pin("six", "2", ecosystem=Ecosystem.CONDA)
    python = a_pin("python", "3.12.1", ecosystem=Ecosystem.CONDA)
    assert _codes(_facts(), one, _lock(LockFormat.PIXI, "pixi.lock", conda, python)) == []
    own = a_pin("six", "9", source=Source(kind=SourceKind.EDITABLE, location="."))
    assert _codes(_facts(), one, _lock(LockFormat.UV, "uv.lock", own)) == []


def test_markers_without_end_are_told_and_not_tried() -> None:
    """A document can hold more markers than anybody has time for."""

    def pins(version: int) -> list[Any]:
        marker = "python_version < '3.{0}' and sys_platform == 'x{0}' and platform_machine == '{1}'"
        return [a_pin(f"n{i // 20}", f"{version}.{i % 20}", marker=marker.format(i, version)) for i in range(4000)]

    one, other = _lock(LockFormat.UV, "uv.lock", *pins(1)), _lock(LockFormat.PYLOCK, "pylock.toml", *pins(2))
    (found,) = _judged(_facts(texts={".python-version": "3.12"}), one, other)
    assert (found.code, found.severity) == ("locks-disagree", Severity.NOTE)


# --- Stale


def test_a_stale_lock_says_what_changed_and_how_to_lock_again() -> None:
    texts = {"pyproject.toml": PYPROJECT.replace('"six"', '"six", "idna"'), "uv.lock": UV, ".python-version": "3.12"}
    (found,) = _judged(_facts(texts=texts), _lock())
    assert (found.code, found.path, found.severity) == ("lock-stale", "uv.lock", Severity.WARNING)
    assert "idna" in found.message
    assert "uv lock" in found.hint


def test_what_can_not_be_told_is_a_note() -> None:
    texts = {
        "pyproject.toml": PYPROJECT.replace("dependencies = [", 'dynamic = ["dependencies"]\nx = ['),
        "uv.lock": UV,
        ".python-version": "3.12",
    }
    (found,) = _judged(_facts(texts=texts), _lock())
    assert (found.code, found.severity) == ("lock-stale", Severity.NOTE)
    assert "could not be told" in found.message


def test_a_lock_in_a_folder_has_its_inputs_beside_it() -> None:
    texts = {
        "a/pyproject.toml": PYPROJECT.replace("six", "idna"),
        "a/uv.lock": UV,
        "pyproject.toml": PYPROJECT,
        ".python-version": "3.12",
    }
    assert _codes(_facts(texts=texts), _lock(path="a/uv.lock")) == ["lock-stale"]
    texts = {**texts, "a/pyproject.toml": PYPROJECT, "pyproject.toml": PYPROJECT.replace("six", "idna")}
    assert _codes(_facts(texts=texts), _lock(path="a/uv.lock")) == []


# --- git


def test_what_git_does_not_know_is_told() -> None:
    standing = {"uv.lock": Standing.UNTRACKED, "env.seal.json": Standing.IGNORED}
    facts = _facts(seals=("env.seal.json",), repository=Repository(standing=standing, environments=((".venv", 1234),)))
    found = _judged(facts, _lock())
    assert [(finding.code, finding.path) for finding in found] == [
        ("lock-not-committed", "uv.lock"),
        ("seal-not-committed", "env.seal.json"),
        ("environment-committed", ".venv"),
    ]
    assert "gitignore" in found[1].message
    assert "1,234 files" in found[2].message
    assert found[2].count == 1234
    tracked = dict.fromkeys(standing, Standing.TRACKED)
    assert _codes(_facts(seals=("env.seal.json",), repository=Repository(standing=tracked)), _lock()) == []
    assert _codes(_facts(seals=("env.seal.json",), repository=Repository(standing=standing, empty=True)), _lock()) == []


def test_git_that_gives_no_answer_is_a_note() -> None:
    (found,) = _judged(_facts(repository=Repository(trouble="git gave no answer")), _lock())
    assert (found.code, found.severity) == ("lock-not-committed", Severity.NOTE)


# --- The interpreter

PINS = [
    (".python-version", "3.12\n"),
    (".python-version", "# ours\ncpython-3.12.4-linux-x86_64-gnu\n"),
    (".tool-versions", "nodejs 20\npython 3.12.1\n"),
    ("mise.toml", '[tools]\npython = "3.12"\n'),
    ("runtime.txt", "python-3.12.1\n"),
    ("Pipfile", '[requires]\npython_version = "3.12"\n'),
    ("environment.yml", "dependencies:\n  - python=3.12\n"),
    ("pixi.toml", '[dependencies]\npython = "3.12.*"\n'),
    ("pyproject.toml", '[project]\nname = "a"\nrequires-python = "==3.12.*"\n'),
    ("pyproject.toml", '[project]\nname = "a"\nrequires-python = ">=3.12,<3.13"\n'),
    ("pyproject.toml", '[tool.poetry.dependencies]\npython = "~3.12"\n'),
    ("Dockerfile", "FROM python:3.12-slim AS base\n"),
    ("docker/gpu.Dockerfile", "FROM ghcr.example/base/python3.12:latest\n"),
    (".github/workflows/ci.yml", "      - with:\n          python-version: '3.12'\n"),
    (".gitlab-ci.yml", "image: python:3.12\n"),
    ("azure-pipelines.yml", "    versionSpec: '3.12'\n"),
]


@pytest.mark.parametrize(("name", "text"), PINS)
def test_whatever_names_one_python_pins_it(name: str, text: str) -> None:
    texts = {"pyproject.toml": PYPROJECT, "uv.lock": UV, name: text}
    assert "interpreter-unpinned" not in _codes(_facts(texts=texts), _lock())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".python-version", "pypy\n"),
        (".tool-versions", "nodejs 20\n"),
        ("Pipfile", '[packages]\nsix = "*"\n'),
        ("environment.yml", "dependencies:\n  - python\n"),
        ("environment.yml", "dependencies:\n  - python>=3.10\n"),
        ("pyproject.toml", PYPROJECT),
        ("pyproject.toml", PYPROJECT.replace(">=3.11", ">=3.11,<4")),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.12"\n'),
        ("Dockerfile", "FROM python\n"),
        ("Dockerfile", "# FROM python:3.12\n"),
        (".github/workflows/ci.yml", "        python-version: ['3.11', '3.12']\n"),
        (".github/workflows/ci.yml", "          python-version: ${{ matrix.python-version }}\n"),
    ],
)
def test_what_leaves_a_choice_does_not(name: str, text: str) -> None:
    (found,) = [
        one for one in _judged(_facts(texts={"pyproject.toml": "", name: text}), _lock()) if one.code == "interpreter-unpinned"
    ]
    assert found.severity is Severity.NOTE


def test_a_seal_or_a_lock_of_conda_pins_the_interpreter() -> None:
    texts = {"pyproject.toml": PYPROJECT, "uv.lock": UV}
    assert _codes(_facts(texts=texts), _lock()) == ["interpreter-unpinned"]
    assert _codes(_facts(texts=texts, seals=("env.seal.json",)), _lock()) == []
    python = a_pin("python", "3.12.1", ecosystem=Ecosystem.CONDA)
    assert _codes(_facts(texts={}), _lock(LockFormat.PIXI, "pixi.lock", python)) == []
    assert _codes(ProjectFacts()) == []


# --- What installs


def test_lines_that_install_are_told_file_by_file() -> None:
    texts = {
        "b.sh": "pip install a\n",
        "Dockerfile": "RUN pip install -r requirements.txt\n",
        "notes.sh": "pip install a\n",
        ".python-version": "3.12",
    }
    facts = ProjectFacts(
        texts={**texts, "requirements.txt": "six==1.0\n"}, scripts=("b.sh", "Dockerfile"), locks=("requirements.txt",)
    )
    assert [(finding.path, finding.code, finding.line) for finding in _judged(facts)] == [
        ("Dockerfile", "install-unhashed", 1),
        ("b.sh", "install-unlocked", 1),
    ]


def test_a_long_list_of_one_kind_is_counted() -> None:
    text = "pip install a\n" * 40 + "uv sync\n"
    facts = ProjectFacts(texts={"a.sh": text}, scripts=("a.sh",), locks=("uv.lock",), seals=("env.seal.json",))
    found = _judged(facts)
    assert len(found) == 12
    assert sum(finding.count for finding in found) == 41
    assert [finding.line for finding in found[:3]] == [1, 2, 3]


def test_what_was_passed_over_is_told() -> None:
    facts = ProjectFacts(unread=(("scripts/big.sh", "it is too large"),), locks=("uv.lock",), seals=("env.seal.json",))
    (found,) = _judged(facts)
    assert (found.path, found.severity) == ("scripts/big.sh", Severity.NOTE)
