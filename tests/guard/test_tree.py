"""Once a process tree, and a child that does not do what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from sanctity.guard import MARK, REFUSED

if TYPE_CHECKING:
    from pathlib import Path

    from guard.guarded import Guarded

#: What each process of a tree says.
SAY = "result = sanctity.guard()\nprint(result.verdict, result.looked, flush=True)\n"


def test_a_second_call_returns_at_once(guarded: Guarded) -> None:
    """It is not looked at again: not even a drift since then is seen."""
    source = f"import sanctity\n{SAY}open({str(guarded.site / 'alpha/__init__.py')!r}, 'a').write('# more')\n{SAY}"
    done = guarded.run(source)
    assert done.stdout == "clean True\nclean False\n"


def test_a_look_at_names_does_not_stand_for_a_look_at_bytes(guarded: Guarded) -> None:
    guarded.alter()
    done = guarded.run("import sanctity\nprint(sanctity.guard(depth='version').verdict)\nsanctity.guard()\nprint('on')\n")
    assert (done.returncode, done.stdout) == (REFUSED, "clean\n")


def test_what_was_refused_is_looked_at_again(guarded: Guarded) -> None:
    guarded.alter()
    call = "print(sanctity.guard(on_drift=lambda result: None).verdict)\n"
    restore = f"open({str(guarded.site / 'alpha/__init__.py')!r}, 'w').write('VALUE = 1\\n')\n"
    assert guarded.run(f"import sanctity\n{call}{restore}{call}").stdout == "drifted\nclean\n"


def test_another_seal_is_another_question(guarded: Guarded) -> None:
    other = guarded.root / "other.json"
    other.write_text(guarded.seal.read_text() + "\n")
    done = guarded.run(f"import sanctity\n{SAY}{SAY.replace('guard()', 'guard(' + repr(str(other)) + ')')}")
    assert done.stdout == "clean True\nclean True\n"


def test_a_forked_worker_relies_on_its_parent(guarded: Guarded) -> None:
    source = f"import os, sanctity\n{SAY}if os.fork() == 0:\n    {SAY.splitlines()[0]}\n    print(result.looked, flush=True)\n    os._exit(0)\nos.wait()\n"
    assert guarded.run(source).stdout == "clean True\nFalse\n"


def test_a_forked_worker_that_is_the_first_to_ask_looks_itself(guarded: Guarded) -> None:
    """And refuses: its own code is 125, and the parent goes on to see that."""
    guarded.alter()
    source = "import os, sanctity\nif os.fork() == 0:\n    sanctity.guard()\n    os._exit(0)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    done = guarded.run(source)
    assert done.stdout == f"{REFUSED}\n"
    assert "file-altered" in done.stderr


def test_a_fork_while_another_thread_looks_does_not_hang(guarded: Guarded) -> None:
    source = """
import os, threading, time, sanctity
thread = threading.Thread(target=sanctity.guard)
thread.start()
time.sleep(0.05)
if os.fork() == 0:
    print(sanctity.guard().verdict, flush=True)
    os._exit(0)
os.wait()
thread.join()
"""
    assert guarded.run(source).stdout == "clean\n"


WORKERS = """
import multiprocessing, os, sys
import sanctity

def work(_):
    result = sanctity.guard()
    return result.verdict, result.looked

if __name__ == "__main__":
    if "first" in sys.argv:
        print(sanctity.guard().looked)
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(sorted(set(pool.map(work, range(4)))))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_guarded_program_rely_on_it(guarded: Guarded, method: str) -> None:
    done = guarded.run(WORKERS, method, "first")
    assert (done.stdout, done.stderr) == ("True\n[('clean', False)]\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_of_an_unguarded_program_refuses(guarded: Guarded, method: str) -> None:
    guarded.alter()
    source = """
import multiprocessing, sys, sanctity
if __name__ == "__main__":
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=sanctity.guard)
    worker.start()
    worker.join()
    print(worker.exitcode)
"""
    done = guarded.run(source, method)
    assert done.stdout == f"{REFUSED}\n"
    assert "file-altered" in done.stderr


def test_an_executor_whose_workers_refuse_is_broken(guarded: Guarded) -> None:
    guarded.alter()
    source = """
import concurrent.futures, sanctity
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(1, initializer=sanctity.guard) as pool:
        try:
            print(pool.submit(abs, -1).result())
        except concurrent.futures.BrokenExecutor:
            print("broken")
"""
    assert guarded.run(source).stdout == "broken\n"


CHILD = """
import os, subprocess, sys, sanctity
result = sanctity.guard()
print(result.verdict, result.looked, flush=True)
if len(sys.argv) < 3:
    os.environ.update(pair.split("=", 1) for pair in sys.argv[1:2] if pair)
    subprocess.run([sys.executable, __file__, "", "last"], check=False)
"""


def test_a_program_that_a_guarded_one_starts_relies_on_it(guarded: Guarded) -> None:
    done = guarded.run(CHILD, "")
    assert done.stdout == "clean True\nclean False\n"


def test_but_not_with_another_variable_that_loads_code(guarded: Guarded) -> None:
    done = guarded.run(CHILD, "PYTHONPATH=/nonexistent")
    assert done.stdout == "clean True\n"
    assert "startup-variable" in done.stderr


def _begun(pid: int) -> str:
    with open(f"/proc/{pid}/stat", "rb") as handle:
        return handle.read().rpartition(b")")[2].split()[19].decode()


def test_nor_where_the_mark_names_no_ancestor_of_the_same_interpreter(guarded: Guarded) -> None:
    """The mark names who passed and when that one began. Here it names one that ended, strangers, a shell, and nobody."""
    mark = guarded.run(f"import os, sanctity\nsanctity.guard()\nprint(os.environ[{MARK!r}])\n").stdout.strip()
    _, pid, begun, digest = mark.split(" ")
    app = guarded.program(f"import sanctity\n{SAY}")
    shell = f"{MARK}=\"1 $$ $(cut -d' ' -f22 /proc/$$/stat) {digest}\" {guarded.env}/bin/python {app}; exit"
    done = guarded.start(["/bin/sh", "-c", shell])
    assert done.stdout == "clean True\n"
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        others = [f"1 {pid} {begun} {digest}", f"1 {stranger.pid} {_begun(stranger.pid)} {digest}", f"1 {os.getpid()} 1 {digest}"]
        for forged in (*others, f"1 {os.getpid()} {_begun(os.getpid())} {'0' * 64}", "1", "x " * 3, "1 -1 0 0", "1 0 0 0"):
            assert guarded.run(f"import sanctity\n{SAY}", variables={MARK: forged}).stdout == "clean True\n"
    finally:
        stranger.communicate(b"\n")


# -- a child that fails ------------------------------------------------------------------------------------------------------------

FAULTS = {
    "dies": ("exit 0", "it said nothing|ended with exit code 0"),
    "fails": ("echo no such library >&2; exit 3", "exit code 3: no such library"),
    "is killed": ("kill -9 $$", "signal 9"),
    "babbles": ("echo clean; echo clean", "are no answer"),
    "says too little": ("printf '\\001\\000\\000\\000\\000\\000\\000\\000'", "are no answer"),
    "floods": (
        "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done",
        "stop talking",
    ),
    "complains without end": ("for i in $(seq 20000); do echo bbbbbbbbbbbbbbbbbbbb >&2; done", "exit code 0"),
    "hangs": ("sleep 30 & sleep 30", "no answer for 0.7 s"),
    "closes and hangs": ("exec >&-; sleep 30", "did not end"),
    "does not listen": ("exec <&-; sleep 30", "no answer for 0.7 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_child_that_fails_is_a_refusal(guarded: Guarded, fault: str, tmp_path: Path) -> None:
    script, words = FAULTS[fault]
    fake = tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    source = f"from sanctity import guard\nguard._base_interpreter = lambda: {str(fake)!r}\nguard(timeout=0.7)\nprint('on')\n"
    started = time.monotonic()
    done = guarded.run(source)
    assert time.monotonic() - started < 20
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "error: guard-child-failed" in done.stderr
    assert re.search(words, done.stderr)


def _state(pid: int) -> str:
    """What the kernel says that the process *pid* does: Z has ended, and nobody asked how."""
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def test_nothing_is_left_of_a_child_that_hangs(guarded: Guarded, tmp_path: Path) -> None:
    """The processes that it started go with it, and no descriptor stays open."""
    fake = tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\nsleep 30 &\necho $! > {tmp_path}/pid\nwait\n")
    fake.chmod(0o755)
    source = f"""
import os
from sanctity import guard
guard._base_interpreter = lambda: {str(fake)!r}
before = os.listdir("/proc/self/fd")
guard(timeout=0.7, on_drift=lambda result: None)
print(len(os.listdir("/proc/self/fd")) - len(before))
"""
    assert guarded.run(source).stdout == "0\n"
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if _state(pid) in {"gone", "Z"}:
            break
        time.sleep(0.05)
    assert _state(pid) in {"gone", "Z"}


@pytest.mark.parametrize(
    "answer",
    [
        "[nonce, version, b'clean', b'file-altered', b'', b'']",
        "[nonce, version, b'drifted', b'', b'', b'']",
        "[nonce, version, b'fine', b'', b'', b'']",
        "[b'0' * 32, version, b'clean', b'', b'', b'']",
        "[nonce, version, b'clean', b'', b'']",
        "[nonce, b'0', b'clean', b'', b'', b'']",
        "[nonce, version, b'clean', b'', b'', b''] * 2",
    ],
)
def test_an_answer_that_does_not_fit_is_a_refusal(guarded: Guarded, answer: str) -> None:
    boot = f"""
import os, sys
data = b""
while part := os.read(0, 65536):
    data += part
nonce, version = data[8:40], str(sys.hexversion).encode()
os.write(1, b"".join(len(f).to_bytes(8, "little") + f for f in {answer}))
"""
    good = boot.replace(answer, "[nonce, version, b'clean', b'', b'', b'']")
    for text, code, said in ((boot, REFUSED, ""), (good, 0, "on\n")):
        done = guarded.run(f"from sanctity import guard\nguard._BOOT = {text!r}\nguard()\nprint('on')\n")
        assert (done.returncode, done.stdout) == (code, said)


def test_the_guard_itself_failing_is_a_refusal(guarded: Guarded) -> None:
    done = guarded.run("import os, sanctity\nsanctity.guard\nos.urandom = None\nsanctity.guard()\nprint('on')\n")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "error: guard-failed" in done.stderr


def test_an_interrupt_ends_the_child_too(guarded: Guarded, tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 30\n")
    fake.chmod(0o755)
    source = f"""
import os, signal, threading
from sanctity import guard
guard._base_interpreter = lambda: {str(fake)!r}
def interrupt():
    while not os.path.exists({str(tmp_path / "pid")!r}) or not open({str(tmp_path / "pid")!r}).read().strip():
        pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    guard()
except KeyboardInterrupt:
    print("interrupted")
"""
    assert guarded.run(source).stdout == "interrupted\n"
    assert not os.path.exists(f"/proc/{int((tmp_path / 'pid').read_text())}")
