"""The canary: a small program whose output is sealed, run again before the real one.

The same bytes can behave otherwise on another processor, and no digest of files shows that. A canary is started by the same rules
as the program that `run` starts, in the seal's folder, with an environment of its own that holds the numeric settings and nothing
else of the caller's. What it writes to standard output is digested and not kept; what it starts is ended with it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import time
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.apply.run import find_program
from sanctity.errors import DocumentError, SanctityError
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Drift, Unchecked
from sanctity.model.seal import Canary
from sanctity.model.wire import Reader
from sanctity.plan.start import plan_start
from sanctity.processes import end_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Environment

__all__ = ["Surroundings", "check_canary", "make_canary", "parse_canary"]

#: What a canary may write to standard output, in bytes, and how long one may take at most, in seconds.
_MOST_OUTPUT: Final = 1 << 26
_LONGEST: Final = 3600
_USUAL: Final = 60
_LARGEST: Final = 1 << 20
_CHUNK: Final = 1 << 20
#: How often to look whether it has ended, in seconds.
_BEAT: Final = 0.01
_HINT: Final = "see docs/canary.md"
#: Drifts that say why a program could act otherwise while every file is the same, the likeliest first.
_REASONS: Final = (Code.SETTING_CHANGED, Code.CPU_CHANGED, Code.ACCELERATOR_CHANGED, Code.NATIVE_LIBRARY_CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a canary runs: the verified *environment* and what was found of it, its *folder*, and the numeric *settings*."""

    environment: Environment
    comparison: Comparison
    folder: str
    settings: Mapping[str, str]


class _Unfinished(Exception):  # noqa: N818 - it says what became of a canary, and never leaves this module
    """A canary gave no output that counts: *reason*; *ended* says that it ran to its end, and ended badly."""

    def __init__(self, reason: str, *, ended: bool = False) -> None:
        self.ended = ended
        super().__init__(reason)


def parse_canary(data: bytes, path: str) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """The command, inputs and time limit of the TOML document *data*, read from *path*.

    Raises:
        DocumentError: it is no such document.
    """
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise DocumentError("canary-syntax", f"it is no TOML: {error}"[:300], where=path, hint=_HINT) from error
    reader = Reader(path, noun="canary", hint=_HINT)
    reader.only(table, {"command", "inputs", "timeout"}, "")
    reader.need(table, "command", list, [], "")
    command = reader.strings(table, "command", "")
    inputs = reader.strings(table, "inputs", "")
    timeout = reader.get(table, "timeout", int, _USUAL, "")
    if "command" in table and not reader.issues and (not command or not command[0] or any("\0" in word for word in command)):
        reader.fault("canary-bad-value", "command", "it names no program")
    for index, name in enumerate(inputs):
        if not Canary.is_below(name):
            reader.fault("canary-bad-value", f"inputs[{index}]", "it is no path below the seal's folder", "write it as data/x.npy")
    if not 1 <= timeout <= _LONGEST:
        reader.fault("canary-bad-value", "timeout", f"it is not between 1 and {_LONGEST:,} seconds")
    reader.finish()
    return command, tuple(sorted(set(inputs))), timeout


def make_canary(path: str, around: Surroundings, *, shown: str = "") -> Canary:
    """The canary that the file at *path* describes, with the digests of its inputs and of what it writes. It is run twice.

    Raises:
        DocumentError: the file can not be read, or is no such description.
        SanctityError: ``canary-unstable``, it did not write the same twice; ``canary-failed``, it came to no good end; or as
            `find_program` and `plan_start`.
    """
    shown = shown or path
    try:
        data = b"".join(_read(path, _LARGEST))
    except OSError as error:
        raise DocumentError(
            "canary-unreadable", error.strerror or "it can not be read", where=shown, hint="name the canary's description"
        ) from error
    command, names, timeout = parse_canary(data, shown)
    inputs: list[tuple[str, Digest]] = []
    for name in names:
        try:
            inputs.append((name, _digest(os.path.join(around.folder, name))))
        except OSError as error:
            raise DocumentError(
                "canary-unreadable", f"its input {name}: {error.strerror or error}", where=shown, hint=_HINT
            ) from error
    try:
        first, second = (_output(command, timeout, around, loud=True) for _ in range(2))
    except _Unfinished as error:
        raise SanctityError("canary-failed", str(error), where=shown, hint="mend it: it has to end by itself, with 0") from error
    if first != second:
        raise SanctityError(
            "canary-unstable",
            "it was run twice and did not write the same",
            where=shown,
            hint="seed it, and leave out times, addresses and the order of sets",
        )
    return Canary(command=command, inputs=tuple(inputs), output=first, timeout=timeout)


def check_canary(canary: Canary, around: Surroundings) -> Drift | Unchecked | None:
    """Run *canary* again: a drift where an input or its output is another, something unchecked where that can not be told.

    Raises:
        SanctityError: as `find_program` and `plan_start`.
    """
    for name, expected in canary.inputs:
        try:
            actual = _digest(os.path.join(around.folder, name))
        except FileNotFoundError:
            return Drift(code=Code.CANARY_CHANGED, path=name, expected=str(expected), message="an input of the canary is missing")
        except OSError as error:
            return Unchecked(code="canary-unfinished", what=name, reason=error.strerror or "it can not be read", in_scope=True)
        if actual != expected:
            return Drift(
                code=Code.CANARY_CHANGED,
                path=name,
                expected=str(expected),
                actual=str(actual),
                message="an input of the canary is not what was sealed",
            )
    what = " ".join(canary.command)
    try:
        output = _output(canary.command, canary.timeout, around)
    except _Unfinished as error:
        if error.ended:
            return Drift(code=Code.CANARY_CHANGED, path=what, expected=str(canary.output), message=str(error))
        return Unchecked(code="canary-unfinished", what=what, reason=str(error), in_scope=True)
    if output == canary.output:
        return None
    return Drift(
        code=Code.CANARY_CHANGED,
        path=what,
        expected=str(canary.output),
        actual=str(output),
        message=f"the canary wrote something else than when it was sealed{_likely(around.comparison)}",
        hint="run where the numeric settings and the processor are the sealed ones, or seal again",
    )


def _likely(comparison: Comparison) -> str:
    """Why, as far as the comparison knows."""
    for code in _REASONS:
        found = next((drift for drift in comparison.drifts if drift.code is code), None)
        if found is not None:
            return f"; likely since {found.message}"
    return ""


def _read(path: str, limit: int) -> Iterator[bytes]:
    """The bytes of the regular file at *path*, piece by piece. Raises OSError, also where it has more than *limit* bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(None, "it is no regular file")
        while part := os.read(fd, _CHUNK):
            limit -= len(part)
            if limit < 0:
                raise OSError(None, "it is too large")
            yield part
    finally:
        os.close(fd)


def _digest(path: str) -> Digest:
    hasher = hashlib.sha256()
    for part in _read(path, 1 << 40):
        hasher.update(part)
    return Digest("sha256", hasher.hexdigest())


def _output(command: tuple[str, ...], timeout: int, around: Surroundings, *, loud: bool = False) -> Digest:
    """The digest of what *command* writes to standard output; its standard error is the caller's where it is *loud*.

    Raises _Unfinished where it does not end well, and in time.
    """
    import tempfile

    environment = around.environment
    scripts = environment.layout.scripts
    program = find_program(command[0], environment.prefix, scripts=scripts, cwd=around.folder, search="")
    with tempfile.TemporaryDirectory(prefix="sanctity-canary-") as scratch:
        environ = {
            "PATH": f"{environment.prefix}/{scripts}{os.pathsep}{os.defpath}",
            "HOME": scratch,
            "TMPDIR": scratch,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",  # the environment stays as it was verified
            **around.settings,
        }
        start = plan_start(program, command[1:], environment, around.comparison, environ)
        return _run(list(start.argv), start.path, dict(start.environ), around.folder, timeout, loud=loud)


def _run(argv: list[str], path: str, environ: dict[str, str], folder: str, timeout: int, *, loud: bool) -> Digest:
    hasher = hashlib.sha256()
    size = 0
    until = time.monotonic() + timeout
    # Where this process was started with SIGCHLD ignored, the kernel would bury the child and tell nobody how it ended.
    before = signal.getsignal(signal.SIGCHLD)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            argv,
            executable=path,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if loud else subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        signal.signal(signal.SIGCHLD, before)
        raise _Unfinished(f"it can not be started: {error.strerror}") from error
    assert process.stdout is not None
    try:
        os.set_blocking(process.stdout.fileno(), False)
        open_, ended = True, False
        while open_ or not ended:
            if time.monotonic() > until:
                raise _Unfinished(f"it did not end within {timeout:,} s")
            try:
                part = os.read(process.stdout.fileno(), _CHUNK) if open_ else b""
                open_ = bool(part)
            except BlockingIOError:
                part = b""
            hasher.update(part)
            size += len(part)
            if size > _MOST_OUTPUT:
                raise _Unfinished(f"it wrote more than {_MOST_OUTPUT:,} bytes")
            # Not reaped yet, so that its process group keeps its number until whatever is left in it is ended.
            ended = ended or os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            if not part:
                time.sleep(_BEAT)
    finally:
        end_group(process.pid, 0.0, process)
        process.stdout.close()
        signal.signal(signal.SIGCHLD, before)
    if process.returncode:
        how = f"with {process.returncode}" if process.returncode > 0 else f"by signal {-process.returncode}"
        raise _Unfinished(f"the canary ended {how}", ended=True)
    return Digest("sha256", hasher.hexdigest())
