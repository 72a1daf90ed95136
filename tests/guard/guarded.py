"""A small environment with sanctity in it, its seal, and programs that are started in it as people start theirs."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sanctity.compare.records import fingerprint_of
from sanctity.model.drift import Depth
from sanctity.model.names import SEEDS
from sanctity.observe.environment import observe_environment
from sanctity.observe.platform import observe_platform
from sanctity.observe.view import View
from sanctity.seals.document import format_seal, parse_seal, seal_of
from sanctity.seals.make import seal_environment
from sites import SMALL, add_distribution, build_site, site_packages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.policy import Policy, Waiver
    from sanctity.model.seal import Seal

__all__ = ["SOURCE", "Guarded", "build"]

SOURCE = Path(__file__).parents[2] / "src"

#: Two distributions without console scripts, which would name the folder that a test's copy was made from.
PLAIN = {name: {path: data for path, data in files.items() if path != "entry_points.txt"} for name, files in SMALL.items()}

#: What a process needs to start at all; nothing of the shell that the tests are run from gets in.
BARE = {"PATH": os.defpath, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def own_files() -> dict[str, bytes]:
    """The files of the package, by their paths in site-packages."""
    found = sorted((SOURCE / "sanctity").rglob("*"))
    return {str(path.relative_to(SOURCE)): path.read_bytes() for path in found if path.suffix in {".py", ".md", ".json", ".typed"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A *root* folder with an environment ``env`` and its seal ``env.seal.json``."""

    root: Path

    @property
    def env(self) -> Path:
        return self.root / "env"

    @property
    def site(self) -> Path:
        return site_packages(self.env)

    @property
    def seal(self) -> Path:
        return self.root / "env.seal.json"

    def copy(self, folder: Path) -> Guarded:
        """The same at another place, with bytecode that still fits; of sanctity's own files only the one that a test changes is a copy."""
        own = f"{self.site}/sanctity/"

        def place(source: str, target: str) -> None:
            if source.startswith(own) and not source.endswith("/guarding.py"):
                os.link(source, target)
            else:
                shutil.copy2(source, target, follow_symlinks=False)

        shutil.copytree(self.root, folder, symlinks=True, copy_function=place)
        return Guarded(root=folder)

    def sealed(self, *, settings: Mapping[str, str] | None = None) -> Seal:
        """The seal of what is there now."""
        environment = observe_environment(str(self.env), depth=Depth.RECORD, clock=time.monotonic)
        platform, _ = observe_platform(View(""), environment, environ=settings or {}, workers=0, clock=time.monotonic)
        environment = replace(environment, platform=platform)
        seeds = SEEDS - {item.key for item in environment.distributions}
        found = fingerprint_of(environment, seeds)
        assert found is not None
        return seal_of("env.seal.json", [seal_environment(environment, found, seeds=seeds)])

    def reseal(
        self, *, policy: Policy | None = None, waivers: tuple[Waiver, ...] = (), settings: Mapping[str, str] | None = None
    ) -> None:
        """Write the seal, of what is there now, with another policy."""
        seal = self.sealed(settings=settings)
        self.seal.write_text(format_seal(seal_of(seal.path, seal.environments, policy=policy, waivers=waivers)))

    def judged(self, *, policy: Policy, waivers: tuple[Waiver, ...] = ()) -> None:
        """Write the same seal with another policy: of what was there when it was sealed."""
        seal = parse_seal(self.seal.read_bytes(), "env.seal.json")
        self.seal.write_text(format_seal(seal_of(seal.path, seal.environments, policy=policy, waivers=waivers)))

    def program(self, source: str, name: str = "app.py") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
        return path

    def run(
        self,
        source: str,
        *arguments: str,
        flags: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        name: str = "app.py",
    ) -> subprocess.CompletedProcess[str]:
        """Run the program *source*, beside the seal, with the environment's own interpreter."""
        return self.start([str(self.env / "bin/python"), *flags, str(self.program(source, name)), *arguments], variables, cwd)

    def start(
        self, command: list[str], variables: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd or self.root,
            env=BARE | dict(variables or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def alter(self) -> None:
        """Change one byte of a module, and nothing else of it."""
        path = self.site / "alpha/__init__.py"
        stat = path.stat()
        path.write_bytes(b"VALUE = 2\n")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def upgrade(self) -> None:
        """Put another version of a distribution in the place of the sealed one."""
        shutil.rmtree(self.site / "alpha-1.0.dist-info")
        add_distribution(self.env, "alpha", "1.1", SMALL["alpha 1.0"])


def build(folder: Path) -> Guarded:
    """An environment at *folder* with two small distributions and sanctity, bytecode and all, sealed."""
    env = build_site(folder, PLAIN)
    add_distribution(env, "sanctity", "0.1.0", own_files())
    compileall.compile_dir(site_packages(env) / "sanctity", quiet=2)
    guarded = Guarded(root=folder)
    guarded.reseal()
    assert Path(os.path.realpath(env / "bin/python")) == Path(os.path.realpath(sys.executable))
    return guarded
