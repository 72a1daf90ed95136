"""A real folder in a real repository, judged: what is read, what git is asked, and what is never opened or followed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sanctity.linting import installs
from sanctity.model.finding import Finding, LintedLock
from sanctity.observe.git import listed
from sanctity.observe.lock_files import lock_above
from sanctity.observe.locks import read_lock
from sanctity.observe.project import observe_project
from sanctity.verbs.linting import lint
from sanctity.verbs.projects import judge_project
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

HASHED = "six==1.17.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of a project of which nothing is wrong: a hashed list, a Python, and a container that installs from it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "requirements.txt").write_text(HASHED)
    (folder / ".python-version").write_text("3.12\n")
    (folder / "Dockerfile").write_text(
        "FROM python:3.12\nCOPY requirements.txt /\nRUN pip install --no-deps -r /requirements.txt\n"
    )
    return folder


@pytest.fixture
def git(project: Path) -> Callable[..., None]:
    def run(*words: str) -> None:
        who = ["-c", "user.name=ada", "-c", "user.email=ada@mail.example", "-c", "init.defaultBranch=main"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(project.parent), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *who, *words], cwd=project, env=environ, check=True, capture_output=True, timeout=60)

    run("init", "-q")
    return run


def _world(project: Path) -> World:
    return World(cwd=str(project), environ={"PATH": os.environ["PATH"], "HOME": str(project.parent)}, clock=lambda: 0.0)


def _judged(project: Path, *locks: str) -> list[Finding]:
    linted = [LintedLock(path=name, lock=read_lock(project / name)) for name in locks]
    return list(judge_project(".", _world(project), linted))


def _codes(project: Path, *locks: str) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in _judged(project, *locks)]


def test_a_good_project_has_no_finding(project: Path, git: Callable[..., None]) -> None:
    assert _codes(project, "requirements.txt") == []  # nothing of it is in git yet
    git("add", ".")
    assert _codes(project, "requirements.txt") == []  # staged
    git("commit", "-q", "-m", "first")
    assert _codes(project, "requirements.txt") == []
    (project / "sub").mkdir()
    (found,) = judge_project("sub", _world(project), [])
    assert (found.code, found.path) == ("lock-missing", "sub")
    assert "nothing to lint here" in found.message


def test_what_git_does_not_know(project: Path, git: Callable[..., None]) -> None:
    (project / ".gitignore").write_text("*.json\n")
    (project / "env.seal.json").write_text("{}")
    git("add", "Dockerfile", ".gitignore")
    found = _judged(project, "requirements.txt")
    assert [(finding.code, finding.path) for finding in found] == [
        ("lock-not-committed", "requirements.txt"),
        ("seal-not-committed", "env.seal.json"),
    ]
    assert "gitignore" not in found[0].message
    assert "gitignore" in found[1].message
    git("add", "-f", "requirements.txt", "env.seal.json")
    assert _codes(project, "requirements.txt") == []


def test_a_committed_environment_at_any_depth(project: Path, git: Callable[..., None]) -> None:
    for path in (
        "deep/er/.venv/pyvenv.cfg",
        "deep/er/.venv/lib/python3.12/site-packages/six.py",
        "deep/er/.venv/lib/python3.12/site-packages/more/a.py",
        "conda/conda-meta/numpy-1.json",
        "vendor/site-packages/six-1.dist-info/METADATA",
        "win/Lib/site-packages/six.py",
        "src/site/packages.py",
        "docs/pyvenv.cfg.md",
    ):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("x")
    git("add", ".")
    found = [finding for finding in _judged(project, "requirements.txt") if finding.code == "environment-committed"]
    assert [(finding.path, finding.count) for finding in found] == [
        ("conda", 1),
        ("deep/er/.venv", 3),
        ("vendor/site-packages", 1),
        ("win", 1),
    ]


def test_a_path_that_git_would_take_for_a_pattern(project: Path, git: Callable[..., None]) -> None:
    odd = ":(exclude)*requirements[1].txt"
    (project / odd).write_text(HASHED)
    git("add", "Dockerfile", "requirements.txt")
    assert _codes(project, "requirements.txt", odd) == [("lock-not-committed", odd)]


def test_outside_of_a_repository_nothing_is_said_of_git(project: Path) -> None:
    (project / "env.seal.json").write_text("{}")
    assert _codes(project, "requirements.txt") == []


def test_a_repository_that_git_will_not_read_is_a_note(project: Path) -> None:
    (project / ".git").write_text("gitdir: nowhere\n")
    (found,) = _judged(project, "requirements.txt")
    assert (found.code, found.severity) == ("lock-not-committed", "note")


def test_nothing_that_a_repository_sets_is_run(project: Path, git: Callable[..., None]) -> None:
    (project / "run").write_text("#!/bin/sh\ntouch ../was-run\n")
    (project / "run").chmod(0o755)
    git("add", ".")
    git("commit", "-q", "-m", "first")
    for name in ("core.fsmonitor", "core.hooksPath", "core.pager", "filter.x.clean", "diff.external", "core.sshCommand"):
        git("config", name, "./run")
    (project / ".gitattributes").write_text("* filter=x\n")
    (project / "uv.lock").write_text("version = 1\n")
    assert ("lock-not-committed", "uv.lock") in _codes(project, "requirements.txt")
    assert not (project.parent / "was-run").exists()


def test_listed_is_what_the_index_has(project: Path, git: Callable[..., None]) -> None:
    (project / "a\nb").write_text("x")
    (project / "ignored.log").write_text("x")
    (project / ".gitignore").write_text("*.log\n")
    git("add", ".")
    environ = {"PATH": os.environ["PATH"], "HOME": str(project.parent)}
    assert listed(str(project), environ=environ) == (".gitignore", ".python-version", "Dockerfile", "a\nb", "requirements.txt")
    assert listed(str(project), ":(literal)Dockerfile", environ=environ) == ("Dockerfile",)
    assert listed(str(project), environ=environ, ignored=True) == ("ignored.log",)


def test_a_stale_workspace_is_told_from_its_folders(project: Path) -> None:
    (project / "requirements.txt").unlink()
    (project / "Dockerfile").write_text("FROM python:3.12\nRUN uv sync --locked\n")
    (project / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["pk/*"]\n')
    (project / "pk/a").mkdir(parents=True)
    (project / "pk/a/pyproject.toml").write_text(
        '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six"]\n'
    )
    package = '[[package]]\nname = "a"\nversion = "1"\nsource = { virtual = "pk/a" }\n'
    lock = f'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[manifest]\nmembers = ["a"]\n{package}'
    (project / "uv.lock").write_text(lock + 'dependencies = []\n[package.metadata]\nrequires-dist = [{ name = "six" }]\n')
    assert _codes(project, "uv.lock") == []
    (project / "pk/b").mkdir()
    (project / "pk/b/pyproject.toml").write_text('[project]\nname = "b"\nversion = "1"\n')
    (found,) = _judged(project, "uv.lock")
    assert found.code == "lock-stale"
    assert "pk/b/pyproject.toml" in found.message


@pytest.mark.parametrize("named", ["pk/a", "."])
def test_a_member_is_held_to_the_lock_of_its_workspace(
    project: Path, git: Callable[..., None], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    (project / "requirements.txt").unlink()
    (project / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["pk/*"]\nexclude = ["pk/other"]\n')
    for name in ("a", "new", "other"):
        (project / "pk" / name).mkdir(parents=True)
        (project / "pk" / name / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six"]\n'
        )
    (project / "uv.lock").write_text(
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[manifest]\nmembers = ["a"]\n[[package]]\nname = "a"\n'
        'version = "1"\nsource = { virtual = "pk/a" }\n[package.metadata]\nrequires-dist = [{ name = "six" }]\n'
    )
    git("add", "pk")
    world = _world(project)
    prefix = ""
    if named == ".":
        world, prefix = replace(world, cwd=str(project / "pk/a")), "../../"
    monkeypatch.chdir(world.cwd)
    told = {(finding.code, finding.path, finding.command) for finding in lint((named,), world).linting.findings}
    into = "cd ../.. && " if prefix else ""
    assert told == {
        ("lock-stale", f"{prefix}uv.lock", f"{into}uv lock"),
        ("lock-not-committed", f"{prefix}uv.lock", f"{into}git add uv.lock"),
    }
    # The Python of the workspace is that of its members.
    (project / ".python-version").unlink()
    (project / "Dockerfile").unlink()
    codes = [finding.code for finding in lint((named,), world).linting.findings]
    assert codes.count("interpreter-unpinned") == 1
    monkeypatch.chdir(project)
    # One that nobody locked yet is held to it too; what is none of them has no lock, and neither has a repository of its own.
    (project / "pk/other/.python-version").write_text("3.12\n")
    assert {each.path for each in lint(("pk/new",), _world(project)).linting.locks} == {"uv.lock"}
    assert "lock-missing" in {each.code for each in lint(("pk/other",), _world(project)).linting.findings}
    (project / "pk/new/.git").mkdir()
    assert "lock-missing" in {each.code for each in lint(("pk/new",), _world(project)).linting.findings}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("uv.lock", 'source = { editable = "pk/a" }'),
        ("poetry.lock", '[package.source]\ntype = "directory"\nurl = "pk/a"'),
        ("pdm.lock", 'path = "./pk/a"'),
        ("Pipfile.lock", '"path": "./pk/a"'),
        ("pixi.lock", "- pypi: ./pk/a\n"),
    ],
)
def test_a_folder_that_a_lock_names_is_locked_by_it(project: Path, name: str, row: str) -> None:
    (project / "pk/a").mkdir(parents=True)
    (project / name).write_text(row)
    assert lock_above(str(project / "pk/a")) == str(project / name)
    (project / name).write_text(row.replace("pk/a", "pk/ab"))
    assert lock_above(str(project / "pk/a")) == ""


def test_a_folder_within_a_project_is_no_project(project: Path) -> None:
    (project / "src/deep").mkdir(parents=True)
    (found,) = judge_project("src/deep", _world(project), [])
    assert (found.code, found.hint) == ("lock-missing", "name its project: sanctity lint .")


def test_compiled_requirements_are_held_to_their_inputs(project: Path) -> None:
    (project / "requirements").mkdir()
    head = "#\n#    pip-compile --generate-hashes requirements/main.in\n#\n"
    (project / "requirements/main.txt").write_text(head + HASHED)
    (project / "requirements/main.in").write_text("six\n-r more.in\n")
    (project / "requirements/more.in").write_text("six>=1.17\n")
    assert _codes(project, "requirements.txt", "requirements/main.txt") == []
    (project / "requirements/more.in").write_text("six>=2\n")
    assert _codes(project, "requirements.txt", "requirements/main.txt") == [("lock-stale", "requirements/main.txt")]


def test_a_constraint_asks_for_nothing(project: Path) -> None:
    (project / "requirements").mkdir()
    head = "#\n#    pip-compile --generate-hashes requirements/dev.in\n#\n"
    (project / "requirements/dev.txt").write_text(head + HASHED)
    (project / "requirements/dev.in").write_text("-c ../all.txt\nsix\n")
    (project / "all.txt").write_text("six==1.17.0\nidna==3.10\n")
    assert _codes(project, "requirements.txt", "requirements/dev.txt") == []
    (project / "all.txt").write_text("six==1.16.0\nidna==3.10\n")
    assert _codes(project, "requirements.txt", "requirements/dev.txt") == [("lock-stale", "requirements/dev.txt")]


def test_where_it_is_asked_from_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from the root of the file system, from which nothing leads out."""
    monkeypatch.chdir("/")
    test_a_constraint_asks_for_nothing(project)


def test_scripts_are_looked_for_where_they_are(project: Path) -> None:
    for path in (
        "scripts/setup.sh",
        ".github/workflows/ci.yml",
        "docker/app.Dockerfile",
        "src/deep/never.sh",
        "compose.yaml",
        "deploy/chart.yaml",
    ):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        text = "pip install attrs\n"
        (project / path).write_text(
            f"a:\n  run: {text}  command: {text}"
            if path.endswith((".yml", ".yaml"))
            else text
            if path.endswith(".sh")
            else f"RUN {text}"
        )
    found = _judged(project, "requirements.txt")
    assert {finding.path for finding in found} == {
        "scripts/setup.sh",
        ".github/workflows/ci.yml",
        "docker/app.Dockerfile",
        "compose.yaml",
    }
    assert {finding.code for finding in found} == {"install-unlocked"}


def test_no_pipe_is_opened_and_no_link_leads_out(project: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.sh"
    secret.write_text("pip install stolen\n")
    (project / "scripts").mkdir()
    os.mkfifo(project / "scripts/pipe.sh")
    os.mkfifo(project / "pyproject.toml")
    (project / "scripts/out.sh").symlink_to(secret)
    (project / "scripts/in.sh").symlink_to("../Dockerfile")
    (project / "scripts/ring.sh").symlink_to("ring.sh")
    (project / "bin").symlink_to(tmp_path)
    found = _judged(project, "requirements.txt")
    assert "stolen" not in str(found)
    told = {finding.path: finding for finding in found}
    assert {"scripts/pipe.sh", "scripts/out.sh", "pyproject.toml"} <= told.keys()
    assert all(finding.severity == "note" for finding in found)
    assert "out of the project" in told["scripts/out.sh"].message
    facts = observe_project(str(project), [], environ={})
    assert not any("secret" in path for path in facts.texts)


def test_a_file_that_is_too_large_is_told(project: Path) -> None:
    (project / "big.sh").write_text("#" * (1 << 19) + "\npip install attrs\n")
    (found,) = _judged(project, "requirements.txt")
    assert (found.path, found.severity) == ("big.sh", "note")


def test_what_a_command_names_can_not_reach_outside(project: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text(HASHED)
    (project / "run.sh").write_text(f"pip install -r ../outside.txt -r {tmp_path}/outside.txt\n")
    found = _judged(project, "requirements.txt")
    assert {(finding.code, finding.severity) for finding in found} == {("install-unhashed", "note")}
    assert all(not name.startswith(("/", "..")) for name in installs.wants("run.sh", (project / "run.sh").read_text()))


def test_any_bytes_are_no_traceback(project: Path) -> None:
    names = [
        "pyproject.toml",
        "Pipfile",
        "pixi.toml",
        "environment.yml",
        "tox.ini",
        "noxfile.py",
        "Makefile",
        "x.sh",
        ".gitlab-ci.yml",
        "setup.cfg",
    ]
    for bad in (
        b"\xff\xfe\x00",
        b"\0" * 2000,
        "\ufeff[project]".encode(),
        b"[[[[" * 5000,
        b"a: &a [*a]\n" * 50,
        b"x = '''" * 99,
        b"\r\r\n\x85\xe2\x80\xa8",
    ):
        for name in names:
            (project / name).write_bytes(bad)
        assert isinstance(_judged(project, "requirements.txt"), list)
    (project / "project.d").mkdir()
    assert isinstance(list(judge_project("nowhere", _world(project), [])), list)
