"""A fragment of HTML for a notebook's cell: a badge with the verdict, a table of what gates, everything else folded.

It has no script, no link and nothing to load, and its style is in attributes, since notebooks take style sheets out of what they do
not trust. Text and lines take the notebook's own colour, so that it reads in light and in dark.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import Severity
from sanctity.report.words import by_distribution, claim, count, detail, level, plain, proven, remedies, size, times, waivers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.drift import Comparison, Drift, Unchecked

__all__ = ["comparison_html"]

_MOST_EACH: Final = 5
_MOST_OF_ALL: Final = 60
_LONGEST: Final = 400
_LONGEST_REMEDY: Final = 2000

#: White on each of these can be read, on a light page and on a dark one.
_BADGES: Final = {"good": "#1a7f37", "bad": "#cf222e", "doubt": "#9a6700"}
_EDGES: Final = {Severity.ERROR: "#cf222e", Severity.WARNING: "#bf8700", Severity.NOTE: "rgba(128,128,128,.55)"}
_BOX: Final = (
    "font-family:system-ui,sans-serif;font-size:13px;line-height:1.5;color:inherit;margin:.25em 0;max-width:72em;text-align:left"
)
_MONO: Final = (
    "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;background:none;color:inherit;padding:0"
)
_LINE: Final = "1px solid rgba(128,128,128,.35)"
_CELL: Final = (
    f"padding:.2em .9em .2em .6em;border:0;border-bottom:{_LINE};text-align:left;vertical-align:top;background:none;color:inherit;"
    "white-space:normal;overflow-wrap:anywhere"
)
_QUIET: Final = "opacity:.75"


def _text(text: str) -> str:
    """*text* as HTML, without what is no character to see; of a long one both ends."""
    text = plain(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-(_LONGEST // 2 - 1) :]}"
    return escape(text)


def _code(text: str, style: str = "") -> str:
    return f'<code style="{_MONO};white-space:pre-wrap;overflow-wrap:anywhere{style}">{_text(text)}</code>' if text else ""


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL};font-weight:600;{_QUIET}">{name}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    style = "border-collapse:collapse;border:0;margin:.5em 0;color:inherit;background:none"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(content: str, style: str = "") -> str:
    return f'<td style="{_CELL}{style}">{content}</td>'


def _rest(text: str, columns: int) -> tuple[str, ...]:
    return (f'<td colspan="{columns}" style="{_CELL};{_QUIET}">{text}</td>',)


def _row(drift: Drift) -> tuple[str, ...]:
    about = _text(detail(drift))
    if drift.waiver:
        about = "; ".join(part for part in (about, f"waived by {_code(drift.waiver)}") if part)
    about = f"{about}{times(drift)}".strip()
    what = " ".join(_code(part) for part in (drift.distribution, drift.version) if part)
    edge = f";border-left:3px solid {_EDGES[level(drift)]};white-space:nowrap;overflow-wrap:normal"
    return _cell(_text(str(drift.code)), edge), _cell(what), _cell(_code(drift.path)), _cell(about)


def _drifts(drifts: list[Drift], *, each: int) -> str:
    rows: list[tuple[str, ...]] = []
    shown = told = 0
    for group in by_distribution(drifts):
        room = min(each, _MOST_OF_ALL - shown)
        if room <= 0:
            break
        rows += [_row(drift) for drift in group[:room]]
        shown += min(room, len(group))
        told += len(group)
        if len(group) > room:
            name = f" in {_code(group[0].distribution)}" if group[0].distribution else ""
            rows.append(_rest(f"and {len(group) - room:,} more{name}", 4))
    if told < len(drifts):
        rows.append(_rest(f"and {len(drifts) - told:,} more in other packages", 4))
    return _table(("code", "package", "path", "what"), rows)


def _unchecked(items: list[Unchecked]) -> str:
    rows: list[tuple[str, ...]] = []
    for item in items[:_MOST_OF_ALL]:
        number = f" ({item.count:,})" if item.count > 1 else ""
        rows.append((_cell(_text(item.code)), _cell(_code(item.what) + number), _cell(_text(item.reason))))
    if len(items) > _MOST_OF_ALL:
        rows.append(_rest(f"and {len(items) - _MOST_OF_ALL:,} more", 3))
    return _table(("code", "what", "reason"), rows)


def _folded(title: str, content: str) -> str:
    return f'<details style="margin:.3em 0"><summary style="cursor:pointer;{_QUIET}">{title}</summary>{content}</details>'


def comparison_html(comparison: Comparison) -> str:
    """The report of *comparison* as one ``<div>``."""
    head = claim(comparison)
    badge = (
        f"display:inline-block;background:{_BADGES[head.style]};color:#fff;font-weight:600;border-radius:.4em;padding:.1em .6em;"
        "margin-right:.6em;letter-spacing:.02em"
    )
    subject = f" {_code(head.subject)}" if head.subject else ""
    parts = [
        f'<div style="{_BOX}">',
        f'<div><span style="{badge}">{head.word}</span>{_code(head.env)} {head.middle}{subject}{head.tail}</div>',
        f'<div style="{_QUIET}">{size(comparison)}, {comparison.seconds:.1f} s</div>',
    ]
    if comparison.looked_at_from == "itself":
        warning = f"border-left:3px solid {_EDGES[Severity.WARNING]};padding-left:.6em;margin:.4em 0"
        words = "looked at from itself: code in it could blind this tool; install it with pipx or <code>uv tool</code>"
        parts.append(f'<div style="{warning}">{words}</div>')
    drifts = comparison.by_weight()
    gating = [drift for drift in drifts if drift.gating]
    if gating:
        parts.append(_drifts(gating, each=_MOST_EACH))
    blind = [item for item in comparison.unchecked if item.in_scope]
    if blind:
        parts.append(f"<div>could not be looked at:</div>{_unchecked(blind)}")
    commands, reasons = remedies(gating, _LONGEST_REMEDY)
    if commands:
        box = (
            f"{_MONO};padding:.5em .7em;margin:.3em 0;border:{_LINE};border-radius:.3em;white-space:pre-wrap;overflow-wrap:anywhere"
        )
        shown = "\n".join(escape(plain(command)) for command in commands[:_MOST_OF_ALL])
        parts.append(f'<div>to fix it:</div><pre style="{box}">{shown}</pre>')
    parts += [f"<div>by hand: {_text(text)}</div>" for text in reasons[:_MOST_OF_ALL]]
    if max(len(commands), len(reasons)) > _MOST_OF_ALL:
        parts.append("<div><code>sanctity repair</code> prints all that there is to do, in order</div>")
    others = [drift for drift in drifts if not drift.gating]
    if others:
        numbers = {weight: sum(level(drift) is weight for drift in others) for weight in Severity}
        title = ", ".join(count(number, str(weight)) for weight, number in numbers.items() if number)
        parts.append(_folded(title, _drifts(others, each=_MOST_OF_ALL)))
    aside = [item for item in comparison.unchecked if not item.in_scope]
    if aside:
        parts.append(_folded(f"not checked: {sum(max(item.count, 1) for item in aside):,}", _unchecked(aside)))
    told = proven(comparison)
    if told:
        parts.append(f'<div style="{_QUIET}">proven: {_text(told)}</div>')
    used = waivers(comparison)
    if used:
        names = ", ".join(_code(name) for name in list(used)[:_MOST_OF_ALL])
        parts.append(f'<div style="{_QUIET}">waived: {count(sum(used.values()), "drift")} by {names}</div>')
    if comparison.policy:
        parts.append(f'<div style="{_QUIET}">policy {_code(comparison.profile)} {_code(comparison.policy)}</div>')
    if comparison.fingerprint is not None:
        parts.append(f'<div style="{_QUIET}">fingerprint {_code(str(comparison.fingerprint.digest))}</div>')
    parts.append("</div>")
    return "\n".join(parts) + "\n"
