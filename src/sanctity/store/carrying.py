"""One file that carries an archive over an air gap: a plain tar of the OCI layout.

Its members are ``oci-layout``, the blobs sorted by name, and ``index.json``; then two blocks of zeros and nothing more. The index
comes last, so that a file that was cut short has none. The same archive makes the same file, byte for byte: no time, owner or mode
of this machine is in it. Any tar unpacks it, and what it unpacks is an archive.

What is read is not trusted. A member is one of those names and a regular file; each blob is hashed while it streams in, and kept
only if it is what its name says. Nothing is listed before the whole file was read and every reference in it resolved. The reader is
our own: `tarfile` passes over a cut in a header in silence, and knows a dozen kinds of members that have no place here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from sanctity.errors import DocumentError, UsageError
from sanctity.model.digest import Digest
from sanctity.store.archive import INDEX, LARGEST_DOCUMENT
from sanctity.store.blobs import ArchiveError, failed
from sanctity.store.layout import (
    INDEX_TYPE,
    LAYOUT,
    LOCK_TYPE,
    MANIFEST_TYPE,
    digest_of,
    format_index,
    lock_of,
    parse_index,
    parse_layout,
    parse_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sanctity.store.archive import Archive
    from sanctity.store.layout import Descriptor

__all__ = ["Carried", "export_archive", "import_archive"]

_BLOCK: Final = 512
_CHUNK: Final = 1 << 20
_LAYOUT_NAME: Final = "oci-layout"
_BLOB: Final = re.compile(r"blobs/sha256/([0-9a-f]{64})").fullmatch
#: Sizes from here on do not fit the eleven octal digits of a header (POSIX.1, ustar): they are written as GNU's tar does.
_OCTAL: Final = 8**11


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What an export or import came to: *manifests* and *blobs* in the file, its *size* in bytes, and how many blobs were *new*."""

    manifests: int
    blobs: int
    size: int
    new: int = 0


# -- out --------------------------------------------------------------------------------------------------------------------------


def export_archive(
    archive: Archive, path: str, entries: Iterable[Descriptor], *, tick: Callable[[int, int], None] | None = None
) -> Carried:
    """Write *entries* of the index, and everything they lead to, to the file *path*, which appears when it is whole.

    Until then it is ``PATH.part``; one that was left behind is written anew. Every blob is hashed on the way.

    Raises:
        ArchiveError: a blob is missing or altered; ``archive-full``; ``archive-busy``, somebody else writes it.
        DocumentError: a manifest can not be read.
    """
    entries = tuple(entries)
    sizes = _everything(archive, entries)
    part = f"{path}.part"
    total = 0
    try:
        with _writable(part) as file:
            total += _write(file, _LAYOUT_NAME, len(LAYOUT), digest_of(LAYOUT), (LAYOUT,))
            for done, digest in enumerate(sorted(sizes)):
                total += _write(file, f"blobs/sha256/{digest.value}", sizes[digest], digest, _blob(archive, digest, sizes[digest]))
                if tick is not None:
                    tick(done + 1, len(sizes))
            index = format_index(entries)
            total += _write(file, INDEX, len(index), digest_of(index), (index,))
            file.write(bytes(2 * _BLOCK))
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
    except OSError as error:
        raise failed(error, part) from error
    return Carried(manifests=len(entries), blobs=len(sizes), size=total + 2 * _BLOCK)


@contextlib.contextmanager
def _writable(part: str) -> Iterator[IO[bytes]]:
    """The file *part*, emptied, and ours alone; gone again where it is not finished."""
    import fcntl

    fd = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
    with os.fdopen(fd, "wb") as file:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError("archive-busy", "somebody else is writing it", where=part, hint="wait for the other") from None
        if os.stat(part).st_ino != os.fstat(fd).st_ino:
            raise ArchiveError("archive-busy", "somebody else has just written it", where=part, hint="look at what is there")
        os.ftruncate(fd, 0)
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise


def _blob(archive: Archive, digest: Digest, size: int) -> Iterator[bytes]:
    """The bytes of a blob, which must be as many as are promised, and hash to its name."""
    found = hashlib.sha256()
    left = size
    for chunk in archive.blobs.read(digest):
        found.update(chunk)
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left or found.hexdigest() != digest.value:
        where = f"{archive.place}/blobs/sha256/{digest.value}"
        hint = "sanctity archive scrub says which files it is; add their lock again"
        raise ArchiveError("archive-blob-altered", "its bytes are not those that its name says", where=where, hint=hint)


def _everything(archive: Archive, entries: Iterable[Descriptor]) -> dict[Digest, int]:
    """Every blob that *entries* lead to, with its size; a subject comes along where it is there."""
    found: dict[Digest, int] = {}
    waiting = list(entries)
    while waiting:
        item = waiting.pop()
        if item.digest in found:
            continue
        found[item.digest] = item.size
        if item.media_type in {MANIFEST_TYPE, INDEX_TYPE}:
            manifest = archive.manifest(item)
            waiting += manifest.all()
            if manifest.subject is not None and archive.has(manifest.subject.digest):
                waiting.append(manifest.subject)
    return found


def _header(name: str, size: int, digest: str) -> bytes:
    """A ustar header of a regular file that says no more than its *name*, its *size*, and the *digest* of its bytes.

    The digest stands where a link would have its target: tar looks at that in links only.
    """
    width = b"%011o\0" % size if size < _OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = [name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", width, b"00000000000\0"]
    rest = (
        b"0" + digest.encode().ljust(100, b"\0") + b"ustar\x0000" + bytes(32 + 32) + b"0000000\0" + b"0000000\0" + bytes(155 + 12)
    )
    head = b"".join(fields)
    total = sum(head) + 8 * 0x20 + sum(rest)
    return head + b"%06o\0 " % total + rest


def _write(file: IO[bytes], name: str, size: int, digest: Digest, chunks: Iterable[bytes]) -> int:
    """Write one member, padded to whole blocks; how many bytes that is."""
    file.write(_header(name, size, str(digest)))
    file.writelines(chunks)
    padding = -size % _BLOCK
    file.write(bytes(padding))
    return _BLOCK + size + padding


# -- in ---------------------------------------------------------------------------------------------------------------------------


def _truncated(path: str, words: str) -> DocumentError:
    hint = "copy it again, and compare its SHA-256 with the one where it was made; nothing of it was listed"
    return DocumentError("export-truncated", words, where=path, hint=hint)


def _altered(path: str, words: str) -> DocumentError:
    hint = "copy it again, and compare its SHA-256 with the one where it was made; nothing of it was listed"
    return DocumentError("export-altered", words, where=path, hint=hint)


def _invalid(path: str, words: str) -> DocumentError:
    hint = "write it with `sanctity archive export`; nothing of it was listed"
    return DocumentError("export-invalid", words, where=path, hint=hint)


def import_archive(archive: Archive, path: str, *, tick: Callable[[int, int], None] | None = None) -> Carried:
    """Take over what the export at *path* holds; blobs that are there already are not written again.

    A name goes to what is imported, as when it is added; of a lock that is here too, the artifacts are joined.

    Raises:
        UsageError: there is no such file.
        DocumentError: ``export-truncated``, it ends too early, or lacks something; ``export-altered``, a blob is not what its name
            says; ``export-invalid``, it is no export. Nothing of it was listed then.
        ArchiveError: ``archive-full``, or the archive can not be written.
    """
    try:
        size = os.stat(path).st_size
        file = open(path, "rb")  # noqa: SIM115 - it is closed below
    except OSError as error:
        raise UsageError(
            "export-not-found", error.strerror or "it can not be read", where=path, hint="name the exported file"
        ) from error
    with file, archive.adding():
        reader = _Reader(archive, file, path, size, tick)
        reader.run()
        entries = reader.entries()
        archive.add_entries(entries)
        for entry in entries:
            if entry.artifact_type == LOCK_TYPE and entry.name:
                archive.add_lock(lock_of(archive.manifest(entry), entry, f"{path}: {entry.digest}"))
        return Carried(manifests=len(entries), blobs=reader.blobs, size=size, new=reader.new)


class _Reader:
    """Reads an export once, from its beginning to its end."""

    def __init__(self, archive: Archive, file: IO[bytes], path: str, size: int, tick: Callable[[int, int], None] | None) -> None:
        self.archive = archive
        self.file = file
        self.path = path
        self.size = size
        self.tick = tick
        self.read = 0
        self.blobs = 0
        self.new = 0
        self.seen: set[str] = set()
        self.index: bytes | None = None
        self.own = False

    def run(self) -> None:
        """Take in every blob, and keep the index for later."""
        while True:
            header = self._take(_BLOCK)
            if header == bytes(_BLOCK):
                break
            self._member(*self._header(header))
            if self.tick is not None:
                self.tick(self.read, self.size)
        rest = self._take(_BLOCK)
        while rest and not rest.strip(b"\0"):
            rest = self.file.read(_BLOCK)  # GNU's tar fills its last record with zeros
        if rest:
            raise _invalid(self.path, "something follows its end")
        if self.index is None:
            raise _truncated(self.path, "it has no index.json")
        if _LAYOUT_NAME not in self.seen:
            raise _invalid(self.path, "it has no oci-layout")

    def _take(self, length: int) -> bytes:
        """The next *length* bytes."""
        data = self.file.read(length)
        self.read += len(data)
        if len(data) != length:
            raise _truncated(self.path, f"it ends after {self.read:,} bytes, in the middle of a member")
        return data

    def _header(self, header: bytes) -> tuple[str, int, bytes, str]:
        """The name, size and kind that *header* states, and the digest if we wrote it."""
        total = sum(header) - sum(header[148:156]) + 8 * 0x20
        try:
            stated = int(header[148:156].strip(b" \0") or b"0", 8)
            width = header[124:136]
            size = int.from_bytes(width[1:], "big") if width[0] == 0x80 else int(width.strip(b" \0") or b"0", 8)
            name = (header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b"").decode("ascii")
            last = header[:100].rstrip(b"\0").decode("ascii")
        except ValueError as error:
            raise _invalid(self.path, f"at byte {self.read - _BLOCK:,} there is no header of a tar file") from error
        if stated != total or size < 0:
            raise _invalid(self.path, f"at byte {self.read - _BLOCK:,} there is no header of a tar file")
        name = f"{name}/{last}" if name else last
        digest = header[157:257].rstrip(b"\0").decode("ascii", "replace") if header[156:157] == b"0" else ""
        self.own = self.own or bool(digest)
        if self.own and header != _header(name, size, digest):
            raise _altered(self.path, f"the header of {name[:120]!r} is not as it was written")
        return name, size, header[156:157], digest

    def _member(self, name: str, size: int, kind: bytes, digest: str) -> None:
        """Take in one member."""
        name = name.removeprefix("./")
        if kind == b"5" and size == 0 and name.rstrip("/") in {"", ".", "blobs", "blobs/sha256"}:
            return  # a tar that another tool made of the layout names its folders
        found = _BLOB(name)
        shown = name[:120]
        if kind not in {b"0", b"\0"}:
            raise _invalid(self.path, f"its member {shown!r} is no regular file")
        if found is None and name not in {_LAYOUT_NAME, INDEX}:
            raise _invalid(self.path, f"its member {shown!r} has no place in an archive")
        if name in self.seen:
            raise _invalid(self.path, f"it has {shown!r} twice")
        if size > self.size - self.read:
            raise _truncated(self.path, f"{shown} should have {size:,} bytes, and {self.size - self.read:,} are left")
        self.seen.add(name)
        if found is not None:
            self._blob(Digest("sha256", found[1]), size)
        else:
            if size > LARGEST_DOCUMENT:
                raise _invalid(self.path, f"{shown} has {size:,} bytes")
            data = self._take(size)
            if self.own and str(digest_of(data)) != digest:
                raise _altered(self.path, f"{name} is not as it was written")
            if name == INDEX:
                self.index = data
            else:
                parse_layout(data, f"{self.path}: {name}")
        if self._take(-size % _BLOCK).strip(b"\0"):
            raise _invalid(self.path, f"something is hidden behind {shown}")

    def _blob(self, digest: Digest, size: int) -> None:
        """Keep a blob, if its bytes are what its name says; of one that is there, only look."""
        self.blobs += 1
        if self.archive.size_of(digest) == size and self._is_sound(digest):
            found = hashlib.sha256()
            for chunk in self._pieces(size):
                found.update(chunk)
            if found.hexdigest() != digest.value:
                raise _altered(self.path, f"the blob {digest} is not what its name says")
            return
        try:
            self.archive.keep_stream(self._pieces(size), digest)
        except ArchiveError as error:
            if error.code == "archive-blob-altered":
                raise _altered(self.path, f"the blob {digest} is not what its name says") from error
            raise
        self.new += 1

    def _is_sound(self, digest: Digest) -> bool:
        """Whether what the archive has under that name is it: an altered one is replaced."""
        try:
            self.archive.path_of(digest, self.archive.workroom())
        except ArchiveError as error:
            if error.code in {"archive-blob-altered", "archive-blob-missing"}:
                return False
            raise
        return True

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            chunk = self._take(min(size, _CHUNK))
            size -= len(chunk)
            yield chunk

    def entries(self) -> tuple[Descriptor, ...]:
        """The entries of its index, when everything they lead to is there."""
        assert self.index is not None
        entries = parse_index(self.index, f"{self.path}: {INDEX}")
        sizes: dict[Digest, int] = {}
        waiting = list(entries)
        while waiting:
            item = waiting.pop()
            if item.digest in sizes:
                continue
            sizes[item.digest] = item.size
            actual = self.archive.size_of(item.digest)
            if actual is None or f"blobs/sha256/{item.digest.value}" not in self.seen:
                raise _truncated(self.path, f"its index leads to the blob {item.digest}, which it does not hold")
            if actual != item.size:
                raise _invalid(self.path, f"the blob {item.digest} has {actual:,} bytes, and it says {item.size:,}")
            if item.media_type in {MANIFEST_TYPE, INDEX_TYPE}:
                manifest = parse_manifest(self.archive.read(item.digest), f"{self.path}: {item.digest}")
                if manifest.artifact_type == LOCK_TYPE:
                    lock_of(manifest, item, f"{self.path}: {item.digest}")
                waiting += manifest.all()
        return entries
