"""Real projects for the places where people work: an environment with sanctity and one of these tools in it, and its hashed lock."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from real.tools import Workshop

__all__ = ["ROOT", "Workplace", "build_wheel", "make_tool", "make_workplace"]

ROOT: Final = Path(__file__).parents[2]


def build_wheel(shop: Workshop) -> Path:
    """The wheel of this sanctity, as it lies here; built once a session."""
    folder = shop.scratch / "wheel"
    if not folder.exists():
        making = shop.scratch / "wheel.making"
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            making,
            ROOT,
        ]
        shop.run(command, env=shop.environ())
        making.rename(folder)
    (wheel,) = folder.glob("sanctity-*.whl")
    return wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """A project in *folder* with an environment ``.venv``, and ``requirements.txt``, which it was built from."""

    shop: Workshop
    folder: Path

    @property
    def env(self) -> Path:
        return self.folder / ".venv"

    @property
    def python(self) -> Path:
        return self.env / "bin/python"

    @property
    def site(self) -> Path:
        (found,) = self.env.glob("lib/python3.*/site-packages")
        return found

    def run(self, *words: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run *words* in the project's folder; *extra* are further variables."""
        given: dict[str, Any] = {"cwd": self.folder, "env": self.shop.environ(**extra), "stdin": subprocess.DEVNULL}
        return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=300, **given)


def make_workplace(shop: Workshop, folder: Path, tool: str) -> Workplace:
    """A project whose environment holds what the list ``tools/TOOL.txt`` names, and sanctity; installed by uv from the index."""
    wheel = build_wheel(shop)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    version = wheel.name.split("-")[1]
    folder.mkdir(parents=True)
    (folder / ".git").mkdir()
    listed = (ROOT / f"tests/real/tools/{tool}.txt").read_text()
    (folder / "requirements.txt").write_text(f"{listed}sanctity=={version} --hash=sha256:{digest}\n")
    uv = shop.tool("uv")
    shop.run([uv, "venv", "-q", "--python", sys.executable, folder / ".venv"], cwd=folder)
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "-q",
        "--python",
        folder / ".venv/bin/python",
        "--require-hashes",
        "--no-deps",
    ]
    # Copies, so that what a test does to a file reaches no other environment.
    shop.run([*install, "--link-mode", "copy", "--find-links", wheel.parent, "-r", "requirements.txt"], cwd=folder)
    return Workplace(shop=shop, folder=folder)


def make_tool(shop: Workshop, folder: Path) -> Path:
    """A sanctity in an environment of its own, as pipx or ``uv tool`` make it; gives the command, which is a link to it."""
    uv = shop.tool("uv")
    shop.run([uv, "venv", "-q", "--python", sys.executable, folder / "tool"], cwd=folder)
    install: list[str | Path] = [uv, "pip", "install", "-q", "--python", folder / "tool/bin/python", "--no-deps"]
    needed = ROOT / "tests/real/tools/pytest.txt"
    shop.run([*install, "--require-hashes", "-r", needed], cwd=folder)
    shop.run([*install, build_wheel(shop)], cwd=folder)
    command = folder / "sanctity"
    os.symlink(folder / "tool/bin/sanctity", command)
    return command
