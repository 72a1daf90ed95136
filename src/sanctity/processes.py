"""Commands, found, run and ended, each with everything that it started.

A command runs with an empty standard input, in a session and process group of its own, which is ended when it ends. What it writes
is read as it comes, and the end of it kept.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "TAIL",
    "Done",
    "end_group",
    "end_strays",
    "find_program",
    "last_lines",
    "run_command",
    "start_command",
    "started_at",
    "waiting_for_children",
]

#: So many bytes of the end of what a command wrote are kept, and at most so many lines of it are told.
TAIL: Final = 8192
_CHUNK: Final = 1 << 16
#: So many chunks are still read of what is in the pipe when it has ended.
_MOST_LEFT: Final = 64
#: How often to look whether it has ended while it writes nothing, and how long it is given to end by itself, in seconds.
_BEAT: Final = 0.02
_GRACE: Final = 2.0
#: So often daemons are looked for, which may start others while they are.
_MOST_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended: its exit *code*, negative for a signal, None where it took longer than *seconds*.

    *tail* is the end of what it wrote.
    """

    code: int | None
    seconds: float
    tail: str


def find_program(word: str, environ: Mapping[str, str], cwd: str) -> str:
    """The program that *word* means: a path relative to *cwd*, or a name on the ``PATH`` of *environ*.

    Raises:
        SanctityError: ``command-not-found``, or ``command-not-executable``.
    """
    hint = "name a program of the environment's, such as python, or one on PATH"
    if "/" in word:
        path = os.path.join(cwd, word)
        if os.path.isfile(path) and not os.access(path, os.X_OK):
            raise SanctityError(
                "command-not-executable", "it is no program", where=word, hint=f"chmod +x {word}, or: python {word}"
            )
        found = path if os.path.isfile(path) else None
    else:
        found = shutil.which(word, path=environ.get("PATH", os.defpath)) if word else None
    if found is None:
        raise SanctityError("command-not-found", "there is no such program", where=word or "''", hint=hint)
    return found


def run_command(
    command: Sequence[str],
    *,
    program: str,
    environ: Mapping[str, str],
    cwd: str,
    timeout: int = 0,
    started: Callable[[int], None] | None = None,
) -> Done:
    """Run *command*, whose first word is *program*, to its end, or for *timeout* seconds (0: for ever).

    *started* is told the number of its process group.

    Raises:
        SanctityError: ``command-not-executable``, it can not be started.
    """
    began = time.monotonic()
    process = start_command(command, program=program, environ=environ, cwd=cwd, output=subprocess.PIPE)
    assert process.stdout is not None
    tail = bytearray()
    late = False
    try:
        if started is not None:
            started(process.pid)
        with process.stdout:
            late = not _read(process, tail, began + timeout if timeout else None)
    finally:
        end_group(process.pid, _GRACE if late or process.returncode is None else 0.0, process)
    seconds = float(timeout) if late else time.monotonic() - began
    return Done(code=None if late else process.returncode, seconds=seconds, tail=last_lines(bytes(tail)))


def start_command(
    command: Sequence[str], *, program: str, environ: Mapping[str, str], cwd: str, output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start *command*, whose first word is *program*, in a session of its own, with an empty input; it writes to *output*.

    Raises:
        SanctityError: ``command-not-executable``, it can not be started.
    """
    try:
        return subprocess.Popen(
            list(command),
            executable=program,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        words = f"it can not be started: {error.strerror}"
        raise SanctityError("command-not-executable", words, where=command[0], hint=f"try it: {program}") from error


def _read(process: subprocess.Popen[bytes], tail: bytearray, until: float | None) -> bool:
    """Read what *process* writes until it ends, and say True; or False where the time is *until* comes first."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    open_ = True

    def take() -> bool:
        try:
            part = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        tail.extend(part)
        del tail[: -TAIL * 2]
        return bool(part)

    while True:
        # Not reaped yet, so that its process group keeps its number until whatever is left in it is ended.
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if ended:  # what it wrote last; a grandchild may hold the pipe, and write for ever
            for _ in range(_MOST_LEFT):
                if not open_ or not poll.poll(0):
                    break
                open_ = take()
            return True
        if until is not None and time.monotonic() > until:
            return False
        if not open_:
            time.sleep(_BEAT / 4)
        elif poll.poll(_BEAT * 1000):
            open_ = take()


def end_group(number: int, grace: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """End every process of the group *number*: asked to for *grace* seconds, then by force; *process*, its leader, is reaped."""
    if grace:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(number, signal.SIGTERM)
        until = time.monotonic() + grace
        while time.monotonic() < until and process is not None:
            if os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
            time.sleep(_BEAT)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)
    if process is not None:
        process.wait()


def end_strays(variable: str, value: str, *, below: str = "", since: str = "") -> int:
    """End every process that has left the group of its command, as daemons do, and still has the *variable* at *value*; how many.

    The *value* was made for one run alone (proc_pid_environ(5)). One that took it out of its environment is found only where its
    working folder is *below* a folder of this run's alone, and it was started no earlier than *since* (see `started_at`).
    """
    wanted, ended = os.fsencode(f"{variable}={value}"), 0
    for _ in range(_MOST_ROUNDS):
        found = 0
        for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
            if not name.isdecimal():
                continue
            with contextlib.suppress(OSError, AttributeError, ValueError):
                number = os.pidfd_open(int(name))  # from here on it can not be another process of the same number
                try:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        stray = wanted in file.read().split(b"\0")
                    if not stray and below and since:
                        stray = os.readlink(f"/proc/{name}/cwd").startswith(f"{below}/") and int(started_at(int(name))) >= int(
                            since
                        )
                    if stray:
                        signal.pidfd_send_signal(number, signal.SIGKILL)
                        found += 1
                finally:
                    os.close(number)
        if not found:
            break
        ended += found
    return ended


@contextlib.contextmanager
def waiting_for_children() -> Iterator[None]:
    """Let the kernel tell how children ended, also where this process was started with SIGCHLD ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


def started_at(number: int) -> str:
    """When the process *number* was started, as proc_pid_stat(5) has it; empty where it is not there."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def last_lines(data: bytes) -> str:
    """The end of *data* as text, from the start of a line on where it is longer than what is kept."""
    if len(data) > TAIL:
        data = data[-TAIL:].partition(b"\n")[2] or data[-TAIL:]
    return data.decode("utf-8", "backslashreplace")
