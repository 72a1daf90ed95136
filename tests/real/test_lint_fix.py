"""`lint --fix --apply` with the real tools: what was wrong with a lock is mended by the tool that made it, and by no other."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from real.index import loopback_index, make_wheel
from real.tools import ToolError
from sanctity.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("lint-fix")]

PYPROJECT = """[project]
name = "app"
version = "0.1"
requires-python = ">=3.11,<4"
dependencies = [{}]

[[tool.uv.index]]
url = "{}"
default = true

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "here"
url = "{}"
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with two packages, one of which needs the other."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "greet", "1.0", {"greet.py": b"\n"})
    make_wheel(folder, "hello", "1.0", {"hello.py": b"\n"}, requires=("greet>=1",))
    with loopback_index(folder) as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, workshop: Workshop, index: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, in the environment that tools are run in, with every tool on the path."""
    for name in os.environ:
        monkeypatch.delenv(name)
    tools = [workshop.tool("uv").parent, workshop.tool("pip-tools", "pip-compile").parent, workshop.tool("poetry").parent]
    path = os.pathsep.join((*map(str, tools), os.environ.get("PATH", os.defpath)))
    for name, value in workshop.environ(UV_DEFAULT_INDEX=index, PIP_INDEX_URL=index, UV_PYTHON=sys.executable, PATH=path).items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "app"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def _lint(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["lint", *words])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    "command", [("uv", "pip", "compile", "requirements.in", "-o", "requirements.txt"), ("pip-compile", "-q", "requirements.in")]
)
def test_a_compiled_file_gets_its_hashes(
    command: tuple[str, ...], project: Path, workshop: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "requirements.in").write_text("hello\n")
    workshop.run(command, cwd=project, env=dict(os.environ))
    before = (project / "requirements.txt").read_text()
    assert "--hash" not in before
    assert _lint("requirements.txt", "--strict") == 1
    assert _lint("requirements.txt", "--strict", "--fix") == 1
    assert (project / "requirements.txt").read_text() == before
    assert _lint("requirements.txt", "--strict", "--fix", "--apply") == 0, capfd.readouterr()
    after = (project / "requirements.txt").read_text()
    assert after.count("--hash=sha256:") == 2
    assert "hello==1.0" in after


@pytest.mark.parametrize(("tool", "lock"), [("uv", "uv.lock"), ("poetry", "poetry.lock")])
def test_a_stale_lock_is_locked_again(
    tool: str, lock: str, project: Path, workshop: Workshop, index: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = project / "pyproject.toml"
    file.write_text(PYPROJECT.format('"greet"', index, index))
    workshop.run((tool, "lock"), cwd=project, env=dict(os.environ))
    assert _lint() == 0
    assert "lock-stale" not in capfd.readouterr().out
    file.write_text(PYPROJECT.format('"greet", "hello"', index, index))
    assert _lint("--fix") == 0
    told = capfd.readouterr()
    assert "lock-stale" in told.out
    assert f"  {tool} lock\n" in told.err
    assert "hello" not in (project / lock).read_text()
    assert _lint("--fix", "--apply") == 0
    assert 'name = "hello"' in (project / lock).read_text()
    assert "lock-stale" not in capfd.readouterr().out.rpartition("CLEAN")[2]


def test_an_entry_that_was_taken_out_by_hand(
    project: Path, workshop: Workshop, index: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.format('"hello"', index, index))
    workshop.run(("uv", "lock"), cwd=project, env=dict(os.environ))
    whole = (project / "uv.lock").read_text()
    entries = whole.split("[[package]]\n")
    (project / "uv.lock").write_text("[[package]]\n".join(entry for entry in entries if 'name = "greet"\nversion' not in entry))
    assert _lint("uv.lock", "--strict") == 1
    assert "greet is needed by hello, and is not locked" in capfd.readouterr().out
    with pytest.raises(ToolError, match=r"uv\.lock"):  # so there is no command that mends it
        workshop.run(("uv", "lock"), cwd=project, env=dict(os.environ))
    assert _lint("uv.lock", "--fix") == 0
    assert "nothing that a tool of this project can mend" in capfd.readouterr().err
