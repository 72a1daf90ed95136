"""`run` on a terminal: the program has it as if it had been started there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING

import pytest

from running.starting import BARE, Project, a_project, children, reads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sealed project that no test of this module changes."""
    return a_project(tmp_path_factory.mktemp("project"))


class Terminal:
    """A terminal of 40 rows and 100 columns, with a program as the leader of its session."""

    def __init__(self, project: Project, words: str, *, command: list[str | bytes] | None = None, kind: str = "dumb") -> None:
        self.pid, self.handle = pty.fork()
        if self.pid == 0:  # pragma: no cover - another process
            os.chdir(project.folder)
            argv = command or project.command("python", "-c", words)
            os.execve(argv[0], argv, BARE | {"TERM": kind, "PS1": "$ "})
        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.seen = b""

    def until(self, pattern: bytes) -> bytes:
        """What was printed, once it matches *pattern*."""
        end = time.monotonic() + 60
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, self.seen
            if select.select([self.handle], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.handle, 4096)
                except OSError:
                    break
        assert re.search(pattern, self.seen), self.seen
        return self.seen

    def rest(self) -> bytes:
        """All that was printed, once nobody prints any more."""
        try:
            while select.select([self.handle], [], [], 1)[0] and (part := os.read(self.handle, 4096)):
                self.seen += part
        except OSError:
            pass
        return self.seen

    def is_running(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self, options: int = 0) -> int:
        return os.waitpid(self.pid, options)[1]


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals to be closed, and their programs to be ended, after a test."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        try:
            os.kill(terminal.pid, signal.SIGKILL)
            os.waitpid(terminal.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(terminal.handle)


def test_the_program_has_the_terminal(project: Project, terminals: list[Terminal]) -> None:
    words = (
        "import os; tty = os.open('/dev/tty', os.O_RDWR)\n"
        "print('tty', [os.isatty(n) for n in range(3)], os.tcgetpgrp(tty) == os.getpgrp(), os.getsid(0) == os.getpid())\n"
        "print('size', tuple(os.get_terminal_size()), 'said', input())"
    )
    terminals.append(terminal := Terminal(project, words))
    terminal.until(rb"tty \[True, True, True\] True True")
    os.write(terminal.handle, b"hello\n")
    terminal.until(rb"size \(100, 40\) said hello")
    assert os.waitstatus_to_exitcode(terminal.wait()) == 0


def test_an_interrupt_reaches_the_program_once(project: Project, terminals: list[Terminal]) -> None:
    words = (
        "import os, signal, time\ncount = 0\n"
        "def note(*_):\n    global count; count += 1; os.write(1, b'caught %d\\n' % count)\n"
        "signal.signal(signal.SIGINT, note)\nprint('up', flush=True)\n"
        "while count < 2: time.sleep(0.05)\n"
        "print('end', flush=True)"
    )
    terminals.append(terminal := Terminal(project, words))
    terminal.until(rb"up")
    os.write(terminal.handle, b"\x03")
    terminal.until(rb"caught 1")
    os.write(terminal.handle, b"\x03")
    assert b"caught 3" not in terminal.until(rb"end")
    assert os.waitstatus_to_exitcode(terminal.wait()) == 0


def test_an_interrupt_ends_a_program_as_it_would(project: Project, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(project, "import time; print('up', flush=True); time.sleep(60)"))
    terminal.until(rb"up")
    os.write(terminal.handle, b"\x03")
    assert os.waitstatus_to_exitcode(terminal.wait()) == -signal.SIGINT


def test_an_interrupt_while_it_looks_ends_it(terminals: list[Terminal], tmp_path: Path) -> None:
    """The whole group gets it from the terminal, those that read the files too."""
    project = a_project(tmp_path, sealed=False)
    for name in range(1000):
        (project.site / f"{name}.dat").touch()
    with open(project.site / "large.npy", "wb") as file:
        file.truncate(1 << 38)  # takes minutes to read, and no room
    terminals.append(terminal := Terminal(project, "print('started')", kind="xterm"))
    while not any(reads(pid, "large.npy") for pid in children(terminal.pid)):
        assert terminal.is_running()
        time.sleep(0.01)
    os.write(terminal.handle, b"\x03")
    assert os.waitstatus_to_exitcode(terminal.wait()) == -signal.SIGINT
    seen = terminal.rest()
    assert b"Traceback" not in seen
    assert b"started" not in seen


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="there is no bash")
def test_a_shell_controls_it_as_a_job(project: Project, terminals: list[Terminal]) -> None:
    words = "import time; print('is', 'up', flush=True); input(); print('went', 'on')"
    terminals.append(terminal := Terminal(project, "", command=["/bin/bash", "--norc", "--noediting", "-i"]))
    os.write(terminal.handle, os.fsencode(shlex.join(map(os.fsdecode, project.command("python", "-c", words)))) + b"\n")
    terminal.until(rb"is up")
    os.write(terminal.handle, b"\x1a")
    terminal.until(rb"Stopped")
    os.write(terminal.handle, b"fg\n")
    time.sleep(0.2)
    os.write(terminal.handle, b"\n")
    terminal.until(rb"went on")
    os.write(terminal.handle, b"echo code=$?; exit\n")
    terminal.until(rb"code=0")


def test_the_size_that_changes_is_told_to_the_program(project: Project, terminals: list[Terminal]) -> None:
    words = (
        "import os, signal, time\nsize = []\n"
        "signal.signal(signal.SIGWINCH, lambda *_: size.append(os.get_terminal_size().columns))\n"
        "print('up', flush=True)\nwhile not size: time.sleep(0.02)\nprint('columns', size)"
    )
    terminals.append(terminal := Terminal(project, words))
    terminal.until(rb"up")
    fcntl.ioctl(terminal.handle, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 77, 0, 0))
    terminal.until(rb"columns \[77")
