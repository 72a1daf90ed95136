"""Members of a zip archive, each as a view of the archive's own bytes where it lies there as it is.

Source: PKWARE, *APPNOTE* 6.3.10 (4.3.7 local file header). Names are compared, never written to; what is compressed is unpacked
into memory up to a bound, and its CRC checked. What lies before the archive or between its members is not looked at.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.results.errors import invalid, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Member", "members", "unpacked"]

_LOCAL: Final = struct.Struct("<4s5H3L2H")
#: Bytes that all members of one archive unpack to, and how many members are looked at.
_MOST_BYTES: Final = 4 << 30
_MOST_MEMBERS: Final = 200_000


class _View(io.RawIOBase):
    """A file over a memoryview, so that the archive is never copied whole."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, len(self._data))[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        part = self._data[self._at : self._at + len(target)]
        target[: len(part)] = part
        self._at += len(part)
        return len(part)


class Member(NamedTuple):
    """A member called *name*, of *size* bytes: *stored* as it is at *start*, or compressed; *time* is its DOS time as text."""

    name: str
    size: int
    start: int
    stored: bool
    time: str
    packed: int
    crc: int


def members(data: memoryview) -> Iterator[Member]:
    """The members of the archive, in the order of its directory. Raises DocumentError ``result-invalid``, ``result-too-large``."""
    try:
        with zipfile.ZipFile(io.BufferedReader(_View(data))) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, LookupError, OverflowError, RuntimeError, struct.error) as error:
        raise invalid(f"its archive can not be read: {error}"[:300]) from error
    if len(infos) > _MOST_MEMBERS:
        raise too_large(f"its archive has {len(infos):,} members, more than {_MOST_MEMBERS:,}")
    seen: set[str] = set()
    packed = 0
    for info in infos:
        if info.filename.endswith("/"):
            continue
        if info.filename in seen:
            raise invalid("its archive has two members of this name", info.filename)
        seen.add(info.filename)
        if info.flag_bits & 1:
            raise invalid("it is encrypted", info.filename)
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise invalid(f"it is compressed by method {info.compress_type}, which is not read", info.filename)
        head = bytes(data[info.header_offset : info.header_offset + _LOCAL.size])
        if info.header_offset < 0 or len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
            raise invalid("its archive names a place where no member is", info.filename)
        *_, name, extra = _LOCAL.unpack(head)
        start = info.header_offset + _LOCAL.size + name + extra
        stored = info.compress_type == zipfile.ZIP_STORED
        if start + info.compress_size > len(data) or (stored and info.compress_size != info.file_size):
            raise invalid("its archive is cut short, or lies about a size", info.filename)
        packed += 0 if stored else info.file_size
        if packed > _MOST_BYTES:
            raise too_large(f"its archive would unpack to more than {_MOST_BYTES >> 30} GiB", info.filename)
        time = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*info.date_time)
        yield Member(info.filename, info.file_size, start, stored, time, info.compress_size, info.CRC)


def unpacked(data: memoryview, member: Member) -> memoryview:
    """The bytes of *member*: a view where it is stored. Raises DocumentError ``result-invalid``, ``result-too-large``."""
    packed = data[member.start : member.start + member.packed]
    if member.stored:
        return packed
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(packed, member.size + 1)
    except zlib.error as error:
        raise invalid(f"it can not be unpacked: {error}", member.name) from error
    if len(plain) != member.size or zlib.crc32(plain) != member.crc:
        raise invalid("it unpacks to other bytes than its archive says", member.name)
    return memoryview(plain)
