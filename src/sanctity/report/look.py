"""One look of a watch on one line: for people, and as JSON for other programs (``sanctity.look/1``)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sanctity
from sanctity.model.drift import ReferenceKind, Verdict
from sanctity.report.json import packaged_schema
from sanctity.report.words import claim, detail, plain, size, utf8, waivers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.errors import SanctityError
    from sanctity.model.drift import Comparison

__all__ = ["look_json", "look_text", "schema"]


def schema() -> dict[str, Any]:
    """The JSON Schema of a line."""
    return packaged_schema("look-1")


def _time(ended: float) -> str:
    return datetime.fromtimestamp(int(ended), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _first(comparison: Comparison) -> str:
    """The worst that keeps *comparison* from being clean, and how many more; empty where nothing does."""
    gating = [drift for drift in comparison.by_weight() if drift.gating]
    blind = [item for item in comparison.unchecked if item.in_scope]
    if gating:
        drift = gating[0]
        place = " ".join(part for part in (str(drift.code), drift.distribution, drift.path) if part)
        words = ": ".join(part for part in (place, detail(drift)) if part)
        more = len(gating) - 1
    elif blind:
        words, more = f"{blind[0].code} {blind[0].what}: {blind[0].reason}", len(blind) - 1
    else:
        return ""
    return words + (f", and {more:,} more" if more else "")


def look_text(found: Comparison | SanctityError, *, ended: float, changed: Iterable[str] = ()) -> str:
    """What a look came to, on one line. *ended* is in seconds since 1970, *changed* are files of the reference that changed."""
    notes = "".join(f"; {name} changed since this watch began, and is not followed" for name in changed)
    if isinstance(found, Exception):
        where = f"{found.where}: " if found.where else ""
        return plain(f"{_time(ended)}  FAILED  {found.code}: {where}{found.message}{notes}") + "\n"
    head = claim(found)
    subject = f" {head.subject}" if head.subject else ""
    why = _first(found)
    if why:
        words = f"{head.env}: {why}"
    else:
        digest = f", fingerprint {found.fingerprint.digest}" if found.fingerprint is not None else ""
        words = f"{head.env} {head.middle}{subject}{head.tail}{digest}"
    return plain(f"{_time(ended)}  {head.word}  {words}  ({size(found)}, {found.seconds:.1f} s){notes}") + "\n"


def _number(codes: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for code in codes:
        found[code] = found.get(code, 0) + 1
    return dict(sorted(found.items()))


def look_json(found: Comparison | SanctityError, *, number: int, ended: float, changed: Iterable[str] = ()) -> str:
    """The same as one line of JSON; *number* is the look's own, from 1."""
    head: dict[str, Any] = {
        "schema": "sanctity.look/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "look": number,
        "time": _time(ended),
    }
    beside = {"reference_changed": [utf8(name) for name in changed]}
    if isinstance(found, Exception):
        error = {name: utf8(getattr(found, name)) for name in ("code", "where", "message", "hint")}
        return json.dumps({**head, "verdict": str(Verdict.UNDECIDED), "error": error, **beside}, ensure_ascii=False) + "\n"
    reference = found.reference
    stated = {"path": utf8(reference.path) or None, "digest": reference.digest or None}
    document = {
        **head,
        "verdict": str(found.verdict),
        "why": utf8(_first(found)) or None,
        "prefix": utf8(found.prefix),
        "fingerprint": str(found.fingerprint.digest) if found.fingerprint is not None else None,
        "reference": {"kind": str(reference.kind), **(stated if reference.kind is not ReferenceKind.NONE else {})},
        "gating": _number(str(drift.code) for drift in found.drifts if drift.gating),
        "other": _number(str(drift.code) for drift in found.drifts if not drift.gating),
        "undecided": _number(item.code for item in found.unchecked if item.in_scope),
        "waivers": {utf8(name): times for name, times in waivers(found).items()},
        "files": found.checked.files,
        "cached": found.checked.cached,
        "seconds": round(found.seconds, 3),
        **beside,
    }
    return json.dumps(document, ensure_ascii=False) + "\n"
