"""A comparison of two results, drawn: for people, as the document ``sanctity.comparison/1``, as Markdown and as a page of HTML.

The document's JSON Schema is ``report/schema/comparison-1.json`` in the package.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

import sanctity
from sanctity.model.result import Sameness, What
from sanctity.report.json import dump, packaged_schema
from sanctity.report.markdown import code_span
from sanctity.report.page import page
from sanctity.report.text import Paint
from sanctity.report.words import count, plain, utf8

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.result import FileResult, LeafDifference, ResultComparison, Ulps

__all__ = [
    "FORMATS",
    "difference_cell",
    "difference_place",
    "difference_words",
    "exit_code",
    "files_document",
    "results_html",
    "results_json",
    "results_markdown",
    "results_text",
    "schema",
    "shown_sides",
    "ulps_figure",
]

_WORDS: Final = {
    Sameness.IDENTICAL: ("IDENTICAL", "good", "byte for byte"),
    Sameness.EQUAL: ("EQUAL", "good", "every value is the same, bit for bit; only what is around them differs"),
    Sameness.UNDECIDED: ("UNDECIDED", "doubt", "not all of it could be read"),
    Sameness.DIFFERENT: ("DIFFERENT", "bad", "values differ"),
}
#: The bits of a number, behind it.
_BITS: Final = re.compile(r" \(0x[0-9a-f]+(?:, 0x[0-9a-f]+)?\)$")
#: How long one value, and all that is counted, may be in a cell of a table.
_LONGEST_VALUE: Final = 40
_LONGEST_FACTS: Final = 110
_MOST_FILES: Final = 200
_MOST_LEAVES: Final = 20
_WIDEST_BAR: Final = 24
_KINDS: Final = {What.TYPE: "type ", What.SHAPE: "shape ", What.FORMAT: "format "}


def schema() -> dict[str, Any]:
    """The JSON Schema of the document ``sanctity.comparison/1``."""
    return packaged_schema("comparison-1")


def exit_code(comparison: ResultComparison, *, strict: bool = False) -> int:
    """0 where no value differs, 1 where one does, 3 where that is not known; with *strict* a container that differs is 1 too."""
    return {Sameness.IDENTICAL: 0, Sameness.EQUAL: int(strict), Sameness.DIFFERENT: 1, Sameness.UNDECIDED: 3}[comparison.sameness]


def difference_place(file: FileResult, difference: LeafDifference) -> str:
    """Where the first difference is: the leaf's name and the index in it, of a text the line's number, of bytes theirs from 0."""
    if not difference.path and len(difference.first) == 1 and file.format in {"text", "bytes"}:
        (first,) = difference.first
        return f"line {first + 1:,}" if file.format == "text" else f"byte {first:,}"
    index = f"[{', '.join(map(str, difference.first))}]" if difference.first else ""
    return f"{difference.path}{index}" or "(the file)"


def difference_words(difference: LeafDifference, sides: tuple[str, str] = ("the first", "the second")) -> str:
    """What differs between the two *sides*, in a line."""
    if difference.what is What.MISSING:
        return f"in {sides[0]} alone{f': {difference.before}' if difference.before else ''}"
    if difference.what is What.EXTRA:
        return f"in {sides[1]} alone{f': {difference.after}' if difference.after else ''}"
    values = f"{_KINDS.get(difference.what, '')}{difference.before} and {difference.after}"
    return "; ".join((values, *_facts(difference)))


def _facts(difference: LeafDifference) -> list[str]:
    """What is counted and measured of *difference*, what tells most first."""
    facts = []
    if difference.elements > 1:
        share = 100 * difference.differing / difference.elements
        facts.append(f"{difference.differing:,} of {difference.elements:,} differ ({share:.3g} %)")
    facts += [_apart(difference.ulps)] if difference.ulps is not None else []
    facts += [f"at most {difference.largest} apart"] if difference.largest else []
    return facts + (["the same elements in another order"] if difference.permuted else [])


def difference_cell(difference: LeafDifference, sides: tuple[str, str] = ("the first", "the second")) -> str:
    """What differs as a cell of a table in Markdown: the values without their bits, clipped, and what is counted, never clipped."""
    if difference.what in {What.MISSING, What.EXTRA}:
        return code_span(difference_words(difference, sides))
    before, after = shown_sides(difference)
    values = code_span(f"{_KINDS.get(difference.what, '')}{_clipped(before)} and {_clipped(after)}")
    facts = _facts(difference)
    if len("; ".join(facts)) <= _LONGEST_FACTS:
        facts = ["; ".join(facts)] if facts else []
    return "; ".join((values, *map(code_span, facts)))


def shown_sides(difference: LeafDifference) -> tuple[str, str]:
    """Both values, without their bits unless these alone tell them apart."""
    before, after = (_BITS.sub("", side) for side in (difference.before, difference.after))
    return (difference.before, difference.after) if before == after else (before, after)


def _clipped(text: str) -> str:
    text = plain(text)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE // 2]}…{text[-(_LONGEST_VALUE // 2 - 1) :]}"


def _apart(ulps: Ulps) -> str:
    parts = [f"up to {count(ulps.most, 'ulp')}"] if ulps.most else []
    parts += [f"{count(ulps.zeros, 'zero')} of another sign"] if ulps.zeros else []
    parts += [f"{ulps.payloads:,} NaN with other bits"] if ulps.payloads else []
    parts += [f"{ulps.nans:,} NaN on one side alone"] if ulps.nans else []
    return ", ".join(parts) or "other bits"


def _headline(comparison: ResultComparison) -> str:
    files = len(comparison.files)
    same = sum(file.sameness is Sameness.IDENTICAL for file in comparison.files)
    size = sum(max(file.sizes) for file in comparison.files)
    return f"{count(files, 'file')}, {same:,} byte for byte, {size:,} bytes" if files else "no file in either"


def results_text(comparison: ResultComparison, *, paint: Paint | None = None) -> str:
    """*comparison* for people: the verdict, then each file that is not the same byte for byte, the gravest first."""
    paint = paint or Paint(on=False)
    word, style, meaning = _WORDS[comparison.sameness]
    lines = [
        f"{paint(style, word)}  {plain(comparison.before)} and {plain(comparison.after)}: {meaning}      {_headline(comparison)}"
    ]
    order = tuple(Sameness)
    shown = [file for file in comparison.files if file.sameness is not Sameness.IDENTICAL]
    shown.sort(key=lambda file: -order.index(file.sameness))
    for file in shown[:_MOST_FILES]:
        lines.append(f"  {file.sameness:<9}  {plain(file.path)}   {file.format or 'no file'}{_leaves(file)}")
        lines += [
            f"    {plain(difference_place(file, item))}   {plain(difference_words(item))}"
            for item in file.differences[:_MOST_LEAVES]
        ]
        if len(file.differences) > _MOST_LEAVES:
            lines.append(f"    … and {len(file.differences) - _MOST_LEAVES:,} more")
        lines += [f"    around them: {plain(noise)}" for noise in file.noise[:_MOST_LEAVES]]
        lines += [f"    {plain(file.reason)}"] if file.reason else []
    if len(shown) > _MOST_FILES:
        lines.append(f"  … and {len(shown) - _MOST_FILES:,} files more")
    if not comparison.files:
        lines.append("  nothing was compared: an empty result is no evidence")
    return "\n".join(lines) + "\n"


def _leaves(file: FileResult) -> str:
    """How many leaves *file* has, and how many differ; of a text nothing, since it has one."""
    if not file.leaves or file.format == "text":
        return ""
    leaves = "1 leaf" if file.leaves == 1 else f"{file.leaves:,} leaves"
    return f", {leaves}, {len(file.differences):,} {'differs' if len(file.differences) == 1 else 'differ'}"


def _ulps(ulps: Ulps | None) -> dict[str, Any] | None:
    if ulps is None:
        return None
    return {
        "most": str(ulps.most),
        "histogram": list(ulps.histogram),
        "signed_zeros": ulps.zeros,
        "nan_payloads": ulps.payloads,
        "nan_on_one_side": ulps.nans,
    }


def files_document(files: Iterable[FileResult]) -> list[dict[str, Any]]:
    """*files* as the document's own plain values. Distances are texts, since they may exceed 2**53."""
    return [
        {
            "path": utf8(file.path),
            "format": utf8(file.format) or None,
            "sameness": str(file.sameness),
            "bytes": list(file.sizes),
            "values": file.leaves,
            "differences": [
                {
                    "path": utf8(item.path),
                    "what": str(item.what),
                    "first": list(item.first),
                    "before": utf8(item.before),
                    "after": utf8(item.after),
                    "elements": item.elements,
                    "differing": item.differing,
                    "ulps": _ulps(item.ulps),
                    "largest": item.largest or None,
                    "permuted": item.permuted,
                }
                for item in file.differences
            ],
            "container": [utf8(noise) for noise in file.noise],
            "reason": utf8(file.reason) or None,
        }
        for file in files
    ]


def results_json(comparison: ResultComparison) -> str:
    """The document ``sanctity.comparison/1``."""
    document = {
        "schema": "sanctity.comparison/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "before": utf8(comparison.before),
        "after": utf8(comparison.after),
        "sameness": str(comparison.sameness),
        "files": files_document(comparison.files),
    }
    return dump(document)


def results_markdown(comparison: ResultComparison) -> str:
    """*comparison* as a table for a pull request."""
    word, _, meaning = _WORDS[comparison.sameness]
    lines = [
        f"### {word}: {code_span(plain(comparison.before))} and {code_span(plain(comparison.after))}",
        "",
        f"{meaning.capitalize()}. {_headline(comparison)}.",
        "",
    ]
    rows = [(file, item) for file in comparison.files for item in file.differences[:_MOST_LEAVES]]
    if rows:
        lines += ["| file | first difference | what |", "|---|---|---|"]
        lines += [
            f"| {code_span(plain(file.path))} | {code_span(difference_place(file, item))} | {difference_cell(item)} |"
            for file, item in rows[:_MOST_FILES]
        ]
        lines.append("")
    for file in comparison.files:
        if file.noise or file.reason:
            told = "; ".join((*file.noise, *((file.reason,) if file.reason else ())))
            lines.append(f"- {code_span(plain(file.path))}: {file.sameness}; {code_span(plain(told))}")
    return "\n".join(lines).rstrip("\n") + "\n"


def ulps_figure(ulps: Ulps, name: str) -> str:
    """Distances of the leaf *name* as bars, one a power of two, drawn as SVG; empty where fewer than two numbers have one."""
    last = max((number for number, many in enumerate(ulps.histogram) if many), default=-1)
    if sum(ulps.histogram) < 2:  # of one number its line says it all
        return ""
    bins = ulps.histogram[: last + 1]
    width, gap, height = max(6, min(34, 640 // len(bins))), 2, 90
    top = max(bins)
    tall = [max(1, round(many / top * height)) if many else 0 for many in bins]
    bars = "".join(
        f'<rect x="{number * width}" y="{height - tall[number]}" width="{width - gap}" height="{tall[number]}">'
        f"<title>{1 << number:,} to {(2 << number) - 1:,} ulps: {many:,}</title></rect>"
        for number, many in enumerate(bins)
    )
    every = max(1, len(bins) // 8)
    marks = "".join(
        f'<text x="{number * width}" y="{height + 14}">{"1" if not number else f"2^{number}"}</text>'
        for number in range(0, len(bins), every)
    )
    wide, high = len(bins) * width + 30, height + 20
    whose = f"<code>{escape(name)}</code>: " if name else ""
    return (
        f'<figure><svg class="histogram" role="img" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}">'
        f"<title>{escape(name)}: {sum(bins):,} numbers by their distance in ulps</title>{bars}{marks}</svg>"
        f"<figcaption>{whose}{sum(bins):,} numbers by their distance in units in the last place, the most {top:,} in one bar"
        "</figcaption></figure>"
    )


def results_html(comparison: ResultComparison) -> str:
    """*comparison* as a page that needs nothing else: no script, nothing to load."""
    word, style, meaning = _WORDS[comparison.sameness]
    names = f"{escape(plain(comparison.before))} and {escape(plain(comparison.after))}"
    parts = [f'<h1><span class="{style}">{word}</span> {names}</h1><p>{escape(meaning)}</p>']
    parts.append(f'<p class="quiet">{escape(_headline(comparison))}</p>')
    shown = [file for file in comparison.files if file.sameness is not Sameness.IDENTICAL]
    for file in shown[:_MOST_FILES]:
        _, tint, _ = _WORDS[file.sameness]
        parts.append(
            f'<h2><code>{escape(plain(file.path))}</code> <span class="{tint}">{file.sameness}</span></h2>'
            f'<p class="quiet">{escape((file.format or "no file") + _leaves(file))}</p>'
        )
        rows = "".join(
            f"<tr><td><code>{escape(plain(difference_place(file, item)))}</code></td>"
            f'<td class="whole">{escape(plain(difference_words(item)))}</td></tr>'
            for item in file.differences[:_MOST_FILES]
        )
        if rows:
            head = '<thead><tr><th scope="col">first difference</th><th scope="col">what</th></tr></thead>'
            parts.append(f'<table class="stack where">{head}<tbody>{rows}</tbody></table>')
        parts += [ulps_figure(item.ulps, plain(item.path)) for item in file.differences[:3] if item.ulps is not None]
        told = [*file.noise[:_MOST_LEAVES], *([file.reason] if file.reason else [])]
        parts += [f'<p class="quiet">{escape(plain(line))}</p>' for line in told]
    if len(shown) > _MOST_FILES:
        parts.append(f'<p class="quiet">… and {len(shown) - _MOST_FILES:,} files more</p>')
    title = f"{word}: {plain(comparison.before)} and {plain(comparison.after)}"
    return page(title=escape(title), body=parts)


FORMATS: Final = {"json": results_json, "markdown": results_markdown, "html": results_html}
