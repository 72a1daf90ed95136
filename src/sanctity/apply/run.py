"""Become a program: find it, keep what this process inherited as it was, and take its place by execve, so that the PID stays.

What arrives unchanged arrives by being left alone: descriptors, terminal, working folder, umask, limits and signal mask survive an
execve. What Python itself changed when it started is put back here: the signals it ignores, and the locale variable it sets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import tempfile
from typing import TYPE_CHECKING, Final, NoReturn

from sanctity.canon.scripts import split_interpreter
from sanctity.errors import SanctityError
from sanctity.plan.start import Located, Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from sanctity.plan.start import Start

__all__ = [
    "Stopped",
    "become",
    "end_by",
    "find_program",
    "fresh_bytecode",
    "inherited",
    "is_private",
    "private_parent",
    "reap",
    "stoppable",
]

#: What asks a process to end. The kernel drops these for PID 1 unless it has a handler.
_STOPS: Final = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
#: What Python ignores from its start on, whatever it inherited.
_IGNORED_BY_PYTHON: Final = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
#: A first line is shorter than this; the kernel reads 256 bytes of it.
_HEAD: Final = 1 << 14
_POLYGLOT: Final = b"#!/bin/sh\n"
#: What PEP 538 sets in the C locale.
_COERCED: Final = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
_FOLDER: Final = "sanctity-bytecode-"


class Stopped(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """In this context a signal that asks to end raises `Stopped`, for PID 1 too; then everything is as it was.

    A signal that is ignored, as nohup has it, stays ignored. A second signal changes nothing: the first one is being obeyed.
    """
    numbers = [getattr(signal, name) for name in _STOPS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    taken = [number for number, handler in before.items() if handler not in {signal.SIG_IGN, None}]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def end_by(number: int) -> NoReturn:
    """End as a process ends by the signal *number*; PID 1, which no signal ends, with the exit code that a shell gives it."""
    reap()
    if os.getpid() != 1:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(128 + number)


def reap() -> None:
    """As PID 1, take leave of every process that has ended and that nobody else will ask for."""
    if os.getpid() != 1:
        return
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ*, this process's own, as it was when the process started.

    In the C locale Python sets ``LC_CTYPE`` (PEP 538); what the kernel keeps of the start says whether that is so here. An entry
    without a name can not be handed on.
    """
    found = {name: value for name, value in environ.items() if name}
    if found.get("LC_CTYPE") in _COERCED:
        try:
            with open("/proc/self/environ", "rb") as file:
                stated = file.read().split(b"\0")
        except OSError:
            return found
        if not any(item.startswith(b"LC_CTYPE=") for item in stated):
            del found["LC_CTYPE"]
    return found


def _locate(path: str, prefix: str, scripts: str) -> Located:
    """*path*, an absolute one, as it lies to *prefix*."""
    home = os.path.realpath(prefix)
    folder, name = os.path.realpath(os.path.dirname(path)), os.path.basename(path)
    real = os.path.realpath(path)

    def inner(whole: str) -> str:
        return whole[len(home) + 1 :] if whole.startswith(f"{home}/") else ""

    behind_link = folder == os.path.realpath(f"{home}/{scripts}")  # the scripts folder may itself be a link that leads elsewhere
    return Located(
        path=path,
        real=real,
        inner=f"{scripts}/{name}" if behind_link else inner(os.path.join(folder, name)),
        inner_real=inner(real),
    )


def find_program(word: str, prefix: str, *, scripts: str, cwd: str, search: str) -> Program:
    """The program that *word* means: a bare name in the scripts folder of *prefix*, or a path, relative to *cwd*.

    *search* is the PATH of this process. It is only looked into to say where a bare name would have been found elsewhere.

    Raises:
        SanctityError: ``command-not-found``; ``command-not-executable``; ``command-outside``, it lies elsewhere.
    """
    bare = "/" not in word
    path = f"{prefix}/{scripts}/{word}" if bare else os.path.join(cwd, word)
    own = "name a program of the environment's, such as python"
    if not word or "\0" in word or word in {".", ".."} or path.endswith("/"):
        raise SanctityError("command-not-found", "it is no name of a program", where=repr(word), hint=own)
    file = _locate(path, prefix, scripts)
    inside = f"`run` starts only what it verified; for a script of your own: run -- python {word}"
    try:
        state = os.stat(path)
    except OSError as error:
        elsewhere = _on_path(word, search, cwd) if bare else ""
        if elsewhere:
            message = f"the environment has no such program; {elsewhere} lies outside of it"
            hint = "install it into the environment and lock that, or name a program that the environment has"
            raise SanctityError("command-outside", message, where=word, hint=hint) from error
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            where = f"{prefix}/{scripts}/{word}" if bare else word
            raise SanctityError("command-not-found", "there is no such program", where=where, hint=own) from error
        raise SanctityError("command-not-executable", error.strerror or "it can not be looked at", where=word, hint=own) from error
    if not file.inner:
        raise SanctityError("command-outside", "it lies outside of the environment", where=word, hint=inside)
    if not stat.S_ISREG(state.st_mode) or not os.access(path, os.X_OK):
        what = "it may not be executed" if stat.S_ISREG(state.st_mode) else "it is no file"
        raise SanctityError("command-not-executable", what, where=word, hint=own)
    return _with_shebang(Program(word=word, file=file), prefix, scripts, cwd)


def _on_path(word: str, search: str, cwd: str) -> str:
    """Where a shell would find *word*, or an empty text."""
    places = (os.path.join(cwd, folder, word) for folder in search.split(os.pathsep))
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), "")


def _with_shebang(program: Program, prefix: str, scripts: str, cwd: str) -> Program:
    path = program.file.path
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            head = os.read(fd, _HEAD)
        finally:
            os.close(fd)
    except OSError as error:
        # What may be executed and not read is never what was verified, since it was not read then either.
        raise SanctityError(
            "command-not-executable", f"it can not be read: {error.strerror}", where=path, hint="make it readable"
        ) from error
    text, _ = split_interpreter(head)
    if not text:
        return program
    interpreter, options = text, ""
    if text.startswith("$ORIGIN/"):
        interpreter = os.path.join(os.path.dirname(program.file.real), text.removeprefix("$ORIGIN/"))
    elif not head.startswith(_POLYGLOT) or text.startswith("/bin/sh"):
        # The kernel ends the name at the first blank, and hands over what follows it as one word.
        interpreter, _, options = text.replace("\t", " ").partition(" ")
    starts = _locate(os.path.join(cwd, interpreter), prefix, scripts)
    return Program(word=program.word, file=program.file, shebang=text, options=options.strip(), starts=starts)


def become(start: Start) -> NoReturn:
    """Take the place of this process by *start*.

    Signals that Python ignores get their default again: what this process inherited is not known any more. Handlers go with the
    old program, and a signal that was ignored before Python started stays ignored.

    Raises:
        SanctityError: ``command-not-found`` or ``command-not-executable``: it could not be started.
    """
    reap()
    for name in _IGNORED_BY_PYTHON:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(start.path, list(start.argv), dict(start.environ))  # noqa: S606 - a program of what was verified, by its whole path
    except OSError as error:
        code = "command-not-found" if error.errno == errno.ENOENT else "command-not-executable"
        raise SanctityError(
            code,
            f"it can not be started: {error.strerror}",
            where=start.path,
            hint="see that its interpreter is there, and that the file system lets programs be started",
        ) from error
    raise AssertionError("execve returned")


def fresh_bytecode(environ: Mapping[str, str]) -> str:
    """A private, empty folder for bytecode, made for this process; folders of the user's processes that have ended are removed.

    It lies in the user's cache folder, or the folder for temporary files where there is none that others can not write to.

    Raises:
        SanctityError: ``bytecode-folder``, none can be made.
    """
    parent = private_parent(environ, "bytecode") or environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder made in it is private
    with contextlib.suppress(OSError):
        _sweep(parent)
    try:
        return tempfile.mkdtemp(prefix=f"{_FOLDER}{_process(os.getpid())}-", dir=os.path.abspath(parent))
    except OSError as error:
        raise SanctityError(
            "bytecode-folder",
            f"no folder for bytecode can be made: {error.strerror}",
            where=parent,
            hint="let TMPDIR name a folder that can be written to",
        ) from error


def private_parent(environ: Mapping[str, str], name: str) -> str:
    """The folder *name* of ours in the user's cache folder, made where it is not there; empty where others could write to it."""
    home = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else "")
    parent = f"{home}/sanctity/{name}"
    folders = (home, f"{home}/sanctity", parent)
    if not home.startswith("/"):
        return ""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.mkdir(folder, 0o700)
    return parent if all(map(is_private, folders)) and os.access(parent, os.W_OK | os.X_OK) else ""


def is_private(folder: str) -> bool:
    """Whether *folder* is the user's, and nobody else's to write to."""
    try:
        state = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _process(pid: int) -> str:
    """A name of the running process *pid* that no later one has: PID namespace, PID, time of its start. Empty where none runs."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything; the 22nd field is the 20th after it.
            started = file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return f"0-{pid}-0" if pid == os.getpid() else ""
    return f"{space}-{pid}-{started}"


def _sweep(parent: str) -> None:
    """Remove the folders in *parent* that `fresh_bytecode` made for processes of this user that have ended.

    A process of another PID namespace can not be asked about, so its folder stays.
    """
    import shutil

    space = _process(os.getpid()).partition("-")[0]
    for name in os.listdir(parent):
        parts = name.removeprefix(_FOLDER).split("-") if name.startswith(_FOLDER) else []
        if len(parts) < 4 or parts[0] != space or space == "0" or not parts[1].isdecimal():
            continue
        if _process(int(parts[1])) != "-".join(parts[:3]) and is_private(f"{parent}/{name}"):
            shutil.rmtree(f"{parent}/{name}", ignore_errors=True)
