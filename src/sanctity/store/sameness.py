"""The child that asks whether files are still the ones that were looked at: a list of paths in, "the same" or "not" out.

It runs as a script under ``-I -S -B`` and imports the standard library alone. Nothing is sent to it: it reads the lists, in
*pages*, from the files that `statcache` wrote, and takes the number of the next page from a pipe that all workers share, so that a
slow one holds nobody up. What it says of a page is one byte. `statcache` does the same work itself, beside its children, with the
same functions.

A book is a file of pages: `MAGIC`, the number of pages, a `ROW` for each (where it begins, its length, its checksum), a checksum
of all that, and the pages. A page of paths holds three lists, each a NUL-joined text:

- *plain*: what `os.lstat` says of each is exactly its `IDENTITY`;
- *asked*: what `os.stat` says, which follows links, is its identity as `identify_end` gives it, an error included;
- *listed*: folders and how many names they hold. Every name that was there is in *plain*, so an equal count means equal names.
"""

from __future__ import annotations

import os
import sys
from struct import Struct

try:
    from _blake2 import blake2b  # `hashlib` starts OpenSSL first, which takes longer than all that is summed here
except ImportError:  # pragma: no cover - a Python that keeps it elsewhere
    from hashlib import blake2b

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that a child does before it begins
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "ANSWER",
    "COUNT",
    "IDENTITY",
    "MAGIC",
    "MOST_PAGES",
    "PAGE",
    "ROW",
    "SUM_SIZE",
    "TOKEN",
    "Book",
    "BookError",
    "Shelf",
    "checksum",
    "compare_page",
    "identify",
    "identify_end",
    "identify_error",
    "identify_reached",
    "serve",
]

#: device, inode, ctime in ns, mode, size, mtime in ns
IDENTITY = Struct("<QQqI4xqq")
MAGIC = b"sanctity stat 1\n"
COUNT = Struct("<I")
SUM_SIZE = 16
#: Where a page begins, its length, its checksum.
ROW = Struct(f"<QQ{SUM_SIZE}s")
#: The lengths of a page's lists of plain, asked and listed paths, in bytes.
PAGE = Struct("<III")
#: The number of a page, and whether it is the same.
ANSWER = Struct("<HB")
#: The bytes of a page's number in the pipe that they are taken from.
TOKEN = 2
#: More pages than this no book has, so that all their numbers fit into a pipe at once.
MOST_PAGES = 8192

_KIND, _REGULAR, _FOLDER = 0o170000, 0o100000, 0o040000


class BookError(Exception):
    """A book is damaged, cut short, of another version, or no book."""


def checksum(data: bytes) -> bytes:
    """The checksum of a page: it finds what a disk or a crash does, and is no proof against who writes the book."""
    return blake2b(data, digest_size=SUM_SIZE).digest()


def identify(state: os.stat_result) -> bytes:
    """What `os.lstat` says of an entry, as bytes that are equal while it is the same."""
    return IDENTITY.pack(state.st_dev, state.st_ino, state.st_ctime_ns, state.st_mode, state.st_size, state.st_mtime_ns)


def identify_end(path: bytes) -> bytes:
    """What *path* leads to: the identity of a regular file; of anything else device, inode and mode; or the error."""
    try:
        return identify_reached(os.stat(path))
    except OSError as error:
        return identify_error(error)


def identify_error(error: OSError) -> bytes:
    """The identity of what can not be reached."""
    return IDENTITY.pack(0, 0, 0, 0, -(error.errno or 5), 0)


def identify_reached(state: os.stat_result) -> bytes:
    """The identity of what a path leads to, by what `os.stat` says of it."""
    if state.st_mode & _KIND == _REGULAR:
        return identify(state)
    return IDENTITY.pack(state.st_dev, state.st_ino, 0, state.st_mode, 0, 0)


def _paths(text: bytes, base: bytes) -> list[bytes]:
    found = text.split(b"\0") if text else []
    return [base + path for path in found] if base else found


def compare_page(page: bytes, base: bytes = b"") -> bool:
    """Whether everything that *page* lists is as it says; relative paths start at *base*, which ends in a slash.

    Raises BookError where it is no page of paths.
    """
    if len(page) < PAGE.size:
        raise BookError("a page is cut short")
    lengths = PAGE.unpack_from(page)
    end = PAGE.size
    lists = []
    for length in lengths:
        lists.append(_paths(page[end : end + length], base))
        end += length
    plain, asked, listed = lists
    after_plain = end + IDENTITY.size * len(plain)
    after_asked = after_plain + IDENTITY.size * len(asked)
    if len(page) != after_asked + COUNT.size * len(listed):
        raise BookError("the lists of a page do not fit its length")
    pack = IDENTITY.pack
    try:
        # This line is most of the time that it all takes: `identify`, written out.
        states = [pack(s.st_dev, s.st_ino, s.st_ctime_ns, s.st_mode, s.st_size, s.st_mtime_ns) for s in map(os.lstat, plain)]
        if b"".join(states) != page[end:after_plain]:
            return False
        if b"".join(map(identify_end, asked)) != page[after_plain:after_asked]:
            return False
        counts = [COUNT.pack(len(os.listdir(path))) for path in listed]
    except (OSError, ValueError):
        return False
    return b"".join(counts) == page[after_asked:]


class Book:
    """A book, open: *fd* is its file, *rows* are its pages', and *sum* is the checksum of its table.

    Raises BookError where *fd* holds none that is whole.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        head = os.pread(fd, len(MAGIC) + COUNT.size, 0)
        if len(head) != len(MAGIC) + COUNT.size or not head.startswith(MAGIC):
            raise BookError("it is no book of this version")
        (count,) = COUNT.unpack_from(head, len(MAGIC))
        if not 0 < count <= MOST_PAGES:
            raise BookError(f"it can not have {count} pages")
        table = os.pread(fd, count * ROW.size + SUM_SIZE, len(head))
        self.sum = table[count * ROW.size :]
        if len(self.sum) != SUM_SIZE or checksum(head + table[: count * ROW.size]) != self.sum:
            raise BookError("its table is damaged")
        self.rows: Sequence[tuple[int, int, bytes]] = list(ROW.iter_unpack(table[: count * ROW.size]))

    def page(self, number: int) -> bytes:
        """The page of that *number*. Raises BookError where it is damaged or there is none."""
        if not 0 <= number < len(self.rows):
            raise BookError(f"it has no page {number}")
        start, length, expected = self.rows[number]
        data = os.pread(self.fd, length, start) if length <= os.fstat(self.fd).st_size else b""
        if len(data) != length or checksum(data) != expected:
            raise BookError(f"its page {number} is damaged")
        return data


class Shelf:
    """The pages of paths of some books, counted through: from each *(book, first, last, base)* those from *first* until *last*."""

    def __init__(self, books: Sequence[tuple[Book, int, int, bytes]]) -> None:
        self.pages = [(book, number, base) for book, first, last, base in books for number in range(first, last)]

    def is_same(self, number: int) -> bool:
        """Whether everything on the page of that number is as it says; not so where the page can not be read."""
        try:
            book, at, base = self.pages[number]
            return compare_page(book.page(at), base)
        except (BookError, OSError, IndexError):
            return False


def serve(shelf: Shelf, numbers: int, answer: Callable[[int, bool], object]) -> None:
    """Take page numbers from the pipe *numbers* until it is empty, and *answer* each; one that is not the same empties the pipe."""
    while len(token := os.read(numbers, TOKEN)) == TOKEN:
        number = int.from_bytes(token, "little")
        same = shelf.is_same(number)
        if not same:
            while os.read(numbers, 4096):
                pass
        answer(number, same)


def _main(arguments: Sequence[str]) -> None:
    """``BASE [FILE SUM FIRST LAST]...``: the working folder, and of each book the checksum it must have and its pages of paths."""
    os.chdir(os.fsencode(arguments[0]))
    books = []
    for at in range(1, len(arguments), 4):
        path, expected, first, last = arguments[at : at + 4]
        book = Book(os.open(os.fsencode(path), os.O_RDONLY))
        if book.sum.hex() != expected:
            return  # somebody has just written another: whoever started us does the work
        books.append((book, int(first), int(last), b""))
    serve(Shelf(books), 0, lambda number, same: os.write(1, ANSWER.pack(number, same)))


if __name__ == "__main__":
    import gc

    gc.disable()  # nothing here makes cycles, and looking for them takes time
    _main(sys.argv[1:])
