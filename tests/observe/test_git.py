"""Real repositories: what is read is what was committed, whatever the working tree, its configuration or a name says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import DocumentError
from sanctity.observe.git import Revision, open_revision, split_revision
from sanctity.observe.locks import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[1] / "lockfiles/fixtures"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def _environ(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """git in the repository ``tmp_path/repo``, which has one commit of `FILES`."""
    repo = tmp_path / "repo"
    repo.mkdir()

    def run(*words: str) -> str:
        who = ["-c", "user.name=ada", "-c", "user.email=ada@mail.example"]
        done = subprocess.run(
            ["git", *who, *words], cwd=repo, env=_environ(tmp_path), capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    run("init", "-q", "-b", "main")
    (repo / "sub/deep").mkdir(parents=True)
    (repo / "uv.lock").write_text("first\n")
    (repo / "sub/uv.lock").write_text("below\n")
    (repo / "-n.txt").write_text("dash\n")
    (repo / "a file.txt").write_text("blank\n")
    (repo / "link.lock").symlink_to("sub/uv.lock")
    (repo / "away").symlink_to("/elsewhere/uv.lock")
    (repo / "nowhere").symlink_to("gone")
    (repo / "ring").symlink_to("ring")
    run("add", ".")
    run("commit", "-q", "-m", "first")
    (repo / "uv.lock").write_text("second\n")
    run("commit", "-q", "-a", "-m", "second")
    (repo / "uv.lock").write_text("staged\n")
    run("add", "uv.lock")
    (repo / "uv.lock").write_text("working\n")
    return run


def _open(tmp_path: Path, name: str, folder: str = "", **environ: str) -> Revision:
    split = split_revision(name)
    assert split is not None
    return open_revision(*split, cwd=str(tmp_path / "repo" / folder), environ=_environ(tmp_path) | environ)


def _read(tmp_path: Path, name: str, folder: str = "", **environ: str) -> bytes | None:
    revision = _open(tmp_path, name, folder, **environ)
    return revision.read(revision.path, 1 << 20)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("main:uv.lock", ("main", "uv.lock")),
        ("HEAD~3:sub/uv.lock", ("HEAD~3", "sub/uv.lock")),
        (":uv.lock", ("", "uv.lock")),
        ("HEAD@{2026-01-01 12:00:00}:uv.lock", ("HEAD@{2026-01-01 12:00:00}", "uv.lock")),
        ("HEAD^{/fix: this}:a:b.txt", ("HEAD^{/fix: this}", "a:b.txt")),
        ("uv.lock", None),
        ("main:", None),
        ("C:\\locks\\uv.lock", None),
        ("/abs:olute/uv.lock", None),
        ("./here:uv.lock", None),
        ("https://host.example/uv.lock", None),
    ],
)
def test_a_revision_is_split_as_git_splits_it(text: str, split: tuple[str, str] | None) -> None:
    assert split_revision(text) == split


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize(
    ("name", "folder", "found"),
    [
        ("HEAD:uv.lock", "", b"second\n"),
        ("HEAD~1:uv.lock", "", b"first\n"),
        ("main:uv.lock", "sub/deep", b"second\n"),
        ("HEAD:./uv.lock", "sub", b"below\n"),
        ("HEAD:../uv.lock", "sub", b"second\n"),
        (":uv.lock", "", b"staged\n"),
        ("HEAD:-n.txt", "", b"dash\n"),
        ("HEAD:a file.txt", "", b"blank\n"),
        ("HEAD:link.lock", "", b"below\n"),
        ("HEAD:gone.lock", "", None),
        ("HEAD:nowhere", "", None),
        ("HEAD:uv.lock/x", "", None),
        ("HEAD^{tree}:uv.lock", "", b"second\n"),
    ],
)
def test_what_is_read_is_what_was_committed(tmp_path: Path, name: str, folder: str, found: bytes | None) -> None:
    assert _read(tmp_path, name, folder) == found


@pytest.mark.usefixtures("git")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nope:uv.lock", "revision-unknown"),
        ("HEAD~99:uv.lock", "revision-unknown"),
        ("--help:uv.lock", "revision-unknown"),
        ("-n:uv.lock", "revision-unknown"),
        ("HEAD:../../uv.lock", "revision-unknown"),
        ("HEAD\nmain:uv.lock", "revision-unknown"),
        ("HEAD:away", "lock-not-a-file"),
        ("HEAD:ring", "lock-not-a-file"),
        ("HEAD:sub", "lock-not-a-file"),
    ],
)
def test_what_is_not_there_is_an_error_with_its_code(tmp_path: Path, name: str, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        _read(tmp_path, name)
    assert caught.value.code == code


@pytest.mark.usefixtures("git")
def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    revision = _open(tmp_path, "HEAD:uv.lock")
    assert revision.read("uv.lock", 7) == b"second\n"
    with pytest.raises(DocumentError) as caught:
        revision.read("uv.lock", 6)
    assert caught.value.code == "lock-too-large"


def test_a_revision_is_resolved_once(tmp_path: Path, git: Callable[..., str]) -> None:
    """What is committed in between does not make one lock of two."""
    revision = _open(tmp_path, "main:uv.lock")
    git("commit", "-q", "-m", "third")
    assert revision.read("uv.lock", 100) == b"second\n"
    assert _read(tmp_path, "main:uv.lock") == b"staged\n"


def test_nothing_that_a_repository_sets_is_run(tmp_path: Path, git: Callable[..., str]) -> None:
    """Every setting that names a program, and a filter that would change the bytes."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for setting in (
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "diff.external",
        "diff.x.textconv",
        "filter.x.smudge",
        "filter.x.clean",
        "pager.cat-file",
        "pager.rev-parse",
        "alias.cat-file",
        "credential.helper",
        "gpg.program",
        "uploadpack.packObjectsHook",
    ):
        git("config", setting, f"!{trap}" if setting.startswith("alias") else str(trap))
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        shutil.copy(trap, tmp_path / f"repo/.git/hooks/{hook}")
    (tmp_path / "repo/.gitattributes").write_text("* diff=x filter=x\n")
    for name in ("git", "git-cat-file"):
        shutil.copy(trap, tmp_path / f"repo/{name}")
    assert (
        _read(tmp_path, "HEAD:uv.lock", PATH=f".:{os.environ['PATH']}", GIT_EXTERNAL_DIFF=str(trap), PAGER=str(trap)) == b"second\n"
    )
    assert not (tmp_path / "sprung").exists()


def test_a_replacement_of_an_object_does_not_count(tmp_path: Path, git: Callable[..., str]) -> None:
    git("replace", git("rev-parse", "HEAD:uv.lock"), git("rev-parse", "HEAD:sub/uv.lock"))
    assert git("cat-file", "blob", "HEAD:uv.lock") == "below"
    assert _read(tmp_path, "HEAD:uv.lock") == b"second\n"


def test_outside_of_a_repository_and_without_git(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    with pytest.raises(DocumentError) as caught:
        _open(tmp_path, "main:uv.lock", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert caught.value.code == "git-failed"
    with pytest.raises(DocumentError) as caught:
        _open(tmp_path, "main:uv.lock", PATH=str(tmp_path))
    assert caught.value.code == "git-failed"
    assert "started" in caught.value.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.usefixtures("git")
def test_a_repository_of_somebody_else_is_told(tmp_path: Path) -> None:
    for folder in (tmp_path / "repo", tmp_path / "repo/.git"):
        os.chown(folder, 12345, 12345)
    with pytest.raises(DocumentError) as caught:
        _read(tmp_path, "HEAD:uv.lock")
    assert (caught.value.code, "safe.directory" in caught.value.hint) == ("git-failed", True)
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {tmp_path}/repo\n")
    assert _read(tmp_path, "HEAD:uv.lock") == b"second\n"


def test_the_neighbours_of_a_lock_are_read_at_its_revision(tmp_path: Path, git: Callable[..., str]) -> None:
    repo = tmp_path / "repo"
    (repo / "sub/requirements.txt").write_text("-r ../base.txt\nsix==1.16.0\n")
    (repo / "base.txt").write_text("idna==3.6\n")
    git("add", ".")
    git("commit", "-q", "-m", "requirements")
    (repo / "base.txt").write_text("idna==3.7\nattrs==23.1.0\n")
    revision = _open(tmp_path, "HEAD:sub/requirements.txt")
    lock = read_lock(revision.path, read=revision.read, revision="HEAD:")
    assert lock.path == "HEAD:sub/requirements.txt"
    assert sorted((pin.name, pin.version) for pin in lock.pins) == [("idna", "3.6"), ("six", "1.16.0")]
    on_disk = read_lock(str(repo / "sub/requirements.txt"))
    assert sorted((pin.name, pin.version) for pin in on_disk.pins) == [("attrs", "23.1.0"), ("idna", "3.7"), ("six", "1.16.0")]
    (repo / "base.txt").write_text("idna==3.6\n")
    assert read_lock(str(repo / "sub/requirements.txt")).digest == lock.digest


def test_the_pyproject_beside_a_poetry_lock_is_of_its_revision(tmp_path: Path, git: Callable[..., str]) -> None:
    repo = tmp_path / "repo"
    shutil.copy(FIXTURES / "graph.poetry.lock", repo / "poetry.lock")
    project = '[project]\nname = "demo"\nversion = "1.0"\n[tool.poetry.group.NAME.dependencies]\nsix = "*"\n'
    (repo / "pyproject.toml").write_text(project.replace("NAME", "committed"))
    git("add", ".")
    git("commit", "-q", "-m", "poetry")
    (repo / "pyproject.toml").write_text(project.replace("NAME", "edited"))
    revision = _open(tmp_path, "HEAD:./poetry.lock")
    then, now = read_lock(revision.path, read=revision.read, revision="HEAD:"), read_lock(str(repo / "poetry.lock"))
    assert ["committed" in {root.name for root in lock.roots} for lock in (then, now)] == [True, False]
    assert then.pins == now.pins


def test_what_was_not_cloned_is_not_fetched(tmp_path: Path, git: Callable[..., str]) -> None:
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    words = ["git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{tmp_path}/repo", str(tmp_path / "partial")]
    subprocess.run(words, env=_environ(tmp_path), capture_output=True, check=True, timeout=60)
    (tmp_path / "repo").rename(tmp_path / "origin")
    (tmp_path / "partial").rename(tmp_path / "repo")
    (tmp_path / "origin").rename(tmp_path / "partial")
    git("config", "remote.origin.url", f"file://{tmp_path}/partial")
    packs = sorted((tmp_path / "repo/.git/objects").rglob("*"))
    with pytest.raises(DocumentError) as caught:
        _read(tmp_path, "HEAD:uv.lock")
    assert caught.value.code == "git-failed"
    assert sorted((tmp_path / "repo/.git/objects").rglob("*")) == packs
    assert git("cat-file", "blob", "HEAD:uv.lock") == "second"  # and git itself, left to itself, would have


def test_a_neighbour_that_is_not_in_the_revision_is_missing(tmp_path: Path, git: Callable[..., str]) -> None:
    repo = tmp_path / "repo"
    (repo / "requirements.txt").write_text(f"-r later.txt\n-r {repo}/later.txt\n-r ../outside.txt\n")
    git("add", "requirements.txt")
    git("commit", "-q", "-m", "requirements")
    for place in (repo / "later.txt", tmp_path / "outside.txt"):
        place.write_text("six==1.16.0\n")
    revision = _open(tmp_path, "HEAD:requirements.txt")
    with pytest.raises(DocumentError) as caught:
        read_lock(revision.path, read=revision.read, revision="HEAD:")
    assert caught.value.code == "lock-include-missing"
    assert caught.value.where.startswith("HEAD:requirements.txt")
