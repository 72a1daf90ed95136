"""Every file of a tree, found and hashed at once.

The parent walks and hands batches of names to children (`hasher`) while it goes on walking; a batch, never a file, is the unit of
work, since handing over costs more than hashing a small file. Answers are fixed-size records. Large files come back unread and
are started first. Small trees are read in place, as starting a child would take longer; while files come from the disk and not
from memory, more children read than there are processors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sanctity.errors import ObservationError
from sanctity.model.environment import FileEntry, FileKind, Problem
from sanctity.observe import hasher

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from sanctity.model.environment import KnownFile

__all__ = ["STALL", "Tree", "default_workers", "read_each", "walk"]

_BATCH: Final = 192
#: So many batches are with a child at a time, so that it has work while we are busy elsewhere; near the end fewer, so that no
#: child is left with what another could have done.
_IN_FLIGHT: Final = 6
_LAST_IN_FLIGHT: Final = 2
#: Two children read a batch in about the time that it takes to ask so many folders whether they changed.
_FOLDERS: Final = 500
#: While the disk is slower than the processors, so many times as many children read.
_MOST_READERS: Final = 4
#: Trees with fewer files than this are read in place.
_SMALL: Final = 700
#: A child that gives no sign of life for this long is given up, and what it was asked is unread. Seconds.
STALL: Final = 60.0
#: How long to wait for answers before looking again at what is still to be sent, and at who has stalled. Seconds.
_PATIENCE: Final = 1.0

_FILE, _LINK = FileKind.FILE, FileKind.LINK
_ERRNO: Final = errno.errorcode
_make: Final = tuple.__new__
_NOTHING: Final[Mapping[str, KnownFile]] = MappingProxyType({})

#: Modes of `hasher` that follow a symbolic link, and those that tell the header of bytecode.
_THROUGH_LINKS: Final = "lkC"
_OF_CODE: Final = "bkcC"

#: Files to be read in one way: a mode of `hasher`, and their paths.
_Batch = tuple[str, list[str]]


@dataclass(slots=True)
class Tree:
    """What a walk found, as it grows: *files* by path, the paths of ELF files, *problems*, and the bytes read and hashed.

    *cached* is how many files were known already, and not read.
    """

    files: dict[str, FileEntry] = field(default_factory=dict)
    elves: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    bytes: int = 0
    read: int = 0
    cached: int = 0


def default_workers() -> int:
    """As many children as there are processors this process may use, at most eight."""
    try:
        return max(1, min(8, len(os.sched_getaffinity(0))))
    except AttributeError:  # pragma: no cover - not on this platform
        return max(1, min(8, os.cpu_count() or 1))


class _Child:
    __slots__ = ("outgoing", "pending", "process", "received", "since")

    def __init__(self, folder: str) -> None:
        script = os.path.abspath(hasher.__file__)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", script, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdin.fileno(), False)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.pending: list[_Batch] = []
        self.outgoing = bytearray()
        self.received = bytearray()
        self.since = 0.0

    def send(self) -> None:
        """Send what the pipe takes now: a child that does not read must not hold us up. Raises OSError where it is dead."""
        assert self.process.stdin is not None
        try:
            while self.outgoing:
                del self.outgoing[: os.write(self.process.stdin.fileno(), self.outgoing)]
        except BlockingIOError:
            return


class _Readers:
    """The children and the batches on their way; `take` is called with each answered file."""

    def __init__(
        self,
        folder: str,
        tree: Tree,
        workers: int,
        clock: Callable[[], float],
        tick: Callable[[int, int], None],
        stall: float = STALL,
        known: Mapping[str, KnownFile] = _NOTHING,
        *,
        code: bool = False,
    ) -> None:
        self.folder = folder
        self.code = "c" if code else "b"
        self.known = known
        self.tree = tree
        self.workers = workers
        self.clock = clock
        self.tick = tick
        self.stall = stall
        self.looked = 0.0
        self.queue: list[_Batch] = []
        self.large: list[tuple[int, str]] = []
        self.children: list[_Child] = []
        self.selector: selectors.BaseSelector | None = None
        self.buffer = memoryview(bytearray(1 << 18))
        self.waiting = 0
        self.queued = 0

    def put(self, mode: str, paths: list[str]) -> None:
        self.queue.append((mode, paths))
        self.queued += len(paths)
        if self.selector is None and self.queued >= _SMALL and self.workers and sys.executable and os.path.isfile(hasher.__file__):
            self.selector = selectors.DefaultSelector()
            for _ in range(self.workers):
                self._start()
        self.pump()

    def _start(self) -> None:
        assert self.selector is not None
        try:
            child = _Child(self.folder)
        except OSError as error:
            raise ObservationError("worker-failed", f"can not start a reading process: {error}", where=self.folder) from error
        assert child.process.stdout is not None
        self.selector.register(child.process.stdout, selectors.EVENT_READ, child)
        self.children.append(child)

    def _reinforce(self) -> None:
        """Start one more child, since those there are wait for the disk and not for a processor."""
        if self.queue and len(self.children) < _MOST_READERS * self.workers:
            with contextlib.suppress(ObservationError):  # then it is read by those there are
                self._start()

    def _next(self) -> _Batch | None:
        if self.large:
            return "F", [self.large.pop()[1]]
        return self.queue.pop() if self.queue else None

    def _feed(self) -> None:
        most = _IN_FLIGHT if len(self.queue) > _IN_FLIGHT * len(self.children) else _LAST_IN_FLIGHT
        for child in list(self.children):
            while len(child.pending) < most:
                batch = self._next()
                if batch is None:
                    return
                mode, paths = batch
                request = os.fsencode(mode + "\0".join(paths))
                if not child.pending:
                    child.since = self.clock()
                child.pending.append(batch)
                self.waiting += 1
                child.outgoing += hasher.LENGTH.pack(len(request)) + request
                try:
                    child.send()
                except OSError:
                    self._bury(child, "the reading process died")
                    break

    def _collect(self, timeout: float) -> None:
        assert self.selector is not None
        for key, _ in self.selector.select(timeout):
            child: _Child = key.data
            try:
                data = os.read(key.fd, 1 << 16)
            except BlockingIOError:  # pragma: no cover - select said otherwise
                continue
            if not data:
                self._bury(child, "the reading process died")
                continue
            child.received += data
            child.since = self.clock()
            sign = hasher.ANSWER.size
            while child.pending:
                while len(child.received) >= sign and child.received[0] in {hasher.READING, hasher.WAITED}:
                    if child.received[0] == hasher.WAITED:
                        self._reinforce()
                    del child.received[:sign]
                mode, paths = child.pending[0]
                form = hasher.answer_of(mode)
                size = form.size
                if len(child.received) < len(paths) * size:
                    break
                del child.pending[0]
                self.waiting -= 1
                answers = form.iter_unpack(bytes(child.received[: len(paths) * size]))
                del child.received[: len(paths) * size]
                self._take_all(mode, paths, answers)
            self.tick(self.tree.read, self.queued)
        now = self.clock()
        held = now - self.looked > timeout + self.stall / 2
        self.looked = now
        for child in list(self.children):
            if held:
                child.since = now  # it was we who were stopped, and most likely the children with us
            elif child.pending and now - child.since > self.stall:
                self._bury(child, f"no answer for {self.stall:.0f} s")
                continue
            try:
                child.send()
            except OSError:
                self._bury(child, "the reading process died")

    def _bury(self, child: _Child, reason: str) -> None:
        """Give a child up: what it was asked is unread, and so undecided. The others go on, or a new one does."""
        assert self.selector is not None
        assert child.process.stdout is not None
        self.selector.unregister(child.process.stdout)
        self.children.remove(child)
        _end(child)
        for mode, paths in child.pending:
            self.waiting -= 1
            kind = _LINK if mode in _THROUGH_LINKS else _FILE
            for path in paths:
                self.tree.files[path] = FileEntry(path, kind, 0, b"", 0, 0, problem="unread")
                self.tree.problems.append(Problem("unreadable", path, reason))
        if not self.children:
            self._start()

    def _take_all(self, mode: str, paths: list[str], answers: Iterable[Any]) -> None:
        """Take the answers to one batch; nearly all are plain files that were read, which are taken here and now."""
        if mode == "s":
            self._take_known(paths, answers)
            return
        kind = _LINK if mode in _THROUGH_LINKS else _FILE
        tree = self.tree
        files = tree.files
        read = total = 0
        for path, answer in zip(paths, answers, strict=True):
            status, elf, _, links, size, mtime, digest = answer
            if status or mode in _OF_CODE:
                self.take(path, kind, mode, answer)
                continue
            if elf:
                tree.elves.append(path)
            files[path] = _make(FileEntry, (path, kind, size, digest, mtime, links, b"", "", ""))
            total += size
            read += 1
        tree.bytes += total
        tree.read += read

    def _take_known(self, paths: list[str], answers: Iterable[Any]) -> None:
        """Take over what is known of the files that are still the same; the others are to be read."""
        tree = self.tree
        stale: dict[str, list[str]] = {"f": [], self.code: []}
        for path, (status, _, _, _, size, mtime, mark) in zip(paths, answers, strict=True):
            known = self.known[path]
            entry = known.entry
            if status or mark != known.mark or mtime != entry[4] or size != entry[2]:
                stale[self.code if _is_code(path) else "f"].append(path)
                continue
            tree.files[path] = entry
            tree.cached += 1
            if known.elf:
                tree.elves.append(path)
        self.queue.extend((mode, batch) for mode, batch in stale.items() if batch)

    def take(self, path: str, kind: FileKind, mode: str, answer: tuple[int, int, int, int, int, int, bytes]) -> None:
        status, elf, code, links, size, mtime, digest = answer
        tree = self.tree
        if status == hasher.OK:
            tree.read += 1
            if elf:
                tree.elves.append(path)
            if mode in _OF_CODE:
                header = digest[: min(max(size, 0), hasher.HEADER_SIZE)]
                whole = digest[hasher.HEADER_SIZE :] if mode in "cC" else b""
                tree.files[path] = FileEntry(path, kind, size, whole, mtime, links, header)
                tree.bytes += size if whole else len(header)
            else:
                tree.files[path] = FileEntry(path, kind, size, digest, mtime, links)
                tree.bytes += size
        elif status == hasher.BIG:
            self.large.append((size, path))
            self.large.sort()
        elif status == hasher.CHANGED:
            tree.files[path] = FileEntry(path, kind, size, b"", mtime, links, problem="changed")
            tree.problems.append(Problem("changed-while-looking", path, "it changed while it was read"))
        elif status == hasher.IRREGULAR:
            tree.files[path] = FileEntry(path, kind, 0, b"", 0, 0, problem="changed")
            tree.problems.append(Problem("changed-while-looking", path, "it was a regular file and is no longer"))
        else:
            name = _ERRNO.get(code, str(code))
            gone = code in {errno.ENOENT, errno.ENOTDIR}
            swapped = code == errno.ELOOP
            tree.files[path] = FileEntry(path, kind, 0, b"", 0, 0, problem=name)
            word = "vanished" if gone else "changed-while-looking" if swapped else "unreadable"
            reason = "it vanished while being looked at" if gone else os.strerror(code)
            tree.problems.append(Problem(word, path, reason))

    def pump(self) -> None:
        """Keep the children busy, without waiting."""
        if self.selector is not None:
            self._feed()
            self._collect(0)

    def work(self, steps: Iterator[object], *, leave: int) -> None:
        """Do *steps* while the children read, up to one that yields False while no more than *leave* batches are unread.

        Such a step could do nothing with what was read so far; until then it waits for more.
        """
        for progress in steps:
            self.pump()
            if progress is False:
                if self.selector is None or len(self.queue) + len(self.large) + self.waiting <= leave:
                    return
                self._collect(self._patience())

    def _patience(self) -> float:
        return min(_PATIENCE, self.stall / 4, 0.02 if any(child.outgoing for child in self.children) else 60.0)

    def finish(self) -> None:
        if self.selector is None:
            cwd = os.fsencode(self.folder) + b"/"
            while self.queue:
                mode, paths = self.queue.pop(0)
                if mode == "s":
                    self._take_known(paths, [hasher.look(mode, cwd + os.fsencode(path), self.buffer) for path in paths])
                    continue
                kind = _LINK if mode in _THROUGH_LINKS else _FILE
                forced = "F" if mode == "f" else mode
                for path in paths:
                    self.take(path, kind, forced, hasher.look(forced, cwd + os.fsencode(path), self.buffer))
            return
        while self.queue or self.large or self.waiting:
            self._feed()
            if self.waiting:
                self._collect(self._patience())

    def close(self) -> None:
        if self.selector is not None:
            self.selector.close()
        for child in self.children:
            _end(child)


def _end(child: _Child) -> None:
    child.process.kill()
    for pipe in (child.process.stdin, child.process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:  # pragma: no cover - it hangs in the kernel, on a file system that does not answer
        return


def _is_code(path: str) -> bool:
    """Whether the regular file at *path* is bytecode, of which the header is told."""
    folder, _, name = path.rpartition("/")
    return name.endswith(".pyc") and folder.rpartition("/")[2] == "__pycache__"


def _never_tick(_done: int, _found: int) -> None:
    return


def _classify(path: str, tree: Tree, relative: str) -> tuple[FileKind, str] | None:
    """The kind and link target of what is neither a plain file nor a folder; None where it is gone or unreadable."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        tree.problems.append(
            Problem("vanished" if error.errno == errno.ENOENT else "unreadable", relative, error.strerror or "unreadable")
        )
        return None
    if stat.S_ISLNK(mode):
        try:
            target = os.readlink(path)
            to = os.stat(path).st_mode
        except OSError as error:
            kind = FileKind.LOOP if error.errno == errno.ELOOP else FileKind.DANGLING
            if error.errno not in {errno.ELOOP, errno.ENOENT, errno.ENOTDIR}:
                tree.problems.append(Problem("unreadable", relative, error.strerror or "unreadable"))
            try:
                return kind, os.readlink(path)
            except OSError:
                return kind, ""
        kind = _kind_of(to)
        return (_LINK if kind is _FILE else kind), target
    if stat.S_ISDIR(mode):
        tree.problems.append(Problem("changed-while-looking", relative, "it became a folder while being looked at"))
        return None
    return _kind_of(mode), ""


def _read_resolved(path: str, link: str, real: str, tree: Tree, buffer: memoryview, form: str) -> FileEntry:
    """The entry of the symbolic *link* whose end is *real*, below another root; *form* is the mode to read bytecode in."""
    try:
        target = os.readlink(link)
        mode = os.lstat(real).st_mode
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOENT, errno.ENOTDIR}:
            tree.problems.append(Problem("unreadable", path, error.strerror or "unreadable"))
        return FileEntry(path, FileKind.DANGLING, 0, b"", 0, 0, target="")
    kind = _kind_of(mode)
    if kind is not _FILE:
        # What is still a link here leads round in circles.
        return FileEntry(path, FileKind.LOOP if kind is _LINK else kind, 0, b"", 0, 0, target=target)
    if _is_code(path):
        look_at_code = _Readers("", tree, 0, lambda: 0.0, _never_tick)
        look_at_code.take(path, _LINK, form, hasher.look(form, real, buffer))
        return tree.files[path]._replace(target=target)
    status, elf, code, links, size, mtime, digest = hasher.look("F", real, buffer)
    if elf:
        tree.elves.append(path)
    if status != hasher.OK:
        reason = os.strerror(code) if code else "it changed while it was read"
        tree.problems.append(Problem("unreadable" if code else "changed-while-looking", path, reason))
        return FileEntry(path, _LINK, 0, b"", 0, 0, problem=_ERRNO.get(code, "changed"), target=target)
    tree.bytes += size
    tree.read += 1
    return FileEntry(path, _LINK, size, digest, mtime, links, target=target)


def _kind_of(mode: int) -> FileKind:
    """What a file of *mode* is; a folder as the end of a link."""
    if stat.S_ISREG(mode):
        return _FILE
    if stat.S_ISDIR(mode):
        return FileKind.DIRLINK
    if stat.S_ISLNK(mode):
        return _LINK
    if stat.S_ISFIFO(mode):
        return FileKind.FIFO
    return FileKind.SOCKET if stat.S_ISSOCK(mode) else FileKind.DEVICE


def _changed(base: str, times: list[tuple[str, int]]) -> Iterator[Problem]:
    """The folders whose modification time is no longer the one given: something came or went there."""
    for relative, before in times:
        try:
            after = os.stat(base + relative).st_mtime_ns
        except OSError:
            after = -1
        if after != before:
            yield Problem("changed-while-looking", relative or ".", "files came or went here during the walk")


def walk(
    folder: str,
    starts: Iterable[str],
    *,
    workers: int,
    clock: Callable[[], float],
    tree: Tree | None = None,
    tick: Callable[[int, int], None] = _never_tick,
    meanwhile: Iterable[object] = (),
    resolve: Callable[[str], str] | None = None,
    stall: float = STALL,
    skip: Container[str] = (),
    known: Mapping[str, KnownFile] = _NOTHING,
    code: bool = False,
) -> Tree:
    """Find and hash every file below *starts* (paths relative to *folder*, "" for all of it), without following links.

    *tree* is what to add to, for those who want to see it grow. *meanwhile* is other work in small steps, done between batches and
    while the children still read; a step that yields False has to wait for more files. *tick* is told (files read, files found) as
    answers come in. *clock* counts seconds; a child that gives no sign of life for *stall* of them is given up.
    *resolve* says where a symbolic link leads below another root; such a link is read in place. *skip* are folders, relative to
    *folder*, that are left out whole. *known* are files by path that are not read again while they are the same. With *code*,
    bytecode is read and hashed whole, and not its header alone.

    Folders that change while they are walked are told as problems. Raises ObservationError where no child can be started, or
    *folder* itself can not be read.
    """
    tree = Tree() if tree is None else tree
    other = iter(meanwhile)
    readers = _Readers(folder, tree, workers, clock, tick, stall, known, code=code)
    base = folder.rstrip("/") + "/"
    batches: dict[str, list[str]] = {mode: [] for mode in ("f", "b", "c", "l", "k", "C", "s")}
    links: dict[str, str] = {}
    times: list[tuple[str, int]] = []
    # An installer at work touches the folder that holds all packages, so that one is asked again last of all.
    last: list[tuple[str, int]] = []
    try:
        stack = list(starts)
        while stack:
            relative = stack.pop()
            inside = relative + "/" if relative else ""
            cached = relative.rpartition("/")[2] == "__pycache__"
            try:
                before = os.stat(base + relative).st_mtime_ns
                with os.scandir(base + relative) as entries:
                    found = list(entries)
            except OSError as error:
                if not relative:
                    raise ObservationError("unreadable", error.strerror or "unreadable", where=folder) from error
                gone = error.errno == errno.ENOENT
                tree.problems.append(Problem("vanished" if gone else "unreadable", relative, error.strerror or "unreadable"))
                continue
            if not cached:
                (last if relative.endswith("-packages") or not relative else times).append((relative, before))
            for entry in found:
                path = inside + entry.name
                mode = "f"
                if not entry.is_file(follow_symlinks=False):
                    if entry.is_dir(follow_symlinks=False):
                        if path not in skip:
                            stack.append(path)
                        continue
                    if resolve is not None and entry.is_symlink():
                        tree.files[path] = _read_resolved(path, entry.path, resolve(path), tree, readers.buffer, readers.code)
                        continue
                    classified = _classify(base + path, tree, path)
                    if classified is None:
                        continue
                    kind, target = classified
                    if kind is _LINK:
                        links[path] = target
                        mode = ("C" if code else "k") if cached and path.endswith(".pyc") else "l"
                    elif kind is not _FILE:
                        tree.files[path] = FileEntry(path, kind, 0, b"", 0, 0, target=target)
                        continue
                if mode == "f":
                    if path in known:
                        mode = "s"
                    elif cached and path.endswith(".pyc"):
                        mode = readers.code
                batch = batches[mode]
                batch.append(path)
                if len(batch) >= _BATCH:
                    readers.put(mode, batch)
                    batches[mode] = []
                    if readers.children:  # before there are any, all else would only keep them from starting
                        next(other, None)
        for mode, batch in batches.items():
            if batch:
                readers.put(mode, batch)
        readers.work(other, leave=len(times) // _FOLDERS)
        for start in range(0, len(times), _FOLDERS):
            tree.problems.extend(_changed(base, times[start : start + _FOLDERS]))
            readers.pump()
        readers.work(other, leave=0)
        readers.finish()
        tree.problems.extend(_changed(base, last))
    finally:
        readers.close()
    for path, target in links.items():
        if path in tree.files:
            tree.files[path] = tree.files[path]._replace(target=target)
    return tree


def read_each(folder: str, paths: Iterable[str], *, resolve: Callable[[str], str] | None = None) -> Tree:
    """Read the regular files among *paths* (relative to *folder*), through links; what is absent is left out.

    *resolve* says where a path really is, below another root.
    """
    tree = Tree()
    readers = _Readers(folder, tree, 0, lambda: 0.0, _never_tick)
    base = folder.rstrip("/") + "/"
    for path in paths:
        place = resolve(path) if resolve is not None else base + path
        try:
            regular = stat.S_ISREG(os.stat(place).st_mode)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                tree.problems.append(Problem("unreadable", path, error.strerror or "unreadable"))
            continue
        if regular:
            readers.take(path, _FILE, "l", hasher.look("l", place, readers.buffer))
    return tree
