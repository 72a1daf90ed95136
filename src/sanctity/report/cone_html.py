"""The cone as a page: one file that loads nothing, runs nothing, and reads in light, in dark, on a telephone, and on paper.

A content security policy in the page itself forbids everything but its own style and the pictures inside of it. All that the
pictures show stands in tables too.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

import sanctity
from sanctity.model.timeline import Resolution, changes, day_of
from sanctity.report.cone import outages, target_words
from sanctity.report.cone_plot import cone_words
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

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--quiet:#59636e;--faint:#d1d9e0;--tint:#f6f8fa;--blue:#2f6fb3;
--bad:#a40e26}
@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#f0f6fc;--quiet:#9198a1;--faint:#3d444d;--tint:#151b23;
--blue:#7db5f0;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:68rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.6rem 0 .5rem}
p{margin:.4rem 0;max-width:46rem}
.quiet,figcaption{color:var(--quiet)}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.8rem;margin:1.4rem 0;padding:0;list-style:none}
.tiles li{background:var(--tint);border:1px solid var(--faint);border-radius:.6rem;padding:.8rem 1rem}
.tiles b{display:block;font-size:1.7rem;line-height:1.2;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tiles span{color:var(--quiet);font-size:.92rem}
figure{margin:1.4rem 0 0}
figure img{width:100%;height:auto;display:block}
figcaption{font-size:.92rem;max-width:46rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .9rem .45rem 0;border-bottom:1px solid var(--faint);font-weight:400}
thead th{color:var(--quiet);font-size:.88rem}
tbody th{font-weight:600}
.number{text-align:right}
td[data-label]{min-width:4.4rem}
tbody th:not(.number){min-width:8rem}
.digest code,td[data-label="first"] code,td[data-label="last"] code,td[data-label="locked"] code{white-space:nowrap}
.strip{display:block;width:100%;min-width:10rem;height:1.1rem;margin-top:.25rem;color:var(--blue)}
.strip .line{fill:var(--faint)}
.strip .tick{fill:currentColor}
summary{cursor:pointer;color:var(--quiet);font-size:.88rem}
details ol{margin:.3rem 0 .3rem;padding-left:1.4rem;columns:14rem auto}
.failed{color:var(--bad);font-weight:600}
pre{background:var(--tint);border:1px solid var(--faint);border-radius:.5rem;padding:.7rem .9rem;white-space:pre-wrap;
overflow-wrap:anywhere}
dt{font-weight:600;margin-top:.6rem}
dd{margin:0;max-width:46rem;color:var(--quiet)}
footer{margin-top:2.5rem;color:var(--quiet);font-size:.88rem}
@media (max-width:44rem){
main{padding:1.2rem 1rem 2rem}
h1{font-size:1.5rem}
.tiles{grid-template-columns:1fr 1fr}
.tiles b{font-size:1.35rem}
.stack thead{position:absolute;left:-99in}
.stack tr{display:block;padding:.6rem 0;border-bottom:1px solid var(--faint)}
.stack th,.stack td{display:inline-block;border:0;padding:.05rem 1rem .05rem 0;text-align:left}
.stack th,.stack .whole{display:block;padding-right:0}
.stack td[data-label],.stack tbody th{min-width:0}
.stack td[data-label]::before{content:attr(data-label) " ";color:var(--quiet)}
}
@media print{
:root{--paper:#fff;--ink:#000;--quiet:#444;--faint:#bbb;--tint:#fff;--blue:#2f6fb3;--bad:#a40e26}
body{font-size:10.5pt}
main{max-width:none;padding:0}
tr,figure,.tiles li{break-inside:avoid}
h2,caption{break-after:avoid}
h2{margin-top:1.6rem}
.tiles{grid-template-columns:repeat(4,1fr)}
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
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body><main>",
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
    lines += [f"<footer>{written} This page loads nothing and runs nothing.</footer>", "</main></body>", "</html>"]
    return "\n".join(lines) + "\n"
