"""What `prove` puts before every Python of a run that needs it: the order of listings varied, and sources of chance held.

It is copied as ``sitecustomize.py`` to a folder that ``PYTHONPATH`` names, beside `start_hook` and `arrival`, and does what
``SANCTITY_REPEATS`` says, parts between semicolons: ``file-order=reversed``, ``entropy``, ``time=SECONDS``, ``pid``,
``scheduling``, ``watch``, ``clock``. It is imported by `site`, so not under ``-I``, ``-E`` or ``-S``; so that it is known whether
it was, each process leaves a file in the folder ``marks`` beside its own. It takes itself out of ``sys.path`` and lets the
environment's own ``sitecustomize`` run as if nothing stood before it. It may meet any Python, so it needs nothing newer than 3.7.
What it puts into modules are objects and not functions, which as the attribute of a class would become methods, as the built-in
ones that they stand for do not.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["start"]

_NAME = "sitecustomize"
_VARIABLE = "SANCTITY_REPEATS"
#: By how much a held clock moves each time that it is asked, in nanoseconds.
_STEP = 1_000_000
#: Threads take turns after so many seconds. Whoever starts one, or gives it a task, waits for its end so many seconds at most, and
#: no more where the process did nothing in so many looks of so many seconds: it waits for something then.
_TURN = 60.0
_ALONE = 10.0
_IDLE = 4
_LOOK = 0.1
#: What is heard of files that are opened or named.
_EVENTS = frozenset(("open", "os.rename", "os.link", "sqlite3.connect"))
#: So many files that are read are noted.
_MOST_READ = 10_000
#: Whose waits would never end by a clock that stands still.
_WAITERS = ("trio", "anyio", "gevent", "eventlet", "psutil")


class _Plain:
    """A callable that stands for a built-in function."""

    def __init__(self, call: Callable[..., Any], name: str) -> None:
        self._call = call
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)


def start(here: str) -> None:
    """Do what the variable says, then run the environment's own ``sitecustomize``; *here* is the folder of this module."""
    # Not names of ours: both lie beside this module in its folder, which is on sys.path only now.
    names = ("sanctity_start_hook", "sanctity_arrival")
    hook, arrival = (__import__(name) for name in names)
    for name in names:
        del sys.modules[name]
    try:
        _apply(here, arrival)
    finally:
        hook.chain(here)


def _apply(here: str, arrival: Any) -> None:
    wanted = dict(part.partition("=")[::2] for part in os.environ.get(_VARIABLE, "").split(";") if part)
    if not wanted:
        return
    number = _mark(here)
    if "watch" in wanted:
        _watch(here)
    if "clock" in wanted:
        _wait_otherwise()
    if "file-order" in wanted:
        _order_files(wanted["file-order"])
    if "scheduling" in wanted:
        _hold_turns()
    if "entropy" in wanted:
        _hold_entropy(number, arrival)
    if "time" in wanted:
        _hold_time(int(wanted["time"]))
    if "pid" in wanted:
        _hold_pid(number)


def _mark(here: str) -> int:
    """Leave a mark, and give a number that is this process's own and the same in every run.

    It is made of its command line, and of how many had the same before.
    """
    from binascii import crc32

    try:
        with open("/proc/self/cmdline", "rb") as file:
            line = crc32(file.read())
    except OSError:
        line = 0
    for number in range(1 << 16):
        try:
            os.close(os.open(f"{here[: -len('/hook')]}/marks/{line:08x}-{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        except OSError:
            break
        return line << 16 | number
    return line << 16


# -- what is read and written ------------------------------------------------------------------------------------------------------


def _watch(here: str) -> None:
    """Note which files outside of the private folder are opened to be read or written, or come by their name (PEP 578).

    Each is noted once for each, ``r`` or ``w``, in this order of events, by the path that links on the way to it lead to.
    """
    if not hasattr(sys, "addaudithook"):
        return
    from os.path import abspath, realpath

    private = os.fsencode(here[: -len("hook")])
    notes = private + b"marks/watched"
    own = tuple(os.fsencode(each) + b"/" for each in {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)})
    writing = os.O_WRONLY | os.O_RDWR
    read, written = set(), set()  # type: ignore[var-annotated]

    def note(kind: bytes, path: Any, seen: set[bytes]) -> None:
        full = abspath(os.fsencode(path))
        if full in seen or full == notes or (kind == b"r" and (full.startswith(own) or full.endswith(b".pyc"))):
            return
        seen.add(full)
        real = realpath(full)
        if not real.startswith(private) and (kind == b"w" or os.path.isfile(real)):
            number = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(number, kind + real + b"\0")
            os.close(number)

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        try:
            if event == "open":
                path, flags = args[0], args[2]
                if flags & writing != os.O_WRONLY and not flags & os.O_TRUNC and len(read) < _MOST_READ:
                    note(b"r", path, read)
                if flags & writing:
                    note(b"w", path, written)
            elif event == "sqlite3.connect":
                note(b"r", args[0], read)
                note(b"w", args[0], written)
            else:
                note(b"w", args[1], written)
        except (OSError, TypeError, ValueError):
            return  # it is a number of an open file, or the working folder is gone: what is raised here the program would meet

    sys.addaudithook(look)


# -- the order of listings ---------------------------------------------------------------------------------------------------------


class _Scan:
    """What `os.scandir` gives, of entries that were read already."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Scan:  # noqa: PYI034 - Self is newer than this module's oldest Python
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _order_files(how: str) -> None:
    """Have `os.listdir` and `os.scandir` list in another order, and with them `os.walk`, `glob` and `pathlib`."""
    from binascii import crc32

    listdir, scandir = os.listdir, os.scandir
    key = crc32(how.encode())

    def order(items: list[Any], name: Callable[[Any], Any]) -> list[Any]:
        if how == "reversed":
            items.reverse()
        else:
            items.sort(key=lambda item: hash((crc32(os.fsencode(name(item))), key)))
        return items

    def listed(path: Any = None) -> list[Any]:
        return order(listdir(path), lambda name: name)

    def scanned(path: Any = None) -> _Scan:
        with scandir(path) as entries:
            return _Scan(order(list(entries), lambda entry: entry.name))

    new = {"listdir": _Plain(listed, "listdir"), "scandir": _Plain(scanned, "scandir")}
    for name, value in new.items():
        if getattr(os, name) in os.supports_fd:
            os.supports_fd.add(value)
        setattr(os, name, value)
    # A line of a .pth file may have imported what keeps the functions of its own.
    for module, holder in (("pathlib", "_NormalAccessor"), ("glob", "_StringGlobber")):
        kept = getattr(sys.modules.get(module), holder, None)
        for name, value in new.items():
            if hasattr(kept, name):
                setattr(kept, name, value)


# -- the order of threads ----------------------------------------------------------------------------------------------------------


def _hold_turns() -> None:
    """Have threads run one after another where they can: whoever starts one waits a while, and it keeps its turn until it waits.

    Nothing waits for ever: of threads that wait for each other each goes on in time.
    """
    import concurrent.futures
    import threading
    import time
    from concurrent.futures import thread as pools

    start_it, submit_it = threading.Thread.start, pools.ThreadPoolExecutor.submit
    clock, worked = time.monotonic, time.process_time

    def wait(ended: Callable[[float], bool]) -> None:
        until, before, idle = clock() + _ALONE, worked(), 0
        while not ended(_LOOK) and idle < _IDLE and clock() < until:
            before, idle = worked(), idle + 1 if worked() - before < _LOOK / 100 else 0

    def ended(thread: threading.Thread, look: float) -> bool:
        thread.join(look)
        return not thread.is_alive()

    def start(self: threading.Thread) -> None:
        start_it(self)
        # Those of a pool wait for tasks, and those of `multiprocessing` for what other processes say.
        if not getattr(getattr(self, "_target", None), "__module__", "").startswith(("concurrent.", "multiprocessing.")):
            wait(lambda look: ended(self, look))

    def submit(self: Any, *args: Any, **kwargs: Any) -> Any:
        future = submit_it(self, *args, **kwargs)
        wait(lambda look: bool(concurrent.futures.wait([future], look).done))
        return future

    threading.Thread.start = start  # type: ignore[method-assign]
    pools.ThreadPoolExecutor.submit = submit  # type: ignore[method-assign, assignment]
    told = [sys.getswitchinterval()]
    sys.setswitchinterval(_TURN)

    def tell(interval: float) -> None:
        told[0] = interval

    sys.setswitchinterval = _Plain(tell, "setswitchinterval")
    sys.getswitchinterval = _Plain(lambda: told[0], "getswitchinterval")


# -- entropy -----------------------------------------------------------------------------------------------------------------------


def _hold_entropy(number: int, arrival: Any) -> None:
    """Have what asks the system for randomness get a stream of this process's own, which is the same in every run."""
    import _random
    import random

    state = {"key": number, "forks": 0, "stream": _random.Random(number)}

    def take(size: int) -> bytes:
        if size < 0:
            raise ValueError("negative argument not allowed")
        return state["stream"].getrandbits(8 * size).to_bytes(size, "little") if size else b""  # type: ignore[attr-defined]

    os.urandom = _Plain(take, "urandom")
    if hasattr(os, "getrandom"):
        os.getrandom = _Plain(lambda size, flags=0: take(size), "getrandom")  # noqa: ARG005 - as it is called
    random._urandom = os.urandom  # type: ignore[attr-defined]  # noqa: SLF001 - secrets and SystemRandom take it from there
    seed_it = random.Random.seed

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        seed_it(self, int.from_bytes(take(32), "little") if a is None else a, version)

    random.Random.seed = seed  # type: ignore[method-assign]
    instance = random._inst  # noqa: SLF001 - what the module's functions are methods of
    random.seed = instance.seed
    instance.seed()

    def before() -> None:
        state["forks"] += 1  # type: ignore[operator]

    def after() -> None:
        # After that of random itself, which takes new entropy in the child; this one is the later to be registered, so it is last.
        state["key"] = hash((state["key"], state["forks"]))
        state["forks"], state["stream"] = 0, _random.Random(state["key"])
        instance.seed()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_child=after)

    def seed_library(name: str) -> None:
        # It asks the system in machine code: seeded before whoever imports it can draw.
        library: Any = sys.modules[name]
        for attribute in seeds[name]:
            library = getattr(library, attribute, None)
        if library is not None:
            library(number % (1 << 31))

    seeds = {"torch": ("manual_seed",), "tensorflow": ("random", "set_seed")}
    arrival.await_modules(dict.fromkeys(seeds, seed_library))


# -- time --------------------------------------------------------------------------------------------------------------------------


def _hold_time(base: int) -> None:
    """Have the clocks of every thread begin at *base*, in seconds, move by a step when they are asked, and by what it sleeps."""
    import time
    from _thread import _local

    local: Any = _local()
    first = base * 1_000_000_000
    sleep = time.sleep
    real = {name: getattr(time, name) for name in ("monotonic", "perf_counter", "monotonic_ns", "perf_counter_ns")}

    def now() -> int:
        local.now = at = getattr(local, "now", first) + _STEP
        return at

    def passed(duration: float) -> None:
        sleep(duration)
        local.now = getattr(local, "now", first) + int(duration * 1e9)

    def put(name: str, call: Callable[..., Any]) -> None:
        if hasattr(time, name):
            setattr(time, name, _Plain(call, name))

    def seconds() -> float:
        return now() / 1e9

    def since() -> float:
        return (now() - first) / 1e9

    def since_ns() -> int:
        return now() - first

    put("sleep", passed)
    put("time", seconds)
    put("time_ns", now)
    for name in ("process_time", "thread_time"):
        put(name, since)
        put(name + "_ns", since_ns)
    for name, call in real.items():
        held: Callable[[], float] = since_ns if name.endswith("_ns") else since
        # Who waits by a clock has to see it move: the standard library, and what else runs loops of its own.
        put(name, lambda call=call, held=held: call() if _waits(sys._getframe(2)) else held())  # noqa: SLF001
    for name in ("localtime", "gmtime", "ctime"):
        told = getattr(time, name)
        put(name, lambda secs=None, told=told: told(seconds() if secs is None else secs))
    localtime, strftime, asctime = time.localtime, time.strftime, time.asctime
    put("strftime", lambda form, t=None: strftime(form, localtime() if t is None else t))
    put("asctime", lambda t=None: asctime(localtime() if t is None else t))
    for name, call in (("clock_gettime", seconds), ("clock_gettime_ns", now)):
        if hasattr(time, name):
            asked = getattr(time, name)
            put(name, lambda clock, asked=asked, call=call: call() if clock == time.CLOCK_REALTIME else asked(clock))
    _hold_dates(seconds)
    import uuid

    # It asks a clock of its own; before 3.9 it looks for that when it is called, unless it has.
    uuid._generate_time_safe = None  # type: ignore[attr-defined]  # noqa: SLF001
    uuid._has_uuid_generate_time_safe = False  # type: ignore[attr-defined]  # noqa: SLF001


def _waits(frame: Any) -> bool:
    """Whether *frame* is of code that waits by the clock."""
    file = frame.f_code.co_filename
    if file.startswith("<frozen"):
        return True
    if file.startswith(_STDLIB) and "-packages/" not in file:
        return True
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _WAITERS


_STDLIB = os.path.dirname(os.__file__) + "/"


def _wait_otherwise() -> None:
    """Have programs sleep under libfaketime, which takes the end of a sleep for a time of the shifted clock (0.9.10)."""
    import errno
    import select
    import time

    sleep = time.sleep

    def slept(duration: float) -> None:
        try:
            sleep(duration)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            select.select([], [], [], duration)

    time.sleep = _Plain(slept, "sleep")


def _hold_dates(seconds: Callable[[], float]) -> None:
    import datetime as dt

    real_date, real_datetime = dt.date, dt.datetime

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, originals.get(cls, ())) or type.__instancecheck__(cls, instance)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, originals.get(cls, ())) or type.__subclasscheck__(cls, subclass)

    class date(dt.date, metaclass=Kind):  # noqa: N801 - it stands for that one
        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(seconds())

    class datetime(dt.datetime, metaclass=Kind):  # noqa: N801 - it stands for that one
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(seconds(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(seconds(), dt.timezone.utc).replace(tzinfo=None)  # noqa: UP017 - UTC is newer

        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(seconds())

    originals: dict[type, Any] = {date: real_date, datetime: real_datetime}
    for new, old in originals.items():
        new.__module__, new.__qualname__, new.__doc__ = old.__module__, old.__qualname__, old.__doc__
        setattr(dt, old.__name__, new)


# -- the number of the process -----------------------------------------------------------------------------------------------------


def _hold_pid(number: int) -> None:
    """Have programs see numbers of processes that are the same in every run; the standard library uses the real ones."""
    getpid, kill = os.getpid, os.kill
    state = {"key": number, "forks": 0}

    def held() -> int:
        return (1 << 22) + hash((state["key"], 1)) % (1 << 20)  # above the greatest that Linux gives (proc_sys_kernel(5), pid_max)

    def asked() -> int:
        return getpid() if _waits(sys._getframe(2)) else held()  # noqa: SLF001

    def sent(pid: int, signal: int) -> None:
        kill(getpid() if pid == held() else pid, signal)

    def before() -> None:
        state["forks"] += 1

    def after() -> None:
        state["key"], state["forks"] = abs(hash((state["key"], state["forks"]))), 0

    os.getpid, os.kill = _Plain(asked, "getpid"), _Plain(sent, "kill")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_child=after)


if __name__ == _NAME:
    start(os.path.dirname(__file__))
