"""The stable document back as a value: what another process of sanctity, perhaps of another version, said of an environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.digest import Digest
from sanctity.model.drift import (
    Checked,
    Code,
    Comparison,
    Depth,
    Drift,
    Proven,
    Reference,
    ReferenceKind,
    Selection,
    Severity,
    Unchecked,
)
from sanctity.model.environment import Fingerprint, LookedAtFrom
from sanctity.model.lock import LockFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["parse_report"]

T = TypeVar("T")


def parse_report(text: str, where: str) -> Comparison | SanctityError:
    """The comparison that the document *text* states, or the error that it states in one's place; *where* it came from.

    A fingerprint comes without its parts, and the time that a look took is not stated.

    Raises:
        DocumentError: ``report-unreadable``, it is no such document, or of a version that says what this one does not know.
    """
    try:
        return _parse(text)
    except (ValueError, KeyError, RecursionError) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise DocumentError(
            "report-unreadable", f"this is no report of sanctity's: {said}", where=where, hint="use the same version in both places"
        ) from error


def _parse(text: str) -> Comparison | SanctityError:
    document = json.loads(text)
    schema = _of(document, "schema", str)
    if schema == "sanctity.error/1":
        return _error(_of(document, "error", dict))
    if schema != "sanctity.report/1":
        raise ValueError(f"{schema!r} is no report")
    found = _comparison(document)
    stated = _of(document, "verdict", str)
    if str(found.verdict) != stated:
        raise ValueError(f"it says {stated}, and what it lists makes that {found.verdict}")
    return found


def _of(table: Any, key: str, kind: type[T]) -> T:
    """``table[key]``, which has to be a *kind*. Raises ValueError or KeyError."""
    if not isinstance(table, dict):
        raise ValueError("a table was expected")
    value = table[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key} is of the wrong kind")
    return value


def _text(table: Any, key: str) -> str:
    """``table[key]``, which is a text or nothing."""
    value = table.get(key) if isinstance(table, dict) else None
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} is of the wrong kind")
    return value or ""


def _texts(table: Any, key: str) -> tuple[str, ...]:
    found = _of(table, key, list)
    if not all(isinstance(item, str) for item in found):
        raise ValueError(f"{key} is of the wrong kind")
    return tuple(found)


def _error(table: dict[str, Any]) -> SanctityError:
    made = UsageError if _text(table, "code") in {"usage", "no-environment"} else SanctityError
    try:
        return made(_of(table, "code", str), _text(table, "message"), where=_text(table, "where"), hint=_text(table, "hint"))
    except AssertionError as error:
        raise ValueError(str(error)) from error


def _reference(table: dict[str, Any]) -> Reference:
    kind = ReferenceKind(_of(table, "kind", str))
    if kind is ReferenceKind.NONE:
        return Reference()
    chosen = _of(table, "selection", dict)
    form = _text(table, "format")
    return Reference(
        kind=kind,
        format=LockFormat(form) if form else None,
        path=_text(table, "path"),
        digest=_text(table, "digest"),
        selection=Selection(
            groups=_texts(chosen, "groups"),
            extras=_texts(chosen, "extras"),
            members=_texts(chosen, "members"),
            environment=_text(chosen, "environment"),
        ),
    )


def _drifts(items: Iterable[Any]) -> Iterable[Drift]:
    for item in items:
        yield Drift(
            code=Code(_of(item, "code", str)),
            severity=Severity(_of(item, "severity", str)),
            gating=_of(item, "gating", bool),
            count=_of(item, "count", int) if "count" in item else 1,
            shared=_of(item, "shared", bool) if "shared" in item else False,
            **{
                name: _text(item, name)
                for name in ("distribution", "version", "path", "expected", "actual", "message", "hint", "waiver")
            },
        )


def _unchecked(items: Iterable[Any]) -> Iterable[Unchecked]:
    for item in items:
        yield Unchecked(
            code=_of(item, "code", str),
            what=_text(item, "what"),
            reason=_text(item, "reason"),
            count=_of(item, "count", int),
            in_scope=_of(item, "in_scope", bool),
        )


def _proven(document: dict[str, Any]) -> Proven | None:
    if "proof" not in document:
        return None
    table = _of(document, "proof", dict)
    counts, code = _of(table, "distributions", dict), _of(table, "bytecode", dict)
    return Proven(
        distributions=tuple(sorted((name, _of(counts, name, int)) for name in counts)),
        bytecode=_of(code, "files", int),
        remembered=_of(code, "remembered", int),
        judge=_text(code, "judge"),
    )


def _comparison(document: dict[str, Any]) -> Comparison:
    environment = _of(document, "environment", dict)
    checked = _of(document, "checked", dict)
    digest = _text(environment, "fingerprint")
    policy = document.get("policy", {})
    return Comparison(
        depth=Depth(_of(document, "depth", str)),
        reference=_reference(_of(document, "reference", dict)),
        prefix=_text(environment, "prefix"),
        looked_at_from=LookedAtFrom(_of(environment, "looked_at_from", str)),
        checked=Checked(**{name: _of(checked, name, int) for name in ("distributions", "files", "bytes", "cached")}),
        drifts=tuple(_drifts(_of(document, "drifts", list))),
        unchecked=tuple(_unchecked(_of(document, "unchecked", list))),
        fingerprint=Fingerprint(digest=Digest.parse(digest), parts=()) if digest else None,
        policy=_text(policy, "digest"),
        profile=_text(policy, "profile"),
        proven=_proven(document),
    )
