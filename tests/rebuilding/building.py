"""What the tests of `rebuild` share: wheels made for the occasion, a project with an archive, and the verb without any network."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from real.tools import Workshop

#: A loopback port that nobody listens on.
UNREACHABLE = "http://127.0.0.1:9/simple"


def make_wheel(folder: Path, name: str, version: str = "1.0", files: Mapping[str, str | bytes] | None = None, **more: Any) -> Path:
    """A wheel of *name*, with one module and a console script; *files* are further members; *tag* and *scripts* may be given."""
    tag = more.get("tag", "py3-none-any")
    home = f"{name}-{version}.dist-info"
    members: dict[str, bytes] = {
        f"{name}/__init__.py": f"def main():\n    print('{name} {version}')\n".encode(),
        f"{home}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{home}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{home}/entry_points.txt": more.get("scripts", f"[console_scripts]\n{name}-main = {name}:main\n").encode(),
    }
    members |= {path: data.encode() if isinstance(data, str) else data for path, data in (files or {}).items()}
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for path, data in members.items()
    ]
    members[f"{home}/RECORD"] = ("\n".join([*rows, f"{home}/RECORD,,"]) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            info = zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0))
            info.external_attr = (0o100755 if "/scripts/" in member else 0o100644) << 16
            archive.writestr(info, data)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def can_unshare() -> bool:
    """Whether a process here may have a network of its own, with nothing in it."""
    program = shutil.which("unshare")
    return program is not None and subprocess.run([program, "-n", "true"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A *project* folder with a lock of the *wheels* in a folder, and an *archive* of it."""

    root: Path
    project: Path
    wheels: Path
    archive: Path
    uv: Path

    @property
    def lock(self) -> Path:
        return self.project / "requirements.txt"

    def environ(self, *, uv: bool = True, **extra: str) -> dict[str, str]:
        """A home, caches and temporary folder that are new, an index that nobody reaches, and a PATH with uv on it or not."""
        home = self.root / "home"
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        return {
            "PATH": (f"{self.uv.parent}:" if uv else "") + "/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "UV_CACHE_DIR": str(home / "uv"),
            "PIP_INDEX_URL": UNREACHABLE,
            "UV_DEFAULT_INDEX": UNREACHABLE,
            "PIP_CONFIG_FILE": os.devnull,
            "UV_NO_CONFIG": "1",
            "LC_ALL": "C.UTF-8",
            **extra,
        }

    def command(self, *words: str | Path) -> list[str]:
        """The verb as a command, in a network of its own where this machine allows that."""
        command = [sys.executable, "-m", "sanctity", *map(str, words)]
        return ["unshare", "-n", *command] if can_unshare() else command

    def run(self, *words: str | Path, uv: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.project,
            env=self.environ(uv=uv, **extra),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
            check=False,
        )

    def rebuild(
        self, reference: str | Path, target: Path, *words: str | Path, uv: bool = True, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """`rebuild` from the archive, which holds all that is needed; without *uv* by pip, also where one lies beside this Python."""
        words = words if uv else (*words, "--engine", "pip")
        return self.run("rebuild", reference, target, "--archive", self.archive, "--offline", *words, uv=uv, **extra)

    def fingerprint(self, env: Path) -> str:
        done = self.run("fingerprint", "--env", env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def hidden(folder: Path) -> list[str]:
    """What attempts left beside a target."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".partial"))


def proof_of(env: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(env.with_name(f"{env.name}.proof.json").read_text())
    return document


def a_bench(workshop: Workshop, root: Path, *, names: tuple[str, ...] = ("alpha", "beta", "gamma")) -> Bench:
    """A small project whose lock names wheels that were made here, all in an archive."""
    bench = Bench(root=root, project=root / "project", wheels=root / "wheels", archive=root / "archive", uv=workshop.tool("uv"))
    bench.project.mkdir(parents=True)
    made = [make_wheel(bench.wheels, name) for name in names]
    made.append(
        make_wheel(
            bench.wheels,
            "tools",
            files={
                "tools-1.0.data/scripts/speak": "#!python\nimport sys\nprint('speak', sys.prefix)\n",
                "tools-1.0.data/data/share/tools/note.txt": "a note\n",
                "tools-1.0.data/headers/tools.h": "/* */\n",
            },
        )
    )
    bench.lock.write_text("".join(f"{path.name.split('-')[0]}==1.0 --hash=sha256:{sha256(path)}\n" for path in sorted(made)))
    done = bench.run("archive", "add", bench.lock, "--archive", bench.archive, PIP_FIND_LINKS=str(bench.wheels), PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(bench.wheels)  # from here on only the archive has them
    return bench


ENGINES = pytest.mark.parametrize("engine", ["uv", "pip"])
