"""kill -9 at every step of `add`, `import`, `export` and `gc`: what is left is whole, and the next run goes on.

A few points of each in a usual run; marked ``long``, every step, and moments that a clock picks.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archiving.door import Project, a_project, environ, json_of, sanctity, start
from archiving.kept import a_pylock
from archiving.oci import check_layout, check_sums

if TYPE_CHECKING:
    from collections.abc import Callable

DYING = Path(__file__).parent / "dying.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A command in *arguments*, what it starts from (made anew each time by *prepare*), and what must hold *after* it was killed."""

    arguments: tuple[str, ...]
    prepare: Callable[[], None]
    after: Callable[[], None]


def whole(place: Path) -> int:
    """Assert that the archive at *place*, if it is one already, is whole; how many locks it lists."""
    if not (place / "oci-layout").exists():
        return 0
    manifests = check_layout(place)
    if (place / "blobs/sha256").exists():
        check_sums(place)
    return sum("lock" in manifest["artifactType"] for manifest in manifests.values())


def works(tmp_path: Path) -> dict[str, Work]:
    project: Project = a_project(tmp_path / "demo")
    kept, ready, file = tmp_path / "kept", tmp_path / "ready", tmp_path / "x.tar"
    sanctity("archive", "add", project.lock, "--archive", "ready", home=tmp_path)
    sanctity("archive", "export", "ready.tar", "--archive", "ready", home=tmp_path)
    shutil.copytree(ready, tmp_path / "older")
    a_pylock(project.folder, project.wheels[:1])
    sanctity("archive", "add", project.lock, "--archive", "older", home=tmp_path)
    a_pylock(project.folder, project.wheels)
    exported = (tmp_path / "ready.tar").read_bytes()

    def empty() -> None:
        shutil.rmtree(kept, ignore_errors=True)

    def filled(source: str) -> Callable[[], None]:
        def fill() -> None:
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(tmp_path / source, kept)
            file.unlink(missing_ok=True)

        return fill

    def is_whole() -> None:
        whole(kept)

    def is_exported() -> None:
        assert not file.exists() or file.read_bytes() == exported
        whole(kept)

    def is_collected() -> None:
        assert whole(kept) >= 1
        assert json_of("archive", "list", "--archive", "kept", home=tmp_path)["locks"][0]["name"] == "demo/pylock.toml"

    return {
        "add": Work(arguments=("add", str(project.lock), "--archive", str(kept)), prepare=empty, after=is_whole),
        "import": Work(
            arguments=("import", str(tmp_path / "ready.tar"), "--archive", str(kept)),
            prepare=empty,
            after=is_whole,
        ),
        "export": Work(arguments=("export", str(file), "--archive", str(kept)), prepare=filled("ready"), after=is_exported),
        "gc": Work(arguments=("gc", "--apply", "--archive", str(kept)), prepare=filled("older"), after=is_collected),
    }


def run(tmp_path: Path, work: Work, last: int) -> tuple[int, int]:
    """Run *work* until its step *last*; its exit code, and how many steps there were."""
    command = [sys.executable, str(DYING), str(tmp_path), str(last), "archive", *work.arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environ(tmp_path), capture_output=True, text=True, check=False)
    found = re.search(r"^steps: (\d+)$", done.stderr, re.MULTILINE)
    return done.returncode, int(found[1]) if found else 0


def kill_at(tmp_path: Path, work: Work, last: int) -> None:
    work.prepare()
    code, _ = run(tmp_path, work, last)
    assert code in {-signal.SIGKILL, 0}
    work.after()
    sanctity("archive", *work.arguments, home=tmp_path)
    work.after()
    place = work.arguments[work.arguments.index("--archive") + 1]
    sanctity("archive", "scrub", "--archive", place, home=tmp_path)


@pytest.mark.parametrize("name", ["add", "import", "export", "gc"])
def test_killed_at_some_steps(tmp_path: Path, name: str) -> None:
    work = works(tmp_path)[name]
    work.prepare()
    code, steps = run(tmp_path, work, 0)
    assert code == 0
    assert steps > 5
    points = random.Random(name).sample(range(1, steps), 2)
    for last in points:
        kill_at(tmp_path, work, last)


@pytest.mark.long
@pytest.mark.parametrize("name", ["add", "import", "export", "gc"])
def test_killed_at_every_step(tmp_path: Path, name: str) -> None:
    work = works(tmp_path)[name]
    work.prepare()
    _, steps = run(tmp_path, work, 0)
    for last in range(1, steps + 1):
        kill_at(tmp_path, work, last)


@pytest.mark.long
@pytest.mark.parametrize("name", ["add", "import", "export", "gc"])
def test_killed_at_moments_that_a_clock_picks(tmp_path: Path, name: str) -> None:
    work = works(tmp_path)[name]
    rng = random.Random()
    for _ in range(250):
        work.prepare()
        process = start("archive", *work.arguments, home=tmp_path)
        try:
            process.communicate(timeout=rng.uniform(0.1, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        work.after()
    sanctity("archive", *work.arguments, home=tmp_path)
    work.after()


@pytest.mark.long
def test_gc_beside_adds(tmp_path: Path) -> None:
    """Whatever the order: adds end well, gc ends well or gives way, and the archive is whole."""
    projects = [a_project(tmp_path / f"demo{number}", ("apple", f"pear{number}")) for number in range(6)]
    for _ in range(10):
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        sanctity("archive", "add", projects[0].lock, "--archive", "kept", home=tmp_path)
        adding = [start("archive", "add", project.lock, "--archive", "kept", home=tmp_path) for project in projects[1:]]
        collecting = [start("archive", "gc", "--apply", "--archive", "kept", home=tmp_path) for _ in range(4)]
        codes = {process.wait(): process.communicate() for process in adding}
        assert set(codes) == {0}, codes
        assert {process.wait() for process in collecting} <= {0, 3}
        for process in collecting:
            process.communicate()
        assert whole(tmp_path / "kept") == 6
