"""The cone as a page: one file that loads nothing, runs nothing, and reads in light, in dark, on a telephone, and on paper.

All that the pictures show stands in tables too.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

import sanctity
from sanctity.model.timeline import Resolution, changes, day_of
from sanctity.report.cone import outages, target_words
from sanctity.report.cone_plot import cone_words
from sanctity.report.page import page
from sanctity.report.words import count, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sanctity.model.timeline import Change, Cone, Strand

__all__ = ["Pictures", "cone_html"]

#: How many changes of an environment are written out.
_MOST_CHANGES: Final = 12
#: How many environments have a row.
_MOST_ENVIRONMENTS: Final = 1000
_LONGEST: Final = 400
#: How many ticks a strip has room for.
_MOST_TICKS: Final = 240

_STYLE: Final = """
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.8rem;margin:1.4rem 0;padding:0;list-style:none}
.tiles li{background:var(--tint);border:1px solid var(--faint);border-radius:.6rem;padding:.8rem 1rem}
.tiles b{display:block;font-size:1.7rem;line-height:1.2;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tiles span{color:var(--quiet);font-size:.92rem}
figure img{width:100%;height:auto;display:block}
td[data-label]{min-width:4.4rem}
tbody th:not(.number){min-width:8rem}
.digest code,td[data-label="first"] code,td[data-label="last"] code,td[data-label="locked"] code{white-space:nowrap}
.strip{display:block;width:100%;min-width:10rem;height:1.1rem;margin-top:.25rem;color:var(--blue)}
.strip .line{fill:var(--faint)}
.strip .tick{fill:currentColor}
details ol{margin:.3rem 0 .3rem;padding-left:1.4rem;columns:14rem auto}
.failed{color:var(--bad);font-weight:600}
@media (max-width:44rem){
.tiles{grid-template-columns:1fr 1fr}
.tiles b{font-size:1.35rem}
.stack td[data-label],.stack tbody th,.stack tbody th:not(.number){min-width:0}
}
@media print{
.tiles{grid-template-columns:repeat(4,1fr)}
.tiles li{break-inside:avoid}
.tiles b{font-size:1.3rem}
}
"""


class Pictures(NamedTuple):
    """The picture as SVG, for wide pages and for narrow ones."""

    wide: str
    narrow: str


def _text(text: str) -> str:
    text = plain(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-(_LONGEST // 2 - 1) :]}"
    return escape(text)


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else '<span class="quiet">absent</span>'


def _data(svg: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg.encode('utf-8', 'replace')).decode()}"


_HOW_TO_READ: Final = (
    "Time runs to the right. Each band is a package, as thick as the versions it has moved through since the first date; together "
    "they are what the same file may be."
)


def _figure(cone: Cone, pictures: Pictures | None) -> list[str]:
    if pictures is None:
        return []
    title, description = cone_words(cone)
    lock = " The tube below it is the lock, over the same time." if cone.locked is not None else ""
    return [
        "<figure>",
        f'<picture><source media="(max-width:44rem)" srcset="{_data(pictures.narrow)}">',
        f'<img src="{_data(pictures.wide)}" alt="{escape(f"{title}: {description}")}"></picture>',
        f"<figcaption>{_HOW_TO_READ}{lock}</figcaption>",
        "</figure>",
    ]


def _tiles(cone: Cone) -> list[str]:
    first, last = cone.resolved[0], cone.resolved[-1]
    width = len(cone.apart(last))
    names = len(first.pins.keys() | last.pins.keys())
    tiles = [
        (
            f"{len(cone.environments):,}",
            f"distinct {'environment' if len(cone.environments) == 1 else 'environments'} at {count(len(cone.resolved), 'date')}",
        ),
        (
            f"{width:,} of {names:,}",
            f"{'package is' if width == 1 else 'packages are'} on {day_of(last.at)[:10]} not as on {day_of(first.at)[:10]}",
        ),
    ]
    widest = cone.strands[0] if cone.strands else None
    if widest is not None and widest.moves[-1]:
        via = f", through {', '.join(map(_code, widest.via))}" if widest.via else ""
        tiles.append((_text(widest.name), f"widens it most: {count(len(widest.versions), 'version')}{via}"))
    if cone.from_lock is not None:
        things = "package" if len(cone.from_lock) == 1 else "packages"
        words = f"{things} would differ from <code>{_text(cone.lock)}</code> if it were installed on {day_of(last.at)[:10]}"
        tiles.append((f"{len(cone.from_lock):,}", words))
    return ['<ul class="tiles">', *(f"<li><b>{number}</b><span>{words}</span></li>" for number, words in tiles), "</ul>"]


def _strip(cone: Cone, strand: Strand) -> str:
    """Where a package changed, as ticks on a line from the first date to the last; a gap where it was absent."""
    dates = len(cone.resolved)
    changed = set(strand.changed)
    parts: list[str] = []
    run = -1
    for number in range(dates + 1):
        here = number < dates and strand.name in cone.resolved[number].pins
        if here and run < 0:
            run = number
        elif not here and run >= 0:
            parts.append(f'<rect class="line" x="{run}" y="9" width="{number - run}" height="2"/>')
            run = -1
    # Ticks that would lie on each other are one.
    cell = max(1, -(-dates // _MOST_TICKS))
    tick = min(0.64, dates / 60) * cell
    places = dict.fromkeys(number // cell * cell for number, each in enumerate(cone.resolved) if each.at in changed)
    parts += [f'<rect class="tick" x="{place + (cell - tick) / 2:.2f}" y="3" width="{tick:.2f}" height="14"/>' for place in places]
    label = f"changed at {count(len(strand.changed), 'date')}"
    opened = f'<svg class="strip" viewBox="0 0 {dates} 20" preserveAspectRatio="none" role="img" aria-label="{label}">'
    return f"{opened}{''.join(parts)}</svg>"


def _packages(cone: Cone) -> list[str]:
    locked = cone.locked is not None
    columns = ("package", "versions", "first", "last", *(("locked",) if locked else ()), "when it changed", "through")
    head = "".join(f'<th scope="col"{_class(name)}>{name}</th>' for name in columns)
    lines = [
        '<table class="stack"><caption>A row a package, the one that moved most first.</caption>',
        f"<thead><tr>{head}</tr></thead><tbody>",
    ]
    for strand in cone.strands:
        states = "".join(f"<li>{day_of(at)}: {_code(version)}</li>" for at, version in strand.states)
        told = f"<details><summary>{count(len(strand.changed), 'change')}</summary><ol>{states}</ol></details>"
        when = f"{_strip(cone, strand)}{told}" if strand.changed else '<span class="quiet">never</span>'
        cells = [
            f'<th scope="row"><code>{_text(strand.name)}</code></th>',
            f'<td class="number" data-label="versions">{len(strand.versions):,}</td>',
            f'<td data-label="first">{_code(strand.first)}</td>',
            f'<td data-label="last">{_code(strand.last)}</td>',
        ]
        cells += [f'<td data-label="locked">{_code(strand.locked or "")}</td>'] if locked else []
        cells += [
            f'<td class="whole">{when}</td>',
            f'<td class="whole" data-label="through">{", ".join(map(_code, strand.via))}</td>',
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return [*lines, "</tbody></table>"]


def _class(name: str) -> str:
    return ' class="number"' if name == "versions" else ""


def _changed(found: Sequence[Change]) -> str:
    shown = ", ".join(
        f"{_text(each.name)} {_text(each.old) or 'absent'} → {_text(each.new) or 'absent'}" for each in found[:_MOST_CHANGES]
    )
    return shown + (f" and {len(found) - _MOST_CHANGES:,} more" if len(found) > _MOST_CHANGES else "")


def _environments(cone: Cone) -> list[str]:
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("first seen", "dates", "what changed", "digest"))
    lines = [
        '<table class="stack"><caption>Each answer once, and how it differs from the one before it.</caption>',
        f'<thead><tr><th scope="col" class="number">number</th>{heads}</tr></thead><tbody>',
    ]
    before: Resolution | None = None
    for number, each in enumerate(cone.environments[:_MOST_ENVIRONMENTS], start=1):
        here = Resolution(at=each.first, releases=each.releases)
        told = _changed(changes(before, here)) if before is not None else f"the first: {count(len(each.releases), 'package')}"
        cells = (
            f'<th scope="row" class="number">{number:,}</th>',
            f'<td data-label="first seen">{day_of(each.first)}</td>',
            f'<td data-label="dates">{len(each.dates):,}</td>',
            f'<td class="whole">{told}</td>',
            f'<td class="digest"><code>{each.digest.value[:12]}</code></td>',
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
        before = here
    lines.append("</tbody></table>")
    if len(cone.environments) > _MOST_ENVIRONMENTS:
        lines.append(f"<p>and {len(cone.environments) - _MOST_ENVIRONMENTS:,} more</p>")
    return lines


def _outages(cone: Cone) -> list[str]:
    rows = [
        f'<tr><th scope="row">{outage.when}</th><td class="whole">{_text(outage.reason)}</td></tr>'
        for outage in outages(cone)[:_MOST_ENVIRONMENTS]
    ]
    return [
        "<h2>Dates without a resolution</h2>",
        '<table class="stack"><thead><tr><th scope="col">dates</th><th scope="col">why</th></tr></thead><tbody>',
        *rows,
        "</tbody></table>",
    ]


_MEANING: Final = (
    (
        "resolution",
        "What would have been installed at the end of that day in UTC: the newest releases that agree, of those uploaded by then.",
    ),
    ("environment", "A set of names and versions. Two dates with the same set are one environment."),
    ("width", "At a date: the packages whose version then is not that of the first date, one that came or went included."),
    (
        "moves",
        "Of a package: the versions it has been at so far, less the first one; absence counts as one. It is a band's thickness.",
    ),
)


def cone_html(cone: Cone, *, pictures: Pictures | None, command: Iterable[str], notices: Sequence[str] = ()) -> str:
    """*cone* as the text of a page. *command* are the words that made it; without *pictures* it has its tables alone."""
    first, last = cone.resolutions[0], cone.resolutions[-1]
    distinct = len(cone.environments)
    name = _text(cone.subject)
    dates = f"{count(len(cone.resolutions), 'date')} from {day_of(first.at)} to {day_of(last.at)}"
    written = f"Resolved by {_text(cone.resolver)}. Written by sanctity {escape(sanctity.__version__)}."
    title = f"{name} came to {count(distinct, 'environment')}" if distinct else f"{name} can not be resolved"
    lines = [
        f"<h1>{title}</h1>",
        f'<p class="quiet">{dates}, {_text(target_words(cone))}.</p>',
    ]
    if cone.resolved:
        lines += _tiles(cone)
        lines += _figure(cone, pictures)
        lines += ["<h2>Which package widens it, and when</h2>", *_packages(cone)]
        lines += ["<h2>The environments</h2>", *_environments(cone)]
    if cone.failed:
        lines += _outages(cone)
    if notices or cone.undated:
        undated = [f"whatever the date, any release was taken of {', '.join(cone.undated)}"] if cone.undated else []
        lines += ["<h2>Notes</h2>", "<ul>", *(f"<li>{_text(notice)}</li>" for notice in (*undated, *notices)), "</ul>"]
    lines += ["<h2>The words</h2>", "<dl>", *(f"<dt>{word}</dt><dd>{meaning}</dd>" for word, meaning in _MEANING), "</dl>"]
    lines += ["<h2>How to run it again</h2>", f"<pre><code>{escape(plain(' '.join(command)))}</code></pre>"]
    lines += [f"<footer>{written} This page loads nothing and runs nothing.</footer>"]
    return page(title=title, body=lines, style=_STYLE)
