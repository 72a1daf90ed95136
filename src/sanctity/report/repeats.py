"""A proof by repeating, drawn: a verdict short enough to paste, the same for a pull request, and ``sanctity.repeats/1`` as data.

The document's JSON Schema is ``report/schema/repeats-1.json`` in the package; the page is `report.repeats_html`.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import sanctity
from sanctity.model.repeats import CONFIDENCE, Claim, Level, Phase
from sanctity.model.result import Sameness
from sanctity.report.json import dump, packaged_schema
from sanctity.report.markdown import code_span, fenced
from sanctity.report.repeats_words import (
    CLAIMS,
    State,
    blame_words,
    blind_words,
    bound_words,
    compared_words,
    conditions,
    container_words,
    controls_words,
    differing_files,
    distinct,
    evidence,
    fixes,
    headline,
    is_source,
    numerics_words,
    reached,
    remedies_of,
    shown_run,
    state_of,
    tally,
    unexplained,
    used,
    which,
    why_not,
    why_shown,
)
from sanctity.report.results import difference_cell, difference_place, files_document
from sanctity.report.text import Paint
from sanctity.report.words import plain, utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanctity.model.repeats import Repeats, Run

__all__ = ["FORMATS", "exit_code", "repeats_json", "repeats_markdown", "repeats_text", "schema"]

_WIDEST: Final = 132
_MOST_LEAVES: Final = 3
_MOST_ROWS: Final = 10


def schema() -> dict[str, Any]:
    """The JSON Schema of the document ``sanctity.repeats/1``."""
    return packaged_schema("repeats-1")


def exit_code(found: Repeats) -> int:
    """0 where the results are the same, 1 where they differ, 3 where nothing can be said."""
    return {Claim.SAME: 0, Claim.DIFFERENT: 1, Claim.UNDECIDED: 3}[found.claim]


def _glued(parts: Sequence[str]) -> list[str]:
    """*parts* as lines, two on one where they fit."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 8 <= _WIDEST and "      " not in lines[-1]:
            lines[-1] += f"      {part}"
        else:
            lines.append(part)
    return lines


def repeats_text(found: Repeats, *, paint: Paint | None = None) -> str:
    """*found* for people: the verdict, what it is of, how sure it is, and where it is not the same who is guilty and what to do."""
    paint = paint or Paint(on=False)
    word, style = CLAIMS[found.claim]
    lines = [f"{paint(style, word)} {headline(found)}"]
    lines += [f"  {line}" for line in (*blame_words(found), *unexplained(found))]
    facts = evidence(found)
    lines += [f"  {line}" for line in facts.told] + [f"    | {plain(line)}" for line in facts.tail]
    lines += [f"  {line}" for line in (container_words(found), blind_words(found)) if line]
    if found.claim is not Claim.SAME:
        lines += [f"  {tally(found)}" + (f"; {numerics_words(found)}" if found.phase(Phase.VARIED) else "")]
        lines += [f"  {paint('bold', 'fix:')} {plain(text)}" for text in fixes(found)]
        lines += [f"  {paint('bold', 'next:')} {plain(text)}" for text in found.advice]
    lines += [paint("dim", f"  {line}") for line in _glued(conditions(found))]
    if found.claim is Claim.SAME:
        parts = (bound_words(found), controls_words(found), compared_words(found))
        lines += [f"  {line}" for line in _glued([part for part in parts if part])]
        lines += [f"  {paint('bold', 'next:')} {plain(text)}" for text in found.advice]
    return "\n".join(lines) + "\n"


def repeats_markdown(found: Repeats) -> str:
    """*found* for a pull request: the verdict as text, which no renderer changes, and the differences as a table."""
    word, _ = CLAIMS[found.claim]
    lines = [f"### {word}: {code_span(shlex.join(found.command))}", "", *fenced(repeats_text(found).splitlines(), "text")]
    run = shown_run(found) if found.claim is Claim.DIFFERENT else None
    rows = [(file, item) for file in differing_files(run) for item in file.differences[:_MOST_LEAVES]] if run is not None else []
    if rows and run is not None:
        sides = (f"run {found.runs[0].number:,}", f"run {run.number:,}")
        shown = why_shown(found, run)
        lines += [f"{shown[0].upper()}{shown[1:]}.", ""] if shown else []
        lines += [f"| file | where run {run.number:,} first differs | what |", "|---|---|---|"]
        lines += [
            f"| {code_span(file.path)} | {code_span(difference_place(file, item))} | {difference_cell(item, sides)} |"
            for file, item in rows[:_MOST_ROWS]
        ]
        lines += [f"| and {len(rows) - _MOST_ROWS:,} more | | |"] if len(rows) > _MOST_ROWS else []
    return "\n".join(lines).rstrip("\n") + "\n"


# -- the document ------------------------------------------------------------------------------------------------------------------


def _run(run: Run) -> dict[str, Any]:
    return {
        "number": run.number,
        "phase": str(run.phase),
        "setting": {name: utf8(value) for name, value in run.setting},
        "exit_status": run.code,
        "milliseconds": round(run.seconds * 1000),
        "files": run.files,
        "bytes": run.size,
        "digest": run.digest or None,
        "sameness": str(run.sameness),
        "differences": files_document(
            [file for file in run.comparison.files if file.sameness is not Sameness.IDENTICAL] if run.comparison is not None else []
        ),
        "tail": utf8(run.tail) or None,
        "outside": [utf8(path) for path in run.outside],
        "unseen": list(run.unseen),
    }


def repeats_json(found: Repeats) -> str:
    """The document ``sanctity.repeats/1``."""
    varied = found.phase(Phase.VARIED)
    document = {
        "schema": "sanctity.repeats/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "claim": str(found.claim),
        "verdict": utf8(f"{CLAIMS[found.claim][0]} {headline(found)}"),
        "reason": found.reason or None,
        "message": utf8(found.message) or None,
        "advice": [utf8(text) for text in remedies_of(found)],
        "command": [utf8(word) for word in found.command],
        "outputs": [utf8(pattern) for pattern in found.outputs],
        "stdout": found.stdout,
        "function": found.function,
        "level": str(found.level),
        "numerics": {
            "threads": found.numerics.threads,
            "cpus": found.numerics.cpus,
            "instruction_set": utf8(found.numerics.isa),
            "varied": any(variation.level is Level.NUMERICS for variation in which(found, State.VARIED)),
        },
        "counts": {
            **{str(phase): len(found.phase(phase)) for phase in Phase},
            "differing": sum(not run.same for run in (*found.phase(Phase.REPEAT), *varied)),
            "distinct": distinct(found),
        },
        "bound": (
            {"rate": round(found.bound, 6), "confidence": CONFIDENCE, "runs": len(varied)} if found.claim is Claim.SAME else None
        ),
        "guilty": [
            {
                "names": list(guilty.names),
                "values": [utf8(value) for value in guilty.values],
                "alone": guilty.alone,
                "without": guilty.without,
                "source": is_source(found, guilty),
            }
            for guilty in found.guilty
        ],
        "variations": [
            {
                "name": variation.name,
                "words": utf8(variation.words),
                "level": str(variation.level),
                "state": str(state_of(found, variation)),
                "why": utf8(why_not(found, variation)) or None,
                "values": [utf8(value) for value in variation.values],
                "used": [utf8(value) for value in used(found, variation.name)],
                "runs": reached(found, variation.name)[0],
            }
            for variation in found.variations
        ],
        "controls": [{"name": each.name, "words": utf8(each.words), "seen": each.seen} for each in found.controls],
        "runs": [_run(run) for run in found.runs],
    }
    return dump(document)


def _html(found: Repeats) -> str:
    from sanctity.report.repeats_html import repeats_html

    return repeats_html(found)


#: The formats of a proof beside text, which has colours on a terminal.
FORMATS: Final = {"json": repeats_json, "markdown": repeats_markdown, "html": _html}
