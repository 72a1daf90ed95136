"""A rebuild, drawn: its plan before anything is made, and its proof, which is written beside what was built.

The proof is the document ``sanctity.proof/1`` (``report/schema/proof-1.json`` in the package). It holds no clock, host or user, and
of paths only what says where something came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import sanctity
from sanctity.model.drift import Verdict
from sanctity.report.json import comparison_document, dump
from sanctity.report.text import Paint, comparison_text
from sanctity.report.words import count, plain, utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanctity.model.artifact import Place, Proof
    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.drift import Comparison
    from sanctity.model.interpreter import InstalledInterpreter
    from sanctity.plan.rebuild import PlannedArtifact, RebuildPlan

__all__ = ["ProofLine", "plan_document", "plan_text", "proof_document", "proof_json", "proof_text"]

_MOST: Final = 400
_WORDS: Final = {
    Verdict.CLEAN: ("PROVEN", "good"),
    Verdict.DRIFTED: ("NOT PROVEN", "bad"),
    Verdict.UNDECIDED: ("NOT PROVEN", "doubt"),
}

ProofLine: TypeAlias = "tuple[PlannedArtifact, str, Digest, Place | None, ContentDigest | None, Proof | None]"


def _interpreter(found: InstalledInterpreter) -> dict[str, Any]:
    interpreter, build = found.interpreter, found.build
    platform = "-".join(part for part in ("linux", interpreter.machine, interpreter.libc.partition(" ")[0]) if part)
    stated: dict[str, Any] = {
        "implementation": interpreter.implementation,
        "version": interpreter.version,
        "abi": interpreter.abi,
        "platform": platform,
        "found": str(found.kind),
    }
    if build is not None:
        stated["build"] = {
            "executable": str(build.executable) if build.executable else None,
            "library": str(build.library) if build.library else None,
            "compiler": build.compiler or None,
            "compiled": build.compiled or None,
        }
    return stated


def _reference(plan: RebuildPlan) -> dict[str, Any]:
    return {
        "kind": plan.reference.kind,
        "format": plan.reference.format or None,
        "path": utf8(plan.reference.path),
        "digest": str(plan.reference.digest),
        "selection": {"groups": list(plan.selection.groups), "extras": list(plan.selection.extras)},
    }


def _from(item: PlannedArtifact) -> str:
    """Where the file of *item* is expected to come from."""
    if item.archived:
        return "archive"
    return "source" if item.wanted is None else "caches or an index"


def plan_document(plan: RebuildPlan) -> dict[str, Any]:
    """*plan* as the document ``sanctity.rebuild-plan/1``'s own plain values."""
    return {
        "schema": "sanctity.rebuild-plan/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "possible": not plan.missing,
        "reference": _reference(plan),
        "target": utf8(plan.target),
        "interpreter": {**_interpreter(plan.interpreter), "executable": utf8(plan.interpreter.executable)},
        "engine": {"name": plan.engine, "version": plan.engine_version},
        "artifacts": [
            {
                "name": item.name,
                "version": item.version,
                "filename": utf8(item.filename) or None,
                "sha256": str(item.sha256) if item.sha256 is not None else None,
                "from": _from(item),
                "location": utf8(item.source) or None,
                "content": str(item.content) if item.content is not None else None,
                "build": item.build,
                "chosen_by": utf8(item.said_by),
            }
            for item in plan.artifacts
        ],
        "left_out": [{"name": item.name, "version": item.version, "reason": item.reason} for item in plan.left_out],
        "missing": [
            {"name": item.name, "version": item.version, "code": item.code, "reason": utf8(item.reason)} for item in plan.missing
        ],
        "notices": [utf8(text) for text in plan.notices],
    }


def plan_text(plan: RebuildPlan, paint: Paint | None = None) -> str:
    """*plan* for people: what is built on what, every file, and what is missing."""
    paint = paint or Paint()
    interpreter = plan.interpreter.interpreter
    known = sum(item.wanted.size or 0 for item in plan.artifacts if item.wanted is not None)
    files = f"{count(len(plan.artifacts), 'file')}" + (f", {known / 1e6:,.1f} MB" if known else "")
    word = paint("bad", "MISSING") if plan.missing else paint("good", "PLAN")
    lines = [
        f"{word}  {plain(plan.shown)} from {plain(plan.reference.path)}   {files}",
        (
            f"  python  {interpreter.implementation} {interpreter.version} at {plain(plan.interpreter.executable)}   "
            f"({plan.interpreter.kind})"
        ),
        f"  engine  {plan.engine} {plan.engine_version}",
    ]
    width = max((len(f"{item.name} {item.version}") for item in plan.artifacts), default=0)
    lines += [
        f"  {plain(f'{item.name} {item.version}'):<{width}}  {plain(item.filename or item.source)}  "
        + paint(
            "dim", f"{str(item.sha256)[:19]}…  {_from(item)}, by {plain(item.said_by)}" + ("; to be built" if item.build else "")
        )
        for item in plan.artifacts[:_MOST]
    ]
    lines += [
        paint("dim", f"  left out: {plain(item.name)} {plain(item.version)}   ({plain(item.reason)})") for item in plan.left_out
    ]
    lines += [paint("doubt", f"  note: {plain(text)}") for text in plan.notices]
    lines += [
        f"  {paint('bad', item.code)}   {plain(item.name)} {plain(item.version)}   ({plain(item.reason)})" for item in plan.missing
    ]
    return "\n".join(lines) + "\n"


def proof_document(
    plan: RebuildPlan,
    comparison: Comparison,
    lines: Sequence[ProofLine],
    *,
    expected: Digest | None,
    actual: Digest | None,
    left: Sequence[str],
    unknown: Sequence[str],
) -> dict[str, Any]:
    """The proof as the document's own plain values; *lines* are the files that were had."""
    judged = comparison_document(comparison, "rebuild")
    return {
        "schema": "sanctity.proof/1",
        "tool": judged["tool"],
        "verdict": str(Verdict.UNDECIDED) if unknown and comparison.verdict is Verdict.CLEAN else judged["verdict"],
        "reference": _reference(plan),
        "fingerprint": {"expected": str(expected) if expected else None, "actual": str(actual) if actual else None},
        "interpreter": _interpreter(plan.interpreter),
        "engine": {"name": plan.engine, "version": plan.engine_version},
        "artifacts": [
            {
                "name": item.name,
                "version": item.version,
                "filename": utf8(filename),
                "sha256": str(sha256),
                "content": str(content) if content is not None else None,
                "content_known_by": str(proof) if proof is not None else None,
                "from": str(place) if place is not None else "built here",
            }
            for item, filename, sha256, place, content, proof in lines
        ],
        "left_out": list(left),
        "unknown": list(unknown),
        "checked": judged["checked"],
        "unchecked": judged["unchecked"],
        "drifts": judged["drifts"],
    }


def proof_json(document: dict[str, Any]) -> str:
    """The text of a document."""
    return dump(document)


def proof_text(
    plan: RebuildPlan,
    comparison: Comparison,
    *,
    expected: Digest | None,
    actual: Digest | None,
    left: Sequence[str],
    unknown: Sequence[str],
    place: str,
    proof: str,
    paint: Paint | None = None,
) -> str:
    """The proof for people: the claim, what it rests on, and every drift."""
    paint = paint or Paint()
    word, style = _WORDS[comparison.verdict]
    if unknown and comparison.verdict is Verdict.CLEAN:
        word, style = "BUILT", "doubt"
    interpreter = plan.interpreter.interpreter
    checked = comparison.checked
    stands = place.replace(plan.target, plan.shown, 1) if place else plan.shown
    lines = [
        (
            f"{paint(style, word)}  {plain(stands)}   {count(len(plan.artifacts), 'distribution')}, "
            f"{count(checked.files, 'file')}, {checked.bytes / 1e6:,.1f} MB; {interpreter.implementation} {interpreter.version}, "
            f"{plan.engine} {plan.engine_version}"
        )
    ]
    if comparison.verdict is not Verdict.CLEAN:
        lines.append(f"  it does not have the name it was to have: {'it is ' + plain(stands) if place else 'it was removed'}")
    if unknown:
        words = "built now, and nothing says what they must be; seal it, and keep their wheels: sanctity archive add --env"
        lines.append(paint("doubt", f"  not proven: {plain(', '.join(unknown))}   ({words})"))
    lines.append(paint("dim", f"  expected {expected or 'unknown'}"))
    lines.append(paint("dim", f"  actual   {actual or 'unknown'}"))
    lines += [paint("dim", f"  left out: {plain(name)}: its source is governed by git") for name in left]
    if proof:
        lines.append(paint("dim", f"  proof    {plain(proof.replace(plan.target, plan.shown, 1))}"))
    return "\n".join(lines) + "\n" + comparison_text(comparison, "rebuild", paint)
