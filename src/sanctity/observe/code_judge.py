"""The child that judges bytecode: is this the code that that source compiles to?

It runs as a script under ``-I -S -B`` in an interpreter of exactly the version that wrote the bytecode, which may be an old one:
the syntax here is that of Python 3.8, and only the standard library is imported. It loads hostile bytes, so it may crash, hang or
be taken over; it can write nothing, and whoever started it names the file on which it ended.

It first says what it is (`compiler`), in a line. A request is a little-endian uint32 length and that many bytes: for each pair an
optimisation level, the path of the source, that of the bytecode, and the SHA-256 of both in hex, joined by NUL. A reply is one byte
a pair, in order, each sent at once.

Bytes of bytecode are never compared, since ``marshal`` writes the same code in many ways. Compared are the code objects,
recursively and by type: everything but ``co_filename``, which import rewrites. What code says of itself is not all that is run:
``co_code`` shows instructions that the interpreter specialised as the plain ones, and the names by kind do not tell in which order
the slots of a frame lie. So what lies beneath is compared, too.
"""

from __future__ import annotations

import _frozen_importlib_external
import hashlib
import marshal
import os
import stat
import struct
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SAME, DIFFERS, NO_SOURCE, NO_CODE, CHANGED, OTHER_MAGIC, FAILED, STALE = b"SDNUMGFT"
_FIELDS = 5
_HEADER = 16
_CHECKED_HASH = 3
_LARGEST = 1 << 29
_MAGIC: bytes = _frozen_importlib_external.MAGIC_NUMBER
_ATTRIBUTES = tuple(
    name
    for name in (
        "co_argcount",
        "co_posonlyargcount",
        "co_kwonlyargcount",
        "co_nlocals",
        "co_stacksize",
        "co_flags",
        "_co_code_adaptive" if hasattr(types.CodeType, "_co_code_adaptive") else "co_code",
        "co_names",
        "co_varnames",
        "co_freevars",
        "co_cellvars",
        "co_name",
        "co_qualname",
        "co_firstlineno",
        "co_linetable" if hasattr(types.CodeType, "co_linetable") else "co_lnotab",
        "co_exceptiontable",
        "co_consts",
    )
    if hasattr(types.CodeType, name)
)
_PLAIN = (int, bool, str, bytes, type(None), type(Ellipsis))


def compiler() -> str:
    """What this interpreter is: ``cpython 3.11.7``, and whether it has no lock (PEP 703)."""
    threaded = " free-threaded" if "t" in getattr(sys, "abiflags", "") else ""
    return sys.implementation.name + " " + sys.version.split()[0] + threaded


def same(one: Any, other: Any) -> bool:
    """Whether two constants, or code objects, are the same in type and in every part. It looks no further than they agree."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind in _PLAIN:
        return bool(one == other)
    if kind is tuple:
        return len(one) == len(other) and all(map(same, one, other))
    if kind is types.CodeType:
        return all(same(getattr(one, name), getattr(other, name)) for name in _ATTRIBUTES) and slots(one) == slots(other)
    if kind is frozenset:
        return len(one) == len(other) and key(one) == key(other)
    return key(one) == key(other)


def key(value: Any) -> tuple[object, object]:
    """A value that is equal for two constants just where they are the same in type and in every part."""
    kind = type(value)
    if kind in _PLAIN:
        return kind.__name__, value
    if kind is tuple:
        return kind, tuple([key(item) for item in value])
    if kind is float:
        return kind, struct.pack("<d", value)
    if kind is complex:
        return kind, struct.pack("<dd", value.real, value.imag)
    if kind is frozenset:
        return kind, frozenset([key(item) for item in value])
    if kind is slice:
        return kind, (key(value.start), key(value.stop), key(value.step))
    return kind, object()  # nothing that a compiler makes


def slots(code: types.CodeType) -> list[str]:
    """The names of the slots in a frame of *code*, in their order, which since 3.11 only the code itself knows."""
    name_of = getattr(code, "_varname_from_oparg", None)
    names: list[str] = []
    try:
        while name_of is not None:
            names.append(name_of(len(names)))
    except IndexError:
        pass
    return names


def same_beneath(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two code objects that are the `same` are so in what no attribute shows: the kinds of slots, since 3.11."""
    if not hasattr(one, "_varname_from_oparg"):
        return True
    try:  # without references and interning, each value is written in one way
        return marshal.dumps(one, 2) == marshal.dumps(other, 2)
    except ValueError:  # a slice, which this form does not know: then a slot may be hidden from `locals()` unseen
        return True


def read(path: bytes) -> bytes:
    """The bytes of a regular file. Raises OSError where it is none, or larger than any source."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(fd, "rb") as file:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST:
            raise OSError("it is no regular file")
        return file.read(state.st_size + 1)


def judge(level: int, source_path: bytes, code_path: bytes, source_digest: str, code_digest: str) -> int:
    """Whether the bytecode is what the source compiles to at that optimisation *level*."""
    try:
        source, data = read(source_path), read(code_path)
    except OSError:
        return CHANGED
    if hashlib.sha256(source).hexdigest() != source_digest or hashlib.sha256(data).hexdigest() != code_digest:
        return CHANGED
    if data[:4] != _MAGIC:
        return OTHER_MAGIC
    if struct.unpack("<I", data[4:8])[0] == _CHECKED_HASH and data[8:_HEADER] != hash_of(source):
        return STALE
    try:
        code = marshal.loads(data[_HEADER:])  # noqa: S302 - which is why this is a process of its own
    except (ValueError, EOFError, TypeError):
        return NO_CODE
    if type(code) is not types.CodeType:
        return NO_CODE
    level = min(level, 2)
    try:
        expected = compile(source, code.co_filename, "exec", dont_inherit=True, optimize=level)
    except (SyntaxError, ValueError):
        try:
            compile(source, "<source>", "exec", dont_inherit=True, optimize=level)
        except (SyntaxError, ValueError):
            return NO_SOURCE
        return DIFFERS  # its name of a file is none
    return SAME if same(code, expected) and same_beneath(code, expected) else DIFFERS


def hash_of(source: bytes) -> bytes:
    """The hash of *source* that a header has (PEP 552)."""
    from importlib.util import source_hash

    return bytes(source_hash(source))


def limit() -> None:
    """Take from this process what it has no need of: writing files, much memory, cores."""
    try:
        import resource
    except ImportError:  # not on this platform
        return
    for name, most in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_AS", 4 << 30), ("RLIMIT_NPROC", 0)):
        number = getattr(resource, name, None)
        if number is None:
            continue
        try:
            resource.setrlimit(number, (most, most))
        except (ValueError, OSError):
            continue


def serve(read_fd: int, write_fd: int) -> None:
    """Answer requests until there are no more."""
    while True:
        head = read_exactly(read_fd, 4)
        if len(head) < 4:
            return
        fields = read_exactly(read_fd, struct.unpack("<I", head)[0]).split(b"\0")
        for start in range(0, len(fields) - _FIELDS + 1, _FIELDS):
            level, source, code, source_digest, code_digest = fields[start : start + _FIELDS]
            try:
                answer = judge(int(level), source, code, source_digest.decode(), code_digest.decode())
            except Exception:  # noqa: BLE001 - hostile bytes may make the interpreter raise what it never should
                answer = FAILED
            os.write(write_fd, bytes([answer]))


def read_exactly(fd: int, count: int) -> bytes:
    """That many bytes, or none at the end."""
    parts = []
    while count:
        part = os.read(fd, count)
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    limit()
    os.write(1, compiler().encode() + b"\n")
    serve(0, 1)
