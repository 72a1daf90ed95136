"""RECORD, read strictly: lines in, rows and faults out.

Source: PyPA, *Recording installed projects* and *Binary distribution format*. Both line ends, ``./`` prefixes and ``..``
segments occur in the wild and are accepted; a row that leaves the environment is not.
"""

from __future__ import annotations

import binascii
import csv
import io
import posixpath
import re
from typing import TYPE_CHECKING, Final

from sanctity.canon.content import is_cached_bytecode
from sanctity.model.digest import DIGEST_SIZES, STRONG
from sanctity.model.environment import RecordFault, RecordRow

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_record", "row_path"]

_TO_STANDARD: Final = str.maketrans("-_", "+/")
#: A line whose quotes are one whole first field.
_CLOSED: Final = re.compile(r'"(?:[^"\r]|"")*",[^",\r]*,[^",\r]*\r?')
_PLAIN: Final = re.compile(r"^([^\s\"',./][^\",\r\n\0]{0,4095}),sha256=([A-Za-z0-9_-]{43}),([0-9]{1,15})\r?$\n?", re.MULTILINE)
_NOT_NORMAL: Final = re.compile(r"//|/\.{0,2}$|/\.\.?/", re.MULTILINE)


def row_path(text: str, *, site: str, prefix: str, resolve: Callable[[str], str] | None = None) -> str | None:
    """The path of a RECORD row relative to *prefix*, or None where it leaves the prefix or can be no path.

    *site* is the folder that holds the dist-info, relative to the absolute *prefix*. *resolve* says where an absolute folder leads:
    Poetry writes absolute rows for a project, by whatever name its folder then had.
    """
    if "\0" in text:
        return None
    if text.startswith("/"):
        path = posixpath.normpath(text)
        home = prefix.rstrip("/") + "/"
        if resolve is not None and not path.startswith(home):
            folder, _, name = path.rpartition("/")
            path, home = f"{resolve(folder or '/').rstrip('/')}/{name}", resolve(prefix).rstrip("/") + "/"
        return path[len(home) :] if path.startswith(home) else None
    path = posixpath.normpath(f"{site}/{text}" if site else text)
    return None if path == ".." or path.startswith(("../", "/")) else path


def parse_record(
    text: str, *, where: str, site: str, prefix: str, resolve: Callable[[str], str] | None = None
) -> tuple[tuple[RecordRow, ...], tuple[RecordFault, ...]]:
    """Read a RECORD into rows whose paths are relative to *prefix*; *resolve* is as in `row_path`.

    Rows that name one path twice and say different things of it, hashes that are malformed or weaker than SHA-256, rows without
    three fields and paths that leave *prefix* are faults; the row is then left out, so that its file is unclaimed.
    Exact repetitions are dropped without a word. So is what contradicts itself about bytecode in a ``__pycache__``: pip adds a
    row for what it compiles to a wheel's own row for what the wheel shipped there.
    """
    rows, rest = _read_plain(text, site)
    try:
        return _read_rest(rest, rows, where=where, site=site, prefix=prefix, resolve=resolve)
    except csv.Error:
        pass
    # The reader stops at what it can not read; so what it read before that is what counts, in the order of the text.
    rows = {}
    try:
        found, faults = _read_rest(text, rows, where=where, site=site, prefix=prefix, resolve=resolve)
    except csv.Error as error:
        found, faults = tuple(rows.values()), (RecordFault("record-invalid", where, f"not a CSV file: {error}"),)
    return found, faults


def _read_rest(
    text: str,
    rows: dict[str, RecordRow],
    *,
    where: str,
    site: str,
    prefix: str,
    resolve: Callable[[str], str] | None,
) -> tuple[tuple[RecordRow, ...], tuple[RecordFault, ...]]:
    """Add the rows of *text* to *rows*. Raises csv.Error, with what was read until then in *rows*."""
    faults: list[RecordFault] = []
    contradicted: set[str] = set()
    for fields in csv.reader(io.StringIO(text, newline="")):
        if not fields:
            continue
        read = _read_fields(fields, where=where, site=site, prefix=prefix, resolve=resolve)
        if isinstance(read, RecordFault):
            faults.append(read)
            continue
        known = rows.setdefault(read.path, read)
        if known == read:
            continue
        if is_cached_bytecode(read.path):
            rows[read.path] = RecordRow(read.path, "", b"", -1)
        elif read.path not in contradicted:
            contradicted.add(read.path)
            faults.append(RecordFault("record-invalid", read.path, "two rows contradict each other"))
    if not rows and not faults:
        faults.append(RecordFault("record-invalid", where, "it is empty"))
    return tuple(row for row in rows.values() if row.path not in contradicted), tuple(faults)


def _read_plain(text: str, site: str) -> tuple[dict[str, RecordRow], str]:
    """The rows in the form that nearly all rows have, read in bulk, and the text of all others.

    Such a row has no quotes, a path that needs no normalising, a SHA-256 and a size. Where anything in the text could make that
    reading differ from the CSV reader's, none is taken.
    """
    if '"' in text and not all(_CLOSED.fullmatch(line) for line in text.split("\n") if '"' in line):
        return {}, text  # a quoted field may go on in the next line
    # What lies between two such rows, and the three groups of each row, in turn.
    parts = _PLAIN.split(text)
    names, hashes, sizes = parts[1::4], parts[2::4], parts[3::4]
    if not names:
        return {}, text
    together = "\n".join(names)
    if _NOT_NORMAL.search(together):
        return {}, text
    # 43 characters and an "A" in the padding's place are 33 bytes, of which the last is nothing.
    raw = binascii.a2b_base64("A".join((*hashes, "")).translate(_TO_STANDARD))
    digests = [raw[at : at + 32] for at in range(0, len(raw), 33)]
    folder = f"{site}/" if site else ""
    paths = [folder + name for name in names]
    make = tuple.__new__
    rows = {
        path: make(RecordRow, (path, "sha256", digest, size))
        for path, digest, size in zip(paths, digests, map(int, sizes), strict=True)
    }
    return (rows, "".join(parts[0::4])) if len(rows) == len(paths) else ({}, text)


def _read_fields(
    fields: list[str], *, where: str, site: str, prefix: str, resolve: Callable[[str], str] | None
) -> RecordRow | RecordFault:
    """One row of the CSV file, or what is wrong with it."""
    if len(fields) != 3:
        return RecordFault("record-invalid", where, f"a row has {len(fields)} fields, not 3: {','.join(fields)[:80]!r}")
    name, hashed, length = fields
    path = row_path(name, site=site, prefix=prefix, resolve=resolve) if name else None
    if path is None:
        return RecordFault("path-invalid", where, f"the row {name[:120]!r} leaves the environment")
    algorithm = ""
    digest = b""
    if hashed:
        algorithm, _, value = hashed.partition("=")
        try:
            digest = binascii.a2b_base64(value.translate(_TO_STANDARD) + "=" * (-len(value) % 4), strict_mode=True)
        except (binascii.Error, ValueError):
            digest = b""
        if len(digest) != DIGEST_SIZES.get(algorithm, -1):
            return RecordFault("record-invalid", path, f"{hashed[:80]!r} is not a hash")
        if algorithm not in STRONG:
            return RecordFault("record-invalid", path, f"{algorithm} is weaker than the SHA-256 that RECORD requires")
    size = -1
    if length:
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            return RecordFault("record-invalid", path, f"{length[:40]!r} is not a size in bytes")
        size = int(length)
    return RecordRow(path, algorithm, digest, size)
