"""What was tried to have a receipt say what does not hold, and to break what writes and reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from programs import environ, run, script, told

from sanctity.determinism.files import receipts
from sanctity.determinism.scheme import derive
from sanctity.determinism.state import State, capture_state
from sanctity.errors import DocumentError, SanctityError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

CALL = "import sanctity\nr = sanctity.set_global_determinism(quiet=True)\n"


def test_two_texts_are_no_one_stream() -> None:
    assert derive(1, "\U00010000") != derive(1, "\ud800")
    assert derive(1, "\udc80name\udcff") != derive(1, "name"), "a file's name that is no text is a label"
    for pair in ("\ud800\udc00", "a\udbff\udfffb"):
        with pytest.raises(UsageError, match="surrogates") as error:
            derive(1, pair)
        assert error.value.code == "seed-label-invalid"
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert derive(1, composed) != derive(1, decomposed)


@pytest.mark.parametrize("seed", [0, pytest.param(1234567, marks=pytest.mark.long)])
def test_a_state_of_another_stream_is_no_state_of_ours(seed: int) -> None:
    code = "import numpy.random as n, json\n" + CALL
    code += f"n.set_state(n.RandomState({seed}).get_state())\nr.recheck()\n"
    status, detail = told(code + "print(json.dumps([r['numpy-legacy'].status, r['numpy-legacy'].detail]))")
    assert status == "overwritten"
    assert ("numpy.random.seed(0)" in detail) is (seed == 0)


@pytest.mark.parametrize("bits", ["PCG64", *(pytest.param(name, marks=pytest.mark.long) for name in ("PCG64DXSM", "Philox"))])
def test_a_registered_generator_with_another_state_is_found(bits: str) -> None:
    code = "import numpy.random as n, json\n" + CALL
    code += f"g = sanctity.register(n.Generator(n.{bits}()), 'g')\n"
    code += "g.random(10_000); n.Generator.integers(g, 7, dtype='uint32'); drawn = r.recheck()['numpy-generators'].status\n"
    code += f"g.bit_generator.state = n.{bits}(5).state\n"
    assert told(code + "print(json.dumps([drawn, r.recheck()['numpy-generators'].status]))") == ["applied", "overwritten"]


def test_threads_that_fork_at_one_time_have_children_of_their_own() -> None:
    code = (
        "import sys, os, threading, random, json, concurrent.futures.thread, logging\nsys.setswitchinterval(1e-6)\n"
        + CALL
        + """
out, into = os.pipe()
def fork():
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os.write(into, f"{random.random()!r}\\n".encode())
            os._exit(0)
        os.waitpid(pid, 0)
threads = [threading.Thread(target=fork) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
os.close(into)
drawn = open(out).read().split()
expected = [random.Random(sanctity.determinism.scheme.derive(42, "child", n, "random", bits=256)).random() for n in range(120)]
print(json.dumps([sorted(map(float, drawn)) == sorted(expected), len(set(drawn))]))
"""
    )
    assert told(code) == [True, 120]


def test_a_random_that_was_imported_anew_does_not_have_the_last_word() -> None:
    code = "import os, random, json, importlib\n" + CALL
    code += """
importlib.reload(random)
before = r.recheck()["fork-random"].status
r = sanctity.set_global_determinism(quiet=True)
out, into = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.write(into, f"{random.random()!r} {'.'.join(map(str, r.child))}\\n".encode())
        os._exit(0)
    os.wait()
os.close(into)
print(json.dumps([before, r.recheck()["fork-random"].status, open(out).read().split()]))
"""
    first, second = told(code), told(code)
    assert first[:2] == ["overwritten", "applied"]
    assert first == second
    assert first[2][1::2] == ["0", "1"], "a child is numbered once"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to(os.devnull)
    before = sorted(os.listdir(tmp_path))
    for name in ("folder", "fifo", "device", "a\0b"):
        code = f"import sanctity\nsanctity.set_global_determinism(quiet=True, receipt={str(tmp_path / name)!r})"
        assert "receipt-unwritable" in run(f"try:\n  exec({code!r})\nexcept Exception as error: print(error.code)").stdout
        with pytest.raises(SanctityError) as unwritable:
            capture_state().write(tmp_path / name)
        assert unwritable.value.code == "state-unwritable"
        with pytest.raises(DocumentError) as unreadable:
            State.read(tmp_path / name)
        assert unreadable.value.code == "state-unreadable"
    assert sorted(os.listdir(tmp_path)) == before, "nothing is left behind"


def test_a_hostile_folder_of_receipts_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "process-1-aaaaaaaa.json")
    os.mkfifo(tmp_path / ".lock")
    (tmp_path / "process-2-aaaaaaaa.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "process-3-aaaaaaaa.json").mkdir()
    done = run(CALL, SANCTITY_RECEIPTS=str(tmp_path))
    assert done.returncode == 0
    found = receipts(tmp_path)
    assert [process.ended for process in found.processes] == [True]
    assert {name.split("-")[1] for name, _ in found.unread} == {"1", "2", "3"}
    assert len(json.loads((tmp_path / "receipt.json").read_text())["unread"]) == 3


@pytest.mark.long
def test_a_process_that_was_stopped_while_it_merged_is_not_waited_for(tmp_path: Path) -> None:
    hold = f"import fcntl, sys; f = open({str(tmp_path / '.lock')!r}, 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ()) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        done = run(CALL, SANCTITY_RECEIPTS=str(tmp_path))
        holder.stdin.close()
    assert done.returncode == 0
    assert [process.ended for process in receipts(tmp_path).processes] == [True]


def test_among_many_only_the_root_merges(tmp_path: Path) -> None:
    code = "import multiprocessing, sys, sanctity\n"
    code += "def work(): pass\n"
    code += "if __name__ == '__main__':\n"
    code += "  sanctity.determinism.files._MERGED_AT_ONCE = 2\n  sanctity.set_global_determinism(quiet=True)\n"
    code += "  context = multiprocessing.get_context('fork')\n"
    code += "  for _ in range(4):\n    child = context.Process(target=work); child.start(); child.join()\n"
    code += "  import json, os; print(json.dumps(len(json.load(open(os.environ['SANCTITY_RECEIPTS'] + '/receipt.json'))['processes'])))\n"
    code = code.replace(
        "import multiprocessing, sys, sanctity", "import multiprocessing, sys, sanctity, sanctity.determinism.files"
    )
    folder = tmp_path / "receipts"
    folder.mkdir()
    assert script(tmp_path, code, SANCTITY_RECEIPTS=str(folder)) == 2, "the first child was the last that merged"
    assert len(json.loads((folder / "receipt.json").read_text())["processes"]) == 5


@pytest.mark.parametrize(
    "options",
    [
        [],
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in (["-O"], ["-OO"], ["-S"], ["-X", "frozen_modules=off"], ["-P", "-s"])
        ),
    ],
)
def test_nothing_else_of_the_process_changes(options: list[str]) -> None:
    code = """
import json, os, signal, sys, threading, warnings
def state():
    return [
        list(sys.path), list(map(repr, warnings.filters)), [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else [], threading.active_count(),
        sys.getswitchinterval(), sys.getrecursionlimit(), repr(sys.excepthook), repr(sys.displayhook), os.getcwd(),
    ]
before, modules, variables = state(), set(sys.modules), dict(os.environ)
import sanctity
sanctity.set_global_determinism(quiet=True).recheck()
own = {name.partition(".")[0] for name in set(sys.modules) - modules}
set_ = sorted(name for name in os.environ if os.environ[name] != variables.get(name))
print(json.dumps([before == state(), sorted(own - set(sys.stdlib_module_names)), set_]))
"""
    done = run(code, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, ["sanctity"], ["PYTHONHASHSEED"]]
