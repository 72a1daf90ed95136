"""Bytecode by its header: would import run it, and in whose place?

Source: PEP 3147 (names), PEP 552 (headers), `importlib._bootstrap_external`. At this depth the code itself is not looked at:
bytecode forged under a matching header is seen only at depth ``artifact``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.model.drift import Code, Drift, Severity, Unchecked
from sanctity.model.environment import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment, FileEntry

__all__ = ["MAGIC", "Runnable", "compare_bytecode", "runnable"]

#: The magic number of each released minor version, from CPython's ``Include/internal/pycore_magic_number.h``.
MAGIC: Final = {
    "3.8": 3413,
    "3.9": 3425,
    "3.10": 3439,
    "3.11": 3495,
    "3.12": 3531,
    "3.13": 3571,
    "3.14": 3627,
}
#: Import asks for the level that ``-O`` gives, which is as high as it is often given.
_LEVEL: Final = re.compile("[1-9][0-9]{0,9}")
_NAME: Final = re.compile(r"(?P<stem>.+?)\.(?P<tag>[a-z]+-?\d+)(?:\.opt-(?P<level>[0-9A-Za-z]+))?\.pyc")
_STREAMS: Final = frozenset({FileKind.FIFO, FileKind.DEVICE})
_HASHED, _CHECKED = 0b01, 0b10  # the bits of the flags (PEP 552); a header with another one is refused


def _is_of(version: str, magic: int) -> bool:
    """Whether import of Python *version* (``3.11``) takes bytecode with the number *magic*.

    Of a version that is not in `MAGIC` only the range is known, which starts at 2900 + 50 n for each 3.n since 3.11.
    """
    if version in MAGIC:
        return magic == MAGIC[version]
    major, _, minor = version.partition(".")
    if major != "3" or not minor.isdecimal() or int(minor) < 11:
        return True
    return 0 <= magic - (2900 + 50 * int(minor)) < 50


def _state(environment: Environment, entry: FileEntry, source: FileEntry) -> str:
    """``fits``, ``stale`` or ``unchecked``: what import would make of bytecode beside its source."""
    if entry.kind in _STREAMS:
        return "unchecked"  # import waits for it, and runs whatever comes out of it then
    header = entry.header
    if len(header) < 16 or header[2:4] != b"\r\n":
        return "stale"
    if not _is_of(environment.layout.version, int.from_bytes(header[:2], "little")):
        return "stale"
    flags = int.from_bytes(header[4:8], "little")
    if flags & ~(_HASHED | _CHECKED):
        return "stale"
    if flags & _HASHED:
        return "fits" if flags & _CHECKED else "unchecked"
    # Import takes `st_mtime`, a float, whole: just before a full second that is the next one.
    seconds, rest = divmod(source.mtime_ns, 1_000_000_000)
    mtime = int(seconds + 1e-9 * rest) & 0xFFFFFFFF
    fits = int.from_bytes(header[8:12], "little") == mtime and int.from_bytes(header[12:16], "little") == source.size & 0xFFFFFFFF
    return "fits" if fits else "stale"


class Runnable(NamedTuple):
    """Bytecode beside its source: *state* is ``fits``, ``unchecked`` or ``stale``, *level* the optimisation it was made with.

    Where *state* is ``foreign`` or ``orphan``, import does not look at it, and there is no *source*.
    """

    path: str
    state: str
    source: FileEntry | None = None
    level: int = 0


def runnable(environment: Environment, ownership: Ownership) -> Iterator[Runnable]:
    """Every file in a ``__pycache__`` of site-packages, with what import would make of it, in order of path."""
    tag = environment.interpreter.implementation + environment.layout.version.replace(".", "")
    for path in sorted(path for path in environment.files if "/__pycache__/" in path):
        if not ownership.in_site(path) or environment.files[path].problem:
            continue
        folder, _, name = path.rpartition("/__pycache__/")
        match = _NAME.fullmatch(name)
        if match is None or match["tag"].replace("-", "") != tag or not _LEVEL.fullmatch(match["level"] or "1"):
            yield Runnable(path, "foreign")
            continue
        source = ownership.files.get(f"{folder}/{match['stem']}.py")
        if source is None:
            yield Runnable(path, "orphan")
            continue
        yield Runnable(path, _state(environment, environment.files[path], source), source, int(match["level"] or 0))


def compare_bytecode(environment: Environment, ownership: Ownership) -> Iterator[Drift | Unchecked]:
    """Judge every file in a ``__pycache__`` of site-packages by name and header."""
    fits = 0
    codes = {"stale": Code.BYTECODE_STALE, "foreign": Code.BYTECODE_FOREIGN, "orphan": Code.BYTECODE_ORPHAN}
    counts = dict.fromkeys(codes.values(), 0)
    examples: dict[Code, str] = {}
    for path, state, source, _ in runnable(environment, ownership):
        if state in codes:
            counts[codes[state]] += 1
            examples.setdefault(codes[state], ownership.shown(path))
        elif state == "unchecked":
            assert source is not None
            owner = ownership.owners.get(source.path)
            yield Drift(
                code=Code.BYTECODE_UNCHECKED,
                distribution=owner.name if owner else "",
                version=owner.version if owner else "",
                path=ownership.shown(path),
                message=f"import runs it in place of {ownership.shown(source.path)} and never compares the two",
            )
        else:
            fits += 1
    words = {
        Code.BYTECODE_STALE: "its header does not fit its source, so import ignores it",
        Code.BYTECODE_FOREIGN: "written for another program or another Python; import does not look at it",
        Code.BYTECODE_ORPHAN: "its source is gone; in __pycache__ import does not look at it",
    }
    for code, found in counts.items():
        if found:
            yield Drift(code=code, severity=Severity.NOTE, gating=False, path=examples[code], count=found, message=words[code])
    if fits:
        yield Unchecked(
            code="bytecode",
            what="code of bytecode files",
            reason="RECORD has no hash for it; compared by its header only",
            count=fits,
        )
