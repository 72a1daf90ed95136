"""What moves a run and is no randomness, and what races: each fixture shows it, and then what the call and its receipt say of it.

A race is shown by more than one outcome, in as many tries as it takes: a busy machine hides one, and no count of outcomes is a fact.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sanctity
from real.learning import ROWS, ToolError, by, run_script, said

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

#: How often a race is run at most before it counts as not to be seen here.
TRIES = 200


def outcomes(race: Callable[[], Hashable]) -> set[Hashable]:
    """What *race* gave until it gave something else."""
    seen: set[Hashable] = set()
    for _ in range(TRIES):
        seen.add(race())
        if len(seen) > 1:
            break
    return seen


def test_f04_t05_a_state_that_forgets_the_children_it_spawned() -> None:
    recipe, ours = said(
        sys.executable,
        """
import json
import numpy as np, sanctity
def child(generator):
    return generator.spawn(1)[0].random()
generator = np.random.default_rng(0)
generator.spawn(2)
state = generator.bit_generator.state
drawn, spawned = generator.random(), child(generator)
again = np.random.default_rng(0)
again.bit_generator.state = state
recipe = [drawn == again.random(), spawned == child(again)]
sanctity.set_global_determinism(0, quiet=True)
generator = sanctity.register(np.random.default_rng(), "augment")
generator.spawn(2)
state = sanctity.capture_state()
drawn, spawned = generator.random(), child(generator)
sanctity.restore_state(state)
print(json.dumps([recipe, [drawn == generator.random(), spawned == child(generator)]]))
""",
    )
    assert recipe == [True, False], "its draws come back, and its children do not"
    assert ours == [True, True]


def test_t08_a_workspace_that_is_no_ordered_one() -> None:
    # cuBLAS itself can not be had without its device, so a stand-in says that there is one; what is looked at is the variable.
    from types import SimpleNamespace

    from sanctity.determinism import controls_torch
    from sanctity.determinism.setting import Setting

    torch = SimpleNamespace(
        version=SimpleNamespace(cuda="12.8"), cuda=SimpleNamespace(device_count=lambda: 1, is_initialized=lambda: True)
    )
    before = os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    try:
        found = {}
        for value in (":4096:2", ":4096:8", ":16:8", None):
            if value is None:
                os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
            else:
                os.environ["CUBLAS_WORKSPACE_CONFIG"] = value
            (row,) = controls_torch._cublas(Setting(0), torch)
            found[value] = row
    finally:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
        if before is not None:
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = before
    assert found[":4096:2"].status == "refused"
    assert ":4096:8 or :16:8" in found[":4096:2"].remedy
    assert found[":4096:8"].status == found[":16:8"].status == "applied"
    assert found[None].status == "too-late", "CUDA has started, and reads it then"
    assert "before the first use of CUDA" in found[None].remedy


@pytest.fixture
def listings(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two folders with the same files, made in opposite orders, on a file system that lists them as they came."""
    root = Path("/dev/shm")
    if not root.is_dir() or not os.access(root, os.W_OK):
        root = tmp_path
    top = root / f"sanctity-{os.getpid()}-{tmp_path.name}"
    names = [f"image{number}.png" for number in range(12)]
    folders = top / "one", top / "other"
    for folder, order in zip(folders, (names, names[::-1]), strict=True):
        folder.mkdir(parents=True)
        for name in order:
            (folder / name).touch()
    yield folders
    shutil.rmtree(top)


def test_f09_a_split_of_files_in_the_order_in_which_they_are_listed(listings: tuple[Path, Path]) -> None:
    if os.listdir(listings[0]) == os.listdir(listings[1]):
        pytest.skip("this file system lists files in an order of their names")
    recipe = "import json, os, random, sys\nrandom.seed(42)\nfiles = os.listdir(sys.argv[1])\nrandom.shuffle(files)\nprint(json.dumps(files))"
    assert said(sys.executable, recipe, str(listings[0])) != said(sys.executable, recipe, str(listings[1]))

    ours = f"""
import json, os, random, sys, sanctity
receipt = sanctity.set_global_determinism(42, quiet=True)
files = sorted(os.listdir(sys.argv[1]))
random.shuffle(files)
print(json.dumps([files, {ROWS}]))
"""
    one, other = (said(sys.executable, ours, str(folder)) for folder in listings)
    status, detail, remedy = one[1]["surroundings"]
    assert status == "not-controllable"
    assert "the order in which a folder lists its files" in detail
    assert "sort what is listed" in remedy
    assert one[0] == other[0], "sorted first, it is one split"


def test_f10_a_seed_and_a_feature_from_the_clock() -> None:
    recipe = """
import json, random, time
random.seed(time.time_ns())
print(json.dumps([random.random(), time.time_ns()]))
"""
    first, second = by(sys.executable, recipe, {}, {})
    assert first[0] != second[0]

    ours = f"""
import json, random, time, sanctity
receipt = sanctity.set_global_determinism(time.time_ns(), quiet=True)
print(json.dumps([random.random(), receipt.seed, {ROWS}]))
"""
    drawn, seed, rows = by(sys.executable, ours, {})[0]
    again = (
        f"import json, random, sanctity; sanctity.set_global_determinism({seed}, quiet=True); print(json.dumps(random.random()))"
    )
    assert by(sys.executable, again, {})[0] == drawn, "the receipt names the seed, so even that run can be had again"
    assert rows["surroundings"][0] == "not-controllable"
    assert "the clock" in rows["surroundings"][1]
    with pytest.raises(ToolError, match="and SANCTITY_SEED is 42"):
        run_script(sys.executable, ours, env={"SANCTITY_SEED": "42"})


def test_f11_what_a_locale_and_a_time_zone_decide() -> None:
    recipe = f"""
import json, sys, time, sanctity
receipt = sanctity.set_global_determinism(42, quiet=True)
print(json.dumps([time.strftime("%H:%M", time.localtime(0)), sys.getfilesystemencoding(), sys.stdout.encoding, {ROWS}]))
"""
    first, second = by(
        sys.executable, recipe, {"TZ": "UTC0", "PYTHONIOENCODING": "utf-8"}, {"TZ": "XXX-3", "PYTHONIOENCODING": "latin-1"}
    )
    assert (first[0], second[0]) == ("00:00", "03:00")
    assert first[2] != second[2]
    assert first[3]["random"][0] == "applied", "all is seeded"
    status, detail, remedy = first[3]["surroundings"]
    assert status == "not-controllable"
    assert all(word in detail for word in ("locale", "time zone"))
    assert all(word in remedy for word in ("LC_ALL", "TZ"))


THREADS = """
import json, random, sys, threading
sys.setswitchinterval(1e-6)
def sums(draws, count=20_000):
    totals = [0.0] * len(draws)
    def work(number):
        for _ in range(count):
            totals[number] += draws[number]()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(draws))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return totals
"""


def test_f16_threads_that_share_one_stream() -> None:
    scope: dict[str, Any] = {}
    before = sys.getswitchinterval()
    state = random.getstate()
    try:
        exec(THREADS, scope)

        def race() -> Hashable:
            random.seed(0)
            return tuple(scope["sums"]([random.random] * 4))

        assert len(outcomes(race)) > 1
    finally:
        sys.setswitchinterval(before)
        random.setstate(state)

    ours = (
        THREADS
        + f"""
import sanctity
receipt = sanctity.set_global_determinism(0, quiet=True)
print(json.dumps([sums([sanctity.stream("thread", number, kind="random").random for number in range(4)]), {ROWS}]))
"""
    )
    first, second = by(sys.executable, ours, {}, {})
    assert first[0] == second[0], "each with a stream of its own"
    status, detail, remedy = first[1]["thread-order"]
    assert status == "not-controllable"
    assert "threads that share one stream" in detail
    assert "stream of its own" in remedy


def test_f17_a_sum_in_the_order_in_which_tasks_end() -> None:
    import math
    import time
    from concurrent.futures import ThreadPoolExecutor, as_completed

    values = [random.Random(number).uniform(-1e9, 1e9) for number in range(64)]

    def task(number: int) -> float:
        time.sleep(0.0001)
        return values[number]

    with ThreadPoolExecutor(4) as pool:

        def race() -> Hashable:
            return tuple(future.result() for future in as_completed([pool.submit(task, number) for number in range(64)]))

        assert len(outcomes(race)) > 1, "the order is the scheduler's, and a sum of floats depends on it"
        ordered = {tuple(pool.map(task, range(64))) for _ in range(3)}
        exact = {math.fsum(future.result() for future in as_completed([pool.submit(task, n) for n in range(64)])) for _ in range(3)}
    assert len(ordered) == len(exact) == 1

    receipt = said(
        sys.executable,
        f"import json, sanctity; receipt = sanctity.set_global_determinism(0, quiet=True); print(json.dumps({ROWS}))",
    )
    assert "results that are taken as they come" in receipt["thread-order"][1]
    assert "in the order of their tasks" in receipt["thread-order"][2]


def test_a_receipt_survives_what_it_tells(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    run_script(sys.executable, f"import sanctity; sanctity.set_global_determinism(42, quiet=True, receipt={str(path)!r})")
    receipt = sanctity.Receipt.from_json(path.read_text())
    assert json.loads(path.read_text())["digest"] == receipt.digest
    assert receipt["surroundings"].status == "not-controllable"
