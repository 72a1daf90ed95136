"""The door: arguments in, one report out, and the exit code that the contract gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sanctity.cli import main
from sanctity.model.drift import Code
from sanctity.pages import pages

SOURCE = Path(__file__).parents[2] / "src/sanctity"


def _main(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    return int(ended.value.code or 0)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with nothing in it, and no environment in sight."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_environment_is_an_error_that_lists_what_was_tried(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main("check") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: no-environment")
    assert f"{empty}/.venv" in told
    assert "hint: " in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "nothing.lock", "--env", sys.prefix), "lock-not-found"),
        (("verify", "uv.lock", "--env", "nowhere"), "lock-not-found"),
        (("verify", "--env", "nowhere"), "no-environment"),
        (("verify", "--env", ".", "--python", "x"), "usage"),
        (("verify", "--python", "nowhere/python"), "no-interpreter"),
        (("verify", "--env", "."), "no-environment"),
        (("verify", "--root", "nowhere"), "no-environment"),
        (("check", "nowhere"), "usage"),
        (("explain", "file-alterd"), "unknown-code"),
    ],
)
def test_bad_usage_is_two_and_says_what_and_what_to_do(
    words: tuple[str, ...], code: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(*words) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {code}\n")
    assert "hint: " in told


def test_an_error_is_json_for_who_asked_for_json(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main("check", "--format", "json") == 2
    printed = json.loads(capsys.readouterr().out)
    assert printed["error"]["code"] == "no-environment"


def test_unknown_words_are_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main("verify", "--no-such-option") == 2
    assert _main("no-such-verb") == 2
    assert "Usage" in capsys.readouterr().err


def test_explain_knows_every_drift_code(capsys: pytest.CaptureFixture[str]) -> None:
    for code in Code:
        assert _main("explain", str(code)) == 0
        assert str(code) in capsys.readouterr().out
    assert _main("explain") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(pages())


def test_explain_guesses_a_misspelling(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main("explain", "file-alterd") == 2
    assert "file-altered" in capsys.readouterr().err


def test_looking_at_itself_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("these tests do not run in a virtual environment")
    _main("verify", "--env", sys.prefix, "--depth", "version", "--format", "json")
    assert json.loads(capsys.readouterr().out)["environment"]["looked_at_from"] == "itself"


def test_a_sanctity_without_what_its_command_line_needs_says_so(tmp_path: Path) -> None:
    """As ``pip install --no-deps`` leaves it, for programs that import it: 1 would be a verdict."""
    home = tmp_path / "site"
    home.mkdir()
    (home / "sanctity").symlink_to(SOURCE)
    program = f"import sys; sys.path.insert(0, {str(home)!r}); from sanctity.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "needs click" in done.stderr
    assert "pipx install" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_that_a_program_does_not_catch_names_its_remedy() -> None:
    program = f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); import sanctity; sanctity.stream('')"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    error, *notes = done.stderr.splitlines()[-3:]
    assert "Error: " in error
    assert notes[-1] == "stream-without-seed: `sanctity explain stream-without-seed` says more"
