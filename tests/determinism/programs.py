"""Programs that are run to be asked what they drew: each in a process of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src"
#: What a program under test may see of this process's environment.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "HOME", "LANG")


def environ(**variables: str) -> dict[str, str]:
    """A clean environment in which sanctity is importable, with *variables* on top."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(SOURCE), **variables}


def run(code: str, *options: str, python: Path | str = sys.executable, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run *code* as a program of its own, under *options* of the interpreter."""
    command = [python, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environ(**variables))


def told(code: str, *, python: Path | str = sys.executable, **variables: str) -> Any:
    """What *code* printed last, as JSON."""
    done = run(code, python=python, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def script(folder: Path, code: str, *, python: Path | str = sys.executable, **variables: str) -> Any:
    """What the file *code* printed last, as JSON: a program that multiprocessing can start children of."""
    path = folder / "program.py"
    path.write_text(code)
    done = subprocess.run([python, path], capture_output=True, text=True, timeout=300, check=False, env=environ(**variables))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
