"""The report that people read: the verdict first, the worst first, each remedy once, and nothing that drives a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from factories import a_comparison, a_drift
from sanctity.errors import DocumentError, Issue, UsageError
from sanctity.model.drift import Code, Depth, Reference, Selection, Severity, Unchecked
from sanctity.report.text import Paint, comparison_text, error_text

GOLDENS = Path(__file__).parent / "goldens"


def _text(comparison: object, **words: object) -> str:
    return comparison_text(comparison, "verify", **words)  # type: ignore[arg-type]


A_DRIFTED = a_comparison(
    a_drift(
        Code.PTH_HOOK, severity=Severity.NOTE, gating=False, distribution="", version="", path="coverage a1_coverage.pth", count=2
    ),
    a_drift(
        distribution="numpy", version="2.4.6", path="numpy/linalg/_linalg.py", shared=True, hint="uv cache clean numpy && uv sync"
    ),
    *(
        a_drift(distribution="numpy", version="2.4.6", path=f"numpy/f{n}.py", hint="uv cache clean numpy && uv sync")
        for n in range(9)
    ),
    a_drift(
        Code.VERSION_MISMATCH, distribution="six", version="1.15.0", path="", expected="1.16.0", actual="1.15.0", hint="uv sync"
    ),
    a_drift(Code.FILE_UNCLAIMED, distribution="", version="", path="evil.py", hint="rm evil.py"),
    unchecked=(Unchecked(code="editable-source", what="demo", reason="its source is governed by git"),),
)
CASES = {
    "clean": a_comparison(),
    "drifted": A_DRIFTED,
    "undecided": a_comparison(unchecked=(Unchecked(code="unreadable", what="six.py", reason="Permission denied", in_scope=True),)),
    "alone": a_comparison(reference=Reference()),
    "alone-drifted": a_comparison(a_drift(), reference=Reference()),
    "version": a_comparison(depth=Depth.VERSION),
}


@pytest.mark.parametrize("name", CASES)
def test_reports_are_as_reviewed(name: str, *, update_goldens: bool) -> None:
    golden = GOLDENS / f"{name}.txt"
    text = _text(CASES[name])
    if update_goldens:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_verdict_leads_and_gating_drifts_come_before_notes() -> None:
    lines = _text(A_DRIFTED).splitlines()
    assert lines[0].startswith("DRIFTED")
    gating = [index for index, line in enumerate(lines) if "file-altered" in line or "version-mismatch" in line]
    notes = [index for index, line in enumerate(lines) if line.startswith("  note:")]
    assert max(gating) < min(notes)


def test_a_long_list_is_capped_and_counted() -> None:
    text = _text(A_DRIFTED)
    assert text.count("file-altered") == 5
    assert "and 5 more in numpy" in text


def test_a_remedy_is_told_once_under_what_it_undoes() -> None:
    drifts = [a_drift(distribution=f"d{n}", hint="uv sync") for n in range(7)]
    assert _text(a_comparison(*drifts)).count("fix: uv sync") == 1


def test_colour_is_only_for_terminals() -> None:
    assert "\x1b" not in _text(A_DRIFTED)
    assert "\x1b[1;31mDRIFTED" in _text(A_DRIFTED, paint=Paint(on=True))


@pytest.mark.parametrize("name", ["a\x1b[2Jb.py", "a\nb.py", "a\rb.py", "a\u202eb.py", "bad\udcff.py", "a\x07b.py"])
def test_a_file_name_can_not_drive_a_terminal(name: str) -> None:
    text = _text(a_comparison(a_drift(path=name, message=f"about {name}")))
    assert name not in text
    assert not any(character in text for character in "\x1b\r\x07\u202e")
    text.encode()


def test_a_selection_is_printed() -> None:
    reference = a_comparison().reference
    chosen = Reference(
        kind=reference.kind, format=reference.format, path="uv.lock", selection=Selection(groups=("dev",), extras=("x", "y"))
    )
    assert "selected: groups dev; extras x, y" in _text(a_comparison(reference=chosen))


def test_waivers_that_were_used_are_told_and_counted() -> None:
    waived = [a_drift(path=f"{n}.py", gating=False, severity=Severity.NOTE, waiver="W-7") for n in range(3)]
    text = _text(a_comparison(*waived, a_drift(path="x.py", gating=False, waiver="A\n1")))
    assert text.startswith("CLEAN")
    assert "  waived by A\\n1; W-7 (3)\n" in text
    assert text.count("(waived by W-7)") == 3
    assert "waived" not in _text(a_comparison(a_drift()))


def test_an_error_names_code_place_and_remedy() -> None:
    text = error_text(UsageError("no-interpreter", "there is no such file", where="x", hint="name an interpreter"))
    assert text == "error: no-interpreter\n  x: there is no such file\nhint: name an interpreter\n"


def test_all_faults_of_a_document_are_told() -> None:
    issues = tuple(Issue("malformed-hash", f"package[{n}]", "'zz' is not a digest") for n in range(15))
    text = error_text(DocumentError("malformed-hash", "x", where="uv.lock: package[0]", issues=issues))
    assert "uv.lock: package[11]: 'zz' is not a digest" in text
    assert "and 3 more" in text
