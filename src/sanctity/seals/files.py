"""The document ``sanctity.seal-files/1``, ``env.seal.files``: the rows behind a seal's digests, so that a diff names files.

It is optional, and nothing is believed because it stands there: each list of rows must hash to the digest that it is kept under,
and only digests that the seal names are asked for. So it needs no signature of its own, serves every environment of a seal at once,
and a row that someone edits is found. One line a row, sorted, so that the same environments give the same file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from sanctity.canon.content import content_digest
from sanctity.canon.fingerprint import part_digest, plain_text, system_rows
from sanctity.compare.seal import stdlib_digests
from sanctity.errors import DocumentError
from sanctity.model.digest import CONTENT_SCHEME
from sanctity.model.wire import Reader
from sanctity.seals.document import load_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.environment import Environment
    from sanctity.model.seal import Seal

__all__ = ["FILES_SCHEMA", "Rows", "digests_in", "files_name", "files_of", "format_files", "parse_files"]

#: (key, value) rows, by the text of the digest that is over them.
Rows = dict[str, tuple[tuple[str, str], ...]]

FILES_SCHEMA: Final = "sanctity.seal-files/1"
_HINT: Final = "write it again with `sanctity seal --files`"


def files_name(seal: str) -> str:
    """The path of the rows beside the seal at the path *seal*: ``env.seal.files`` beside ``env.seal.json``."""
    return seal.removesuffix(".json") + ".files"


def _digest_of(digest: str, rows: Iterable[tuple[str, str]]) -> str:
    """The digest over *rows* by the rule that *digest* is of; empty where they have none."""
    try:
        if digest.startswith(f"{CONTENT_SCHEME}:"):
            return str(content_digest(rows))
        return str(part_digest([list(row) for row in rows]))
    except ValueError:
        return ""


def files_of(environment: Environment) -> Rows:
    """The rows of everything in *environment* that a seal has the digest of; it was looked at with ``keep_rows``."""
    found: Rows = {}
    for item in environment.distributions:
        if item.content is not None and item.rows is not None:
            found[str(item.content)] = tuple(sorted(item.rows))
    digests = {entry.path: entry.digest for entry in environment.files.values()} if environment.system else {}
    packages: dict[str, list[tuple[str, str]]] = {}
    for file in environment.system:
        packages.setdefault(f"system:{file.package}", []).append(
            (plain_text(file.path), (file.content or digests.get(file.path, b"")).hex())
        )
    for name, digest in system_rows(environment):
        found[str(digest)] = tuple(sorted(packages[name]))
    if environment.platform is not None:
        library = environment.platform.stdlib
        for (_, digest), files in zip(stdlib_digests(environment.platform), (library.sources, library.built), strict=True):
            found[str(digest)] = tuple((plain_text(path), f"sha256:{raw.hex()}") for path, raw in files)
    return found


def digests_in(seal: Seal) -> frozenset[str]:
    """The digests of *seal* that rows can be kept for."""
    found: set[str] = set()
    for sealed in seal.environments:
        found.update(str(item.content or item.files) for item in sealed.distributions if item.content or item.files)
        found.update(str(counted[1]) for counted in (sealed.stdlib_sources, sealed.stdlib_built) if counted)
    return frozenset(found)


def format_files(rows: Mapping[str, tuple[tuple[str, str], ...]], seal: Seal) -> str:
    """The text of ``env.seal.files``: of all *rows* those that *seal* has the digest of, in the order of their digests."""
    wanted = digests_in(seal)
    return "".join(_lines({digest: rows[digest] for digest in sorted(rows.keys() & wanted)}))


def _lines(rows: Rows) -> Iterator[str]:
    yield f'{{\n  "schema": {json.dumps(FILES_SCHEMA)},\n  "contents": ['
    between = ""
    for digest, listed in rows.items():
        inner = ",\n".join(f"      {json.dumps(row, ensure_ascii=False)}" for row in listed)
        yield f'{between}\n    {{"digest": {json.dumps(digest)}, "rows": [' + (f"\n{inner}\n    ]}}" if inner else "]}")
        between = ","
    yield "\n  ]\n}\n" if rows else "]\n}\n"


def parse_files(data: bytes, path: str) -> Rows:
    """The rows that *data*, read from *path*, holds, each list proven to be what its digest is over.

    Raises:
        DocumentError: it is no such document, or some rows are not what their digest says; then none of them is believed.
    """
    document = load_json(data, path, noun="seal", hint=_HINT)
    schema = document.get("schema")
    if schema != FILES_SCHEMA:
        known = isinstance(schema, str) and schema.startswith("sanctity.seal-files/")
        words = f"its schema is {schema!r}, and this version reads {FILES_SCHEMA}" if known else "it holds no rows of a seal"
        raise DocumentError("seal-version-unsupported" if known else "seal-syntax", words[:200], where=path, hint=_HINT)
    reader = Reader(path, noun="seal", hint=_HINT)
    reader.only(document, frozenset({"schema", "contents"}), "")
    found: Rows = {}
    for place, table in reader.tables(document, "contents", ""):
        reader.only(table, frozenset({"digest", "rows"}), place)
        digest = reader.need(table, "digest", str, "", place)
        rows: list[tuple[str, str]] = []
        for index, row in enumerate(cast("list[object]", reader.need(table, "rows", list, [], place))):
            match row:
                case [str(key), str(value)]:
                    rows.append((key, value))
                case _:
                    reader.fault("seal-bad-type", f"{place}.rows[{index}]", "expected a key and a value")
        if digest in found:
            reader.fault("seal-contradictory", f"{place}.digest", "it is given twice")
        elif not reader.issues and _digest_of(digest, rows) != digest:
            reader.fault("seal-contradictory", f"{place}.rows", f"they are not what {digest[:40]}… is over")
        found[digest] = tuple(rows)
    reader.finish()
    return found
