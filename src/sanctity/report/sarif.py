"""SARIF 2.1.0, for code scanning: one rule a code with its page as help, one result a drift, at the lock's own line of the package.

The numbers in brackets are the sections of the OASIS standard that a line obeys. What an environment says never becomes a link or a
placeholder of a message, and paths are percent-encoded byte by byte. Nothing in the document depends on the run: no clock, no host.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import sanctity
from sanctity.errors import UsageError
from sanctity.lockfiles.lines import nearest
from sanctity.model.drift import ReferenceKind, Severity, Verdict
from sanctity.pages import page, summary
from sanctity.report.words import claim, detail, level, plain, remedies, size, times, utf8, waivers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Comparison, Drift, Unchecked

__all__ = ["SCHEMA", "Marks", "artifact_location", "comparison_sarif", "message_text", "sarif_log"]

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "%SRCROOT%"
_EXIT_CODES: Final = {Verdict.CLEAN: 0, Verdict.DRIFTED: 1, Verdict.UNDECIDED: 3}
_LONGEST_REMEDY: Final = 1000
#: How many results of a run GitHub takes; a log with more is refused whole.
_MOST: Final = 25_000
#: Braces are doubled (3.11.5), and brackets are no link (3.11.6).
_MESSAGE: Final = str.maketrans({"{": "{{", "}": "}}", "[": "\\[", "]": "\\]", "\\": "\\\\"})


def message_text(text: str) -> str:
    """*text* as part of a message."""
    return plain(text).translate(_MESSAGE)


def _uri(path: str) -> str:
    """*path* as a URI reference: its bytes percent-encoded, undecodable ones too; an absolute one with its scheme."""
    normal = posixpath.normpath(path)
    try:
        data = normal.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        data = utf8(normal).encode()
    encoded = quote(data, safe="/~")
    return "file:///" + encoded.lstrip("/") if encoded.startswith("/") else encoded


def artifact_location(path: str) -> dict[str, Any]:
    """The location of *path*: relative to the root of the sources, unless it is absolute (3.4.4)."""
    uri = _uri(path)
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": _ROOT}


def _rule(code: str, weight: Severity) -> dict[str, Any]:
    """The rule of *code*: its page."""
    name = "".join(part.capitalize() for part in code.split("-"))
    try:
        text, first = page(code), summary(code)
    except UsageError:
        text = first = f"{code}."
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": first.translate(_MESSAGE)},
        "fullDescription": {"text": first.translate(_MESSAGE)},
        "help": {"text": text.translate(_MESSAGE), "markdown": text},
        "defaultConfiguration": {"level": str(weight)},
    }


def _logical(drift: Drift) -> list[dict[str, Any]]:
    """The distribution, and the path inside the environment."""
    package = utf8(drift.distribution)
    found: list[dict[str, Any]] = []
    if package:
        found.append({"name": package, "fullyQualifiedName": package, "kind": "package"})
    if drift.path:
        path = utf8(drift.path)
        found.append({"name": posixpath.basename(path) or path, "fullyQualifiedName": f"{package}/{path}" if package else path})
        found[-1]["kind"] = "resource"
    return found


def _location(comparison: Comparison, line: int | None, logical: list[dict[str, Any]]) -> dict[str, Any]:
    reference = comparison.reference
    stated = reference.kind in {ReferenceKind.LOCK, ReferenceKind.SEAL} and reference.path
    physical: dict[str, Any] = {"artifactLocation": artifact_location(reference.path if stated else comparison.prefix or ".")}
    if line:
        physical["region"] = {"startLine": line}
    found: dict[str, Any] = {"physicalLocation": physical}
    if logical:
        found["logicalLocations"] = logical
    return found


def _message(drift: Drift) -> str:
    place = " ".join(message_text(part) for part in (drift.distribution, drift.version, drift.path) if part)
    message = ": ".join(part for part in (place, message_text(detail(drift))) if part) or str(drift.code)
    message += times(drift)
    if drift.hint:
        commands, words = remedies((drift,), _LONGEST_REMEDY)
        message += f". Fix: {message_text((commands or words)[0])}"
    return message


def _properties(drift: Drift) -> dict[str, Any]:
    stated: dict[str, Any] = {"gating": drift.gating}
    for name in ("distribution", "version", "path", "expected", "actual", "waiver"):
        value = utf8(getattr(drift, name))
        if value:
            stated[name] = value
    if drift.count != 1:
        stated["count"] = drift.count
    if drift.shared:
        stated["shared"] = True
    return stated


class Marks:
    """Fingerprints of results: over what names a result and never over what was found, so that a later run gives the same."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, *parts: str) -> dict[str, str]:
        """The fingerprints of the result that *parts* name; one more of the same name gets a number."""
        named = hashlib.sha256(json.dumps([utf8(part) for part in parts], ensure_ascii=False).encode()).hexdigest()
        self._seen[named] = number = self._seen.get(named, 0) + 1
        # GitHub tells alerts apart by the first, and makes it of the lock's line where it is not given: one for all of a package.
        return {"primaryLocationLineHash": f"{named[:16]}:{number}", "sanctityDrift/v1": f"{named}:{number}"}


def _notification(comparison: Comparison, item: Unchecked) -> dict[str, Any]:
    number = f" ({item.count:,})" if item.count > 1 else ""
    what = "could not be looked at" if item.in_scope else "not checked"
    found: dict[str, Any] = {
        "descriptor": {"id": item.code},
        "level": str(Severity.ERROR if item.in_scope else Severity.NOTE),
        "message": {"text": f"{what}: {message_text(item.what)}{number}: {message_text(item.reason)}"},
    }
    if item.in_scope:
        found["locations"] = [_location(comparison, None, [])]
    return found


def comparison_sarif(
    comparison: Comparison,
    verb: str,
    *,
    lines: Mapping[tuple[str, str], int] | None = None,
    exit_code: int | None = None,
) -> str:
    """*comparison* as a SARIF log of one run.

    *lines* is where in the lock, or seal, a distribution stands. *exit_code* is the process's own, where it is not the verdict's.
    What could not be looked at is a result of kind ``open`` (3.27.9: too little was known to decide) and a notification of level
    ``error``, with which the run counts as not successful: whoever reads only one of the three does not take it for a pass.
    """
    lines = lines or {}
    mark = Marks()
    weights: dict[str, Severity] = {}
    results: list[dict[str, Any]] = []
    for drift in comparison.by_weight():
        code = str(drift.code)
        weights.setdefault(code, level(drift))
        line = nearest(lines, drift.distribution, drift.expected, drift.version) if drift.distribution else None
        suppressed = {"kind": "external", "status": "accepted", "justification": f"waiver {utf8(drift.waiver)}"}
        results.append(
            {
                "ruleId": code,
                "kind": "fail",
                "level": str(level(drift)),
                "message": {"text": _message(drift)},
                "locations": [_location(comparison, line, _logical(drift))],
                "partialFingerprints": mark(code, drift.distribution, drift.path),
                "suppressions": [suppressed] if drift.waiver else [],  # on every result, if on any (3.27.23)
                "properties": _properties(drift),
            }
        )
    for item in comparison.unchecked:
        if item.in_scope:
            weights.setdefault(item.code, Severity.ERROR)
            what = utf8(item.what)
            logical = [{"name": posixpath.basename(what) or what, "fullyQualifiedName": what}] if what else []
            results.append(
                {
                    "ruleId": item.code,
                    "kind": "open",
                    "level": "none",  # as a result has that did not fail (3.27.10)
                    "message": {"text": f"could not be looked at: {message_text(item.what)}: {message_text(item.reason)}"},
                    "locations": [_location(comparison, None, logical)],
                    "partialFingerprints": mark(item.code, item.what),
                    "suppressions": [],
                    "properties": {"what": what, "reason": utf8(item.reason), "count": item.count},
                }
            )
    reference = comparison.reference
    beside: dict[str, Any] = {"properties": _summary(comparison)}
    if reference.kind in {ReferenceKind.LOCK, ReferenceKind.SEAL} and reference.path:
        algorithm, _, value = reference.digest.partition(":")
        artifact: dict[str, Any] = {"location": artifact_location(reference.path)}
        if algorithm == "sha256" and value:
            artifact["hashes"] = {"sha-256": value}
        beside["artifacts"] = [artifact]
        for result in results:
            result["locations"][0]["physicalLocation"]["artifactLocation"]["index"] = 0
    return sarif_log(
        verb,
        results,
        [_notification(comparison, item) for item in comparison.unchecked],
        weights=weights,
        told={item.code: Severity.ERROR if item.code in weights else Severity.NOTE for item in comparison.unchecked},
        invocation={
            "executionSuccessful": not any(item.in_scope for item in comparison.unchecked),
            "exitCode": _EXIT_CODES[comparison.verdict] if exit_code is None else exit_code,
            "exitCodeDescription": str(comparison.verdict),
        },
        beside=beside,
    )


def sarif_log(
    verb: str,
    results: list[dict[str, Any]],
    notifications: list[dict[str, Any]],
    *,
    weights: Mapping[str, Severity],
    told: Mapping[str, Severity],
    invocation: Mapping[str, Any],
    beside: Mapping[str, Any],
) -> str:
    """The log of one run of *verb*: its *results*, as many as code scanning takes, each with the place of its rule.

    *weights* are the levels of the results' codes and *told* those of the notifications'; *invocation* says how the run ended, and
    *beside* is what else the run states.
    """
    if len(results) > _MOST:
        rest = f"and {len(results) - _MOST:,} more results, which code scanning would not take: see the JSON report"
        notifications = [*notifications, {"level": str(Severity.WARNING), "message": {"text": rest}}]
        results = results[:_MOST]
    codes = sorted({result["ruleId"] for result in results})
    for result in results:
        result["ruleIndex"] = codes.index(result["ruleId"])
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "sanctity",
                "version": sanctity.__version__,
                "semanticVersion": sanctity.__version__,
                "shortDescription": {"text": "Proves that a Python environment is, byte for byte, what was locked or sealed."},
                "rules": [_rule(code, weights[code]) for code in codes],
                "notifications": [_rule(code, told[code]) for code in sorted(told)],
            }
        },
        "automationDetails": {"id": f"sanctity/{verb}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The folder that the tool was started in."}}},
        "invocations": [{**invocation, "toolExecutionNotifications": notifications}],
        **beside,
    }
    # One result a line: as easy to compare as an indented document, and written ten times faster.
    head = json.dumps(run, ensure_ascii=False)[:-1]
    rows = ",\n".join(json.dumps(result, ensure_ascii=False) for result in results)
    return f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [{head}, "results": [\n{rows}\n]}}]}}\n'


def _summary(comparison: Comparison) -> dict[str, Any]:
    """The verdict itself, which SARIF has no place for."""
    head = claim(comparison)
    stated: dict[str, Any] = {
        "verdict": str(comparison.verdict),
        "headline": plain(f"{head.env} {head.middle} {head.subject}".rstrip() + head.tail) + f" ({size(comparison)})",
        "depth": str(comparison.depth),
        "lookedAtFrom": str(comparison.looked_at_from),
    }
    if comparison.fingerprint:
        stated["fingerprint"] = str(comparison.fingerprint.digest)
    if comparison.policy:
        stated["policy"] = {"profile": comparison.profile, "digest": comparison.policy}
    used = waivers(comparison)
    if used:
        stated["waivers"] = {utf8(name): times for name, times in used.items()}
    return stated
