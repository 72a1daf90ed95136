"""The hook in real Pythons, old and new: what it varies is other, what it holds is the same in every process started like it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from real.tools import interpreters
from sanctity.variation.launch import HOOK

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def ask(tmp_path: Path, python: str) -> Callable[..., Any]:
    """Run a program in the Python under test with the hook, and give the JSON that it printed."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "marks").mkdir()
    for name, source in HOOK.items():
        (tmp_path / f"hook/{name}.py").write_text(Path(source).read_text())

    def run(program: str, tells: str, *options: str, path: str = "", arguments: tuple[str, ...] = ()) -> Any:
        for mark in (tmp_path / "marks").iterdir():
            mark.unlink()
        file = tmp_path / "program.py"
        file.write_text("import json, os, sys\n" + textwrap.dedent(program))
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "PYTHONPATH": f"{tmp_path}/hook" + (f":{path}" if path else ""),
            "PYTHONHASHSEED": "0",
            "SANCTITY_REPEATS": tells,
        }
        line = [str(interpreters()[python]), *options, str(file), *arguments]
        done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


LISTINGS = """
import glob, pathlib, shutil
d = sys.argv[1]
by_walk = [names for _, _, names in os.walk(d)][0]
with os.scandir(d) as entries:
    scanned = [entry.name for entry in entries]
print(json.dumps({
    "listdir": os.listdir(d),
    "bytes": [os.fsdecode(name) for name in os.listdir(os.fsencode(d))],
    "here": (os.chdir(d), os.listdir())[1],
    "scandir": scanned,
    "walk": by_walk,
    "glob": [os.path.basename(path) for path in glob.glob(d + "/*")],
    "iterdir": [path.name for path in pathlib.Path(d).iterdir()],
    "Path.glob": [path.name for path in pathlib.Path(d).glob("*")],
    "safe": [shutil.rmtree.avoids_symlink_attacks, os.listdir in os.supports_fd, len(os.listdir(os.open(d, os.O_RDONLY)))],
}))
"""


def test_every_way_to_list_a_folder_is_in_another_order_and_complete(tmp_path: Path, ask: Callable[..., Any]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(12):
        (folder / f"file-{number}").touch()
    plain = ask(LISTINGS, "", arguments=(str(folder),))
    assert plain.pop("safe") == [True, True, 12]
    orders = set()
    for how in ("reversed", "shuffled 1", "shuffled 2"):
        listed = ask(LISTINGS, f"file-order={how}", arguments=(str(folder),))
        assert listed.pop("safe") == [True, True, 12]
        for name, order in listed.items():
            assert sorted(order) == sorted(plain[name])
            assert order != plain[name], name
        orders.add(tuple(listed["listdir"]))
    again = ask(LISTINGS, "file-order=shuffled 2", arguments=(str(folder),))
    assert {name: again[name] for name in listed} == listed
    assert len(orders) == 3


@pytest.mark.long
def test_what_a_pth_file_imported_before_lists_in_the_other_order_too(tmp_path: Path, ask: Callable[..., Any]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(9):
        (folder / f"file-{number}").touch()
    program = """
    sys.path.insert(0, sys.argv[1])
    import posix, sitecustomize
    for name in ("listdir", "scandir"):
        setattr(os, name, getattr(posix, name))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pathlib", "glob")]:
        del sys.modules[name]
    import glob, pathlib
    before = [path.name for path in pathlib.Path(sys.argv[2]).glob("*")]
    sitecustomize._order_files("reversed")
    print(json.dumps([before, [path.name for path in pathlib.Path(sys.argv[2]).glob("*")]]))
    """
    before, after = ask(program, "", arguments=(f"{tmp_path}/hook", str(folder)))
    assert sorted(before) == sorted(after)
    assert before == after[::-1]


ENTROPY = """
import random, secrets, uuid, tempfile
drawn = [
    os.urandom(8).hex(), os.getrandom(8).hex(), random.random(), random.Random().random(), random.SystemRandom().random(),
    secrets.token_hex(4), str(uuid.uuid4()),
]
random.seed()
drawn.append(random.random())
random.seed(None)
drawn.append(random.random())
random.seed(3)
known = random.random()
reading, writing = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.write(writing, json.dumps([random.random(), os.urandom(4).hex()]).encode() + b" ; ")
        os._exit(0)
    os.wait()
print(json.dumps({"drawn": drawn, "known": known, "children": os.read(reading, 4096).decode()}))
"""


def test_entropy_is_the_same_each_time_and_other_in_a_child(ask: Callable[..., Any]) -> None:
    free = [ask(ENTROPY, "file-order=reversed") for _ in range(2)]
    held = [ask(ENTROPY, "entropy") for _ in range(2)]
    assert all(one != two for one, two in zip(free[0]["drawn"], free[1]["drawn"], strict=True))
    assert held[0] == held[1]
    assert len(set(held[0]["drawn"])) == len(held[0]["drawn"])
    children = held[0]["children"].split(" ; ")
    assert children[0] != children[1]
    # What is seeded by the program stays what its seed makes of it.
    assert held[0]["known"] == free[0]["known"]


@pytest.mark.long
def test_two_processes_of_one_command_line_have_streams_of_their_own(ask: Callable[..., Any]) -> None:
    program = """
    import subprocess
    line = [sys.executable, "-c", "import os; print(os.urandom(8).hex())"]
    print(json.dumps([subprocess.check_output(line).decode() for _ in range(2)]))
    """
    one, two = (ask(program, "entropy") for _ in range(2))
    assert one == two
    assert one[0] != one[1]


@pytest.mark.long
def test_numpy_without_a_seed_is_held_where_it_is(ask: Callable[..., Any], python: str) -> None:
    if python != "{}.{}".format(*sys.version_info[:2]):
        pytest.skip("NumPy is installed for this Python alone")
    program = f"""
    sys.path[:0] = {[entry for entry in sys.path if "site-packages" in entry]!r}
    import numpy as np
    np.random.seed()
    print(json.dumps([np.random.rand(), np.random.default_rng().random()]))
    """
    pytest.importorskip("numpy")
    assert ask(program, "entropy") == ask(program, "entropy")
    assert ask(program, "file-order=reversed") != ask(program, "file-order=reversed")


TIME = """
import datetime, threading, time, uuid, warnings, logging, pickle
warnings.simplefilter("ignore")
class Clock:
    now = time.time
t0 = time.time()
time.sleep(0.01)
slept = time.time() - t0
seen = [
    time.time(), time.time_ns(), Clock().now(), time.perf_counter(), time.monotonic_ns(), time.process_time(), time.strftime("%c"),
    time.ctime(), list(time.localtime()), time.asctime(), time.clock_gettime(time.CLOCK_REALTIME),
    str(datetime.datetime.now()), str(datetime.datetime.now(datetime.timezone.utc)), str(datetime.datetime.utcnow()),
    str(datetime.datetime.today()), str(datetime.date.today()), str(uuid.uuid1())[:18],
    logging.makeLogRecord({}).created,
]
threads = []
def in_thread():
    threads.append(time.time())
for _ in range(2):
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
now = datetime.datetime.now()
print(json.dumps({
    "seen": seen, "threads": threads, "slept": slept, "moves": time.time() < time.time(),
    "kinds": [isinstance(now, datetime.datetime), isinstance(now, datetime.date), issubclass(datetime.datetime, datetime.date),
              isinstance(datetime.date.today(), datetime.datetime), str(type(now)), pickle.loads(pickle.dumps(now)) == now,
              isinstance(now - datetime.timedelta(1), datetime.datetime), datetime.datetime(2020, 2, 3).isoformat()],
}))
"""


def test_time_is_the_same_each_time_moves_and_keeps_its_kinds(ask: Callable[..., Any]) -> None:
    free = ask(TIME, "file-order=reversed")
    held = [ask(TIME, "time=1700000000") for _ in range(2)]
    assert held[0] == held[1]
    assert all(one != two for one, two in zip(free["seen"], held[0]["seen"], strict=True))
    assert held[0]["seen"][0] == pytest.approx(1_700_000_000, abs=1)
    assert "2023" in held[0]["seen"][6]
    assert held[0]["slept"] >= 0.01
    assert held[0]["moves"]
    assert held[0]["kinds"] == free["kinds"]
    assert held[0]["kinds"][:4] == [True, True, True, False]


def test_who_waits_by_a_clock_still_comes_to_an_end(ask: Callable[..., Any]) -> None:
    program = """
    import asyncio, concurrent.futures, queue, subprocess, threading, time
    async def wait():
        await asyncio.sleep(0.05)
        return 1
    found = [asyncio.run(wait())]
    try:
        queue.Queue().get(timeout=0.05)
    except queue.Empty:
        found.append(2)
    found.append(threading.Event().wait(0.05))
    found.append(subprocess.Popen([sys.executable, "-c", "pass"]).wait(timeout=50))
    told = threading.Event()
    waiting = threading.Thread(target=told.wait)
    waiting.start()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [pool.submit(told.wait), pool.submit(told.set)]
        found.append([one.result() for one in both])
    waiting.join()
    until = time.time() + 2
    while time.time() < until:
        pass
    until = time.monotonic() + 2
    while time.monotonic() < until:
        time.sleep(0.1)
    print(json.dumps(found))
    """
    assert ask(program, "time=1700000000;entropy;pid;scheduling") == [1, 2, False, 0, [True, None]]


PID = """
import multiprocessing, signal, subprocess
def own(_):
    return os.getpid()
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        children = len(set(pool.map(own, range(8), chunksize=1))) >= 1
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append("told"))
    os.kill(os.getpid(), signal.SIGUSR1)
    print(json.dumps([os.getpid(), children, got]))
"""


@pytest.mark.long
def test_the_process_number_is_the_same_each_time_and_can_be_sent_a_signal(ask: Callable[..., Any]) -> None:
    one, two = (ask(PID, "pid") for _ in range(2))
    assert one == two
    assert one[1:] == [True, ["told"]]
    assert ask(PID, "file-order=reversed")[0] != ask(PID, "file-order=reversed")[0]


RACE = """
import random, threading
sys.setswitchinterval(1e-6)
random.seed(0)
sums = []
def draw():
    total = 0.0
    for turn in range(20000):
        total += random.random() * (turn % 7)
    sums.append(total)
threads = [threading.Thread(target=draw) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([sums, sys.getswitchinterval()]))
"""


def test_threads_keep_their_turn_whatever_the_program_asks_for(ask: Callable[..., Any]) -> None:
    held = [ask(RACE, "scheduling") for _ in range(3)]
    assert held[0] == held[1] == held[2]
    assert held[0][1] == 1e-6
    free = {json.dumps(ask(RACE, "file-order=reversed")[0]) for _ in range(6)}
    assert len(free) > 1


def test_it_leaves_no_trace_but_its_mark_and_lets_the_environments_own_hook_run(tmp_path: Path, ask: Callable[..., Any]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/sitecustomize.py").write_text("import sys\nsys.own = 'it ran'\n")
    program = """
    import sitecustomize
    print(json.dumps([getattr(sys, "own", ""), [entry for entry in sys.path if entry.endswith("/hook")]]))
    """
    assert ask(program, "pid", path=f"{tmp_path}/own") == ["it ran", []]
    assert len(list((tmp_path / "marks").iterdir())) == 1
    assert ask(program, "", path=f"{tmp_path}/own") == ["it ran", []]
    assert not list((tmp_path / "marks").iterdir())


@pytest.mark.parametrize("option", ["-I", "-S", "-E"])
@pytest.mark.long
def test_where_a_python_reads_no_settings_there_is_no_mark(tmp_path: Path, ask: Callable[..., Any], option: str) -> None:
    ask("print(json.dumps(1))", "entropy", option)
    assert not list((tmp_path / "marks").iterdir())
