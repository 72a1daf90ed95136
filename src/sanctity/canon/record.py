"""RECORD, read strictly: lines in, rows and faults out.

Source: PyPA, *Recording installed projects* and *Binary distribution format*. Both line ends, ``./`` prefixes and ``..``
segments occur in the wild and are accepted; a row that leaves the environment is not.
"""

from __future__ import annotations

import binascii
import csv
import io
import posixpath
from typing import Final

from sanctity.model.digest import DIGEST_SIZES, STRONG
from sanctity.model.environment import RecordFault, RecordRow

__all__ = ["parse_record", "row_path"]

_TO_STANDARD: Final = str.maketrans("-_", "+/")


def row_path(text: str, *, site: str, prefix: str) -> str | None:
    """The path of a RECORD row relative to *prefix*, or None where it leaves the prefix.

    *site* is the folder that holds the dist-info, relative to the absolute *prefix*.
    """
    if text.startswith("/"):
        path = posixpath.normpath(text)
        home = prefix.rstrip("/") + "/"
        return path[len(home) :] if path.startswith(home) else None
    path = posixpath.normpath(f"{site}/{text}" if site else text)
    return None if path == ".." or path.startswith(("../", "/")) else path


def parse_record(text: str, *, where: str, site: str, prefix: str) -> tuple[tuple[RecordRow, ...], tuple[RecordFault, ...]]:
    """Read a RECORD into rows whose paths are relative to *prefix*.

    Rows that name one path twice with different hashes, hashes that are malformed or weaker than SHA-256, rows without
    three fields and paths that leave *prefix* are faults; the row is then left out, so that its file is unclaimed.
    Exact repetitions are dropped without a word.
    """
    rows: dict[str, RecordRow] = {}
    faults: list[RecordFault] = []
    a2b = binascii.a2b_base64
    try:
        for fields in csv.reader(io.StringIO(text, newline="")):
            if len(fields) != 3:
                if fields:
                    faults.append(
                        RecordFault("record-invalid", where, f"a row has {len(fields)} fields, not 3: {','.join(fields)[:80]!r}")
                    )
                continue
            name, hashed, length = fields
            if ".." in name or "//" in name or name[:1] in "/." or "/./" in name:
                path = row_path(name, site=site, prefix=prefix) if name else None
                if path is None:
                    faults.append(RecordFault("path-invalid", where, f"the row {name[:120]!r} leaves the environment"))
                    continue
            else:
                path = f"{site}/{name}"
            algorithm = ""
            digest = b""
            if hashed:
                algorithm, _, value = hashed.partition("=")
                try:
                    digest = a2b(value.translate(_TO_STANDARD) + "=" * (-len(value) % 4), strict_mode=True)
                except (binascii.Error, ValueError):
                    digest = b""
                if len(digest) != DIGEST_SIZES.get(algorithm, -1):
                    faults.append(RecordFault("record-invalid", path, f"{hashed[:80]!r} is not a hash"))
                    continue
                if algorithm != "sha256" and algorithm not in STRONG:
                    faults.append(
                        RecordFault("record-invalid", path, f"{algorithm} is weaker than the SHA-256 that RECORD requires")
                    )
                    continue
            size = -1
            if length:
                if length.isascii() and length.isdigit() and len(length) < 16:
                    size = int(length)
                else:
                    faults.append(RecordFault("record-invalid", path, f"{length[:40]!r} is not a size in bytes"))
                    continue
            row = RecordRow(path, algorithm, digest, size)
            known = rows.setdefault(path, row)
            if known is not row and known != row:
                faults.append(RecordFault("record-invalid", path, "two rows contradict each other"))
    except csv.Error as error:
        faults.append(RecordFault("record-invalid", where, f"not a CSV file: {error}"))
    if not rows and not faults:
        faults.append(RecordFault("record-invalid", where, "it is empty"))
    return tuple(rows.values()), tuple(faults)
