"""Calls the command line as a user does, in a process of its own, and small projects to call it on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archiving.kept import a_pylock, some_wheels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from real.index import Wheel

__all__ = ["Project", "a_project", "environ", "json_of", "sanctity", "start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A *folder* with a *lock* that names *wheels* below it; nothing has to be fetched."""

    folder: Path
    lock: Path
    wheels: list[Wheel]


def a_project(folder: Path, names: tuple[str, ...] = ("apple", "pear", "plum")) -> Project:
    wheels = some_wheels(folder / "wheels", names)
    return Project(folder=folder, lock=a_pylock(folder, wheels), wheels=wheels)


def environ(home: Path, **extra: str) -> dict[str, str]:
    """A process environment without caches, indexes or an environment of its own."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PIP_NO_INDEX": "1", **extra}


def start(*arguments: object, home: Path, cwd: Path | None = None, **extra: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "sanctity", *map(str, arguments)]
    return subprocess.Popen(
        words,
        cwd=cwd or home,
        env=environ(home, **extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sanctity(*arguments: object, home: Path, code: int = 0, cwd: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """What the command prints; it must end with *code*. Of another code than 0, what it says on standard error too."""
    process = start(*arguments, home=home, cwd=cwd, **(extra or {}))
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err
    return out + (err if code else "")


def json_of(*arguments: object, home: Path, code: int = 0, cwd: Path | None = None) -> dict[str, Any]:
    text = sanctity(*arguments, "--format", "json", home=home, code=code, cwd=cwd)
    document: dict[str, Any] = json.loads(text[: text.rindex("}") + 1])
    return document
