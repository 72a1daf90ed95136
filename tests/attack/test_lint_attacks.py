"""What a hostile repository does to be linted clean, or to be run, and what an environment does to pass for its lock."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from conda_factories import LINUX, NUMPY, PYTHON, a_conda_lock, a_conda_pin, a_prefix, compared, gating, installed
from factories import a_distribution, a_pin, an_origin
from sanctity.cli import main
from sanctity.model.drift import Verdict

if TYPE_CHECKING:
    from pathlib import Path

A: Final = "a" * 64

# --- An environment that is not what its lock says -----------------------------------------------------------------------------


def test_a_package_that_is_called_like_a_fact_about_the_machine_is_still_extra() -> None:
    there = a_prefix(PYTHON, a_conda_pin("__evil"))
    assert gating(a_conda_lock(PYTHON), there) == [("distribution-extra", "__evil")]


def test_and_is_missed_where_the_lock_has_its_archive() -> None:
    lock = a_conda_lock(PYTHON, a_conda_pin("__tool"))
    assert gating(lock, a_prefix(PYTHON)) == [("distribution-missing", "__tool")]
    assert gating(lock, a_prefix(PYTHON, a_conda_pin("__tool"))) == []


def test_an_md5_alone_without_a_place_is_no_pass() -> None:
    weak = installed(NUMPY, url="", digests=NUMPY.artifacts[0].digests[1:])
    found = compared(a_conda_lock(NUMPY), a_prefix(weak))
    assert found.verdict is Verdict.UNDECIDED
    assert [each.code for each in found.unchecked if each.in_scope] == ["unverifiable"]


def test_who_calls_himself_conda_is_asked_for_his_origin_all_the_same() -> None:
    lock = a_conda_lock(PYTHON, a_pin("demo", "3.0", platforms=LINUX))
    elsewhere = an_origin("archive", "https://evil.example/demo-3.0-py3-none-any.whl")
    there = a_distribution("demo", "3.0", installer="conda", origin=elsewhere)
    assert gating(lock, a_prefix(PYTHON, there)) == [("origin-mismatch", "demo")]
    built = replace(there, origin=an_origin(url="file:///builder/work"))
    assert gating(lock, a_prefix(PYTHON, built)) == []


# --- A name of a file that is not what it seems --------------------------------------------------------------------------------


def _pdm(filename: str) -> str:
    return (
        f'[metadata]\ngroups = ["default"]\nstrategy = ["inherit_metadata"]\nlock_version = "4.5.0"\ncontent_hash = "sha256:{A}"\n\n'
        f'[[package]]\nname = "six"\nversion = "1.16.0"\ngroups = ["default"]\n'
        f'files = [{{file = {json.dumps(filename)}, hash = "sha256:{A}"}}]\n'
    )


def _poetry(filename: str) -> str:
    return (
        '[[package]]\nname = "six"\nversion = "1.16.0"\ndescription = ""\noptional = false\npython-versions = "*"\n'
        f'groups = ["main"]\nfiles = [{{file = {json.dumps(filename)}, hash = "sha256:{A}"}}]\n\n'
        f'[metadata]\nlock-version = "2.1"\npython-versions = ">=3.9"\ncontent-hash = "{A}"\n'
    )


def _pylock(filename: str) -> str:
    return (
        'lock-version = "1.0"\ncreated-by = "tool"\n\n[[packages]]\nname = "six"\nversion = "1.16.0"\n\n[[packages.wheels]]\n'
        f'name = {json.dumps(filename)}\nurl = "https://files.example/six.whl"\nhashes = {{sha256 = "{A}"}}\n'
    )


LOCKS: Final = {"pdm.lock": _pdm, "poetry.lock": _poetry, "pylock.toml": _pylock}


def _linted(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(["lint", str(folder), "--format", kind])
    return capsys.readouterr().out


def _codes(path: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    return {finding["code"] for finding in json.loads(_linted(path, "json", capsys))["findings"]}


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(
    ("filename", "code"),
    [
        ("CON", "lock-unsafe-filename"),
        ("nul.whl", "lock-unsafe-filename"),
        ("Com1.tar.gz", "lock-unsafe-filename"),
        ("six-1.16.0-py3-none-any.whl.", "lock-unsafe-filename"),
        ("six-1.16.0-py3-none-any.whl ", "lock-unsafe-filename"),
        (" six-1.16.0-py3-none-any.whl", "lock-unsafe-filename"),
        ("evil-1.0-py3-none-any.WHL", "filename-mismatch"),
        ("evil-9.0.bin", "filename-mismatch"),
        ("evil-9.0.tar.gz.asc", "filename-mismatch"),
    ],
)
def test_a_files_name_is_seen_through(
    lock: str, filename: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / lock).write_text(LOCKS[lock](filename))
    assert code in _codes(tmp_path / lock, capsys)


@pytest.mark.parametrize(
    "filename", ["six-1.16.0-py2.py3-none-any.whl", "six-1.16.0.tar.gz", "six-1.16.0.win32.exe", "six-1.16.0.pkg"]
)
def test_and_a_plain_one_is_let_be(filename: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pdm.lock").write_text(_pdm(filename))
    assert not {"filename-mismatch", "lock-unsafe-filename"} & _codes(tmp_path / "pdm.lock", capsys)


# --- A repository that would rather not be looked at ---------------------------------------------------------------------------


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_nothing_of_a_repository_is_run_or_reaches_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository, ran = tmp_path / "repository", tmp_path / "ran"
    repository.mkdir()
    _git(repository, "init", "-q")
    (repository / "requirements.txt").write_text(f"six==1.16.0 --hash=sha256:{A}\n")
    _git(repository, "add", ".")
    program = repository / "git"
    program.write_text(f"#!/bin/sh\necho $0 >> {ran}\n")
    program.chmod(0o755)
    for name in ("fsmonitor-watchman", "post-index-change"):
        (repository / ".git/hooks").mkdir(exist_ok=True)
        (repository / ".git/hooks" / name).write_bytes(program.read_bytes())
        (repository / ".git/hooks" / name).chmod(0o755)
    settings = [
        f"[core]\nfsmonitor = {program}\nsshCommand = {program}\npager = {program}\nhooksPath = {repository}/.git/hooks",
        f'[alias]\nls-files = !{program}\n[filter "f"]\nclean = {program}\nprocess = {program}\n[diff "f"]\ntextconv = {program}',
    ]
    with (repository / ".git/config").open("a") as file:
        file.write("\n".join(settings) + "\n")
    (repository / ".gitattributes").write_text("* filter=f diff=f\n")
    (repository / "Dockerfile").symlink_to("/etc/passwd")
    os.mkfifo(repository / "tox.ini")
    (repository / "\x1b[31mred.sh").write_text("pip install evil\n")
    (repository / "two\nlines.sh").write_text("pip install evil\n")
    (repository / "plain.sh").write_text("pip install \x1b[31mevil\x07\n")
    for kind in ("text", "json", "markdown", "github", "sarif"):
        told = _linted(repository, kind, capsys)
        assert "\x1b" not in told
        assert "\x07" not in told
        # A file that is passed over is told of, by a name that can be printed.
        assert "31mred.sh" in told, kind
        assert "root:" not in told
    assert not ran.exists()


def test_a_folder_with_too_many_names_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text(f"six==1.16.0 --hash=sha256:{A}\n")
    (tmp_path / "scripts").mkdir()
    for number in range(4001):
        (tmp_path / "scripts" / str(number)).touch()
    found = json.loads(_linted(tmp_path, "json", capsys))["findings"]
    assert any(finding["path"].endswith("scripts") and "4000 names" in finding["message"] for finding in found)


def test_a_folder_that_a_link_leads_out_of_the_project_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (elsewhere / "install.sh").write_text("pip install evil\n")
    (project / "requirements.txt").write_text(f"six==1.16.0 --hash=sha256:{A}\n")
    (project / "scripts").symlink_to(elsewhere)
    found = json.loads(_linted(project, "json", capsys))["findings"]
    assert [finding["message"] for finding in found if finding["path"].endswith("scripts")] == [
        "what it installs, or asks for, could not be told: a link leads out of the project"
    ]
