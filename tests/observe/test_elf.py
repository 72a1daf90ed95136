"""ELF headers, sound and not: the word asked for, or an `ElfError`, and nothing else."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.observe.elf import ElfError, parse_elf, read_elf, symbol_word

_CASES = 2_000


def _small(word: int = 0x030B07F0, *, bits: int = 64, order: str = "<", gnu: bool = False) -> bytes:
    """A shared object of a few hundred bytes that exports ``Py_Version``, and needs ``libc.so.6``."""
    strings = b"\0Py_Version\0libc.so.6\0$ORIGIN/../lib\0"
    wide = bits == 64
    at_strings = 0x200
    at_symbols = at_strings + len(strings) + -len(strings) % 8
    symbol = struct.pack(order + ("IBBHQQ" if wide else "IIIBBH"), *((1, 17, 0, 5, 0, 8) if wide else (1, 0, 8, 17, 0, 5)))
    at_hash = at_symbols + 2 * len(symbol)
    if gnu:
        hashes = struct.pack(order + "IIII", 1, 1, 1, 0) + bytes(bits // 8) + struct.pack(order + "II", 1, 1)
    else:
        hashes = struct.pack(order + "IIIII", 1, 2, 1, 0, 0)
    at_word = at_hash + len(hashes) + -len(hashes) % 8
    value = at_word
    symbol = struct.pack(order + ("IBBHQQ" if wide else "IIIBBH"), *((1, 17, 0, 5, value, 8) if wide else (1, value, 8, 17, 0, 5)))
    dynamic = [(1, 12), (29, 22), (5, at_strings), (10, len(strings)), (6, at_symbols), (0x6FFFFEF5 if gnu else 4, at_hash), (0, 0)]
    table = b"".join(struct.pack(order + ("qQ" if wide else "iI"), *entry) for entry in dynamic)
    at_dynamic = at_word + 16
    size = at_dynamic + len(table)
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    if wide:
        head += struct.pack(order + "HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
        head += struct.pack(order + "IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
        head += struct.pack(order + "IIQQQQQQ", 2, 6, at_dynamic, at_dynamic, at_dynamic, len(table), len(table), 8)
    else:
        head += struct.pack(order + "HHIIIIIHHHHHH", 3, 3, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
        head += struct.pack(order + "IIIIIIII", 1, 0, 0, 0, size, size, 5, 4096)
        head += struct.pack(order + "IIIIIIII", 2, at_dynamic, at_dynamic, at_dynamic, len(table), len(table), 6, 8)
    data = head.ljust(at_strings, b"\0") + strings
    data = data.ljust(at_symbols, b"\0") + bytes(len(symbol)) + symbol + hashes
    data = data.ljust(at_word, b"\0") + struct.pack(order + ("Q" if wide else "I"), word)
    return data.ljust(at_dynamic, b"\0") + table


@pytest.mark.parametrize("gnu", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
def test_the_exported_word_is_read(bits: int, order: str, *, gnu: bool) -> None:
    data = _small(bits=bits, order=order, gnu=gnu)
    elf = parse_elf(data)
    assert (elf.bits, elf.order, elf.needed, elf.runpath) == (bits, order, ("libc.so.6",), "$ORIGIN/../lib")
    assert symbol_word(data, elf, "Py_Version") == 0x030B07F0
    assert symbol_word(data, elf, "Py_Absent") is None


_FIXED = {(bits, gnu): _small(bits=bits, gnu=gnu) for bits in (32, 64) for gnu in (False, True)}
_INTERESTING = st.sampled_from(
    (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f")
)
_ACCIDENTS = st.lists(
    st.tuples(st.integers(0, 900), st.one_of(_INTERESTING, st.binary(min_size=1, max_size=8))), min_size=1, max_size=6
)


@settings(max_examples=_CASES, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(_FIXED)), _ACCIDENTS, st.one_of(st.none(), st.integers(0, 900)))
def test_any_header_costs_an_error_at_most(which: tuple[int, bool], accidents: list[tuple[int, bytes]], cut: int | None) -> None:
    """2,000 cases, derandomised: fields of the headers, the tables and the hash overwritten, the file cut anywhere."""
    data = bytearray(_FIXED[which])
    for at, value in accidents:
        start = at % len(data)
        data[start : start + len(value)] = value
    whole = bytes(data[:cut] if cut is not None else data)
    try:
        elf = parse_elf(whole)
        word = symbol_word(whole, elf, "Py_Version")
    except ElfError:
        return
    assert word is None or 0 <= word < 1 << 64


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_cost_an_error_at_most(data: bytes) -> None:
    with pytest.raises(ElfError):
        symbol_word(b"\x7fELE" + data, parse_elf(b"\x7fELE" + data), "Py_Version")


def test_this_interpreter_by_its_own_bytes() -> None:
    """Whichever of the executable and its library holds the word, it is the one of the running interpreter."""
    executable = os.path.realpath(sys.executable)
    library = Path(executable).parents[1] / "lib" / f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
    words = [
        word
        for path in (executable, str(library))
        if os.path.exists(path) and (word := read_elf(path, "Py_Version")[1]) is not None
    ]
    assert words
    assert set(words) == {sys.hexversion}


def test_a_file_that_shrinks_is_an_error_and_no_signal(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(_small())
    assert read_elf(str(path), "Py_Version")[1] == 0x030B07F0
    for size in range(0, len(_small()), 7):
        os.truncate(path, 0)
        path.write_bytes(_small()[:size])
        try:
            found = read_elf(str(path), "Py_Version")[1]
        except ElfError:
            continue
        assert found in {None, 0x030B07F0}  # what was cut off was not needed, or held the name


@pytest.mark.parametrize("kind", ["fifo", "folder", "text", "empty"])
def test_what_is_no_elf_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "python"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.write_text("#!/bin/sh\necho Python 3.11.7\n" * 9 if kind == "text" else "")
    with pytest.raises(ElfError):
        read_elf(str(path))
