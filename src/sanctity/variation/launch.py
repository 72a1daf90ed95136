"""How one run is started: what its setting makes of the caller's environment, and of the process that becomes its program."""

from __future__ import annotations

import contextlib
import marshal
import os
import py_compile
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.errors import SanctityError
from sanctity.processes import Done, end_strays, run_command, started_at
from sanctity.variation.catalogue import SETS, THREADS
from sanctity.variation.place import no_room

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from sanctity.model.repeats import Setting
    from sanctity.scratch import Scratch
    from sanctity.variation.catalogue import Machine

__all__ = ["HOOK", "MARK", "Start", "Watched", "handed_on", "place_hook", "run_start", "start_of", "watched", "written"]

#: The variable by which what a run left behind is known for its own, and that which tells the hook what to do.
MARK: Final = "SANCTITY_PLACE"
_TELLS: Final = "SANCTITY_REPEATS"
_HERE: Final = os.path.dirname(os.path.abspath(__file__))
#: The modules of the hook, and the files that they are copied from.
HOOK: Final = {
    "sitecustomize": f"{_HERE}/hook.py",
    "sanctity_start_hook": f"{os.path.dirname(_HERE)}/determinism/start_hook.py",
    "sanctity_arrival": f"{os.path.dirname(_HERE)}/determinism/arrival.py",
}
_MOST_BURNERS: Final = 8
#: Where files pass away, and names of folders and files that are kept for the next program alone.
_PASSING: Final = ("/tmp", "/var/tmp", "/dev", "/proc", "/sys", "/run")  # noqa: S108 - nothing is written there
_KEPT: Final = re.compile(r"/\.|cache|site-packages|dist-packages|\.pyc|\.lock$", re.IGNORECASE).search
#: What a program may read that another one wrote: bytecode, locks, lists of fonts, and what the kernel writes.
_HARMLESS: Final = re.compile(r"\.py[co]$|/__pycache__/|\.lock$|/matplotlib/fontlist|/fontconfig/|^/(proc|sys|dev/(?!shm/))").search
_PADDING: Final = "SANCTITY_PADDING"


@dataclass(slots=True, kw_only=True)
class Start:
    """What a run is started with: names of folders below the private one for its *work*, *home* and *tmp*, and the rest.

    *random* says whether addresses are, None leaves them. *hook* are the parts that the hook is told.
    """

    environ: dict[str, str]
    work: str = "w"
    home: str = "h"
    tmp: str = "t"
    umask: int | None = None
    random: bool | None = None
    cpus: tuple[int, ...] = ()
    batch: bool = False
    busy: int = 0
    hook: list[str] = field(default_factory=list)
    reverse: bool = False


def start_of(setting: Setting, environ: Mapping[str, str], machine: Machine, when: int, *, faked: bool = False) -> Start:
    """What a run of *setting* is started with; *when* is the time that is held, in seconds since 1970.

    With *faked* libfaketime holds it. It is not asked to where the hook does: it moves the memory of a process in ways of its own.
    """
    start = Start(environ=dict(environ), hook=["watch"])  # in each: where objects lie depends on what is imported
    own = start.environ
    own.pop("OLDPWD", None)
    if not environ.get("PYTHONHASHSEED", "").isdecimal() and not environ.get("SANCTITY_SEED"):
        own["PYTHONHASHSEED"] = "0"
    if not machine.aslr:
        start.random = False
    for name, value in setting:
        _vary(name, value, start, machine, when, faked=faked)
    return start


def _vary(name: str, value: str, start: Start, machine: Machine, when: int, *, faked: bool) -> None:
    own = start.environ
    other = "here" not in value
    if name in {"entropy", "time", "pid", "scheduling"} and value != "held":
        return
    match name:
        case "hash-seed":
            own["PYTHONHASHSEED"] = value
        case "aslr":
            start.random = value == "on"
        case "tz":
            own["TZ"] = value
        case "locale":
            own["LC_ALL"] = value
        case "cwd":
            start.work = {"another path": "elsewhere", "a longer path": "of-another-length/" + "x" * 40}.get(value, start.work)
        case "home":
            start.home = "another-home" if other else start.home
        case "tmpdir":
            start.tmp = "tmp-2" if other else start.tmp
        case "umask":
            start.umask = int(value, 8)
        case "file-order":
            start.hook.append(f"file-order={value}")
        case "environment":
            own[_PADDING] = "x" * int(value.partition(" ")[0].replace(",", ""))
            start.reverse = value.endswith("reversed")
        case "load":
            start.busy = min(_MOST_BURNERS, len(machine.cpus) or 1) if value == "busy" else 0
        case "clock":
            own.update(_faked(own, machine, value))
            start.hook.append(name)
        case "threads":
            own.update(dict.fromkeys(THREADS, value))
        case "cpus":
            start.cpus = tuple(map(int, value.split(",")))
        case "instruction-set":
            own.update(SETS[value])
        case "entropy" | "pid":
            start.hook.append(name)
        case "time":
            start.hook.append(f"time={when}")
            if faked and machine.faketime:
                own.update(_faked(own, machine, f"{when}") | {"FAKETIME_FMT": "%s"})
        case "scheduling":
            start.hook.append(name)
            start.cpus = machine.cpus[:1]
            start.batch = hasattr(os, "SCHED_BATCH")
            own.update(dict.fromkeys(THREADS, "1"))
        case _:
            raise AssertionError(f"no variation is called {name}")


def _faked(own: Mapping[str, str], machine: Machine, value: str) -> dict[str, str]:
    before = own.get("LD_PRELOAD", "")
    return {
        "LD_PRELOAD": f"{machine.faketime}:{before}" if before else machine.faketime,
        "FAKETIME": value,
        # A wait by a clock that was shifted in the middle of it never ends.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
        # With the times of files moved as well Python would take its bytecode for another source's, and write it again.
        "NO_FAKE_STAT": "1",
    }


def place_hook(home: str) -> None:
    """Put the hook into the private folder *home*. Raises OSError."""
    os.mkdir(f"{home}/hook")
    os.mkdir(f"{home}/marks")
    for name, source in HOOK.items():
        shutil.copyfile(source, f"{home}/hook/{name}.py")
        # Another Python compiles it for itself; where none may write bytecode, at each start.
        py_compile.compile(f"{home}/hook/{name}.py", doraise=True)


def run_start(
    command: Sequence[str],
    program: str,
    start: Start,
    scratch: Scratch,
    *,
    cwd: str,
    mark: str,
    stdout: str = "",
    timeout: int = 0,
) -> tuple[Done, bool]:
    """Run *command*, whose program is *program*, in the folder *cwd*, and whether the hook reached a Python, where there is one.

    What it leaves is ended with it: it has *mark* in its environment.

    Raises:
        SanctityError: ``command-not-executable``; ``repeats-not-set``, the system does not let it be started so;
            ``repeats-no-room``.
    """
    home = scratch.home
    environ = start.environ | {MARK: mark}
    marks = f"{home}/marks"
    if start.hook:
        before = environ.get("PYTHONPATH", "")
        environ["PYTHONPATH"] = f"{home}/hook{os.pathsep}{before}" if before else f"{home}/hook"
        environ[_TELLS] = ";".join(start.hook)
        for name in os.listdir(marks):
            os.unlink(f"{marks}/{name}")
    pairs = [(os.fsencode(name), os.fsencode(value)) for name, value in environ.items()]
    what = {
        "argv": [os.fsencode(word) for word in command],
        "program": os.fsencode(program),
        "environ": pairs[::-1] if start.reverse else pairs,
        "cwd": os.fsencode(cwd),
        "umask": start.umask,
        "random": start.random,
        "cpus": list(start.cpus),
        "batch": start.batch,
        "stdout": os.fsencode(stdout),
        "parent": os.getpid(),
    }
    path = f"{home}/start-{os.path.basename(mark)}"
    try:
        with open(path, "wb") as file:
            marshal.dump(what, file)
    except OSError as error:
        raise no_room(error, home) from error
    line = [sys.executable, "-I", "-S", "-B", f"{_HERE}/launcher.py", path]
    began: list[str] = []
    with scratch.noting() as note, _busy(start.busy):
        try:
            done = run_command(
                line, program=sys.executable, environ=_for_launcher(environ), cwd=home, timeout=timeout, started=_both(note, began)
            )
        finally:
            end_strays(MARK, mark, below=mark, since="".join(began))
    with contextlib.suppress(FileNotFoundError), open(f"{path}.failed", encoding="utf-8") as file:
        doing, _, words = file.read().partition("\n")
        os.unlink(f"{path}.failed")
        if doing:
            raise SanctityError("repeats-not-set", f"{doing}: {words}", where=command[0], hint="leave that variation alone: --hold")
        raise SanctityError(
            "command-not-executable", f"it can not be started: {words}", where=command[0], hint=f"try it: {program}"
        )
    return done, bool(start.hook) and bool(os.listdir(marks))


class Watched(NamedTuple):
    """Files outside of the private folder that Pythons of a run *wrote*, and *read* before they wrote them, if they did."""

    wrote: frozenset[str]
    read: frozenset[str]


def watched(home: str) -> Watched:
    """What the Pythons of the last run wrote and read, by real paths; *home* is the private folder."""
    try:
        with open(f"{home}/marks/watched", "rb") as file:
            rows = file.read().split(b"\0")[:-1]
    except FileNotFoundError:
        rows = []
    first: dict[str, str] = {}
    wrote = set()
    for row in rows:
        kind, path = chr(row[0]), os.fsdecode(row[1:])
        first.setdefault(path, kind)
        if kind == "w":
            wrote.add(path)
    return Watched(wrote=frozenset(wrote), read=frozenset(path for path, kind in first.items() if kind == "r"))


def written(paths: Iterable[str], since: float, caller: Mapping[str, str]) -> tuple[str, ...]:
    """Those of *paths* that are files which were changed *since* a time in seconds, sorted.

    What is meant to stay between programs, or to vanish, is nobody's output: temporary files, caches, and what is hidden.
    """
    passing = tuple(f"{os.path.realpath(folder)}/" for folder in (*_PASSING, caller.get("TMPDIR") or "/tmp"))  # noqa: S108
    return tuple(sorted(path for path in paths if not path.startswith(passing) and not _KEPT(path) and _changed(path) >= since))


def _both(note: Callable[[int], None], began: list[str]) -> Callable[[int], None]:
    """What *note* does with the number of a process, and when that was started, put into *began*."""

    def started(number: int) -> None:
        note(number)
        began.append(started_at(number))

    return started


def handed_on(paths: Iterable[str], wrote: Container[str], since: float, until: float) -> tuple[str, ...]:
    """Those of *paths*, which a run read, that an earlier one *wrote*, or that were changed between two times; sorted.

    Whatever they are, a result can come from there. What compilers and lists of fonts keep is no part of one.
    """
    return tuple(
        sorted(
            path
            for path in paths
            if not _HARMLESS(path) and (when := _changed(path, empty=False)) and (path in wrote or since < when < until)
        )
    )


def _changed(path: str, *, empty: bool = True) -> float:
    """When the file at *path* was changed last; 0 where there is none, or an *empty* one does not count."""
    try:
        state = os.lstat(path)
    except OSError:
        return 0.0
    return state.st_mtime if stat.S_ISREG(state.st_mode) and (empty or state.st_size) else 0.0


def _for_launcher(environ: Mapping[str, str]) -> dict[str, str]:
    """What the launcher's own Python needs to start, and by which it is known."""
    return {name: value for name, value in environ.items() if name in {MARK, "LD_LIBRARY_PATH", "PATH"}}


@contextlib.contextmanager
def _busy(number: int) -> Iterator[None]:
    """In this context *number* processes keep the machine busy."""
    line = [sys.executable, "-I", "-S", "-B", f"{_HERE}/burner.py", str(os.getpid())]
    burners: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(number):
            burners.append(  # noqa: PERF401 - those that were started are ended where the next can not be
                subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()
