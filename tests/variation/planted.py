"""The planted programs of the folder ``hazards``, put through the real `sanctity prove`, each with a folder and a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HAZARDS: Final = Path(__file__).parent / "hazards"
#: What varies a run's surroundings already where the tests are run.
_OURS: Final = ("PYTHONHASHSEED", "SANCTITY_SEED", "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def proof(
    base: Path,
    program: str,
    *options: str,
    python: Path | str = sys.executable,
    arguments: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The document of `sanctity prove` of *program*, which is run by *python* below the folder *base*."""
    places = {name: base / name for name in ("project", "scratch", "home")}
    for place in places.values():
        place.mkdir(exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if name not in _OURS}
    environ |= {"TMPDIR": str(places["scratch"]), "HOME": str(places["home"]), "LANG": "C.UTF-8", **(env or {})}
    told = options if "--outputs" in options else ("--outputs", "out/**", *options)
    command = [str(python), str(HAZARDS / f"{program}.py"), *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "sanctity", "prove", "--format", "json", *told, "--", *command],
        cwd=places["project"],
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=1200,
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == {"same": 0, "different": 1, "undecided": 3}[document["claim"]], done.stderr
    assert not list(places["project"].iterdir())
    return document


def guilty(document: Mapping[str, Any]) -> list[list[str]]:
    """The names of those that the proof found guilty, those that act together in one list."""
    return [each["names"] for each in document["guilty"]]


def needs(document: Mapping[str, Any], *names: str) -> None:
    """Skip the test where one of the variations *names* is not possible here, with the reason that the proof gives."""
    for variation in document["variations"]:
        if variation["name"] in names and variation["state"] == "impossible":
            pytest.skip(f"{variation['words']} can not be varied here: {variation['why']}")
