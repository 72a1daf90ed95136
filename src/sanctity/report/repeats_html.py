"""A proof by repeating as a page: the verdict, every run with what it had and what it gave, the first difference, and what is open.

The matrix has a row a variation and a column a run; a run that differs and a guilty variation are marked by a sign and in words,
and not by colour alone. Narrow, it is a block a variation, of the runs that had another value of it.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import sanctity
from sanctity.model.repeats import CONFIDENCE, Claim, Phase, rate_bound
from sanctity.model.result import Sameness
from sanctity.report.page import page
from sanctity.report.repeats_words import (
    CLAIMS,
    State,
    again,
    blame_words,
    container_words,
    ended,
    evidence,
    headline,
    numerics_words,
    percent,
    remedies_of,
    scope,
    shown_run,
    state_of,
    tally,
    unexplained,
    value_words,
    varied_words,
    which,
    why_not,
    why_shown,
)
from sanctity.report.results import difference_place, difference_words, ulps_figure
from sanctity.report.words import count, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sanctity.model.repeats import Repeats, Run, Variation

__all__ = ["repeats_html"]

#: So many runs stand side by side, and in all; those that differ are never left out for those that do not.
_MOST_COLUMNS: Final = 8
_MOST_RUNS: Final = 96
_MOST_FILES: Final = 40
_MOST_LEAVES: Final = 20
_MOST_FIGURES: Final = 8
_LONGEST: Final = 400
_LONGEST_VALUE: Final = 44
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Of how many runs it is said what they exclude, besides those that were made.
_EXAMPLES: Final = (5, 10, 29, 59, 299)

_MARKS: Final = {
    Sameness.IDENTICAL: ("✓", "same", "good"),
    Sameness.EQUAL: ("≈", "same values", "good"),
    Sameness.UNDECIDED: ("?", "not known", "doubt"),
    Sameness.DIFFERENT: ("✗", "differs", "bad"),
}
_PHASES: Final = {
    Phase.REPEAT: "unchanged",
    Phase.VARIED: "varied together",
    Phase.SEARCH: "searched",
    Phase.HELD: "sources held",
}
_CAPTIONS: Final = {
    False: "A row a variation, a column a run. What is pale is as in the first run.",
    True: "The runs made to find out why. Those with sources held are compared to the first with the same ones held.",
}

_STYLE: Final = """
:root{--blush:#fdeef0}
@media (prefers-color-scheme:dark){:root{--blush:#30161a}}
h1{font-size:1.45rem;line-height:1.35;max-width:52rem}
h1 .word{display:block;font-size:1.9rem;letter-spacing:.01em}
ul.facts{list-style:none;margin:1rem 0 0;padding:0;max-width:46rem}
ul.facts li{margin:.3rem 0;padding-left:1.3rem;text-indent:-1.3rem;overflow-wrap:anywhere}
ul.facts .sign{display:inline-block;width:1.3rem;text-indent:0;font-weight:600}
.guilty{border-left:4px solid var(--bad);padding:.1rem 0 .1rem 1rem;margin:1.2rem 0;max-width:46rem}
.guilty p{font-weight:600}
.runs{font-size:.84rem;table-layout:fixed}
.runs caption{font-size:1rem}
.runs thead th{font-size:1em}
.runs th,.runs td{padding:.35rem .5rem .35rem .5rem;overflow-wrap:anywhere}
.runs th:first-child{width:9.5rem;padding-left:0}
.runs .group{border-bottom:0;padding-bottom:0}
.runs .as{color:var(--quiet)}
.runs .changed{font-weight:600}
.runs .edge{border-left:1px solid var(--faint)}
.runs+.runs{margin-top:1.8rem}
.runs .differs{background:var(--tint)}
.runs .outcome.differs{box-shadow:inset 0 2px 0 var(--bad)}
.runs tr.blamed>*{background:var(--blush)}
.runs .note{display:block;font-weight:400;font-size:.78rem}
.runs .bad,.runs .good,.runs .doubt{font-weight:600}
.small{width:auto;min-width:min(100%,24rem)}
.small td,.small th{padding-right:1.6rem}
.small tr.here>*{font-weight:600}
h3{font-size:1rem;margin:1.4rem 0 .2rem;overflow-wrap:anywhere}
h3 code{font-weight:600}
@media (max-width:44rem){
h1{font-size:1.2rem}
h1 .word{font-size:1.6rem}
.runs{table-layout:auto;font-size:.92rem}
.runs th:first-child{width:auto}
.runs tr{display:grid;grid-template-columns:1fr 1fr;column-gap:.6rem}
.runs tr>th{grid-column:1/-1}
.runs td{display:flex;padding:.15rem .5rem}
.runs td[data-label]::before{flex:none;width:4.2rem}
.runs td.as:not(.base),.runs tr.aside{display:none}
.runs .outcome.differs{box-shadow:inset 2px 0 0 var(--bad)}
.runs .edge{border-left:0}
.runs .note{display:inline;margin-left:.4rem}
}
@media print{
:root{--blush:#fff}
.runs{font-size:7.5pt}
.runs caption{font-size:10.5pt}
.runs .changed,.runs .differs{background:none}
}
"""


def _text(text: str) -> str:
    text = plain(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-(_LONGEST // 2 - 1) :]}"
    return escape(text)


def _value(text: str) -> str:
    """*text* as a cell shows it: of a long one both ends, and all of it for who asks."""
    text = plain(text)
    if len(text) <= _LONGEST_VALUE:
        return escape(text).replace("/", "/<wbr>").replace("=", "=<wbr>")
    shown = f"{text[: _LONGEST_VALUE // 2]}…{text[-(_LONGEST_VALUE // 2 - 1) :]}"
    return f'<span title="{escape(text[:_LONGEST])}">{escape(shown)}</span>'


def _class(name: str, wanted: bool) -> str:
    return f' class="{name}"' if wanted else ""


def _marked(sameness: Sameness) -> str:
    sign, word, style = _MARKS[sameness]
    return f'<span class="{style}">{sign} {word}</span>'


def _facts(lines: Iterable[tuple[str, str, str]]) -> list[str]:
    """Lines of a sign, its style and what it is a sign of."""
    items = [
        f'<li><span class="sign {style}" aria-hidden="true">{sign}</span>{_text(text)}</li>' for sign, style, text in lines if text
    ]
    return ['<ul class="facts">', *items, "</ul>"] if items else []


# -- the matrix --------------------------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """A row of the matrix: its *head*, the cells, and its *kind*: ``blamed``, or ``aside`` where there is no room for it."""

    head: str
    cells: tuple[str, ...]
    kind: str = ""


def _chosen(runs: Sequence[Run]) -> tuple[Run, ...]:
    """As many of *runs* as are shown, in their order, those that differ before others."""
    kept = {id(run) for run in sorted(runs, key=lambda run: run.same)[:_MOST_RUNS]}
    return tuple(run for run in runs if id(run) in kept)


def _pieces(runs: Sequence[Run]) -> list[Sequence[Run]]:
    """*runs* in pieces that fit side by side, as even as can be."""
    number = -(-len(runs) // _MOST_COLUMNS)
    width = -(-len(runs) // number) if number else 1
    return [runs[start : start + width] for start in range(0, len(runs), width)]


def _letters(found: Repeats) -> dict[str, str]:
    """A letter for each different result, by its digest."""
    digests = dict.fromkeys(run.digest for run in found.runs if run.digest)
    return {digest: _LETTERS[number % 26] + (str(number // 26) if number >= 26 else "") for number, digest in enumerate(digests)}


def _cell(run: Run, content: str, *, edge: bool, kind: str = "") -> str:
    names = [kind, "edge" if edge else "", "" if run.same else "differs"]
    return f'<td class="{" ".join(name for name in names if name)}" data-label="run {run.number:,}">{content}</td>'


def _outcomes(found: Repeats, runs: Sequence[Run], edges: Sequence[bool]) -> list[_Row]:
    pairs = list(zip(runs, edges, strict=True))
    rows = [_Row("result", tuple(_cell(run, _marked(run.sameness), edge=edge, kind="outcome") for run, edge in pairs))]
    letters = _letters(found)
    if len(letters) > 1:
        rows.append(_Row("bytes", tuple(_cell(run, letters.get(run.digest, "none"), edge=edge) for run, edge in pairs)))
    if any(run.code != 0 for run in found.runs):
        rows.append(_Row("ended", tuple(_cell(run, _text(ended(run)), edge=edge) for run, edge in pairs)))
    rows.append(_Row("seconds", tuple(_cell(run, f"{run.seconds:.1f}", edge=edge, kind="as") for run, edge in pairs), "aside"))
    return rows


def _variation(variation: Variation, runs: Sequence[Run], edges: Sequence[bool], *, blamed: bool) -> _Row:
    cells = []
    for number, (run, edge) in enumerate(zip(runs, edges, strict=True)):
        given = dict(run.setting).get(variation.name)
        usual = variation.values[0] if variation.values else ""
        if given is None:
            cells.append(_cell(run, _value(value_words(variation.name, usual)), edge=edge, kind="as base" if number == 0 else "as"))
            continue
        note = '<span class="note doubt">not taken up</span>' if variation.name in run.unseen else ""
        sign = "◆ " if blamed else ""
        cells.append(_cell(run, f"{sign}{_value(value_words(variation.name, given))}{note}", edge=edge, kind="changed"))
    head = _text(variation.words)
    if blamed:
        head = f'<span class="bad">◆ {head}</span><span class="note bad">guilty</span>'
    return _Row(head, tuple(cells), "blamed" if blamed else "")


def _table(found: Repeats, runs: Sequence[Run], variations: Sequence[Variation], caption: str) -> list[str]:
    guilty = {name for each in found.guilty for name in each.names} if found.claim is Claim.DIFFERENT else set()
    edges = [number > 0 and run.phase is not runs[number - 1].phase for number, run in enumerate(runs)]
    rows = [
        *_outcomes(found, runs, edges),
        *(
            _variation(variation, runs, edges, blamed=variation.name in guilty)
            for variation in sorted(variations, key=lambda each: each.name not in guilty)
        ),
    ]
    groups = "".join(
        f'<th scope="colgroup" colspan="{len(list(group))}" class="group{" edge" if number else ""}">{_PHASES[phase]}</th>'
        for number, (phase, group) in enumerate(groupby(runs, key=lambda run: run.phase))
    )
    numbers = "".join(f'<th scope="col"{_class("edge", edge)}>{run.number:,}</th>' for run, edge in zip(runs, edges, strict=True))
    told = f"<caption>{caption}</caption>" if caption else ""
    return [
        f'<table class="runs stack">{told}<thead>',
        f'<tr><td class="group"></td>{groups}</tr>',
        f'<tr><th scope="col">run</th>{numbers}</tr></thead><tbody>',
        *(f'<tr{_class(row.kind, bool(row.kind))}><th scope="row">{row.head}</th>{"".join(row.cells)}</tr>' for row in rows),
        "</tbody></table>",
    ]


def _matrix(found: Repeats) -> list[str]:
    if not found.runs:
        return []
    lines = ["<h2>The runs</h2>"]
    main = [run for run in found.runs if run.phase in {Phase.REPEAT, Phase.VARIED}]
    rest = [run for run in found.runs if run.phase in {Phase.SEARCH, Phase.HELD}]
    for searched, runs in ((False, main), (True, rest)):
        chosen = _chosen(runs)
        for number, piece in enumerate(_pieces(chosen)):
            given = {name for run in piece for name, _ in run.setting}
            shown = [
                variation
                for variation in found.variations
                if (variation.name in given if searched else state_of(found, variation) in {State.VARIED, State.UNSEEN})
            ]
            lines += _table(found, piece, shown, "" if number else _CAPTIONS[searched])
        if len(chosen) < len(runs):
            lines.append(f'<p class="quiet">and {count(len(runs) - len(chosen), "run")} more, which gave the same</p>')
    return lines


# -- the sections ------------------------------------------------------------------------------------------------------------------


def _opening(found: Repeats) -> list[str]:
    word, style = CLAIMS[found.claim]
    line = scope(found) if found.claim is Claim.SAME else headline(found)
    lines = [
        f'<h1><span class="word {style}">{word}</span> {_text(line)}</h1>',
        f"<p><code>{_text(' '.join(found.command))}</code></p>",
    ]
    differ = any(not run.same for run in found.runs)
    told: list[tuple[str, str, str]] = [("✗" if differ else "✓", "bad" if differ else "good", tally(found))]
    runs = len(found.phase(Phase.VARIED))
    if found.claim is Claim.SAME and runs:
        told.append(("✓", "good", f"excludes a divergence rate above {percent(found.bound)} ({percent(CONFIDENCE)})"))
    if found.claim is Claim.SAME and not runs:
        told.append(("?", "doubt", "no run was varied: no rate of divergence is excluded"))
    if found.claim is not Claim.SAME and runs:
        told.append(("·", "quiet", numerics_words(found)))
    told.append(("≈", "good", container_words(found)))
    for control in found.controls:
        seen = "differs here, as it must" if control.seen else "was not seen to differ here: a pass would prove nothing"
        told.append(("✓" if control.seen else "✗", "good" if control.seen else "bad", f"positive control: {control.words} {seen}"))
    return [*lines, *_facts(told)]


def _blame(found: Repeats) -> list[str]:
    blame = blame_words(found)
    lines = ['<div class="guilty">', *(f"<p>{_text(line)}</p>" for line in blame), "</div>"] if blame else []
    lines += [f"<p>{_text(line)}</p>" for line in unexplained(found)]
    facts = evidence(found)
    lines += [f"<p>{_text(line)}</p>" for line in facts.told]
    lines += [f"<pre><code>{escape(chr(10).join(map(plain, facts.tail)))}</code></pre>"] if facts.tail else []
    advice = remedies_of(found)
    if advice:
        title = "What to do" if found.claim is not Claim.SAME else "What is next"
        lines += [f"<h2>{title}</h2>", "<ul>", *(f"<li>{_ticked(text)}</li>" for text in advice), "</ul>"]
    return lines


def _ticked(text: str) -> str:
    """*text* of ours with what stands between backticks as code."""
    parts = _text(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _difference(found: Repeats) -> list[str]:
    run = shown_run(found)
    if run is None or run.same:
        return []
    first = found.runs[0]
    lines = [f"<h2>Where run {run.number:,} first differs from run&nbsp;{first.number:,}</h2>"]
    shown = why_shown(found, run)
    lines += [f'<p class="quiet">{_text(f"{shown[0].upper()}{shown[1:]}.")}</p>'] if shown else []
    if run.code != first.code:
        lines.append(f"<p>run {first.number:,}: {_text(ended(first))}; run {run.number:,}: {_text(ended(run))}</p>")
    if run.comparison is None:
        return [*lines, '<p class="quiet">What they wrote was not looked into.</p>']
    files = [file for file in run.comparison.files if file.sameness is not Sameness.IDENTICAL]
    sides = (f"run {first.number:,}", f"run {run.number:,}")
    figures = 0
    for file in files[:_MOST_FILES]:
        lines.append(f"<h3><code>{_text(file.path)}</code> {_marked(file.sameness)}</h3>")
        rows = "".join(
            f"<tr><td><code>{_text(difference_place(file, item))}</code></td>"
            f'<td class="whole">{_text(difference_words(item, sides))}</td></tr>'
            for item in file.differences[:_MOST_LEAVES]
        )
        if rows:
            head = '<thead><tr><th scope="col">first difference</th><th scope="col">what</th></tr></thead>'
            lines.append(f'<table class="stack where">{head}<tbody>{rows}</tbody></table>')
        if len(file.differences) > _MOST_LEAVES:
            lines.append(f'<p class="quiet">and {len(file.differences) - _MOST_LEAVES:,} more</p>')
        for item in file.differences:
            drawn = ulps_figure(item.ulps, plain(item.path)) if item.ulps is not None and figures < _MOST_FIGURES else ""
            figures += bool(drawn)
            lines += [drawn] if drawn else []
        told = (*(f"around the values: {noise}" for noise in file.noise[:_MOST_LEAVES]), file.reason)
        lines += [f'<p class="quiet">{_text(line)}</p>' for line in told if line]
    if len(files) > _MOST_FILES:
        lines.append(f'<p class="quiet">and {count(len(files) - _MOST_FILES, "file")} more</p>')
    return lines


def _moved(found: Repeats) -> list[str]:
    """What a claim is of: what was varied, and what moves by itself."""
    varied = [varied_words(found, each) for each in which(found, State.VARIED)]
    free = [each.words for each in which(found, State.FREE)]
    lines = [f"<p>Varied together: {_text(', '.join(varied))}.</p>"] if varied else []
    lines += [f"<p>Moving by themselves in every run: {_text(', '.join(free))}.</p>"] if free else []
    return ["<h2>What moved between the runs</h2>", *lines] if lines else []


def _open(found: Repeats) -> list[str]:
    """What a claim is not of: what was not varied, and why."""
    words = {
        State.IMPOSSIBLE: "not possible here",
        State.HELD: "held",
        State.UNSEEN: "not taken up",
        State.BEYOND: "beyond the level",
        State.ABSENT: "not varied",
    }
    left: dict[tuple[State, str], list[str]] = {}
    for state in words:
        for each in which(found, state):
            left.setdefault((state, why_not(found, each)), []).append(each.words)
    lines = ["<h2>What this says nothing about</h2>"]
    if left:
        rows = "".join(
            f'<tr><th scope="row">{_text(", ".join(names))}</th><td>{words[state]}</td><td class="whole">{_text(why)}</td></tr>'
            for (state, why), names in left.items()
        )
        head = "".join(f'<th scope="col">{name}</th>' for name in ("variation", "what became of it", "why"))
        lines.append(f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')
    lines.append(
        '<p class="quiet">Other machines, other versions, and what was not varied are not covered: a proof is of these runs.</p>'
    )
    return lines


def _certainty(found: Repeats) -> list[str]:
    runs = len(found.phase(Phase.VARIED))
    if found.claim is not Claim.SAME or not runs:
        return []
    rows = "".join(
        f'<tr{_class("here", number == runs)}><td class="number">{number:,}</td>'
        f"<td>{percent(rate_bound(number))}{' (these runs)' if number == runs else ''}</td></tr>"
        for number in sorted({*_EXAMPLES, runs})
    )
    meaning = (
        f"<p>Were more than {percent(found.bound)} of such runs to differ, {count(runs, 'run')} would all be alike with a chance "
        f"below {percent(1 - CONFIDENCE)}.</p>"
    )
    head = '<tr><th scope="col" class="number">runs, all alike</th><th scope="col">exclude a rate above</th></tr>'
    table = f'<table class="small"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return ["<h2>How sure it is</h2>", meaning, table]


def repeats_html(found: Repeats) -> str:
    """*found* as the text of a page that loads nothing and runs nothing."""
    word, _ = CLAIMS[found.claim]
    body = [
        *_opening(found),
        *_blame(found),
        *_difference(found),
        *_matrix(found),
        *_moved(found),
        *_open(found),
        *_certainty(found),
        "<h2>How to do it again</h2>",
        f"<pre><code>{escape(plain(again(found)))}</code></pre>",
        f"<footer>Written by sanctity {escape(sanctity.__version__)}. This page loads nothing and runs nothing.</footer>",
    ]
    return page(title=f"{word}: {_text(' '.join(found.command))}", body=body, style=_STYLE)
