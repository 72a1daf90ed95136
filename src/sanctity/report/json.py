"""The stable document, ``sanctity.report/1``; its JSON Schema is ``report/schema/report-1.json`` in the package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sanctity
from sanctity.model.drift import ReferenceKind
from sanctity.report.words import utf8, waivers

if TYPE_CHECKING:
    from sanctity.errors import SanctityError
    from sanctity.model.drift import Comparison, Drift
    from sanctity.model.environment import Fingerprint

__all__ = ["comparison_document", "comparison_json", "dump", "error_json", "fingerprint_json", "packaged_schema", "schema"]


def packaged_schema(name: str) -> dict[str, Any]:
    """The JSON Schema *name* (``report-1``) of those in the package."""
    from importlib import resources  # which imports much that a report has no use for

    loaded: dict[str, Any] = json.loads(resources.files("sanctity.report").joinpath(f"schema/{name}.json").read_text("utf-8"))
    return loaded


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return packaged_schema("report-1")


def dump(document: dict[str, Any]) -> str:
    """*document* as text for people and programs: two blanks a level, and a line end."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _drift(drift: Drift) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "code": str(drift.code),
        "severity": str(drift.severity),
        "gating": drift.gating,
        "distribution": utf8(drift.distribution) or None,
        "version": utf8(drift.version) or None,
        "path": utf8(drift.path) or None,
        "expected": utf8(drift.expected) or None,
        "actual": utf8(drift.actual) or None,
        "message": utf8(drift.message),
        "hint": utf8(drift.hint),
    }
    if drift.count != 1:
        entry["count"] = drift.count
    if drift.shared:
        entry["shared"] = True
    if drift.waiver:
        entry["waiver"] = utf8(drift.waiver)
    return entry


def comparison_document(comparison: Comparison, verb: str) -> dict[str, Any]:
    """*comparison* as the document's own plain values."""
    reference = comparison.reference
    selection = reference.selection
    stated: dict[str, Any] = {"kind": str(reference.kind)}
    if reference.kind is not ReferenceKind.NONE:
        stated |= {
            "format": str(reference.format) if reference.format else None,
            "path": utf8(reference.path) or None,
            "digest": reference.digest or None,
            "selection": {
                "groups": list(selection.groups),
                "extras": list(selection.extras),
                "members": list(selection.members),
            }
            | ({"environment": utf8(selection.environment)} if selection.environment else {}),
        }
    found = comparison.fingerprint
    beside: dict[str, Any] = {}
    if comparison.policy:
        beside["policy"] = {"profile": comparison.profile or None, "digest": comparison.policy}
    proven = comparison.proven
    if proven is not None:
        beside["proof"] = {
            "distributions": dict(proven.distributions),
            "bytecode": {"files": proven.bytecode, "remembered": proven.remembered, "judge": utf8(proven.judge) or None},
        }
    if comparison.faults:
        beside["faults"] = [
            {
                "code": fault.code,
                "path": utf8(fault.path) or None,
                "where": utf8(fault.where) or None,
                "message": utf8(fault.message),
                "hint": utf8(fault.hint),
            }
            for fault in comparison.faults
        ]
    used = waivers(comparison)
    if used:
        beside["waivers"] = [{"id": utf8(name), "count": times} for name, times in used.items()]
    return {
        "schema": "sanctity.report/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "verb": verb,
        "verdict": str(comparison.verdict),
        "depth": str(comparison.depth),
        "reference": stated,
        "environment": {
            "prefix": utf8(comparison.prefix),
            "fingerprint": str(found.digest) if found else None,
            "looked_at_from": str(comparison.looked_at_from),
        },
        "checked": {
            "distributions": comparison.checked.distributions,
            "files": comparison.checked.files,
            "bytes": comparison.checked.bytes,
            "cached": comparison.checked.cached,
        },
        **beside,
        "unchecked": [
            {
                "code": item.code,
                "what": utf8(item.what),
                "reason": utf8(item.reason),
                "count": item.count,
                "in_scope": item.in_scope,
            }
            for item in comparison.unchecked
        ],
        "drifts": [_drift(drift) for drift in comparison.by_weight()],
    }


def comparison_json(comparison: Comparison, verb: str) -> str:
    """*comparison* as the document."""
    return dump(comparison_document(comparison, verb))


def fingerprint_json(found: Fingerprint, prefix: str) -> str:
    """A fingerprint and its parts; ``beside`` are digests shown with it that it does not cover."""
    return dump(
        {
            "schema": "sanctity.fingerprint/1",
            "tool": {"name": "sanctity", "version": sanctity.__version__},
            "environment": {"prefix": utf8(prefix)},
            "fingerprint": str(found.digest),
            "parts": {name: str(digest) for name, digest in found.parts},
            "beside": {name: str(digest) for name, digest in found.beside},
        }
    )


def error_json(error: SanctityError, verb: str) -> str:
    """An error as data, for whoever asked for JSON."""
    issues = [
        {"code": issue.code, "where": utf8(issue.where), "message": utf8(issue.message), "hint": utf8(issue.hint)}
        for issue in getattr(error, "issues", ())
    ]
    stated: dict[str, Any] = {
        "code": error.code,
        "where": utf8(error.where),
        "message": utf8(error.message),
        "hint": utf8(error.hint),
    }
    if issues:
        stated["issues"] = issues
    return dump({"schema": "sanctity.error/1", "verb": verb, "error": stated})
