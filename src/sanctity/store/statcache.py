"""What earlier looks found, remembered by what the file system says of each file: fast, and no proof.

A verb asks twice. First, whether nothing at all changed since a whole look whose result it may repeat:

    cache = StatCache.open(cache_folder(environ), os.path.realpath(prefix))
    result = cache.unchanged(key, now_ns=time.time_ns(), workers=2)

and if that is None, which files need not be read again:

    started_ns = time.time_ns()  # before anything is read, the lock included
    environment = observe_environment(prefix, known=cache.known(now_ns=started_ns), ...)
    cache.record(environment, key=key, result=b"...", started_ns=started_ns, now_ns=time.time_ns(), extra=[lock, policy])

The rules it keeps:

- The store does not know what a *key* and a *result* mean. The key must name everything that the result depends on and that is no
  file: options, depth, the tool's own version, the date, the user, the machine, how the prefix was written, and which reference and
  policy were found. Those files themselves are `record`'s *extra*: `unchanged` compares them as it does the environment's own.
- An entry is device, inode, mode, size, mtime and ctime. It is trusted only if its times are older than the start of the look that
  recorded it, by more than the file system's clock may lag: whoever changes a file from then on moves its ctime. git(1) has the
  same rule ("racy git"), on mtime, which anybody can put back.
- Only complete looks are recorded: none with a problem, and none that found other files than are there when it is recorded.
- A cache that is damaged, cut short, of another version, somebody else's or writable by others is as good as none, and no error.
  Nor is one that can not be written.

One file per environment holds the entries, and one per key beside it a result, with the entries of what lies outside. Each is
written to a temporary name and renamed. What a dirty shared mapping, a clock set back, or a write to the device itself can do to
all this stands in docs/stat-cache.md.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module gives it the name of everybody's error

from sanctity.model.folders import cache_below
from sanctity.store import sameness
from sanctity.store.sameness import ANSWER, COUNT, IDENTITY, MAGIC, MOST_PAGES, PAGE, ROW, TOKEN, Book, BookError, Shelf, checksum

TYPE_CHECKING = False  # this is imported before anything is known to have changed: `typing` would take longer than all else here
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Final

    from sanctity.model.environment import Environment, FileEntry, KnownFile

__all__ = ["StatCache", "cache_folder"]

#: What a look found in a file: flags, the length of its header, hard links, and its SHA-256 or header.
_FOUND: Final = Struct("<BBxxI32s")
_DIGEST, _HEADER, _ELF = 1, 2, 4
#: The beginning of an identity is the mark of a `KnownFile`; size and mtime follow.
_MARK_SIZE: Final = 32
#: The digest of a key, the checksum of the book of entries that the result goes with, and when it was recorded.
_RESULT: Final = Struct(f"<{sameness.SUM_SIZE}s{sameness.SUM_SIZE}sq")
#: So many entries are on a page; more where there are so many that the pages would be too many.
_ENTRIES: Final = 1000
#: Fewer pages than this are compared sooner than a child is started.
_FEW_PAGES: Final = 8
#: How long to wait for a child that says nothing. Milliseconds.
_PATIENCE: Final = 10_000
#: The kernel stamps files with a clock that ticks every 1 to 10 ms; twice the slowest. Nanoseconds.
_TICK: Final = 20_000_000
#: For a file system that counts whole seconds (ext3) or every other (FAT), and one whose clock nobody measured.
_COARSE: Final = 4_000_000_000
#: So many results are kept for an environment, and for so long. Seconds.
_MOST_RESULTS: Final = 8
_KEPT: Final = 60 * 24 * 3600

#: What a path leads to, by the kind that a look gave it; 0 is nowhere.
_ENDS: Final = {
    "file": stat.S_IFREG,
    "link": stat.S_IFREG,
    "directory link": stat.S_IFDIR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "dangling link": 0,
    "link loop": 0,
}


def cache_folder(environ: Mapping[str, str]) -> str:
    """Where the cache lies: ``$XDG_CACHE_HOME/sanctity/stat``, or ``~/.cache/sanctity/stat``; empty where there is no home."""
    return cache_below(environ, "stat")


class StatCache:
    """The cache of one environment. Nothing of it raises for what the file system may do: then it knows nothing."""

    def __init__(self, folder: str, prefix: str) -> None:
        self.folder = folder
        self.base = prefix.rstrip("/") + "/"
        self.name = checksum(os.fsencode(self.base)).hex()

    @classmethod
    def open(cls, folder: str, prefix: str) -> StatCache:
        """The cache in *folder* of the environment at *prefix*, an absolute path in which every link is resolved.

        An empty *folder* is a cache that knows nothing and keeps nothing.
        """
        return cls(folder, prefix)

    # --- asking -----------------------------------------------------------------------------------------------------------

    def unchanged(self, key: bytes, *, now_ns: int, workers: int = 2, executable: str = "") -> bytes | None:
        """The result recorded under *key*, if nothing that it rests on changed since; None if something did, or nobody knows.

        *now_ns* is the time: a result of the future, as after a clock was set back, is not trusted. *workers* processes compare,
        this one among them; the others are *executable*, by default this interpreter.
        """
        with contextlib.ExitStack() as stack:
            try:
                result = self._open(self._result_name(key), stack)
                named, tree_sum, recorded = _RESULT.unpack(result.page(0))
                if named != checksum(key) or now_ns < recorded:
                    return None
                tree = self._open(self._tree_name(), stack)
                if tree.sum != tree_sum:
                    return None
                shelf = [(tree, 1, _middle(tree), os.fsencode(self.base)), (result, 2, len(result.rows), b"")]
                files = (self._tree_name(), self._result_name(key))
                if not self._compare(shelf, files, workers=workers, executable=executable or _interpreter()):
                    return None
                return result.page(1)
            except (BookError, OSError, ValueError, StructError):
                return None

    def known(self, *, now_ns: int) -> dict[str, KnownFile]:
        """The files of the environment, by path, as the last complete look found them; empty where nobody knows."""
        with contextlib.ExitStack() as stack:
            try:
                tree = self._open(self._tree_name(), stack)
                if now_ns < os.fstat(tree.fd).st_mtime_ns:
                    return {}
                middle = _middle(tree)
                found: dict[str, KnownFile] = {}
                for number in range(1, middle):
                    found.update(_read_known(tree.page(number), tree.page(middle + number - 1)))
            except (BookError, OSError, ValueError, StructError):
                return {}
            return found

    def _compare(
        self, books: Sequence[tuple[Book, int, int, bytes]], files: Sequence[str], *, workers: int, executable: str
    ) -> bool:
        """Whether every page of *books* is the same; *files* are their names."""
        shelf = Shelf(books)
        count = len(shelf.pages)
        pipes = [*os.pipe(), *os.pipe()]
        numbers, put, answers, said = pipes
        children: list[int] = []
        same: list[bool | None] = [None] * count
        try:
            # Nobody reads yet. What does not fit (a user with too many pipes gets small ones) is done here first.
            os.set_blocking(put, False)
            sent = os.write(put, b"".join(number.to_bytes(TOKEN, "little") for number in range(count))) // TOKEN
            os.close(put)
            pipes.remove(put)
            if executable and count >= _FEW_PAGES and min(numbers, said) > 2 and hasattr(os, "posix_spawn"):
                script = os.path.abspath(sameness.__file__)
                command = [executable, "-I", "-S", "-B", script, self.base]
                for (book, first, last, _), name in zip(books, files, strict=True):
                    command += [f"{self.folder}/{name}", book.sum.hex(), str(first), str(last)]
                with contextlib.suppress(OSError):  # where none can be started, all is done here
                    for _ in range(workers - 1):
                        children.append(os.posix_spawn(executable, command, {}, file_actions=_redirect(numbers, said)))  # noqa: PERF401
            os.close(said)
            pipes.remove(said)
            for number in range(sent, count):
                same[number] = shelf.is_same(number)
            sameness.serve(shelf, numbers, same.__setitem__)
            if all(alike is not False for alike in same):
                _hear(answers, same)
            return all(same)  # a page that nobody answered is none that is the same
        finally:
            for fd in pipes:
                os.close(fd)
            for child in children:
                _end(child)

    # --- keeping ----------------------------------------------------------------------------------------------------------

    def record(
        self,
        environment: Environment,
        *,
        key: bytes,
        result: bytes,
        started_ns: int,
        now_ns: int,
        extra: Iterable[str] = (),
        trees: Iterable[str] = (),
        asked: Iterable[str] = (),
        skip: Collection[str] = (),
    ) -> bool:
        """Remember what a look found, and its *result* for `unchanged`; say whether the result will be repeated.

        *started_ns* is when the look began, before it read anything. *extra* are the absolute paths of what else the result rests
        on: files, read through links; folders, whose names count but not what they hold; and what is not there and must not come.
        *trees* are folders that count with everything below them but the folders named in *skip*, absolute paths. *asked* are paths
        that were looked at besides those that *environment* knows of: a file by its bytes, a folder by being there. What
        lies below ``/proc`` and ``/sys`` has no times that say anything: it is left out, and must be in *key*.

        It is False where a file changed during the look or just before it, where something could not be seen, or where the cache
        can not be written. The entries that can be trusted are kept all the same.
        """
        if environment.problems or not environment.walked or now_ns < started_ns or not self._prepare():
            return False
        try:
            clock = _measure(self.folder, now_ns)
            scan = _Scan(clock, started_ns)
            _scan_environment(scan, environment, self.base)
            pages = [os.fsencode(self.base), *scan.pages(), *scan.found()]
            outside = _Scan(clock, started_ns)
            _scan_outside(outside, environment, self.base, extra=extra, trees=trees, asked=asked, skip=skip)
            for other in (environment.system_site, environment.user_site):
                if other is not None:
                    _scan_other(outside, other)
            tree_sum = self._write(self._tree_name(), pages)
            whole = scan.settled and outside.settled
            name = self._result_name(key)
            if whole:
                head = _RESULT.pack(checksum(key), tree_sum, now_ns)
                self._write(name, [head, result, *outside.pages()])
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self.folder}/{name}")
            self._tidy(keep={self._tree_name(), name}, now_ns=now_ns)
        except (OSError, ValueError):
            return False
        return whole

    def _prepare(self) -> bool:
        if not self.folder:
            return False
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
        except OSError:
            return False
        return self._is_private()

    def _is_private(self) -> bool:
        """Whether the cache's folder is this user's own, and nobody else can write to it."""
        if not hasattr(os, "pread"):  # pragma: no cover - not on this platform
            return False
        try:
            state = os.lstat(self.folder)
        except OSError:
            return False
        return stat.S_ISDIR(state.st_mode) and _is_own(state)

    def _open(self, name: str, stack: contextlib.ExitStack) -> Book:
        """The book of that *name*, closed with *stack*. Raises BookError and OSError."""
        if not self.folder or not self._is_private():
            raise BookError("its folder can not be trusted")
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        fd = os.open(f"{self.folder}/{name}", flags)
        stack.callback(os.close, fd)
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or not _is_own(state):
            raise BookError("it can not be trusted")
        return Book(fd)

    def _tree_name(self) -> str:
        return f"{self.name}.tree"

    def _result_name(self, key: bytes) -> str:
        return f"{self.name}-{checksum(key).hex()}.result"

    def _write(self, name: str, pages: Sequence[bytes]) -> bytes:
        """Write a book of *pages* and return its checksum; one that is there already stays, so that other results go on with it."""
        if len(pages) > MOST_PAGES:
            raise ValueError("these are too many entries")
        rows = []
        start = len(MAGIC) + COUNT.size + ROW.size * len(pages) + sameness.SUM_SIZE
        for page in pages:
            rows.append(ROW.pack(start, len(page), checksum(page)))
            start += len(page)
        head = MAGIC + COUNT.pack(len(pages)) + b"".join(rows)
        mark = checksum(head)
        path = f"{self.folder}/{name}"
        with contextlib.ExitStack() as stack, contextlib.suppress(BookError, OSError):
            book = self._open(name, stack)
            if book.sum == mark:
                for number in range(len(pages)):
                    book.page(number)  # raises where it is damaged, and then it is written anew
                os.utime(book.fd)  # it is in use
                return mark
        temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(head)
                file.write(mark)
                file.writelines(pages)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return mark

    def _tidy(self, *, keep: Collection[str], now_ns: int) -> None:
        """Take away what is left of this environment's older results, of writers that were killed, and of what nobody uses."""
        oldest = now_ns - _KEPT * 10**9
        results = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name in keep or not entry.name.endswith((".tree", ".result", ".tmp")):
                    continue
                with contextlib.suppress(OSError):
                    changed = entry.stat(follow_symlinks=False).st_mtime_ns
                    if changed < oldest or (entry.name.endswith(".tmp") and changed < now_ns - 3600 * 10**9):
                        os.unlink(entry.path)
                    elif entry.name.startswith(f"{self.name}-") and entry.name.endswith(".result"):
                        results.append((changed, entry.path))
        for _, path in sorted(results, reverse=True)[_MOST_RESULTS - 1 :]:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _interpreter() -> str:
    """The interpreter that runs this, for children; empty where a server has embedded it, and is the program itself."""
    name = os.path.basename(sys.executable or "")
    return sys.executable if name.startswith(("python", "pypy")) else ""


def _is_own(state: os.stat_result) -> bool:
    """Whether a file is this user's own, and nobody else may write to it."""
    geteuid = getattr(os, "geteuid", None)
    return geteuid is None or (state.st_uid == geteuid() and not state.st_mode & 0o022)


def _middle(tree: Book) -> int:
    """The number of the first page of a book of entries that says what was found, after those of paths. Raises BookError."""
    pages, odd = divmod(len(tree.rows) - 1, 2)
    if odd or not pages:
        raise BookError("it does not have a page of findings for each page of paths")
    return 1 + pages


def _redirect(numbers: int, said: int) -> list[tuple[Any, ...]]:
    """What is done with a child's files before it starts: it reads page numbers, and writes answers."""
    return [
        (os.POSIX_SPAWN_DUP2, numbers, 0),
        (os.POSIX_SPAWN_DUP2, said, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]


def _hear(answers: int, same: list[bool | None]) -> None:
    """Put what the children say of pages into *same*, until all are answered, one is not the same, or nobody says more."""
    import select

    poll = select.poll()
    poll.register(answers, select.POLLIN)
    heard = b""
    while None in same and False not in same and poll.poll(_PATIENCE) and (data := os.read(answers, 1 << 16)):
        heard += data
        whole = len(heard) - len(heard) % ANSWER.size
        for number, alike in ANSWER.iter_unpack(heard[:whole]):
            same[number] = bool(alike)
        heard = heard[whole:]


def _end(child: int) -> None:
    """End a child that most likely has ended by itself."""
    with contextlib.suppress(OSError):
        done, _ = os.waitpid(child, os.WNOHANG)
        if not done:
            os.kill(child, 9)
            os.waitpid(child, 0)


def _read_known(page: bytes, found: bytes) -> Iterator[tuple[str, KnownFile]]:
    """The files of a page of paths and of the page that says what was found in them. Raises BookError and StructError."""
    from sanctity.model.environment import FileEntry, FileKind, KnownFile

    length = PAGE.unpack_from(page)[0]
    start = PAGE.size + sum(PAGE.unpack_from(page))
    paths = os.fsdecode(page[PAGE.size : PAGE.size + length]).split("\0") if length else []
    if len(found) != len(paths) * _FOUND.size:
        raise BookError("a page of findings does not fit its page of paths")
    for number, (path, (flags, size, links, data)) in enumerate(zip(paths, _FOUND.iter_unpack(found), strict=True)):
        if not flags:
            continue
        at = start + number * IDENTITY.size
        *_, length, mtime = IDENTITY.unpack_from(page, at)
        digest, header = (data, b"") if flags & _DIGEST else (b"", data[:size])
        entry = FileEntry(path, FileKind.FILE, length, digest, mtime, links, header)
        yield path, KnownFile(page[at : at + _MARK_SIZE], entry, bool(flags & _ELF))


class _Clock:
    """What was measured of the file system that the cache lies on: its *device*, how far its times lag behind, and more.

    *tells* is whether the times of a folder move when a name comes into it.
    """

    def __init__(self, device: int, lag_ns: int, *, tells: bool) -> None:
        self.device = device
        self.lag_ns = lag_ns
        self.tells = tells

    def lag_of(self, device: int, time_ns: int) -> int:
        """How much older than the start of a look a file's time on *device* must be, in nanoseconds."""
        return self.lag_ns if device == self.device and time_ns % 10**9 else _COARSE


def _measure(folder: str, now_ns: int) -> _Clock:
    """Write a file in *folder*, and see when the file system says that was. Raises OSError."""
    inside = f"{folder}/{os.getpid()}-{os.urandom(4).hex()}.tmp"
    os.mkdir(inside, 0o700)
    try:
        os.utime(inside, ns=(0, 0))
        with open(f"{inside}/probe", "xb") as file:
            file.write(b"?")
            file.flush()
            state = os.fstat(file.fileno())
        after = os.stat(inside)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(f"{inside}/probe")
        with contextlib.suppress(OSError):
            os.rmdir(inside)
    lag = max(_TICK, now_ns - state.st_ctime_ns + _TICK) if state.st_ctime_ns % 10**9 else _COARSE
    return _Clock(state.st_dev, lag, tells=after.st_mtime_ns > 0)


class _Scan:
    """Entries on their way to pages, and whether all of them can be trusted: *settled*. Their paths are written after *at*.

    *holds* is whether every folder above the entry at hand can be: where one can not, another tree may have taken its place since
    the look, and on some file systems a rename moves no time of what is renamed.
    """

    def __init__(self, clock: _Clock, started_ns: int) -> None:
        self.clock = clock
        self.started_ns = started_ns
        self.surely = started_ns - max(_COARSE, clock.lag_ns)
        self.settled = True
        self.paths: list[str] = []
        self.at = ""
        self.holds = True
        self.states: list[bytes] = []
        self.founds: list[bytes] = []
        self.ends: dict[str, bytes] = {}
        self.listed: dict[str, int] = {}

    def trusts(self, state: os.stat_result) -> bool:
        """Whether what has this *state* can not have changed since the look began without its times moving."""
        newest = max(state.st_ctime_ns, state.st_mtime_ns)
        if newest <= self.surely:
            return True
        return newest <= self.started_ns - self.clock.lag_of(state.st_dev, state.st_ctime_ns)

    def add(self, path: str, state: os.stat_result, found: bytes = b"") -> bool:
        """Take an entry, which is not followed, and what was *found* in it; say whether it can be trusted."""
        trusted = self.trusts(state)
        self.settled = self.settled and trusted
        self.paths.append(self.at + path)
        self.states.append(sameness.identify(state))
        self.founds.append(found if trusted and self.holds else b"")
        return trusted

    def ask(self, path: str, place: str) -> None:
        """Take what *path*, which lies at *place*, leads to, or that it leads nowhere."""
        try:
            state = os.stat(place)
        except OSError as error:
            self.ends[self.at + path] = sameness.identify_error(error)
        except ValueError:  # a NUL in a name: nothing can be there, and nothing can come
            return
        else:
            if stat.S_ISREG(state.st_mode):
                self.settled = self.settled and self.trusts(state)
            self.ends[self.at + path] = sameness.identify_reached(state)

    def add_folder(self, path: str) -> None:
        """Take the folder *path*, if it is one, with the names that it holds. Raises OSError."""
        state = os.stat(path)
        if stat.S_ISDIR(state.st_mode):
            self.add(f"{path}/.", state)
            if not self.clock.tells or state.st_dev != self.clock.device:
                self.listed[path] = len(os.listdir(path))

    def walk(self, base: str, start: str, skip: Collection[str] = ()) -> Iterator[tuple[str, os.stat_result]]:
        """Each entry below *start* that is no folder, with its path from *base*; folders are taken at once. Raises OSError."""
        stack = [(start, os.stat(base + start), True)]
        while stack:
            folder, state, holds = stack.pop()
            # The state is older than the list of names, so a name that comes between the two moves times that we have not seen.
            shown = (f"{folder}/." if folder else ".") if folder == start else folder
            self.holds = holds = self.add(shown, state) and holds
            inside = f"{folder}/" if folder else ""
            names = os.listdir(base + folder)
            if not self.clock.tells or state.st_dev != self.clock.device:
                self.listed[self.at + (folder or ".")] = len(names)
            for name in names:
                path = inside + name
                entry = os.lstat(base + path)
                if stat.S_ISDIR(entry.st_mode):
                    if path in skip:
                        # What it holds does not count; that it is a folder, and which one, does.
                        self.ends[self.at + path] = sameness.identify_reached(entry)
                    else:
                        stack.append((path, entry, holds))
                else:
                    yield path, entry
        self.holds = True

    def pages(self) -> list[bytes]:
        """The pages of paths, for `sameness.compare_page`."""
        ends = sorted(self.ends.items())
        listed = sorted(self.listed.items())
        size = self._size()
        return [
            *(_page(self.paths[at : at + size], self.states[at : at + size], [], []) for at in range(0, len(self.paths), size)),
            *(_page([], [], ends[at : at + size], []) for at in range(0, len(ends), size)),
            *(_page([], [], [], listed[at : at + size]) for at in range(0, len(listed), size)),
        ]

    def found(self) -> list[bytes]:
        """For each page of `pages`, what was found in the entries that are not followed."""
        size = self._size()
        nothing = bytes(_FOUND.size)
        pages = [b"".join([found or nothing for found in self.founds[at : at + size]]) for at in range(0, len(self.paths), size)]
        return pages + [b""] * (-(-len(self.ends) // size) + -(-len(self.listed) // size))

    def _size(self) -> int:
        return max(_ENTRIES, len(self.paths) // (MOST_PAGES // 8))


def _page(
    paths: Sequence[str], states: Sequence[bytes], ends: Sequence[tuple[str, bytes]], listed: Sequence[tuple[str, int]]
) -> bytes:
    """A page of paths, as `sameness` describes it."""
    lists = [os.fsencode("\0".join(names)) for names in (paths, [path for path, _ in ends], [path for path, _ in listed])]
    counts = [COUNT.pack(count) for _, count in listed]
    return b"".join([PAGE.pack(*map(len, lists)), *lists, *states, *(end for _, end in ends), *counts])


def _scan_environment(scan: _Scan, environment: Environment, base: str) -> None:
    """Take every entry of *environment* to *scan*, whose *settled* is false where it is no longer as it was found.

    Raises OSError.
    """
    files = environment.files
    elves = frozenset(environment.elves)
    seen: set[str] = set()
    for start in environment.walked:
        for path, state in scan.walk(base, start, environment.skipped):
            entry = files.get(path)
            if entry is None:
                scan.add(path, state)
                scan.settled = False
                continue
            seen.add(path)
            if stat.S_ISREG(state.st_mode):
                if entry.kind == "file" and _is_as_found(entry, state):
                    flags = _DIGEST if entry.digest else _HEADER
                    found = _FOUND.pack(
                        flags | (_ELF if path in elves else 0), len(entry.header), entry.links, entry.digest or entry.header
                    )
                    scan.add(path, state, found)
                    continue
                scan.settled = False
            scan.add(path, state)
            if stat.S_ISLNK(state.st_mode):
                scan.settled = scan.settled and _is_end_as_found(entry, base + path)
                scan.ask(path, base + path)
    if len(seen) != len(files):
        # What a RECORD claims elsewhere was read by itself.
        for path, entry in files.items():
            if path not in seen:
                scan.settled = scan.settled and _is_end_as_found(entry, base + path)
                scan.ask(path, base + path)
    for item in environment.distributions:
        for row in item.record or ():
            if row.path not in files:
                scan.ask(row.path, base + row.path)


def _is_as_found(entry: FileEntry, state: os.stat_result) -> bool:
    """Whether the file of that *state* may be the one that a look found as *entry*."""
    return (
        not entry.problem
        and (state.st_size, state.st_mtime_ns) == (entry.size, entry.mtime_ns)
        and state.st_nlink & 0xFFFFFFFF == entry.links
    )


def _is_end_as_found(entry: FileEntry, place: str) -> bool:
    """Whether *place* still leads to what a look found there as *entry*."""
    try:
        state: os.stat_result | None = os.stat(place)
    except OSError:
        state = None
    kind = stat.S_IFMT(state.st_mode) if state is not None else 0
    if kind != _ENDS.get(entry.kind, kind):
        return False
    return state is None or kind != stat.S_IFREG or _is_as_found(entry, state)


def _scan_other(scan: _Scan, environment: Environment) -> None:
    """Take an environment whose packages can be imported from the one that the cache is of. Raises OSError."""
    base = os.path.realpath(environment.prefix).rstrip("/") + "/"
    scan.settled = scan.settled and bool(environment.walked) and not environment.problems
    scan.at = base
    _scan_environment(scan, environment, base)
    scan.at = ""
    _scan_outside(scan, environment, base)


def _scan_outside(
    scan: _Scan,
    environment: Environment,
    base: str,
    *,
    extra: Iterable[str] = (),
    trees: Iterable[str] = (),
    asked: Iterable[str] = (),
    skip: Collection[str] = (),
) -> None:
    """Take what lies outside of the environment to *scan*: what the look asked about, and what the verb names. Raises OSError."""
    # What lies inside was taken already, unless only a part of it was walked.
    inside = (base, f"{environment.prefix.rstrip('/')}/") if "" in environment.walked and not environment.skipped else ()
    ignored = (*inside, "/proc/", "/sys/")
    listed = [path for path in environment.listed if not path.startswith(ignored)]
    for path in (*environment.asked, *asked):
        if not path.startswith(ignored):
            scan.ask(path, path)
    for path in (*listed, *extra):
        scan.ask(path, path)
        with contextlib.suppress(OSError):
            scan.add_folder(path)
    for tree in trees:
        start = tree.rstrip("/") or "/"
        scan.ask(start, start)
        try:
            entries = list(scan.walk("", start, skip))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for path, state in entries:
            scan.add(path, state)
            if stat.S_ISLNK(state.st_mode):
                scan.ask(path, path)
