"""A seal from a lock alone, before anyone installs it: what real installers then make of the lock has the fingerprint it states.

Each run installs a sample, less its largest wheels; ``-m long`` installs all 72.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import HERE_PYTHON, pip_venv, uv_pip, uv_project
from real.judging import examine, sanctity
from real.test_digest import SAMPLE, SEVENTY_TWO, part_of
from real.tools import Workshop, interpreters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from real.environments import Built

pytestmark = [
    pytest.mark.index,
    pytest.mark.skipif(HERE_PYTHON != "3.11", reason="the locks are of wheels for Python 3.11"),
]

BUILDERS: Final[dict[str, Callable[..., Built]]] = {"uv": uv_pip, "pip": pip_venv}
_SMALLER: Final = [name for name in SAMPLE if name not in {"fonttools", "pygments", "ruff", "setuptools"}]


def seal_of(shop: Workshop, folder: Path, lock: str, *words: str | Path) -> str:
    """The fingerprint that ``sanctity seal --from-lock`` states, in *folder*."""
    (folder / ".git").mkdir(exist_ok=True)
    done = sanctity("seal", "--from-lock", "--lock", lock, *words, cwd=folder, environ=shop.environ())
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads((folder / "env.seal.json").read_text())["environments"]
    fingerprint: str = entry["fingerprint"]
    assert fingerprint in done.stdout
    return fingerprint


def holds(shop: Workshop, built: Built, fingerprint: str) -> None:
    """The environment *built* has this *fingerprint*, and is clean by the seal in its project's folder."""
    printed = sanctity("fingerprint", "--env", built.env, cwd=built.project, environ=shop.environ()).stdout
    assert fingerprint in printed
    for depth in ("record", "artifact"):
        report = examine("env.seal.json", "--env", built.env, "--depth", depth, cwd=built.project, environ=shop.environ())
        assert report["verdict"] == "clean", report.told()
        assert "stdlib" in {item["what"] for item in report["unchecked"]}


@pytest.mark.parametrize("lock", [pytest.param("sample"), pytest.param("seventy-two", marks=pytest.mark.long)])
def test_a_lock_that_is_installed_by_others_afterwards(lock: str, workshop: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    source = SEVENTY_TWO if lock == "seventy-two" else part_of(SEVENTY_TWO, _SMALLER, tmp_path / "lock")
    (folder / "requirements.txt").write_bytes(source.read_bytes())
    fingerprint = seal_of(workshop, folder, "requirements.txt")
    for tool, build in BUILDERS.items():
        built = build(workshop, folder, lock=folder / "requirements.txt", env=tmp_path / f"by {tool}")
        holds(workshop, built, fingerprint)
    # A byte more is seen, though nobody looked at any environment when this was sealed.
    (built.site / "six.py").write_text((built.site / "six.py").read_text() + "# more\n")
    report = examine("env.seal.json", "--env", built.env, cwd=folder, environ=workshop.environ())
    assert [(drift["code"], drift["path"].rpartition("/")[2]) for drift in report.gating] == [("file-altered", "six.py")]


def test_a_project_of_uv(workshop: Workshop, tmp_path: Path) -> None:
    built = uv_project(workshop, tmp_path / "project", sync=("--no-install-project",))
    refused = sanctity("seal", "--from-lock", cwd=built.project, environ=workshop.environ())
    assert refused.returncode == 3
    assert "demo-project is an editable" in refused.stderr
    assert not (built.project / "env.seal.json").exists()
    version = workshop.run([built.executable, "-I", "-S", "-c", "import platform; print(platform.python_version())"]).strip()
    fingerprint = seal_of(workshop, built.project, "uv.lock", "--no-project", "--python-version", version)
    holds(workshop, built, fingerprint)


def test_what_was_built_from_source_once(workshop: Workshop, tmp_path: Path) -> None:
    """No wheel tells what an sdist becomes, but the one that the archive keeps does."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".git").mkdir()
    bare = folder / "requirements.in"
    bare.write_text("crcmod==1.7\n")
    uv = workshop.tool("uv")
    python = interpreters()[HERE_PYTHON]
    lock = folder / "requirements.txt"
    workshop.run([uv, "pip", "compile", "-q", "--generate-hashes", "--python", python, bare, "-o", lock])
    refused = sanctity("seal", "--from-lock", "--lock", lock.name, cwd=folder, environ=workshop.environ())
    assert refused.returncode == 3
    assert "error: not-from-lock" in refused.stderr
    assert "crcmod 1.7" in refused.stderr
    before = uv_pip(workshop, folder, lock=lock, env=tmp_path / "before")
    added = sanctity(
        "archive", "add", lock.name, "--archive", "archive", "--env", before.env, cwd=folder, environ=workshop.environ()
    )
    assert added.returncode == 0, added.stdout + added.stderr
    fingerprint = seal_of(workshop, folder, lock.name, "--archive", "archive")
    holds(workshop, before, fingerprint)
