"""Receipts of many processes: one file a process in the folder that ``SANCTITY_RECEIPTS`` names, and one that merges them.

A process writes its own file at the call, after each change and when it ends, under a temporary name that is then renamed. One
that is killed leaves what it wrote last, and its state stays ``running``. Whoever writes merges, so ``receipt.json`` is there
whoever ends last, and `run` need not wait for what it became. `receipts` merges anew, whenever it is asked.

Which process a file is of, and what it is called, are of that one run; the receipts in them are not, and keep their digests.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from stat import S_ISREG
from typing import TYPE_CHECKING

from sanctity import determinism
from sanctity.determinism.receipt import STATUSES, Receipt, plain, times
from sanctity.determinism.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["LAUNCH", "MERGED", "VARIABLE", "Process", "Receipts", "begin", "keep", "receipts"]

#: The variable that names the folder.
VARIABLE = "SANCTITY_RECEIPTS"
#: The names of the merged receipt, and of what `run` says of itself.
MERGED, LAUNCH = "receipt.json", "launch.json"
SCHEMA = "sanctity.receipts/1"
PROCESS_SCHEMA = "sanctity.process/1"
LAUNCH_SCHEMA = "sanctity.launch/1"

_NAME = re.compile(r"process-[0-9]+-[0-9a-f]{8}\.json")
#: Above this many files only the processes at the root merge, when they end: each of them would read all the others.
_MERGED_AT_ONCE = 256
_LARGEST = 1 << 24
#: How often the lock is asked for, every 10 ms.
_PATIENCE = 300
#: What a control is where its library is not there.
_ABSENT = ("pending", "unavailable")
#: What a control is in many processes is the first of these that it is in one: what is wrong, what holds, what is not there.
_WORST = ("overwritten", "refused", "too-late", "not-controllable", "relaxed", "applied", *_ABSENT)


class _Kept:
    """What this process writes: its *folder*, its own *name* there, the *receipt* that is alive, what was *written* last."""

    __slots__ = ("__weakref__", "folder", "name", "parent", "pid", "receipt", "told", "written")

    def __init__(self, folder: str, receipt: Receipt) -> None:
        self.folder = folder
        self.receipt = receipt
        self.become_this_process()

    def become_this_process(self) -> None:
        self.pid, self.parent, self.written, self.told = os.getpid(), os.getppid(), ("", ""), False
        self.name = f"process-{self.pid}-{os.urandom(4).hex()}.json"  # in a container every process may be number 1


_kept: _Kept | None = None


def keep(folder: str, receipt: Receipt) -> None:
    """Write *receipt* as this process's own into *folder*, now, whenever this is called again, and when this process ends.

    Raises:
        sanctity.errors.SanctityError: ``receipts-failed``: it can not be written. Only the first time: a program that is under way
            is told on standard error, and goes on.
    """
    global _kept  # noqa: PLW0603 - a process has one receipt, which is its last call's
    if _kept is not None and _kept.pid == os.getpid() and _kept.folder == os.path.abspath(folder):
        _kept.receipt = receipt
    else:
        first = _kept is None
        _kept = _Kept(os.path.abspath(folder), receipt)
        if first:
            import atexit

            atexit.register(_end)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_after_fork)
    if _kept.written[0]:
        with _told():
            _write(_kept, "running")
    else:
        _write(_kept, "running")


def _end() -> None:
    """Write for the last time, with what was overwritten in the meantime; a failure is told and changes no exit code."""
    if _kept is None or _kept.pid != os.getpid():
        return
    from sanctity.errors import SanctityError

    with _told():
        with contextlib.suppress(SanctityError):
            _kept.receipt.recheck()
        _write(_kept, "ended")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell on standard error what goes wrong in here, once a process, and go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the program is not about its receipt, and goes on or has ended
        if _kept is None or _kept.told:
            return
        _kept.told = True
        with contextlib.suppress(OSError):
            os.write(2, f"sanctity: the receipt was not written: {plain(str(error))}\n".encode("utf-8", "backslashreplace"))


def _after_fork() -> None:
    """In a child: it is another process. `multiprocessing` ends its children past atexit, and runs finalizers of its own."""
    if _kept is None:
        return
    if _kept.pid != os.getpid():
        _kept.become_this_process()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_kept, _finalize_at_exit)


def _finalize_at_exit(_: object) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, _end, exitpriority=0)


def _write(kept: _Kept, state: str) -> None:
    text = kept.receipt.to_json()
    if kept.written == (state, text):
        return
    document = {
        "schema": PROCESS_SCHEMA,
        "state": state,
        "pid": kept.pid,
        "parent": kept.parent,
        "program": _program(),
        "injected": determinism.INJECTED,
        "receipt": json.loads(text),
    }
    try:
        os.makedirs(kept.folder, exist_ok=True)
        _put(f"{kept.folder}/{kept.name}", document)
        if _is_to_merge(kept, state):
            with _alone(kept.folder):
                _put(f"{kept.folder}/{MERGED}", receipts(kept.folder).document())
        kept.written = (state, text)
    except OSError as error:
        raise _failed(kept.folder, error) from error


def _is_to_merge(kept: _Kept, state: str) -> bool:
    """Whether this process merges: among many, one that has ended and was not started by another of them."""
    names = [name for name in os.listdir(kept.folder) if _NAME.fullmatch(name)]
    if len(names) <= _MERGED_AT_ONCE:
        return True
    return state == "ended" and not any(name.startswith(f"process-{kept.parent}-") for name in names)


def _program() -> str:
    """The name of what runs, without its folder and its arguments, which may hold anything."""
    named = sys.argv[0] if getattr(sys, "argv", None) else ""
    return plain(os.path.basename(named) if named not in {"", "-c", "-m"} else named)


def _put(path: str, document: dict[str, Any]) -> None:
    replace_file(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Merge while no other process does, where the file system has locks: else the one that renames last has the say.

    One that is stopped while it merges is not waited for longer than a few seconds.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - not on this platform
        yield
        return
    lock = None
    with contextlib.suppress(OSError):
        lock = os.open(f"{folder}/.lock", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    if lock is None:  # it is somebody else's, or none that can be held
        yield
        return
    try:
        for _ in range(_PATIENCE):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.01)
        yield
    finally:
        # A child that was forked in the meantime has the descriptor as well: the lock would stay as long as the child does.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def _failed(folder: str, error: OSError) -> Exception:
    from sanctity.errors import SanctityError

    words = f"the receipt can not be written: {error.strerror or error}"
    return SanctityError("receipts-failed", words, where=plain(folder), hint=f"let {VARIABLE} name a folder that can be written to")


def begin(folder: str, launch: dict[str, Any]) -> None:
    """Make *folder* ready for the processes of one run: what an earlier one wrote there goes, and *launch* is what started them.

    Raises:
        sanctity.errors.SanctityError: ``receipts-failed``: it can not be written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if _NAME.fullmatch(name) or name in {MERGED, LAUNCH}:
                os.unlink(f"{folder}/{name}")
        _put(f"{folder}/{LAUNCH}", {"schema": LAUNCH_SCHEMA, **launch})
        _put(f"{folder}/{MERGED}", receipts(folder).document())
    except OSError as error:
        raise _failed(folder, error) from error


# -- reading ----------------------------------------------------------------------------------------------------------------------


class Process:
    """One process's part: the *file*, its *pid* and *parent*, the *program*, whether it *ended*, its *receipt*."""

    __slots__ = ("document", "ended", "file", "injected", "parent", "pid", "program", "receipt")

    def __init__(self, file: str, document: dict[str, Any]) -> None:
        for name, kind in (("pid", int), ("parent", int), ("program", str), ("injected", str), ("state", str)):
            if not isinstance(document[name], kind):
                raise TypeError(f"{name} is {document[name]!r}")
        self.file = file
        self.pid: int = document["pid"]
        self.parent: int = document["parent"]
        self.program: str = document["program"]
        self.injected: str = document["injected"]
        self.ended: bool = document["state"] == "ended"
        self.document: dict[str, Any] = document["receipt"]
        self.receipt: Receipt = Receipt.from_json(json.dumps(self.document))
        if document.keys() != {"schema", "state", "pid", "parent", "program", "injected", "receipt"}:
            raise ValueError(f"the names are not those of {PROCESS_SCHEMA}")


class Receipts:
    """What the processes of one run reached, merged: *processes*, what `run` said of the *launch*, and what could not be *read*.

    *rows* has, for each control, the worst status that it has in any process, and how many processes have which. *conflicts* are
    sentences on what should be the same in all processes and is not. *relaxations* are what was switched off on purpose.
    """

    def __init__(
        self, processes: tuple[Process, ...], launch: dict[str, Any] | None = None, unread: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.processes = processes
        self.launch = launch
        self.unread = unread

    @property
    def rows(self) -> tuple[tuple[str, str, dict[str, int]], ...]:
        """(control, worst status, number of processes by status), what is worst first."""
        counts: dict[str, dict[str, int]] = {}
        for process in self.processes:
            for row in process.receipt.rows:
                states = counts.setdefault(row.control, {})
                states[row.status] = states.get(row.status, 0) + 1
        found = [(control, min(states, key=_WORST.index), states) for control, states in counts.items()]
        return tuple(sorted(found, key=lambda row: _WORST.index(row[1])))

    @property
    def conflicts(self) -> tuple[str, ...]:
        """What differs between processes and should not: the seed, the scheme, two processes that are one rank."""
        found = []
        for what in ("seed", "scheme", "version"):
            values: dict[str, list[str]] = {}
            if what == "seed" and self.launch is not None and self.launch.get("seed"):
                values[str(self.launch["seed"])] = ["run"]
            for process in self.processes:
                values.setdefault(str(getattr(process.receipt, what)), []).append(str(process.pid))
            if len(values) > 1:
                found.append(f"{what}: " + "; ".join(f"{value} in {_some(pids)}" for value, pids in sorted(values.items())))
        ranks: dict[str, list[str]] = {}
        for process in self.processes:
            if process.receipt.rank is not None and not process.receipt.child:
                ranks.setdefault(str(process.receipt.rank), []).append(str(process.pid))
        rules: dict[str, list[str]] = {}
        if self.launch is not None and self.launch.get("rules"):
            rules[str(self.launch["rules"])] = ["run"]
        for process in self.processes:
            for digest in dict.fromkeys(each.rules for each in process.receipt.relaxations):
                rules.setdefault(digest, []).append(str(process.pid))
        if len(rules) > 1:
            words = "; ".join(f"{digest} in {_some(pids)}" for digest, pids in sorted(rules.items()))
            found.append(f"rules by which controls were relaxed: {words}")
        found += [f"rank {rank}: it is {len(pids)} processes, {_some(pids)}" for rank, pids in ranks.items() if len(pids) > 1]
        return tuple(found)

    @property
    def relaxations(self) -> tuple[tuple[str, str, int, int], ...]:
        """(control, waiver, how many blocks were entered, in how many processes), sorted."""
        counts: dict[tuple[str, str], list[int]] = {}
        for process in self.processes:
            for each in process.receipt.relaxations:
                counts.setdefault((each.control, each.waiver), []).append(each.count)
        return tuple((*key, sum(found), len(found)) for key, found in sorted(counts.items()))

    def document(self) -> dict[str, Any]:
        """The document ``sanctity.receipts/1``."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "launch": self.launch,
            "conflicts": list(self.conflicts),
            "rows": [{"control": control, "status": status, "processes": states} for control, status, states in self.rows],
            "unread": [{"file": file, "reason": reason} for file, reason in self.unread],
            "processes": [
                {
                    "file": process.file,
                    "pid": process.pid,
                    "parent": process.parent,
                    "program": process.program,
                    "state": "ended" if process.ended else "running",
                    "injected": process.injected,
                    "receipt": process.document,
                }
                for process in self.processes
            ],
        }
        if self.relaxations:  # one without is the document that it was before there were any
            names = ("control", "waiver", "count", "processes")
            document["relaxations"] = [dict(zip(names, each, strict=True)) for each in self.relaxations]
        return document

    def to_json(self) -> str:
        """`document` as text."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        ended = sum(process.ended for process in self.processes)
        lines = [f"{_counted(len(self.processes), 'process', 'processes')}, {ended} seen to end"]
        lines += [f"  conflict  {plain(words)}" for words in self.conflicts]
        lines += [f"  unread    {plain(file)}: {plain(reason)}" for file, reason in self.unread]
        lines += [
            f"  partial   {process.pid} {plain(process.program)}: it still runs, was killed, or became another program"
            for process in self.processes
            if not process.ended
        ]
        names = max((len(control) for control, status, _ in self.rows if status not in _ABSENT), default=0)
        absent = [control for control, status, _ in self.rows if status in _ABSENT]
        for control, status, states in self.rows:
            if control in absent:
                continue
            listed = ", ".join(f"{states[name]} {name}" for name in STATUSES if name in states)
            lines.append(f"  {plain(control):{names}}  {status:16}  {listed}")
        lines += [
            f"  relaxed   {plain(control)} {times(count)} under {plain(waiver)}, in {_counted(held, 'process', 'processes')}"
            for control, waiver, count, held in self.relaxations
        ]
        if absent:
            lines.append(f"  in no process: {', '.join(map(plain, absent))}")
        return "\n".join(lines)

    __repr__ = __str__


def _some(pids: list[str]) -> str:
    return ", ".join(pids[:4]) + (f" and {len(pids) - 4} more" if len(pids) > 4 else "")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def receipts(folder: str | os.PathLike[str]) -> Receipts:
    """The receipts in *folder*, merged; what can not be read is told, and never passed over.

    Raises:
        sanctity.errors.UsageError: ``receipts-not-found``: it is no folder.
    """
    folder = os.fspath(folder)
    try:
        names = sorted(os.listdir(folder), key=lambda name: (int(name.split("-")[1]) if _NAME.fullmatch(name) else 0, name))
    except OSError as error:
        from sanctity.errors import UsageError

        words = f"there are no receipts: {error.strerror}"
        raise UsageError("receipts-not-found", words, where=plain(folder), hint=f"name the folder that {VARIABLE} named") from error
    found, unread = [], []
    for name in names:
        if _NAME.fullmatch(name):
            try:
                found.append(Process(name, _read(f"{folder}/{name}", PROCESS_SCHEMA)))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is one process of which nothing is known
                unread.append((name, f"{type(error).__name__}: {error}"))
    launch = None
    if LAUNCH in names:
        try:
            launch = _read(f"{folder}/{LAUNCH}", LAUNCH_SCHEMA)
        except Exception as error:  # noqa: BLE001 - as above
            unread.append((LAUNCH, f"{type(error).__name__}: {error}"))
    return Receipts(tuple(found), launch, tuple(unread))


def _read(path: str, schema: str) -> dict[str, Any]:
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)), "rb") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no file")
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("it is too long")
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise ValueError(f"it is no document {schema}")
    return document
