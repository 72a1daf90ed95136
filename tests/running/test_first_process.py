"""`run` as PID 1, as in a container: the kernel drops what PID 1 has no handler for, and PID 1 inherits every orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from running.starting import BARE, Project, a_project, children, needs_unshare, reads

if TYPE_CHECKING:
    from pathlib import Path

UNSHARE = ("--pid", "--fork", "--mount-proc", "--kill-child")
REASON = needs_unshare(*UNSHARE)
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"unshare: {REASON}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sealed project that no test of this module changes."""
    return a_project(tmp_path_factory.mktemp("project"))


class First:
    """`sanctity run` as PID 1 of a namespace; *pid* is its number outside of it."""

    def __init__(self, project: Project, *command: str, options: tuple[str, ...] = (), before: tuple[str, ...] = ()) -> None:
        argv = ["unshare", *UNSHARE, *before, *project.command(*command, options=options)]
        self.outer = subprocess.Popen(
            argv, cwd=project.folder, env=BARE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        self.pid = 0
        while not self.pid:
            assert self.outer.poll() is None
            self.pid = next(iter(children(self.outer.pid)), 0)

    def line(self) -> bytes:
        assert self.outer.stdout is not None
        return self.outer.stdout.readline()

    def end(self) -> tuple[int, bytes, bytes]:
        try:
            out, err = self.outer.communicate(timeout=60)
        finally:
            self.outer.kill()
        return self.outer.returncode, out, err


@pytest.mark.parametrize("code", [0, 1, 3, 125, 130])
def test_the_exit_code_is_the_programs_own(code: int, project: Project) -> None:
    first = First(project, "python", "-c", f"import os, sys; print(os.getpid()); sys.exit({code})")
    assert first.end() == (code, b"1\n", b"")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGPIPE", "SIGHUP"])
def test_a_signal_reaches_the_programs_handler(name: str, project: Project) -> None:
    number = int(getattr(signal, name))
    words = f"import signal, sys, time; signal.signal({number}, lambda *_: sys.exit(42)); print('up', flush=True); time.sleep(60)"
    first = First(project, "python", "-c", words)
    assert first.line() == b"up\n"
    os.kill(first.pid, number)
    assert first.end() == (42, b"", b"")


def test_kill_ends_the_program(project: Project) -> None:
    first = First(project, "python", "-c", "import time; print('up', flush=True); time.sleep(60)")
    assert first.line() == b"up\n"
    os.kill(first.pid, signal.SIGKILL)
    assert first.end()[0] != 0  # what it is, is unshare's own affair
    assert not os.path.exists(f"/proc/{first.pid}")


def test_a_signal_without_a_handler_is_dropped_as_the_kernel_does(project: Project) -> None:
    """`run` is not an init: it is gone, and PID 1 is the program. One that handles TERM, or an init, is what a container needs."""
    first = First(project, "sleep", "1")
    while os.readlink(f"/proc/{first.pid}/exe") != str(project.env / "bin/sleep"):
        assert first.outer.poll() is None
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGTERM)
    assert first.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_stop_while_it_looks_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    project = a_project(tmp_path, sealed=False)
    with open(project.site / "large.npy", "wb") as file:
        file.truncate(1 << 38)  # takes minutes to read, and no room
    first = First(project, "hello")
    while not reads(first.pid, "large.npy"):
        assert first.outer.poll() is None
        time.sleep(0.01)
    os.kill(first.pid, number)
    assert first.end() == (128 + number, b"", b"")


def test_it_leaves_no_child_and_no_zombie(tmp_path: Path) -> None:
    """Orphans that ended while it looked were PID 1's to bury; the program is not told of them."""
    project = a_project(tmp_path)
    for number in range(1000):
        (project.site / f"{number}.dat").touch()  # so that children read
    words = "import os; print(open(f'/proc/1/task/1/children').read().split(), [p for p in os.listdir('/proc') if p.isdigit()])"
    orphan = ("sh", "-c", '(sh -c "sleep 0.1" &) ; exec "$@"', "sh")
    first = First(project, "python", "-c", words, before=orphan)
    code, out, err = first.end()
    assert (code, err) == (0, b"")
    assert out == b"[] ['1']\n"


def test_a_refusal_is_125(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    (project.site / "six.py").write_text("")
    code, out, err = First(project, "hello").end()
    assert (code, out) == (125, b"")
    assert b"six.py" in err


MOUNT = needs_unshare("--mount")


@pytest.mark.skipif(bool(MOUNT), reason=f"unshare: {MOUNT}")
def test_a_read_only_mount_closes_the_race(project: Project) -> None:
    """What was looked at can not be changed before, or while, it runs; the program itself can not either."""
    mounted = 'mount --bind env env && mount -o remount,bind,ro env && exec "$@"'
    words = "import errno, hello\ntry:\n    open(hello.__file__, 'a')\nexcept OSError as error:\n    print(errno.errorcode[error.errno])"
    argv = ["unshare", "--mount", "sh", "-c", mounted, "sh", *project.command("python", "-c", words)]
    done = subprocess.run(argv, cwd=project.folder, env=BARE, capture_output=True, check=False)
    if b"mount:" in done.stderr:
        pytest.skip(done.stderr.decode())
    assert (done.returncode, done.stdout) == (0, b"EROFS\n"), done.stderr
