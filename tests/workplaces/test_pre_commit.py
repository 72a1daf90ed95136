"""The hooks, run by pre-commit itself at a commit of a real repository; their own repository is a clone of this one as it lies here."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from running.starting import a_project
from workplaces.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop
    from running.starting import Project

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("workplaces-pre-commit")]

#: What a build of this project needs of its repository.
_SHIPPED = ("src", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".pre-commit-hooks.yaml")


def _git(folder: Path, *words: str, shop: Workshop, check: bool = True) -> subprocess.CompletedProcess[str]:
    names = ("-c", "user.name=a", "-c", "user.email=a@index.example", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false")
    # A virtual environment's own variable must not reach what is looked for.
    environ = shop.environ(
        PRE_COMMIT_HOME=str(shop.scratch / "pre-commit"), GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull
    )
    return subprocess.run(
        ["git", *names, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=check,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def hooks(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this project as it lies here, committed or not."""
    folder = tmp_path_factory.mktemp("hooks") / "sanctity"
    folder.mkdir()
    for name in _SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "all"), ("tag", "v1")):
        _git(folder, *words, shop=workshop)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A sealed project in a repository of its own, with nothing committed yet."""
    made = a_project(tmp_path)
    (made.folder / ".git").rmdir()
    (made.folder / ".gitignore").write_text("/env/\n")
    return made


def _install(project: Project, hooks: Path, shop: Workshop, *ids: str, args: str = "[--env, env]") -> None:
    config = f"repos:\n- repo: {hooks.as_uri()}\n  rev: v1\n  hooks:\n"
    config += "".join(f"  - id: {id_}\n" + (f"    args: {args}\n" if id_ == "sanctity-check" else "") for id_ in ids)
    (project.folder / ".pre-commit-config.yaml").write_text(config)
    _git(project.folder, "init", "-q", shop=shop)
    environ = shop.environ(PRE_COMMIT_HOME=str(shop.scratch / "pre-commit"))
    shop.run([shop.tool("pre-commit"), "install"], cwd=project.folder, env=environ)


def _commit(project: Project, shop: Workshop) -> subprocess.CompletedProcess[str]:
    _git(project.folder, "add", "-A", shop=shop)
    return _git(project.folder, "commit", "-m", "x", "--allow-empty", shop=shop, check=False)


def test_both_hooks_let_a_commit_pass_and_stop_it(project: Project, hooks: Path, workshop: Workshop) -> None:
    _install(project, hooks, workshop, "sanctity-check", "sanctity-seal-fresh")
    done = _commit(project, workshop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("Passed") == 2

    (project.site / "evil.py").write_text("")
    done = _commit(project, workshop)
    assert done.returncode == 1
    assert "DRIFTED  env is not what env.seal.json says" in done.stderr
    assert "file-unclaimed   evil.py" in done.stderr
    (project.site / "evil.py").unlink()

    lock = project.folder / "requirements.txt"
    lock.write_text(lock.read_text().replace("hello==1.0", "hello==1.1"))
    done = _commit(project, workshop)
    assert done.returncode == 1
    assert "STALE  env.seal.json was not made under the lock as it is now" in done.stderr
    lock.write_text(lock.read_text().replace("hello==1.1", "hello==1.0"))
    assert _commit(project, workshop).returncode == 0


def test_whether_the_seal_is_fresh_needs_no_environment(project: Project, hooks: Path, workshop: Workshop) -> None:
    shutil.rmtree(project.env)
    _install(project, hooks, workshop, "sanctity-seal-fresh")
    done = _commit(project, workshop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stderr
    (project.folder / "README.md").write_text("nothing of it")
    assert "Skipped" in _commit(project, workshop).stderr


def test_the_environment_of_the_hook_is_not_the_one_to_look_at(project: Project, hooks: Path, workshop: Workshop) -> None:
    """pre-commit says VIRTUAL_ENV of its own: a project without an environment has none, all the same."""
    shutil.rmtree(project.env)
    _install(project, hooks, workshop, "sanctity-check", args="[]")
    done = _commit(project, workshop)
    assert done.returncode == 1
    assert "error: no-environment" in done.stderr
