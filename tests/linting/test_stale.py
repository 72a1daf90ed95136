"""Whether a lock is stale is what its own tool says: recorded from the tools' releases, and asked of the real ones side by side."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from factories import a_digest
from real.tools import Workshop
from sanctity.linting.conditions import can_hold_together, mean_the_same, versions_admitted
from sanctity.linting.stale import Staleness, staleness, wants
from sanctity.lockfiles import reader_for
from sanctity.model.lock import LockFormat

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop
    from sanctity.model.lock import Lock

FORMATS = {
    "uv.lock": LockFormat.UV,
    "poetry.lock": LockFormat.POETRY,
    "pdm.lock": LockFormat.PDM,
    "Pipfile.lock": LockFormat.PIPFILE,
}


def _parsed(name: str, text: str) -> Lock:
    reader = reader_for(name, text)
    assert reader is not None
    return reader.parse(text, path=name, digest=a_digest(), beside={})


def _asked(folder: Path, name: str) -> Staleness:
    """What is said of the lock *name* in *folder*, with all that it wants to see."""
    text = (folder / name).read_text()
    format = FORMATS.get(name, LockFormat.REQUIREMENTS)  # noqa: A001
    beside: dict[str, str] = {}
    while True:
        wanted = [path for pattern in wants(format, name, text, beside) for path in folder.glob(pattern)]
        new = {os.path.relpath(path, folder): path.read_text() for path in wanted}
        if new.keys() <= beside.keys():
            return staleness(format, name, text, beside, _parsed(name, text))
        beside |= new


def _said(name: str, text: str, **beside: str) -> Staleness:
    files = {key.replace("_", "."): value for key, value in beside.items()}
    return staleness(
        FORMATS.get(name, LockFormat.REQUIREMENTS), name, text, files, _parsed(name, text) if name not in FORMATS else None
    )


# --- Hashes, as the tools' own functions gave them for these texts

POETRY_1_1 = """\
[tool.poetry]
name = "churn"
version = "1"
description = "Zürich"
authors = ["Ada <ada@mail.example>"]

[tool.poetry.dependencies]
python = "^3.9"
idna = { version = ">=2", optional = true }

[tool.poetry.extras]
x = ["idna"]

[tool.poetry.dev-dependencies]
six = "*"
"""
POETRY_1_8 = POETRY_1_1.replace("[tool.poetry.dev-dependencies]", "[tool.poetry.group.dev.dependencies]")
POETRY_2 = """\
[project]
name = "churn"
version = "1"
requires-python = ">=3.9,<4"
dependencies = ["idna>=2"]

[project.optional-dependencies]
x = ["six"]

[dependency-groups]
dev = ["zipp", { include-group = "more" }]
more = ["packaging"]

[tool.poetry]
package-mode = false

[tool.poetry.group.docs.dependencies]
toml = "*"
"""
PDM = """\
[project]
name = "churn"
version = "1"
requires-python = ">=3.9,<4"
dependencies = ["idna>=2"]

[project.optional-dependencies]
x = ["six"]

[dependency-groups]
test-x = ["zipp"]

[[tool.pdm.source]]
name = "ours"
url = "https://index.example/simple"

[tool.pdm.dev-dependencies]
Test_x = ["packaging"]

[tool.pdm.resolution.overrides]
idna = "3.4"
"""
PIPFILE = """\
[[source]]
name = "ours"
url = "https://index.example/simple"
verify_ssl = true

[packages]
Idna = "*"

[dev-packages]
six = { version = "*", markers = "python_version > '3'" }

[docs]
zipp = "*"

[requires]
python_version = "3.11"

[scripts]
a = "b"

[pipenv]
allow_prereleases = false
"""

#: Tool, lock version, input, and the hash that this release of the tool computes.
RECORDED = [
    ("Poetry 1.1.15", "1.1", POETRY_1_1, "f3d7aaf688cf009f38c795e28d6db573890952ad8135ade1be737e5356c40c24"),
    ("Poetry 1.8.5", "2.0", POETRY_1_1, "f3d7aaf688cf009f38c795e28d6db573890952ad8135ade1be737e5356c40c24"),
    ("Poetry 1.8.5", "2.0", POETRY_1_8, "b348618d0f64b8e50cf7c744c36b4755b195941e8716cc430fe8436a7c65fce5"),
    ("Poetry 2.0.1", "2.1", POETRY_1_8, "b348618d0f64b8e50cf7c744c36b4755b195941e8716cc430fe8436a7c65fce5"),
    ("Poetry 2.0.1", "2.1", POETRY_2, "bff09b31d358fcd646171e1510151c17d65c8ae603c0f959fbe8d2969ff168fd"),
    ("Poetry 2.5.1", "2.1", POETRY_2, "761f992bc18559e3efd5af3b55a05558ee160f3ebaa093fd8e5b4c1409491826"),
    ("PDM 2.0.3", "4.0", PDM, "394ca94b833c3a332cd4cf80db1ab27e2afce5414ccb391ea8fdde8223e893f4"),
    ("PDM 2.5.6", "4.2", PDM, "a6cd1cae4a38e45bef3c97ca4d312191382bde5255dae433bee4d2713fc1f7fa"),
    ("PDM 2.12.4", "4.4.1", PDM, "a6cd1cae4a38e45bef3c97ca4d312191382bde5255dae433bee4d2713fc1f7fa"),
    ("PDM 2.19.3", "4.5.0", PDM, "e0f83d4b9f7c45caea850740580ce0f40156c4daafbe776820e7367843854c13"),
    ("PDM 2.29.4", "4.5.1", PDM, "99aee6bd167748cb35c6724ae096d63e68bf32c0ceb0ac320d39f540ece5c389"),
    ("pipenv 2023.7.23", "6", PIPFILE, "cd4e022f76490a321a5280b35463e20556c48114fc70992d5dcfd72dc8003b00"),
    ("pipenv 2026.10.3", "6", PIPFILE, "0f0a51b8bc84a25cb09b856f58b365cfd4ff87e0e99011bccdfdfec0fcc41699"),
]


def _lock_of(tool: str, version: str, digest: str) -> tuple[str, str, str]:
    """The lock that *tool* would have written with this hash, its name and that of its input."""
    match tool.split(maxsplit=1)[0]:
        case "Poetry":
            head = f"# This file is automatically @generated by {tool} and should not be changed by hand.\n"
            return "poetry.lock", f'{head}\n[metadata]\nlock-version = "{version}"\ncontent-hash = "{digest}"\n', "pyproject.toml"
        case "PDM":
            return "pdm.lock", f'[metadata]\nlock_version = "{version}"\ncontent_hash = "sha256:{digest}"\n', "pyproject.toml"
        case _:
            return "Pipfile.lock", f'{{"_meta": {{"hash": {{"sha256": "{digest}"}}, "sources": []}}}}', "Pipfile"


@pytest.mark.parametrize(("tool", "version", "wished", "digest"), RECORDED)
def test_the_hash_of_each_release_is_computed_again(tool: str, version: str, wished: str, digest: str) -> None:
    name, text, source = _lock_of(tool, version, digest)
    format = FORMATS[name]  # noqa: A001
    assert wants(format, name, text, {}) == (source,)
    assert staleness(format, name, text, {source: wished + "\n# a comment\n"}, None) == Staleness()
    for old, new in (("six", "attrs"), ("idna", "anyio"), ("Idna", "anyio"), ('"x"', '"y"')):
        if old in wished:
            found = staleness(format, name, text, {source: wished.replace(old, new)}, None)
            assert [source in reason for reason in found.stale] == ([True] if (old, new) != ('"x"', '"y"') else []), old


def test_a_newer_poetry_hashes_groups_and_an_older_one_must_not() -> None:
    new, old = RECORDED[5], RECORDED[4]
    for tool, digest, stale in (("Poetry 2.2.1", new[3], False), ("Poetry 2.3.0", old[3], True), ("Poetry 2.2.1", old[3], False)):
        _, text, _ = _lock_of(tool, "2.1", digest)
        assert bool(_said("poetry.lock", text, pyproject_toml=POETRY_2).stale) is stale, tool


def test_what_can_not_be_told_is_no_pass() -> None:
    _, text, _ = _lock_of("Poetry 2.5.1", "2.1", "0" * 64)
    assert _said("poetry.lock", text, pyproject_toml="[project\n").unknown
    assert _said("poetry.lock", text, pyproject_toml="[project]\ndependencies = [2026-01-01]\n").unknown
    _, text, _ = _lock_of("PDM 2.29.4", "4.5.1", "0" * 64)
    assert _said("pdm.lock", text, pyproject_toml="[tool.poetry]\nname = 'a'\n").unknown
    assert _said("pdm.lock", text, pyproject_toml=PDM + '\n[tool.pdm.workspace]\nmembers = ["a"]\n').unknown
    _, text, _ = _lock_of("pipenv 2026.10.3", "6", "0" * 64)
    assert _said("Pipfile.lock", text, Pipfile='[packages]\nidna = "*"\n').unknown
    assert _said("Pipfile.lock", text, Pipfile=PIPFILE).stale


def test_a_lock_alone_is_not_stale() -> None:
    for tool, version, _, digest in RECORDED:
        name, text, _ = _lock_of(tool, version, digest)
        assert staleness(FORMATS[name], name, text, {}, None) == Staleness()


# --- Compiled requirements

COMPILED = """\
# This file was autogenerated by uv via the following command:
#    uv pip compile pyproject.toml requirements.in --extra x -o requirements.txt
idna==3.10
    # via -r requirements.in
six==1.16.0
"""


@pytest.mark.parametrize(
    ("wished", "told"),
    [
        ("idna>=3\nsix", ""),
        ("idna>=3  # a comment\n--hash-nothing\n".replace("--hash-nothing\n", ""), ""),
        ("Idna", ""),
        ("idna[all]>=3", ""),
        ("idna>=4", "idna>=4"),
        ("idna\nattrs", "attrs"),
        ("attrs; sys_platform == 'win32'", ""),
        ("idna<4; sys_platform == 'win32'", ""),
        ("setuptools", ""),  # left out of a compiled file
        ("attrs @ https://files.example/attrs-1-py3-none-any.whl", "attrs"),
    ],
)
def test_each_requirement_has_a_row_that_satisfies_it(wished: str, told: str) -> None:
    found = _said("requirements.txt", COMPILED, requirements_in=wished)
    assert bool(found.stale) is bool(told)
    assert told in " ".join(found.stale)


def test_the_extras_that_the_command_names_count() -> None:
    project = '[project]\nname = "a"\ndependencies = ["idna"]\n[project.optional-dependencies]\nx = ["{}"]\ny = ["zipp"]\n'
    assert not _said("requirements.txt", COMPILED, pyproject_toml=project.format("six>1")).stale
    assert _said("requirements.txt", COMPILED, pyproject_toml=project.format("six>2")).stale
    assert not _said("requirements.txt", COMPILED, pyproject_toml=project.format("a[y]")).stale
    dynamic = '[project]\nname = "a"\ndynamic = ["dependencies"]\n'
    assert _said("requirements.txt", COMPILED, pyproject_toml=dynamic).unknown


def test_an_input_that_is_gone_is_told() -> None:
    (first, second) = _said("requirements.txt", COMPILED).unknown
    assert first.startswith("pyproject.toml")
    assert second.startswith("requirements.in")
    assert _said("requirements.txt", COMPILED, requirements_in="idna").unknown == (first,)
    for name in ("-", "https://ada:secret@files.example/a.in"):
        (told,) = _said("requirements.txt", COMPILED.replace("pyproject.toml requirements.in", name)).unknown
        assert told.startswith("an input that is no file")
    lock = 'version = 1\nrequires-python = ">=3.11"\n[manifest]\nrequirements = [{ name = "idna" }]\n'
    block = "# /// script\n# dependencies = ['idna']\n# ///\n"
    assert staleness(LockFormat.UV, "a.py.lock", lock, {"a.py": block}, None) == Staleness()
    for beside in ({}, {"a.py": "import idna\n"}):
        assert staleness(LockFormat.UV, "a.py.lock", lock, beside, None).unknown


def test_what_pip_compile_takes_where_it_is_told_nothing() -> None:
    rows = "#\n#    pip-compile --generate-hashes\n#\nidna==3.10\n"
    wanted = wants(LockFormat.REQUIREMENTS, "requirements.txt", rows, {"requirements.in": "-r more.in\n"})
    assert {"requirements.in", "setup.py", "more.in"} <= set(wanted)
    beside = {"pyproject_toml": '[project]\nname = "a"\ndependencies = ["six"]\n'}
    assert "six" in _said("requirements.txt", rows, **beside).stale[0]
    assert _said("requirements.txt", rows, requirements_in="idna", **beside) == Staleness()
    assert _said("requirements.txt", rows).unknown


def test_the_groups_that_the_command_names_count() -> None:
    rows = "# uv via the following command:\n#    uv pip compile {} -o requirements.txt\nidna==3.10\n"
    project = '[dependency-groups]\ndev_x = ["idna", {{ include-group = "more" }}]\nmore = ["{}"]\n'
    for named in ("--group dev-x", "--group pyproject.toml:dev_x"):
        text = rows.format(named)
        assert "pyproject.toml" in wants(LockFormat.REQUIREMENTS, "requirements.txt", text, {})
        assert _said("requirements.txt", text, pyproject_toml=project.format("idna>2")) == Staleness()
        (told,) = _said("requirements.txt", text, pyproject_toml=project.format("six")).stale
        assert "group dev-x of pyproject.toml asks for six" in told
        assert _said("requirements.txt", text, pyproject_toml="[dependency-groups]\n").unknown
        assert _said("requirements.txt", text).unknown


def test_a_file_that_names_no_command_is_not_judged() -> None:
    rows = COMPILED.replace("uv pip compile", "make")
    assert wants(LockFormat.REQUIREMENTS, "requirements.txt", rows, {}) == ()
    assert _said("requirements.txt", rows, requirements_in="attrs") == Staleness()


def test_a_command_that_was_run_further_up_finds_its_inputs() -> None:
    rows = "#\n#    pip-compile --output-file=requirements/main.txt requirements/main.in\n#\nidna==3.10\n"
    found = staleness(
        LockFormat.REQUIREMENTS, "main.txt", rows, {"main.in": "-r more.in\n", "more.in": "attrs"}, _parsed("main.txt", rows)
    )
    assert "attrs" in found.stale[0]
    assert "more.in" in wants(LockFormat.REQUIREMENTS, "main.txt", rows, {"main.in": "-r more.in\n"})


# --- pixi and conda-lock, whose dependencies are conda's too

PIXI = """\
version: 6
environments:
  default:
    channels:
    - url: https://conda.example/conda-forge/
    indexes:
    - https://index.example/simple
    packages:
      linux-64:
      - conda: https://conda.example/conda-forge/linux-64/python-3.12.4-h1_0_cpython.conda
      - pypi: https://files.example/idna-3.10-py3-none-any.whl
packages:
- conda: https://conda.example/conda-forge/linux-64/python-3.12.4-h1_0_cpython.conda
  sha256: {0}
  md5: {1}
- pypi: https://files.example/idna-3.10-py3-none-any.whl
  name: idna
  version: '3.10'
  sha256: {0}
""".format("0" * 64, "0" * 32)


@pytest.mark.parametrize(
    ("wished", "told"),
    [
        ('python = "3.12.*"', ""),
        ('python = ">=3.11,<3.13"', ""),
        ('python = "=3.12"', ""),
        ('python = ">=3.13"', "python"),
        ('python = "3.11.*|3.13.*"', "python"),
        ('python = { version = "3.12.*", channel = "x" }', ""),
        ('python = "3.12.* *_cpython"', ""),
        ('numpy = "*"', "numpy"),
    ],
)
def test_each_dependency_of_pixi_has_a_locked_package(wished: str, told: str) -> None:
    lock = _parsed("pixi.lock", PIXI)
    found = staleness(LockFormat.PIXI, "pixi.lock", PIXI, {"pixi.toml": f"[dependencies]\n{wished}\n"}, lock)
    assert bool(found.stale) is bool(told)
    assert told in " ".join(found.stale)


def test_what_pixi_takes_from_the_other_index() -> None:
    lock = _parsed("pixi.lock", PIXI)
    for wished, stale in (
        ('idna = "*"', False),
        ('idna = ">=3"', False),
        ('idna = ">=4"', True),
        ('attrs = "*"', True),
        ('attrs = { path = "x" }', False),
    ):
        found = staleness(LockFormat.PIXI, "pixi.lock", PIXI, {"pixi.toml": f"[pypi-dependencies]\n{wished}\n"}, lock)
        assert bool(found.stale) is stale, wished
    assert not staleness(LockFormat.PIXI, "pixi.lock", PIXI, {"pyproject.toml": '[project]\nname = "a"\n'}, lock).stale


CONDA_LOCK = """\
version: 1
metadata:
  content_hash:
    linux-64: {0}
  channels:
  - url: conda-forge
    used_env_vars: []
  platforms:
  - linux-64
  sources:
  - environment.yml
package:
- name: python
  version: 3.12.4
  manager: conda
  platform: linux-64
  dependencies: {{}}
  url: https://conda.example/conda-forge/linux-64/python-3.12.4-h1_0_cpython.conda
  hash:
    md5: {1}
    sha256: {0}
  category: main
  optional: false
""".format("0" * 64, "0" * 32)


@pytest.mark.parametrize(
    ("wished", "stale"),
    [("python=3.12", False), ("python >=3.11", False), ("python=3.11", True), ("numpy", True), ("cudatoolkit  # [win]", False)],
)
def test_each_dependency_of_an_environment_yml_has_a_row(wished: str, stale: bool) -> None:
    assert wants(LockFormat.CONDA_LOCK, "conda-lock.yml", CONDA_LOCK, {}) == ("environment.yml",)
    beside = {"environment.yml": f"channels:\n  - conda-forge\ndependencies:\n  - {wished}\n"}
    found = staleness(LockFormat.CONDA_LOCK, "conda-lock.yml", CONDA_LOCK, beside, _parsed("conda-lock.yml", CONDA_LOCK))
    assert bool(found.stale) is stale


# --- uv, asked side by side

ROOT = """\
[project]
name = "Root.Proj"
version = "1.0"
requires-python = ">=3.9"
dependencies = [
    "six >= 1.10, <2; python_version < '3.8' or sys_platform == 'win32'",
    "idna>=2.0.0",
    "member_a[x]",
    "b",
    "IDNA!=3.0; os_name=='posix' and python_version>='3.9'",
]

[project.optional-dependencies]
All = ["Root.Proj[test]", "attrs~=23.1; python_version < '3.12'"]
test = ["packaging"]

[dependency-groups]
dev = ["typing_extensions", { include-group = "lint" }]
lint = ["colorama>0.4"]
empty = []

[tool.uv]
override-dependencies = ["six==1.16.0"]
constraint-dependencies = ["idna<4"]
conflicts = [[{ extra = "all" }, { group = "lint" }]]
environments = ["sys_platform == 'linux'", "sys_platform == 'win32'"]

[tool.uv.workspace]
members = ["pk/*"]
exclude = ["pk/c"]

[tool.uv.sources]
member_a = { workspace = true }
b = { workspace = true }
"""
MEMBER_A = """\
[project]
name = "member-a"
version = "0.1"
requires-python = ">=3.10"
dependencies = ["idna", "other"]

[project.optional-dependencies]
x = []

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.uv.sources]
other = { path = "../../other", editable = true }
"""
MEMBER_B = """\
[project]
name = "b"
version = "3"
requires-python = ">=3.9,<3.14"
dependencies = []

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""
OTHER = '[project]\nname = "other"\nversion = "7"\ndependencies = ["zipp"]\n'

A, B, D, R = "pk/a/pyproject.toml", "pk/b/pyproject.toml", "other/pyproject.toml", "pyproject.toml"
SIX = "python_version < '3.8' or sys_platform == 'win32'"
#: Edits of one project, and whether its lock is stale after them: what uv 0.13.9 answered when it was asked.
EDITS: list[tuple[str, list[tuple[str, str, str]]]] = [
    ("nothing", []),
    ("a name's spelling", [(R, '"member_a[x]"', '"Member.A[X]"')]),
    ("a specifier's spelling", [(R, "six >= 1.10, <2", "six<2.0,>=1.10")]),
    ("a marker's spelling", [(R, SIX, "sys_platform=='win32' or python_version<'3.8'")]),
    ("a marker that means the same for this Python", [(R, SIX, "sys_platform=='win32'")]),
    ("another marker", [(R, SIX, "sys_platform=='linux'")]),
    ("a marker one release off", [(R, "python_version < '3.12'\"", "python_full_version < '3.12.1'\"")]),
    ("one more dependency", [(R, '"b",', '"b", "click",')]),
    ("one dependency less", [(R, '"b",', "")]),
    ("one that never holds", [(R, '"b",', '"b", "click; python_version < \'3\'",')]),
    ("one more extra", [(R, 'test = ["packaging"]', 'test = ["packaging"]\nmore = []')]),
    ("a dependency of an extra", [(R, 'test = ["packaging"]', 'test = ["packaging>1"]')]),
    ("a dependency of a group", [(R, 'lint = ["colorama>0.4"]', 'lint = ["colorama>0.3"]')]),
    ("an empty group less", [(R, "empty = []", "")]),
    ("an empty group more", [(R, "empty = []", "empty = []\nmore = []")]),
    ("another group included", [(R, '{ include-group = "lint" }', '{ include-group = "empty" }')]),
    ("an override", [(R, "six==1.16.0", "six==1.15.0")]),
    ("a constraint", [(R, "idna<4", "idna<5")]),
    ("a constraint's spelling", [(R, "idna<4", "Idna <4")]),
    ("a build constraint", [(R, "[tool.uv]", '[tool.uv]\nbuild-constraint-dependencies = ["setuptools<60"]')]),
    ("an older Python that another member forbids", [(R, 'requires-python = ">=3.9"', 'requires-python = ">=3.8"')]),
    ("a newer Python", [(R, 'requires-python = ">=3.9"', 'requires-python = ">=3.11"')]),
    ("a Python left out in the middle", [(B, ">=3.9,<3.14", "<3.14,>=3.9,!=3.9.1")]),
    ("a Python written out", [(B, ">=3.9,<3.14", "<3.14,>=3.10.0")]),
    ("a Python one release off", [(B, ">=3.9,<3.14", "<3.14,>=3.10.1")]),
    ("a member's version", [(A, 'version = "0.1"', 'version = "0.2"')]),
    ("a version's spelling", [(A, 'version = "0.1"', 'version = "0.1.0"')]),
    ("the root's version", [(R, 'version = "1.0"', 'version = "1.1"')]),
    ("a member's dependency", [(A, '"idna",', '"idna>1",')]),
    ("no editable any more", [(A, "editable = true", "editable = false")]),
    ("a folder's dependency", [(D, "zipp", "zipp>1")]),
    ("a folder's version", [(D, 'version = "7"', 'version = "8"')]),
    ("a member less", [(R, 'exclude = ["pk/c"]', 'exclude = ["pk/b"]'), (R, '"b",', ""), (R, "b = { workspace = true }", "")]),
    ("no conflicts", [(R, "conflicts = [", "package = false #")]),
    ("no environments", [(R, "environments = [", "default-groups = [] # [")]),
    ("other environments", [(R, "\"sys_platform == 'win32'\"]", "\"sys_platform == 'darwin'\"]")]),
    ("a resolution", [(R, "[tool.uv]", '[tool.uv]\nresolution = "lowest-direct"')]),
    ("the resolution that it is anyway", [(R, "[tool.uv]", '[tool.uv]\nresolution = "highest"')]),
    ("pre-releases", [(R, "[tool.uv]", '[tool.uv]\nprerelease = "allow"')]),
    ("how it forks", [(R, "[tool.uv]", '[tool.uv]\nfork-strategy = "fewest"')]),
    ("default groups", [(R, "[tool.uv]", '[tool.uv]\ndefault-groups = ["lint"]')]),
    ("a package no more", [(A, "[tool.uv.sources]", "[tool.uv]\npackage = false\n[tool.uv.sources]")]),
    ("a required environment", [(R, "[tool.uv]", "[tool.uv]\nrequired-environments = [\"sys_platform=='linux'\"]")]),
    ("the root's name spelled", [(R, 'name = "Root.Proj"', 'name = "root_proj"')]),
    ("a description", [(R, 'version = "1.0"', 'version = "1.0"\ndescription = "x"')]),
]


@pytest.fixture(scope="module")
def workspace(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uv") / "project"
    for path, text in ((R, ROOT), (A, MEMBER_A), (B, MEMBER_B), (D, OTHER)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for module in ("pk/a/member_a", "pk/b/b"):
        (folder / module).mkdir()
        (folder / module / "__init__.py").touch()
    workshop.run([workshop.tool("uv"), "lock", "-q"], cwd=folder)
    return folder


@pytest.mark.index
def test_uv_and_we_agree_on_every_edit(workshop: Workshop, workspace: Path) -> None:
    wrong: list[str] = []
    stale = 0
    for what, edits in EDITS:
        originals = {path: (workspace / path).read_text() for path, _, _ in edits}
        try:
            for path, old, new in edits:
                text = (workspace / path).read_text()
                assert old in text, what
                (workspace / path).write_text(text.replace(old, new, 1))
            asked = subprocess.run(
                [workshop.tool("uv"), "lock", "--check"],
                cwd=workspace,
                env=workshop.environ(),
                capture_output=True,
                text=True,
                check=False,
            )
            found = _asked(workspace, "uv.lock")
            stale += bool(asked.returncode)
            if bool(asked.returncode) is not bool(found.stale) or found.unknown:
                wrong.append(f"{what}: uv ended with {asked.returncode}, and we say {found}\n{asked.stderr}")
        finally:
            for path, text in originals.items():
                (workspace / path).write_text(text)
    assert not wrong, "\n".join(wrong)
    assert stale > 20


@pytest.mark.index
def test_sources_of_uv_and_a_script(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "dep").mkdir()
    (tmp_path / "dep/pyproject.toml").write_text('[project]\nname = "dep"\nversion = "1"\n')
    head = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["dep"]\n'
    (tmp_path / R).write_text(head + '[tool.uv.sources]\ndep = { path = "dep" }\n')
    uv = workshop.tool("uv")
    workshop.run([uv, "lock", "-q"], cwd=tmp_path)
    assert _asked(tmp_path, "uv.lock") == Staleness()
    (tmp_path / R).write_text(head)
    assert "source of dep" in _asked(tmp_path, "uv.lock").stale[0]
    (tmp_path / R).write_text(head.replace('"dep"', '"dep @ file:dep"'))
    assert not _asked(tmp_path, "uv.lock").unknown
    script = '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["{}"]\n# ///\nprint(1)\n'
    (tmp_path / "job.py").write_text(script.format("idna>=3"))
    workshop.run([uv, "lock", "-q", "--script", "job.py"], cwd=tmp_path)
    text = (tmp_path / "job.py.lock").read_text()
    for wished, stale in (("idna>=3", False), ("Idna >= 3.0", False), ("idna>=2", True), ("six", True)):
        beside = {"job.py": script.format(wished)}
        assert wants(LockFormat.UV, "job.py.lock", text, {}) == ("job.py",)
        assert bool(staleness(LockFormat.UV, "job.py.lock", text, beside, None).stale) is stale, wished
    beside = {"job.py": script.format("idna>=3").replace(">=3.11", ">=3.12")}
    assert staleness(LockFormat.UV, "job.py.lock", text, beside, None).stale


def test_what_a_backend_says_is_not_guessed() -> None:
    lock = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[[package]]\nname = "a"\nversion = "1"\nsource = { editable = "." }\n'
    project = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\ndynamic = ["dependencies"]\n[build-system]\nrequires = []\n'
    found = _said("uv.lock", lock, pyproject_toml=project)
    assert not found.stale
    assert "dynamic" in found.unknown[0]
    assert "uv.toml" in _said("uv.lock", lock, pyproject_toml=project, uv_toml="").unknown[-1]


# --- The real tools lock, and lock again


#: Poetry is asked for what lies beside it, since it asks an index in a way that not every one answers.
HERE_2 = """\
[project]
name = "churn"
version = "1"
requires-python = ">=3.9,<4"
dependencies = ["six"]

[dependency-groups]
dev = ["idna"]

[tool.poetry.dependencies]
six = { path = "six" }

[tool.poetry.group.dev.dependencies]
idna = { path = "idna" }

[tool.poetry]
package-mode = false
"""
HERE_1 = """\
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.9"
six = { path = "six" }

[tool.poetry.group.dev.dependencies]
idna = { path = "idna" }
"""


@pytest.mark.index
@pytest.mark.parametrize(
    ("tool", "name", "source", "wished"),
    [
        ("poetry", "poetry.lock", R, HERE_2),
        ("poetry", "poetry.lock", R, HERE_1),
        ("pdm", "pdm.lock", R, PDM.replace(PDM[PDM.index("[[tool.pdm.source]]") : PDM.index("[tool.pdm.dev")], "")),
        ("pipenv", "Pipfile.lock", "Pipfile", PIPFILE[PIPFILE.index("[packages]") :]),
    ],
)
def test_a_lock_that_was_made_now_is_not_stale(
    workshop: Workshop, tmp_path: Path, tool: str, name: str, source: str, wished: str
) -> None:
    for folder in ("six", "idna"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / R).write_text(f'[project]\nname = "{folder}"\nversion = "1"\n')
    (tmp_path / source).write_text(wished)
    environ = workshop.environ(PDM_IGNORE_ACTIVE_VENV="1", PIPENV_VENV_IN_PROJECT="1", PIPENV_YES="1", PDM_CHECK_UPDATE="0")
    workshop.run([workshop.tool(tool), "lock"], cwd=tmp_path, env=environ)
    written = _asked(tmp_path, name)
    # A Pipfile without a source has those of the pip that made the lock, so what its hash is of may not be told.
    assert not written.stale
    assert not written.unknown or tool == "pipenv"
    (tmp_path / source).write_text(wished.replace("six", "attrs"))
    changed = _asked(tmp_path, name)
    assert changed.stale or (tool == "pipenv" and changed.unknown)


@pytest.mark.index
def test_compiled_files_of_both_tools(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("idna>=3\nsix; sys_platform == 'win32'\n")
    workshop.run([workshop.tool("uv"), "pip", "compile", "-q", "requirements.in", "-o", "requirements.txt"], cwd=tmp_path)
    workshop.run([workshop.tool("pip-tools", "pip-compile"), "-q", "requirements.in", "-o", "other.txt"], cwd=tmp_path)
    for name in ("requirements.txt", "other.txt"):
        (tmp_path / "requirements.in").write_text("idna>=3\nsix; sys_platform == 'win32'\n")
        assert _asked(tmp_path, name) == Staleness()
        (tmp_path / "requirements.in").write_text("idna>=3\nattrs\n")
        assert "attrs" in _asked(tmp_path, name).stale[0]


# --- Markers


@pytest.mark.parametrize(
    ("one", "other", "python", "same"),
    [
        ("python_version < '3.12' and extra == 'all'", "python_full_version < '3.12' and extra=='all'", "", True),
        ("python_version < '3.8' or sys_platform == 'win32'", "sys_platform == 'win32'", ">=3.9", True),
        ("python_version < '3.8' or sys_platform == 'win32'", "sys_platform == 'win32'", "", False),
        ("sys_platform == 'win32'", "os_name == 'nt'", "", True),
        ("platform_machine == 'x86_64'", "platform_machine != 'aarch64'", "", False),
        ("", "python_version >= '3'", "", False),
        ("", "python_version >= '3'", ">=3.9", True),
        ("'dev' in dependency_groups", "'dev' in dependency_groups and 'x' in extras", "", False),
        ("not a marker", "nor this", "", None),
    ],
)
def test_markers_that_mean_the_same(one: str, other: str, python: str, same: bool | None) -> None:
    assert mean_the_same(one, other, python) is same
    assert mean_the_same(other, one, python) is same


def test_markers_that_can_hold_together() -> None:
    assert can_hold_together("python_version < '3.10'", "python_full_version >= '3.9'") is True
    assert can_hold_together("python_version < '3.9'", "python_full_version >= '3.9'") is False
    assert can_hold_together("sys_platform == 'linux'", "os_name == 'nt'") is False
    assert can_hold_together("extra == 'cpu'", "extra == 'gpu'") is False
    assert can_hold_together("", "python_version < '3.9'", ">=3.9") is False
    assert versions_admitted(">=3.11,<3.12") == versions_admitted("~=3.11.0") == versions_admitted("==3.11.*") == ("3.11",)
    assert versions_admitted("^3.11") is None


def test_broken_inputs_are_no_traceback() -> None:
    """Any input cut short, or with letters changed, is a finding, unknown, or nothing: of each format."""
    rng = random.Random(20)
    uv = 'version = 1\nrevision = 5\nrequires-python = ">=3.9"\n[[package]]\nname = "root-proj"\nversion = "1.0"\nsource = { virtual = "." }\n'
    cases = [(LockFormat.UV, "uv.lock", uv, R, ROOT)]
    for tool, version, wished, digest in RECORDED:
        name, text, source = _lock_of(tool, version, digest)
        cases.append((FORMATS[name], name, text, source, wished))
    for format, name, text, source, wished in cases:  # noqa: A001
        for _ in range(60):
            letters = list(wished)[: rng.randrange(len(wished) + 1)] if rng.random() < 0.3 else list(wished)
            for _ in range(rng.randrange(4)):
                if letters:
                    letters[rng.randrange(len(letters))] = rng.choice("\0\"'[]{}=,.é\n1~")
            beside = {source: "".join(letters)}
            wants(format, name, text, {}) if format is not LockFormat.UV else None
            assert isinstance(staleness(format, name, text, beside, None), Staleness)
