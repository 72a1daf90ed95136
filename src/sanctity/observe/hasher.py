"""The child that reads: file names in, sizes and digests out.

It runs as a script under ``-I -S -B``, imports the standard library alone, and speaks frames over its standard input
and output, so that a kill, a hang or a hostile file ends a child and never the verdict. `look` is the same function the
parent uses for small trees.

A request frame is a little-endian uint32 length and that many bytes: a one-letter mode, and paths relative to the working folder,
joined by NUL. A reply frame is one `ANSWER` for each item, in order. Before it may go others that answer nothing: one of status
`READING` now and then while a large file is read, so that slow and stuck can be told apart, and one of status `WAITED` where
the child waited for the disk again and again, so that others had better read at the same time.

Modes: ``f`` read a regular file, and answer `BIG` at once where it is large; ``F`` read it however large; ``l`` follow a
symbolic link first; ``b`` read only the 16 bytes of a bytecode header, and ``c`` all of a bytecode file, answered by `CODE`; ``k``
and ``C`` the same, following a symbolic link first, as import does; ``s`` open nothing, and answer with size, mtime and, in the
digest's place, the `MARK` of what `os.lstat` says.
"""

from __future__ import annotations

import gc
import os
import sys
from struct import Struct

try:
    from _hashlib import openssl_sha256 as sha256  # the constructor itself, which uses the CPU's SHA instructions
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    from hashlib import sha256

try:
    from resource import RUSAGE_SELF, getrusage
except ImportError:  # pragma: no cover - not on this platform

    def _count_waits() -> int:
        return 0

else:

    def _count_waits() -> int:
        """How often this process gave its processor up so far, since it had to wait."""
        return getrusage(RUSAGE_SELF).ru_nvcsw


TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that a child does before it reads
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ANSWER",
    "BIG",
    "CHANGED",
    "CODE",
    "HEADER_SIZE",
    "IRREGULAR",
    "LENGTH",
    "MARK",
    "OK",
    "READING",
    "WAITED",
    "answer_of",
    "look",
    "serve",
]

#: status, whether the file is ELF, errno, hard links, size, mtime in ns, SHA-256 (or a bytecode header and zeros)
ANSWER = Struct("<BBHIqq32s")
#: The same with a bytecode header before the SHA-256.
CODE = Struct("<BBHIqq48s")
#: device, inode, ctime in ns, mode: as `KnownFile` holds it
MARK = Struct("<QQqI4x")
LENGTH = Struct("<I")
OK, BIG, CHANGED, IRREGULAR, FAILED, READING, WAITED = range(7)

HEADER_SIZE = 16
#: Files above this size are handed back, so that they can be started first and not last.
_BIG_SIZE = 8 << 20
#: Files up to this size are read in one call.
_ONE_READ = 131_000  # just under what the allocator takes from the system anew each time
_CHUNK = 1 << 18
_NOTHING = bytes(32)
_MAX_LINKS = 0xFFFFFFFF
_KIND, _REGULAR = 0o170000, 0o100000  # `stat.S_ISREG` as a comparison, since this is asked for every file there is
#: A child that gives up its processor so often in one batch, and as often as for every so many files, has waited for the disk:
#: what the kernel still has in memory is read without any wait.
_WAITS, _FILES_A_WAIT = 8, 8
#: A sign of life is given after every so many bytes of a large file.
_BEAT = 1 << 24

# O_NONBLOCK: a FIFO put in a file's place between the walk and the open must not hold us up.
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def answer_of(mode: str) -> Struct:
    """The form of an answer to *mode*."""
    return CODE if mode in "cC" else ANSWER


def _no_beat() -> None:
    return


def look(
    mode: str, path: str | bytes, buffer: memoryview, beat: Callable[[], None] = _no_beat
) -> tuple[int, int, int, int, int, int, bytes]:
    """Read one file; the result has the fields of `ANSWER`. Raises nothing for what the file system may do.

    *beat* is called now and then while a large file is read; what it raises goes on to the caller.
    """
    if mode == "s":
        try:
            state = os.lstat(path)
        except OSError as error:
            return FAILED, 0, error.errno or 5, 0, 0, 0, _NOTHING
        mark = MARK.pack(state.st_dev, state.st_ino, state.st_ctime_ns, state.st_mode)
        return OK, 0, 0, state.st_nlink & _MAX_LINKS, state.st_size, state.st_mtime_ns, mark
    try:
        fd = os.open(path, _FLAGS if mode in "lkC" else _FLAGS | _NOFOLLOW)
    except OSError as error:
        return FAILED, 0, error.errno or 5, 0, 0, 0, _NOTHING
    try:
        state = os.fstat(fd)
        size = state.st_size
        if state.st_mode & _KIND != _REGULAR:
            return IRREGULAR, 0, 0, 0, 0, 0, _NOTHING
        links = state.st_nlink & _MAX_LINKS
        if mode in "bk":
            data = os.read(fd, HEADER_SIZE)
            return OK, 0, 0, links, size, state.st_mtime_ns, data
        if size <= _ONE_READ:
            data = os.read(fd, size + 1)
            if len(data) != size:
                return CHANGED, 0, 0, links, size, state.st_mtime_ns, _NOTHING
            digest = sha256(data).digest()
            found = data[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0") + digest if mode in "cC" else digest
            return OK, data[:4] == b"\x7fELF", 0, links, size, state.st_mtime_ns, found
        if size > _BIG_SIZE and mode == "f":
            return BIG, 0, 0, links, size, state.st_mtime_ns, _NOTHING
        state_hash = sha256()
        total = 0
        elf = False
        head = b""
        due = _BEAT
        while total <= size:  # a file that grows as fast as it is read has no end
            count = os.readv(fd, [buffer])
            if not count:
                break
            if not total:
                elf = bytes(buffer[:4]) == b"\x7fELF"
                head = bytes(buffer[: min(count, HEADER_SIZE)]).ljust(HEADER_SIZE, b"\0") if mode in "cC" else b""
            total += count
            state_hash.update(buffer[:count])
            if total >= due:
                due += _BEAT
                beat()
        after = os.fstat(fd)
        if (
            total != size
            or after.st_size != size
            or after.st_mtime_ns != state.st_mtime_ns
            or after.st_ctime_ns != state.st_ctime_ns
        ):
            return CHANGED, 0, 0, links, size, state.st_mtime_ns, _NOTHING
        return OK, elf, 0, links, size, state.st_mtime_ns, head + state_hash.digest()
    except OSError as error:
        return FAILED, 0, error.errno or 5, 0, 0, 0, _NOTHING
    finally:
        os.close(fd)


def serve(read_fd: int, write_fd: int) -> None:
    """Answer frames from *read_fd* on *write_fd* until the end of input."""
    gc.disable()  # nothing here makes cycles, and looking for them takes time
    buffer = memoryview(bytearray(_CHUNK))
    sign = ANSWER.pack(READING, 0, 0, 0, 0, 0, _NOTHING)

    def beat() -> None:
        try:
            os.write(write_fd, sign)
        except OSError:
            raise SystemExit(1) from None  # nobody listens any more

    while True:
        head = _read_exactly(read_fd, LENGTH.size)
        if len(head) < LENGTH.size:
            return
        request = _read_exactly(read_fd, LENGTH.unpack(head)[0])
        mode = chr(request[0])
        paths = request[1:].split(b"\0")
        before = _count_waits()
        pack = answer_of(mode).pack
        answers = b"".join([pack(*look(mode, path, buffer, beat)) for path in paths])
        if _count_waits() - before >= max(_WAITS, len(paths) // _FILES_A_WAIT):
            answers = ANSWER.pack(WAITED, 0, 0, 0, 0, 0, _NOTHING) + answers
        sent = 0
        while sent < len(answers):
            sent += os.write(write_fd, answers[sent:])


def _read_exactly(fd: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(fd, count)
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    os.chdir(os.fsencode(sys.argv[1]))
    serve(0, 1)
