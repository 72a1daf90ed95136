"""The child that judges bytecode: is this the code that that source compiles to?

It runs as a script under ``-I -S -B`` in an interpreter of exactly the version that wrote the bytecode, which may be an old one:
the syntax here is that of Python 3.8, and only the standard library is imported. It loads hostile bytes, so it may crash, hang or
be taken over; it can write nothing, and whoever started it names the file on which it ended.

A request is a little-endian uint32 length and that many bytes: for each pair an optimisation level, the path of the source, that of
the bytecode, and the SHA-256 of both in hex, joined by NUL. A reply is one byte a pair, in order, each sent at once.

Bytes of bytecode are never compared, since ``marshal`` writes the same code in many ways. Compared are the code objects,
recursively and by type: everything but ``co_filename``, which import rewrites.
"""

from __future__ import annotations

import _frozen_importlib_external
import hashlib
import marshal
import os
import struct
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SAME, DIFFERS, NO_SOURCE, NO_CODE, CHANGED, OTHER_MAGIC, FAILED = b"SDNUMGF"
_FIELDS = 5
_HEADER = 16
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
        "co_code",
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


def key(value: Any) -> tuple[object, object]:
    """A value that is equal for two constants, or code objects, just where they are the same in type and in every part."""
    kind = type(value)
    if kind in _PLAIN:
        return kind.__name__, value
    if kind is tuple:
        return kind, tuple([key(item) for item in value])
    if kind is types.CodeType:
        return kind, tuple([key(getattr(value, name)) for name in _ATTRIBUTES])
    if kind is float:
        return kind, struct.pack("<d", value)
    if kind is complex:
        return kind, struct.pack("<dd", value.real, value.imag)
    if kind is frozenset:
        return kind, frozenset([key(item) for item in value])
    if kind is slice:
        return kind, (key(value.start), key(value.stop), key(value.step))
    return kind, object()  # nothing that a compiler makes


def judge(level: int, source_path: bytes, code_path: bytes, source_digest: str, code_digest: str) -> int:
    """Whether the bytecode is what the source compiles to at that optimisation *level*."""
    try:
        with open(source_path, "rb") as file:
            source = file.read()
        with open(code_path, "rb") as file:
            data = file.read()
    except OSError:
        return CHANGED
    if hashlib.sha256(source).hexdigest() != source_digest or hashlib.sha256(data).hexdigest() != code_digest:
        return CHANGED
    if data[:4] != _MAGIC:
        return OTHER_MAGIC
    try:
        code = marshal.loads(data[_HEADER:])  # noqa: S302 - which is why this is a process of its own
    except (ValueError, EOFError, TypeError):
        return NO_CODE
    if type(code) is not types.CodeType:
        return NO_CODE
    try:
        expected = compile(source, "<source>", "exec", dont_inherit=True, optimize=level)
    except (SyntaxError, ValueError):
        return NO_SOURCE
    return SAME if key(code) == key(expected) else DIFFERS


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
            except (RecursionError, MemoryError, OverflowError, SystemError):
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
    serve(0, 1)
