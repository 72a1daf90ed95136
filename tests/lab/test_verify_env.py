"""The ten lines of `examples/verify_env.py`, run for real, and the classic ones that they replace."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from real.index import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop


@pytest.fixture(scope="module")
def environment(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with one small package in it."""
    folder = tmp_path_factory.mktemp("verify-env")
    wheel = make_wheel(folder, "scores", "1.0", {"scores.py": b"limit = 8\n"})
    workshop.run(["uv", "venv", "-q", "--python", sys.executable, folder / "env"], env=_environ(workshop))
    workshop.run(["uv", "pip", "install", "-q", "--no-index", "--python", folder / "env", wheel.path], env=_environ(workshop))
    return folder / "env"


def _environ(workshop: Workshop) -> dict[str, str]:
    scripts = sysconfig.get_path("scripts")
    return workshop.environ(UV_LINK_MODE="copy", PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}")


def _run(script: Path, env: Path, environ: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run([sys.executable, script, env], capture_output=True, text=True, check=False, env=environ)
    return done.returncode, done.stdout + done.stderr


def test_it_passes_what_was_recorded_and_refuses_what_was_changed(
    workshop: Workshop, environment: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environ = _environ(workshop)
    source = (request.config.rootpath / "examples/verify_env.py").read_text()
    digest = workshop.run(["sanctity", "fingerprint", "--env", environment], env=environ).strip()
    script = tmp_path / "verify_env.py"
    script.write_text(source.replace('"sha256:"', f'"{digest}"'))
    assert script.read_text() != source
    assert _run(script, environment, environ)[0] == 0
    module = next(environment.glob("lib/python3.*/site-packages/scores.py"))
    module.write_text("limit = 9\n")
    code, said = _run(script, environment, environ)
    module.write_text("limit = 8\n")
    assert code == 1
    assert "scores.py" in said


def test_what_was_not_filled_in_and_a_tool_that_is_not_there_are_no_pass(
    workshop: Workshop, environment: Path, request: pytest.FixtureRequest
) -> None:
    script = request.config.rootpath / "examples/verify_env.py"
    assert _run(script, environment, _environ(workshop))[0] == 2
    code, said = _run(script, environment, {"PATH": str(environment / "bin")})
    assert code == 3
    assert "sanctity is not there" in said


@pytest.mark.index
def test_the_classic_one_does_not_start_and_would_not_have_seen(
    workshop: Workshop, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What docs/verify_env.md says of setuptools, and of an edit."""
    page = (request.config.rootpath / "docs/verify_env.md").read_text()
    classic = tmp_path / "classic.py"
    classic.write_text(page.split("```python\n")[2].split("```")[0])
    environ = _environ(workshop)
    for version, env in ((">=82", tmp_path / "new"), ("<81", tmp_path / "old")):
        workshop.run(["uv", "venv", "-q", "--python", sys.executable, env], env=environ)
        workshop.run(["uv", "pip", "install", "-q", "--python", env, f"setuptools{version}", "six==1.16.0"], env=environ)
    new = subprocess.run([tmp_path / "new/bin/python", classic], capture_output=True, text=True, check=False, env={})
    assert new.returncode == 1
    assert new.stderr.endswith("ModuleNotFoundError: No module named 'pkg_resources'\n")
    quiet = [str(tmp_path / "old/bin/python"), "-W", "ignore", str(classic)]
    before = subprocess.run(quiet, capture_output=True, text=True, check=False, env={})
    with open(next((tmp_path / "old").glob("lib/python3.*/site-packages/six.py")), "a") as file:
        file.write("PY3 = False\n")
    after = subprocess.run(quiet, capture_output=True, text=True, check=False, env={})
    assert before.stderr == after.stderr
    assert "drifted: " in before.stderr


def test_the_page_shows_the_example_as_it_is(request: pytest.FixtureRequest) -> None:
    root = request.config.rootpath
    shown = (root / "docs/verify_env.md").read_text().split("```python\n")[1].split("```")[0]
    assert (root / "examples/verify_env.py").read_text().endswith(f'"""\n\n{shown}')
