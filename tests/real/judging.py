"""Looking at a built environment as a user would, by the command line, and holding the report against its schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from sanctity.report.json import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from real.environments import Built

__all__ = ["Judged", "examine", "judge", "sanctity"]

_VALIDATOR = jsonschema.Draft202012Validator(schema())
_SOURCE = Path(__file__).parents[2] / "src"


class Judged(dict[str, Any]):
    """A report, and the exit code it came with."""

    code: int = -1

    @property
    def gating(self) -> list[dict[str, Any]]:
        """The drifts that gate."""
        return [drift for drift in self["drifts"] if drift["gating"]]

    def told(self) -> str:
        """Everything found, a line each, for the message of a failed test."""
        drifts = [
            f"{drift['code']} {drift['distribution']} {drift['path']} gating={drift['gating']} {drift['message']}"
            for drift in self["drifts"]
        ]
        return "\n".join([f"{self['verdict']} ({self.code})", *drifts, *(str(item) for item in self["unchecked"])])


def sanctity(*words: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, whose environment names nothing but what is given."""
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(cwd), "PYTHONPATH": str(_SOURCE), **(environ or {})}
    argv = [sys.executable, "-m", "sanctity", *(str(word) for word in words)]
    return subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
    )


def judge(built: Built, *words: str | Path, environ: Mapping[str, str] | None = None) -> Judged:
    """The report of ``sanctity verify LOCK --env ENV``: it must be valid JSON of its schema, whatever was found."""
    return examine(built.lock, "--env", built.env, *words, cwd=built.project, environ=environ)


def examine(*words: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> Judged:
    """The report of ``sanctity verify`` with *words*, held against its schema and its exit code."""
    done = sanctity("verify", *words, "--format", "json", cwd=cwd, environ=environ)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout, done.stderr
    report = Judged(json.loads(done.stdout))
    report.code = done.returncode
    _VALIDATOR.validate(dict(report))
    assert done.returncode == {"clean": 0, "drifted": 1, "undecided": 3}[report["verdict"]], report.told()
    return report
