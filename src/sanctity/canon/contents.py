"""The document that carries {sha256 of a wheel -> content digest} from one machine to another: ``sanctity.contents/1``.

It is an object of *schema* and *wheels*: an array of objects with *sha256*, *content*, and *filename* where it is known. Each line
is a fact that never changes, so two documents can always be joined; where they disagree, one of them lies, and neither is believed.
Who imports one believes whoever made it: a report says so (``imported``).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.digest import ContentDigest, Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CONTENTS_SCHEMA", "format_contents", "joined", "parse_contents"]

CONTENTS_SCHEMA: Final = "sanctity.contents/1"
_HINT: Final = "export it again where it came from: sanctity contents export FILE"
_KEYS: Final = frozenset({"sha256", "content", "filename", "proof"})


def format_contents(known: Iterable[WheelContent], *, proofs: bool = False) -> str:
    """The document that says what is *known*; with *proofs*, also how, which only our own memory needs."""
    rows = []
    for item in sorted(known, key=lambda each: each.sha256):
        row = {"sha256": item.sha256.value, "content": str(item.content)}
        row |= {"filename": item.filename} if item.filename else {}
        row |= {"proof": "imported"} if proofs and item.proof is Proof.IMPORTED else {}
        rows.append(json.dumps(row, separators=(", ", ": "), ensure_ascii=False))
    body = "".join(f"\n    {row}," for row in rows).removesuffix(",") + ("\n  " if rows else "")
    return f'{{\n  "schema": "{CONTENTS_SCHEMA}",\n  "wheels": [{body}]\n}}\n'


def parse_contents(data: bytes, path: str, *, proof: Proof) -> tuple[WheelContent, ...]:
    """Read the document *data*, called *path*; each wheel is known by *proof*, unless it says ``imported`` of it.

    Raises:
        DocumentError: ``contents-invalid``, it is no such document; ``contents-conflict``, it contradicts itself.
    """
    try:
        stated = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"it is not JSON: {error}"[:200]) from error
    if not isinstance(stated, dict) or stated.get("schema") != CONTENTS_SCHEMA:
        schema = str(stated.get("schema"))[:60] if isinstance(stated, dict) else "none"
        raise _bad(path, f"its schema is {schema}, not {CONTENTS_SCHEMA}")
    rows = stated.get("wheels")
    if not isinstance(rows, list) or stated.keys() != {"schema", "wheels"}:
        raise _bad(path, "it has no array of wheels, or more than that")
    return tuple(joined((_wheel(row, f"{path}: wheels[{index}]", proof) for index, row in enumerate(rows)), path).values())


def _wheel(row: object, where: str, proof: Proof) -> WheelContent:
    if not isinstance(row, dict) or not row.keys() <= _KEYS or not all(isinstance(value, str) for value in row.values()):
        raise _bad(where, f"it is no object of texts called {', '.join(sorted(_KEYS))}")
    filename = row.get("filename", "")
    if "/" in filename or not filename.isprintable():
        raise _bad(where, f"{filename[:80]!r} is no file name")
    try:
        sha256, content = Digest("sha256", row.get("sha256", "")), ContentDigest.parse(row.get("content", ""))
    except ValueError as error:
        raise _bad(where, str(error)) from error
    how = Proof.IMPORTED if row.get("proof") == Proof.IMPORTED else proof
    return WheelContent(sha256=sha256, content=content, filename=filename, proof=how)


def _bad(where: str, message: str) -> DocumentError:
    return DocumentError("contents-invalid", message, where=where, hint=_HINT)


def joined(items: Iterable[WheelContent], path: str) -> dict[str, WheelContent]:
    """*items* by the hex of their SHA-256, what was read here before what was imported.

    Raises:
        DocumentError: ``contents-conflict``, two of them say that one wheel has two contents; *path* names the later.
    """
    found: dict[str, WheelContent] = {}
    for item in items:
        before = found.setdefault(item.sha256.value, item)
        if before.content != item.content:
            words = f"{item.filename or 'the wheel'} {item.sha256} has {item.content} here, and {before.content} elsewhere"
            raise DocumentError("contents-conflict", words, where=path, hint="one of them is wrong: find out which before going on")
        if before is not item:
            proof = item.proof if before.proof is Proof.IMPORTED else before.proof
            found[item.sha256.value] = replace(before, filename=before.filename or item.filename, proof=proof)
    return found
