"""A bounded ELF reader: program headers, the dynamic section, one symbol. Nothing is executed.

Source: System V ABI, chapters 4 and 5. Every offset is checked against the file's length, and every table has an upper bound, so
that a hostile file costs a `ElfError` and nothing more.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["Elf", "ElfError", "parse_elf", "read_elf", "symbol_word"]

_MACHINES: Final = {3: "i686", 8: "mips", 21: "ppc64", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_RPATH, _DT_RUNPATH = 1, 5, 6, 10, 11, 15, 29
_DT_HASH, _DT_GNU_HASH, _DT_SONAME = 4, 0x6FFFFEF5, 14
_MOST_HEADERS: Final = 512
_MOST_ENTRIES: Final = 4096
_MOST_SYMBOLS: Final = 200_000
_MOST_TEXT: Final = 1 << 26


class ElfError(ValueError):
    """The file is no ELF file, or contradicts itself."""


class Bytes(Protocol):
    """What is read from: bytes, or a file of which only the parts asked for are read."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class _File:
    """An open file as `Bytes`. It is not mapped: who truncates a mapped file kills its reader."""

    __slots__ = ("fd", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self.size)
        return os.pread(self.fd, max(0, stop - start), start)


def _unpack(layout: str, data: Bytes, at: int) -> tuple[int, ...]:
    if at < 0:
        raise ElfError("an offset is negative")
    return struct.unpack(layout, data[at : at + struct.calcsize(layout)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """What the loader reads of an ELF file: *machine*, *loader* (PT_INTERP), *needed* names, *rpath*, *runpath* and *soname*.

    *bits* is 32 or 64; *order* the byte order as `struct` writes it; *loads* are (address, offset, size in file) of its segments;
    *dynamic* are (tag, value) pairs.
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
    where_dynamic = (0, 0)
    loader = ""
    for index in range(phnum):
        at = phoff + index * phentsize
        if bits == 64:
            kind, _, offset, address, _, size = _unpack(order + "IIQQQQ", data, at)
        else:
            kind, offset, address, _, size = _unpack(order + "IIIII", data, at)
        if kind == _PT_LOAD:
            loads.append((address, offset, size))
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
    bare = Elf(bits=bits, order=order, machine=machine, loader=loader, loads=tuple(loads), dynamic=tuple(dynamic))
    strings = bare.value(_DT_STRTAB)
    if strings is None:
        return bare
    base = bare.offset(strings)

    def names(tag: int) -> tuple[str, ...]:
        return tuple(_text(data, base + value) for key, value in dynamic if key == tag)

    return Elf(
        bits=bits,
        order=order,
        machine=machine,
        loader=loader,
        needed=names(_DT_NEEDED),
        rpath=":".join(names(_DT_RPATH)),
        runpath=":".join(names(_DT_RUNPATH)),
        soname="".join(names(_DT_SONAME)[:1]),
        loads=bare.loads,
        dynamic=bare.dynamic,
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


def read_elf(path: str, symbol: str = "") -> tuple[Elf, int | None]:
    """Parse the ELF file at *path*, and read the word at *symbol* if one is named.

    Raises:
        ElfError: it is not a well-formed ELF file.
        OSError: it can not be read.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size < 52:
            raise ElfError("it does not start as an ELF file does")
        data = _File(fd, state.st_size)
        elf = parse_elf(data)
        return elf, symbol_word(data, elf, symbol) if symbol else None
    finally:
        os.close(fd)
