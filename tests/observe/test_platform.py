"""All of what an environment stands on, twice the same; and of an image nothing that a machine alone can say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.model.drift import Depth
from sanctity.model.platform import Cpu, Platform
from sanctity.observe.environment import observe_environment
from sanctity.observe.platform import observe_platform
from sanctity.observe.view import View

if TYPE_CHECKING:
    from sanctity.model.environment import Problem


def _look(prefix: str, root: str = "", environ: dict[str, str] | None = None) -> tuple[Platform, tuple[Problem, ...]]:
    environment = observe_environment(prefix, depth=Depth.RECORD, clock=time.monotonic, root=root, workers=1)
    return observe_platform(View(root), environment, environ=environ or {}, workers=1, clock=time.monotonic)


def test_looked_at_twice_it_is_the_same(python: str, interpreter_paths: dict[str, Path], tmp_path: Path) -> None:
    """In two environments of one base too: where an environment lies is in none of it but what is shown to people."""
    for name in ("one", "two"):
        subprocess.run([interpreter_paths[python], "-m", "venv", "--without-pip", tmp_path / name], check=True)
    first, problems = _look(str(tmp_path / "one"))
    assert problems == ()
    assert first.build.executable is not None
    assert first.build.compiler
    assert first.build.compiled
    assert first.stdlib.sources
    assert first.stdlib.built
    assert first.libraries
    assert {part for part, _ in first.unknown} <= {"cpu", "accelerators", "blas", "settings"}
    assert _look(str(tmp_path / "one")) == (first, ())
    assert _look(str(tmp_path / "two")) == (first, ())


def test_of_an_image_nothing_is_said_that_a_machine_would_say(tmp_path: Path) -> None:
    base = Path(os.path.realpath(sys.base_prefix))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    home = tmp_path / str(base)[1:]
    (home / "bin").mkdir(parents=True)
    shutil.copy2(os.path.realpath(sys.executable), home / "bin" / version)
    (home / "lib").mkdir()
    for library in sorted((base / "lib").glob("libpython*.so.*")):
        shutil.copy2(library, home / "lib" / library.name)
    (home / "lib" / version / "site-packages").mkdir(parents=True)
    (home / "lib" / version / "os.py").write_text("name = 'posix'\n")
    found, problems = _look(str(base), str(tmp_path), {"OMP_NUM_THREADS": "3"})
    assert problems == ()
    assert (found.cpu, found.accelerators, found.settings) == (Cpu(), (), ())
    assert {part for part, _ in found.unknown} >= {"cpu", "accelerators", "settings"}
    assert [path for path, _ in found.stdlib.sources] == ["os.py"]
    outside = {item.name: item.digest for item in found.libraries}
    assert outside["libc.so.6"] == b""  # there is none in the image, and the machine's own is not taken for it
    assert found.libc == ""


def test_no_interpreter_leaves_every_part_unknown(tmp_path: Path) -> None:
    (tmp_path / "lib/python3.11/site-packages").mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").write_text("home = /nowhere/bin\ninclude-system-site-packages = false\n")
    found, problems = _look(str(tmp_path))
    assert {part for part, _ in found.unknown} >= {"build", "stdlib", "native"}
    assert problems
    assert (found.build.executable, found.stdlib.sources, found.libraries) == (None, (), ())


def test_an_unreadable_part_is_a_problem_of_the_look(tmp_path: Path) -> None:
    """A standard library with a file that gives an error when it is read."""
    base = tmp_path / "base"
    real = Path(os.path.realpath(sys.executable))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (base / "bin").mkdir(parents=True)
    (base / "lib" / version / "site-packages").mkdir(parents=True)
    shutil.copy2(real, base / "bin" / version)
    (base / "lib" / version / "os.py").touch()
    assert not [problem for problem in _look(str(base))[1] if problem.code == "unreadable"]
    (base / "lib" / version / "memory.py").symlink_to("/proc/self/mem")
    _, problems = _look(str(base))
    assert ("unreadable", f"{base}/lib/{version}/memory.py") in {(problem.code, problem.path) for problem in problems}


@pytest.mark.parametrize("what", ["executable", "source"])
def test_one_thing_changes_and_nothing_else(tmp_path: Path, what: str) -> None:
    base = tmp_path / "base"
    real = Path(os.path.realpath(sys.executable))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (base / "bin").mkdir(parents=True)
    (base / "lib" / version / "site-packages").mkdir(parents=True)
    executable = Path(shutil.copy2(real, base / "bin" / version))
    source = base / "lib" / version / "os.py"
    source.write_text("name = 'posix'\n")
    before, _ = _look(str(base))
    with (executable if what == "executable" else source).open("ab") as file:
        file.write(b"\n\n\n\n")
    after, _ = _look(str(base))
    parts = {name for name in Platform.__dataclass_fields__ if getattr(before, name) != getattr(after, name)}
    assert parts == {"build" if what == "executable" else "stdlib"}
