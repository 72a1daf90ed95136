"""The command of a bisect, run: its streams, its variables, its time, and its end with everything that it started.

It runs in the caller's working folder with an empty standard input, in a process group of its own, which is ended when it ends.
What it writes is read as it comes, and the end of it kept. The environment's programs come first on ``PATH`` and ``VIRTUAL_ENV``
names it; ``PYTHONHOME`` and ``__PYVENV_LAUNCHER__``, which would lead its Python elsewhere, are left out; every other variable is
the caller's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import shutil
import signal
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError
from sanctity.model.bisecting import Run
from sanctity.model.digest import Digest
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "NOT_FOUND",
    "digest_of",
    "end_group",
    "end_strays",
    "environ_of",
    "find_program",
    "remove",
    "run_command",
    "signature_of",
    "started_at",
]

#: What a shell ends with where a command can not be run or found.
NOT_FOUND: Final = (126, 127)
#: So many bytes of the end of what a command wrote are kept, and at most so many lines of it are told.
_TAIL: Final = 8192
_CHUNK: Final = 1 << 16
#: So many chunks are still read of what is in the pipe when it has ended.
_MOST_LEFT: Final = 64
#: How often to look whether it has ended while it writes nothing, and how long it is given to end by itself, in seconds.
_BEAT: Final = 0.02
_GRACE: Final = 2.0
#: So often daemons are looked for, which may start others while they are.
_MOST_ROUNDS: Final = 8
#: What leads a Python elsewhere.
_LEFT_OUT: Final = frozenset({"PYTHONHOME", "__PYVENV_LAUNCHER__"})


def environ_of(environment: str, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* as a program in the virtual *environment* has it."""
    kept = {name: value for name, value in environ.items() if name not in _LEFT_OUT}
    path = environ.get("PATH", os.defpath)
    return {**kept, "PATH": f"{environment}/bin{os.pathsep}{path}", "VIRTUAL_ENV": environment}


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
) -> Run:
    """Run *command*, whose first word is *program*, to its end, or for *timeout* seconds (0: for ever).

    *started* is told the number of its process group.

    Raises:
        SanctityError: ``command-not-executable``, it can not be started.
    """
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            list(command),
            executable=program,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        words = f"it can not be started: {error.strerror}"
        raise SanctityError("command-not-executable", words, where=command[0], hint=f"try it: {program}") from error
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
    return Run(code=None if late else process.returncode, seconds=seconds, tail=_last_lines(bytes(tail)))


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
        del tail[: -_TAIL * 2]
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


def end_strays(environment: str) -> int:
    """End every process that still works in the *environment* and has left the group of its command, as daemons do; how many.

    They are known by their ``VIRTUAL_ENV`` (proc_pid_environ(5)), which names a folder that was made for one run. One that took it
    out of its environment is not found.
    """
    wanted, ended = b"VIRTUAL_ENV=" + os.fsencode(environment), 0
    for _ in range(_MOST_ROUNDS):
        found = 0
        for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
            if not name.isdecimal():
                continue
            with contextlib.suppress(OSError, AttributeError):
                number = os.pidfd_open(int(name))  # from here on it can not be another process of the same number
                try:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        if wanted in file.read().split(b"\0"):
                            signal.pidfd_send_signal(number, signal.SIGKILL)
                            found += 1
                finally:
                    os.close(number)
        if not found:
            break
        ended += found
    return ended


def started_at(number: int) -> str:
    """When the process *number* was started, as proc_pid_stat(5) has it; empty where it is not there."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _last_lines(data: bytes) -> str:
    """The end of *data* as text, from the start of a line on where it is longer than what is kept."""
    if len(data) > _TAIL:
        data = data[-_TAIL:].partition(b"\n")[2] or data[-_TAIL:]
    return data.decode("utf-8", "backslashreplace")


# -- a result ----------------------------------------------------------------------------------------------------------------------


def digest_of(path: str) -> Digest | None:
    """The digest of the file at *path*, or of the folder's files with their names; None where there is neither.

    A folder's is over the canonical list of [path, digest of the bytes], links as [path, target]; modes and times are not in it.
    """
    try:
        state = os.lstat(path)
        if stat.S_ISREG(state.st_mode):
            return Digest.of_sha256(_sha256(path))
        if not stat.S_ISDIR(state.st_mode):
            return None
        rows = sorted(_rows(path, ""))
        return Digest.of_sha256(hashlib.sha256(canonical([list(row) for row in rows])).digest())
    except OSError:
        return None


def _rows(folder: str, below: str) -> Iterator[tuple[str, str]]:
    with os.scandir(os.path.join(folder, below)) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            if entry.is_symlink():
                yield shown, f"link {os.fsencode(os.readlink(entry.path)).decode('utf-8', 'backslashreplace')}"
            elif entry.is_dir():
                yield from _rows(folder, path)
            elif entry.is_file():
                yield shown, _sha256(entry.path).hex()


def signature_of(folder: str) -> str:
    """What the kernel says of every file below *folder* that is no bytecode: any write to one changes it (``ctime``).

    It is empty where there is no such folder any more, or it can not be read to its end: somebody removed it, or a part of it.
    """
    try:
        return "" if os.path.islink(folder) else _signature_of(folder)
    except OSError:
        return ""


def _signature_of(folder: str) -> str:
    hasher = hashlib.sha256()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    if entry.name != "__pycache__":
                        waiting.append(entry.path)
                        hasher.update(os.fsencode(entry.path) + b"/\0")
                    continue
                row = (state.st_mode, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                hasher.update(os.fsencode(entry.path) + b"\0" + repr(row).encode() + b"\0")
    return hasher.hexdigest()


def _sha256(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def remove(path: str) -> None:
    """Remove the file or folder at *path*, if it is there; what is write-protected too."""
    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)
