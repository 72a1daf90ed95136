"""A bounded ELF reader: program headers, the dynamic section, one symbol, the build id, constant data. Nothing is executed.

Source: System V ABI, chapters 4 and 5. Every offset is checked against the file's length, and every table has an upper bound, so
that a hostile file costs a `ElfError` and nothing more.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Elf", "ElfError", "build_id", "constants", "open_elf", "parse_elf", "read_elf", "symbol_word"]

_MACHINES: Final = {3: "i686", 8: "mips", 21: "ppc64", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_PF_X, _PF_W = 1, 2
_NT_GNU_BUILD_ID: Final = 3
_DT_NEEDED, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_RPATH, _DT_RUNPATH = 1, 5, 6, 10, 11, 15, 29
_DT_HASH, _DT_GNU_HASH, _DT_SONAME, _DT_FLAGS_1 = 4, 0x6FFFFEF5, 14, 0x6FFFFFFB
_DF_1_NODEFLIB: Final = 0x800
_MOST_HEADERS: Final = 512
_MOST_ENTRIES: Final = 4096
_MOST_SYMBOLS: Final = 200_000
_MOST_TEXT: Final = 1 << 26
_MOST_NOTES: Final = 1 << 16
_LONGEST_ID: Final = 64
#: Headers, notes and the loader's name mostly lie in the first page, which is read once.
_HEAD: Final = 4096
#: Constant data is looked through in blocks of this size, up to so much of it; blocks overlap by what a text found there may take.
_BLOCK: Final = 1 << 20
_OVERLAP: Final = 512
_MOST_CONSTANTS: Final = 1 << 27


class ElfError(ValueError):
    """The file is no ELF file, or contradicts itself."""


class Bytes(Protocol):
    """What is read from: bytes, or a file of which only the parts asked for are read."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class _File:
    """An open file as `Bytes`. It is not mapped: who truncates a mapped file kills its reader."""

    __slots__ = ("fd", "head", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.head = os.pread(fd, _HEAD, 0)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self.size)
        if stop <= len(self.head):
            return self.head[start:stop]
        return os.pread(self.fd, max(0, stop - start), start)


def _unpack(layout: str, data: Bytes, at: int) -> tuple[int, ...]:
    if at < 0:
        raise ElfError("an offset is negative")
    return struct.unpack(layout, data[at : at + struct.calcsize(layout)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """What the loader reads of an ELF file: *machine*, *loader* (PT_INTERP), *needed* names, *rpath*, *runpath* and *soname*.

    *bits* is 32 or 64; *order* the byte order as `struct` writes it; *loads* are (address, offset, size in file) of its segments;
    *dynamic* are (tag, value) pairs. *notes* are (offset, size) of its notes, *fixed* of what is never written to while it runs,
    plain data before code.
    """

    bits: int
    order: str
    machine: str
    loader: str = ""
    needed: tuple[str, ...] = ()
    rpath: str = ""
    runpath: str = ""
    soname: str = ""
    loads: tuple[tuple[int, int, int], ...] = ()
    dynamic: tuple[tuple[int, int], ...] = ()
    notes: tuple[tuple[int, int], ...] = ()
    fixed: tuple[tuple[int, int], ...] = ()

    @property
    def no_defaults(self) -> bool:
        """Whether it was linked with ``-z nodefaultlib``: the loader then looks into no default folder for what it needs."""
        return bool((self.value(_DT_FLAGS_1) or 0) & _DF_1_NODEFLIB)

    def offset(self, address: int) -> int:
        """The file offset behind a virtual *address*. Raises ElfError where no segment holds it."""
        for start, offset, size in self.loads:
            if start <= address < start + size:
                return offset + address - start
        raise ElfError(f"no segment holds the address {address:#x}")

    def value(self, tag: int) -> int | None:
        """The first dynamic entry with *tag*."""
        return next((value for key, value in self.dynamic if key == tag), None)


def _text(data: Bytes, start: int, limit: int = 4096) -> str:
    text, end, _ = data[start : start + limit].partition(b"\0") if start >= 0 else (b"", b"", b"")
    if not end:
        raise ElfError("a string has no end")
    return text.decode("utf-8", "surrogateescape")


def parse_elf(data: Bytes) -> Elf:
    """Parse *data*. Raises ElfError where it is not a well-formed ELF file."""
    try:
        return _parse(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise ElfError(f"truncated: {error}") from error


def _parse(data: Bytes) -> Elf:
    if len(data) < 52 or data[:4] != b"\x7fELF":
        raise ElfError("it does not start as an ELF file does")
    bits = {b"\1": 32, b"\2": 64}.get(data[4:5], 0)
    order = {b"\1": "<", b"\2": ">"}.get(data[5:6], "")
    if not bits or not order:
        raise ElfError("its class or byte order is unknown")
    machine_id = _unpack(order + "H", data, 18)[0]
    machine = _MACHINES.get(machine_id, f"machine-{machine_id}")
    if machine == "ppc64" and order == "<":
        machine = "ppc64le"
    if bits == 64:
        (phoff,) = _unpack(order + "Q", data, 32)
        phentsize, phnum = _unpack(order + "HH", data, 54)
        wanted = 56
    else:
        (phoff,) = _unpack(order + "I", data, 28)
        phentsize, phnum = _unpack(order + "HH", data, 42)
        wanted = 32
    if phnum > _MOST_HEADERS or (phnum and phentsize < wanted):
        raise ElfError("its program headers are out of bounds")
    loads: list[tuple[int, int, int]] = []
    notes: list[tuple[int, int]] = []
    fixed: list[tuple[int, int, int]] = []
    where_dynamic = (0, 0)
    loader = ""
    for index in range(phnum):
        at = phoff + index * phentsize
        if bits == 64:
            kind, flags, offset, address, _, size = _unpack(order + "IIQQQQ", data, at)
        else:
            kind, offset, address, _, size, _, flags = _unpack(order + "IIIIIII", data, at)
        if kind == _PT_LOAD:
            loads.append((address, offset, size))
            if not flags & _PF_W:
                fixed.append((flags & _PF_X, offset, size))
        elif kind == _PT_NOTE:
            notes.append((offset, size))
        elif kind == _PT_DYNAMIC:
            where_dynamic = (offset, size)
        elif kind == _PT_INTERP:
            loader = _text(data, offset)
    dynamic: list[tuple[int, int]] = []
    entry = struct.Struct(order + ("qQ" if bits == 64 else "iI"))
    start, size = where_dynamic
    table = data[start : start + min(size // entry.size, _MOST_ENTRIES) * entry.size]
    for tag, value in entry.iter_unpack(table):
        if tag == 0:
            break
        dynamic.append((tag, value))
    bare = Elf(
        bits=bits,
        order=order,
        machine=machine,
        loader=loader,
        loads=tuple(loads),
        dynamic=tuple(dynamic),
        notes=tuple(notes),
        fixed=tuple((offset, size) for _, offset, size in sorted(fixed)),
    )
    strings = bare.value(_DT_STRTAB)
    if strings is None:
        return bare
    base = bare.offset(strings)

    def names(tag: int) -> tuple[str, ...]:
        return tuple(_text(data, base + value) for key, value in dynamic if key == tag)

    return replace(
        bare,
        needed=names(_DT_NEEDED),
        rpath=":".join(names(_DT_RPATH)),
        runpath=":".join(names(_DT_RUNPATH)),
        soname="".join(names(_DT_SONAME)[:1]),
    )


def _symbol_count(data: Bytes, elf: Elf) -> int:
    table = elf.value(_DT_HASH)
    if table is not None:
        return _unpack(elf.order + "I", data, elf.offset(table) + 4)[0]
    table = elf.value(_DT_GNU_HASH)
    if table is None:
        return 0
    at = elf.offset(table)
    buckets, first, bloom, _ = _unpack(elf.order + "IIII", data, at)
    if buckets > _MOST_SYMBOLS or bloom > _MOST_SYMBOLS:
        raise ElfError("its hash table is out of bounds")
    at += 16 + bloom * elf.bits // 8
    last = max(_unpack(f"{elf.order}{buckets}I", data, at), default=0)
    if last < first:
        return first
    at += 4 * (buckets + last - first)
    for (chain,) in struct.iter_unpack(elf.order + "I", _whole(data[at : at + 4 * _MOST_SYMBOLS], 4)):
        last += 1
        if chain & 1:
            return last
    raise ElfError("its hash chains have no end")


def _whole(data: bytes, size: int) -> bytes:
    """*data* without an incomplete last element of *size* bytes."""
    return data[: len(data) - len(data) % size]


def symbol_word(data: Bytes, elf: Elf, name: str) -> int | None:
    """The unsigned long stored at the exported symbol *name*, or None where it is not exported. Raises ElfError."""
    symbols, strings = elf.value(_DT_SYMTAB), elf.value(_DT_STRTAB)
    if symbols is None or strings is None:
        return None
    try:
        count = min(_symbol_count(data, elf), _MOST_SYMBOLS)
        base, text = elf.offset(symbols), elf.offset(strings)
        size = 24 if elf.bits == 64 else 16
        wanted = name.encode() + b"\0"
        # The name's offsets in the string table come first, since looking there is a plain search in bytes.
        strings_read = data[text : text + min(elf.value(_DT_STRSZ) or 0, _MOST_TEXT)]
        offsets: set[int] = set()
        at = strings_read.find(wanted)
        while at >= 0 and len(offsets) < 64:
            offsets.add(at)
            at = strings_read.find(wanted, at + 1)
        if not offsets:
            return None
        word = elf.order + ("Q" if elf.bits == 64 else "I")
        layout = elf.order + ("I4xQ8x" if elf.bits == 64 else "II8x")
        for named, address in struct.iter_unpack(layout, _whole(data[base : base + count * size], size)):
            if named in offsets and address:
                return _unpack(word, data, elf.offset(address))[0]
    except (struct.error, IndexError, OverflowError) as error:
        raise ElfError(f"truncated: {error}") from error
    return None


def build_id(data: Bytes, elf: Elf) -> str:
    """The GNU build id in hex, empty where there is none (or none that makes sense). It is what the linker wrote, and no proof.

    Source: the notes of gABI chapter 5, with NT_GNU_BUILD_ID of GNU ld's ``--build-id``.
    """
    for start, size in elf.notes:
        notes = data[start : start + min(size, _MOST_NOTES)]
        at = 0
        while at + 12 <= len(notes):
            name_size, size_of_value, kind = struct.unpack_from(elf.order + "III", notes, at)
            value = at + 12 + name_size + -name_size % 4
            if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 16] == b"GNU\0" and name_size == 4:
                found = notes[value : value + size_of_value]
                return found.hex() if 0 < size_of_value <= _LONGEST_ID and len(found) == size_of_value else ""
            at = value + size_of_value + -size_of_value % 4
    return ""


def constants(data: Bytes, elf: Elf) -> Iterator[bytes]:
    """What is never written to while *elf* runs, where constant texts lie: in blocks that overlap, data before code, bounded."""
    left = _MOST_CONSTANTS
    for start, size in elf.fixed:
        at, end = start, min(start + size, len(data), start + left)
        left -= max(0, end - at)
        while at < end:
            yield data[at : min(at + _BLOCK + _OVERLAP, end)]
            at += _BLOCK


@contextmanager
def open_elf(path: str) -> Iterator[tuple[Bytes, Elf]]:
    """The ELF file at *path*, opened and parsed.

    Raises:
        ElfError: it is not a well-formed ELF file.
        OSError: it can not be read.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size < 52:
            raise ElfError("it does not start as an ELF file does")
        data = _File(fd, state.st_size)
        yield data, parse_elf(data)
    finally:
        os.close(fd)


def read_elf(path: str, symbol: str = "") -> tuple[Elf, int | None]:
    """Parse the ELF file at *path*, and read the word at *symbol* if one is named.

    Raises:
        ElfError: it is not a well-formed ELF file.
        OSError: it can not be read.
    """
    with open_elf(path) as (data, elf):
        return elf, symbol_word(data, elf, symbol) if symbol else None
