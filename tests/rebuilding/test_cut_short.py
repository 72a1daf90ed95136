"""A rebuild that is killed, that meets another, or that runs out of room: nothing half made ever has the target's name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from rebuilding.building import Bench, a_bench, hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from real.tools import Workshop

#: How many moments of a rebuild it is killed at.
SAMPLE, WHOLE = 2, 60


@pytest.fixture(scope="module")
def bench(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(workshop, tmp_path_factory.mktemp("cut-short"))


def words(bench: Bench, target: Path, engine: str) -> list[str | Path]:
    return ["rebuild", bench.lock, target, "--archive", bench.archive, "--offline", "--engine", engine]


def killed_after(bench: Bench, target: Path, engine: str, seconds: float) -> bool:
    """Kill a rebuild and all that it started, *seconds* after its start; whether it was still at work."""
    child = subprocess.Popen(
        bench.command(*words(bench, target, engine)),
        cwd=bench.project,
        env=bench.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return True
    return False


@pytest.mark.parametrize("count", [SAMPLE, pytest.param(WHOLE, marks=pytest.mark.long)])
@pytest.mark.parametrize("engine", ["uv", "pip"])
def test_killed_at_any_moment_it_leaves_nothing_or_the_whole(bench: Bench, tmp_path: Path, engine: str, count: int) -> None:
    started = time.monotonic()
    whole = tmp_path / "whole"
    assert bench.run(*words(bench, whole, engine)).returncode == 0
    taken = time.monotonic() - started
    caught = 0
    for number in range(count):
        target = tmp_path / f"env-{number}"
        caught += killed_after(bench, target, engine, taken * (number + 0.5) / count)
        if target.exists():
            assert bench.run("verify", bench.lock, "--env", target).returncode == 0, "half an environment has the whole one's name"
            assert bench.fingerprint(target) == bench.fingerprint(whole)
            shutil.rmtree(target)
        again = bench.run(*words(bench, target, engine))
        assert again.returncode == 0, again.stdout + again.stderr
        assert hidden(tmp_path) == [], "the next attempt left the dead one's folder"
    assert caught, "none was killed at work"


def test_what_a_living_attempt_works_on_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    from sanctity.apply.rebuild import Room

    target = tmp_path / "env"
    with Room(str(target)) as room:
        mine = os.path.basename(room.path)
        assert bench.run(*words(bench, target, "uv")).returncode == 0
        assert hidden(tmp_path) == [mine]
        with pytest.raises(Exception, match="already"):
            room.put()
    assert hidden(tmp_path) == []


def test_what_only_looks_like_a_leftover_is_not_touched(bench: Bench, tmp_path: Path) -> None:
    stranger = tmp_path / ".env.0123456789abcdef.partial"
    stranger.mkdir()
    (stranger / "mine").write_text("keep")
    assert bench.run(*words(bench, tmp_path / "env", "uv")).returncode == 0
    assert (stranger / "mine").read_text() == "keep"


def test_what_was_fetched_before_the_end_is_taken_over(tmp_path: Path) -> None:
    from sanctity.apply.rebuild import Room

    first = Room(str(tmp_path / "env")).__enter__()
    with open(f"{first.wheels}/six.whl", "w", encoding="ascii") as file:
        file.write("fetched")
    os.close(first._fd)  # as the kernel does for a process that was killed
    with Room(str(tmp_path / "env")) as second:
        with open(f"{second.wheels}/six.whl", encoding="ascii") as file:
            assert file.read() == "fetched"
        assert hidden(tmp_path) == [os.path.basename(second.path)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """What makes a file system of so many kB, in a place of its own."""
    made: list[Path] = []

    def make(size: int) -> Path:
        place = tmp_path / f"small-{size}"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("engine", ["uv", "pip"])
def test_a_full_disk_is_named_and_leaves_nothing(bench: Bench, small_disk: Callable[[int], Path], engine: str) -> None:
    refused = 0
    for size in (12, 48, 100, 140):
        place = small_disk(size)
        done = bench.run(*words(bench, place / "env", engine))
        if done.returncode == 0 or "output-failed" in done.stderr:  # there was room for it, if not for what is said of it
            assert bench.run("verify", bench.lock, "--env", place / "env").returncode == 0
            continue
        refused += 1
        assert done.returncode == 3, done.stdout + done.stderr
        assert "target-unwritable" in done.stderr
        assert "No space left" in done.stderr
        assert list(place.iterdir()) == []
    assert refused, "there was room for everything"
