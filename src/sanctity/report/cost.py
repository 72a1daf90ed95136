"""What controls cost, drawn: for people, as the document ``sanctity.cost/1``, and as Markdown.

The document's JSON Schema is ``report/schema/cost-1.json`` in the package. Costs are shown in percent of the time without the
control; what was not measured is shown with its reason, and never as 0.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import sanctity
from sanctity.model.cost import Status
from sanctity.report.json import dump, packaged_schema
from sanctity.report.markdown import code_span
from sanctity.report.text import Paint
from sanctity.report.words import count, plain, utf8

if TYPE_CHECKING:
    from sanctity.model.cost import ControlCost, Costs, Estimate

__all__ = ["FORMATS", "cost_json", "cost_markdown", "cost_text", "exit_code", "percent", "schema", "waiver_line"]

_MOST_TAIL: Final = 20
_UNANSWERED: Final = 3


def schema() -> dict[str, Any]:
    """The JSON Schema of the document ``sanctity.cost/1``."""
    return packaged_schema("cost-1")


def exit_code(costs: Costs) -> int:
    """0 where all that was asked for was measured, 3 where something was not, or nothing at all was."""
    return 0 if costs.answered else _UNANSWERED


def percent(ratio: float) -> str:
    """*ratio* as what it adds in percent: 1.172 is ``+17.2 %``, 0.95 is ``-5.0 %``."""
    value = 100.0 * (ratio - 1.0)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    shown = f"{value:+.{digits}f}"
    return "0 %" if not float(shown) else f"{shown} %"


def _between(estimate: Estimate) -> str:
    return f"between {percent(estimate.low)} and {percent(estimate.high)}"


def _figure(estimate: Estimate) -> str:
    """What was found, in words."""
    if estimate.distinguishable:
        return f"{percent(estimate.ratio)} ({_between(estimate)})"
    needed = f"; about {count(estimate.needed, 'pair')} would tell 10 %" if estimate.needed else ""
    return f"not distinguishable from 0 ({_between(estimate)}){needed}"


def waiver_line(control: ControlCost, confidence: float) -> str:
    """The line by which a waiver of *control* states what it costs, as sure as was asked of each interval.

    Empty where no cost was found, and where there is no such waiver: it can not be switched off in a block.
    """
    estimate = control.estimate
    if not control.relaxable or estimate is None or not estimate.distinguishable or estimate.ratio < 1.0:
        return ""
    interval = f"{percent(estimate.low)} to {percent(estimate.high)}, {_sure(confidence)}"
    return f'cost = "{percent(estimate.ratio)} ({interval}, sanctity cost -n {len(control.pairs)})"'


def _sure(confidence: float) -> str:
    return f"{100 * confidence:.4g} %"


def _head(costs: Costs) -> str:
    many = len(costs.measured)
    if not many:
        return "nothing was measured"
    each = f" for all together ({_sure(costs.each)} each)" if costs.each > costs.confidence else ""
    return (
        f"{count(many, 'control')}, {count(costs.pairs, 'pair')} each, intervals at {_sure(costs.confidence)}{each}; "
        f"{count(costs.paired, 'run')} of about {costs.seconds:.2g} s, and {costs.runs - costs.paired:,} not measured"
    )


def cost_text(costs: Costs, *, paint: Paint | None = None) -> str:
    """*costs* for people: a line for each control, and what a waiver may quote."""
    paint = paint or Paint(on=False)
    lines = [f"{paint('bold', 'COST')}  {plain(shlex.join(costs.command))}", f"  {paint('dim', _head(costs))}"]
    away = {} if costs.asked else _away(costs)
    shown = [control for control in costs.controls if control.reason not in away]
    width = max((len(control.name) for control in shown), default=0)
    for control in shown:
        lines.append(f"  {control.name:<{width}}  {_said(control, paint)}")
        if control.status is Status.FAILED:
            lines += [f"  {'':<{width}}  | {plain(line)}" for line in control.tail.rstrip().splitlines()[-_MOST_TAIL:]]
    lines += [paint("dim", f"  not measured, {plain(reason)}: {', '.join(names)}") for reason, names in away.items()]
    quoted = [(control.name, line) for control in costs.measured if (line := waiver_line(control, costs.each))]
    if quoted:
        lines.append("  in a waiver of the control:")
        lines += [f"    {name:<{width}}  {line}" for name, line in quoted]
    return "\n".join(lines) + "\n"


def _away(costs: Costs) -> dict[str, list[str]]:
    """The controls that the command does not reach, by the reason."""
    away: dict[str, list[str]] = {}
    for control in costs.controls:
        if control.status is Status.NOT_REACHED:
            away.setdefault(control.reason, []).append(control.name)
    return away


def _said(control: ControlCost, paint: Paint) -> str:
    if control.estimate is None:
        word = "FAILED" if control.status is Status.FAILED else "not measured"
        style = "bad" if control.status is Status.FAILED else "doubt"
        return f"{paint(style, word)}: {plain(control.reason)}"
    estimate = control.estimate
    style = "doubt" if estimate.needed else "good" if not estimate.distinguishable or estimate.ratio < 1.0 else "bold"
    return f"{paint(style, _figure(estimate))}  {paint('dim', control.words)}"


def cost_markdown(costs: Costs) -> str:
    """*costs* for a pull request."""
    lines = [
        f"### Cost of determinism: {code_span(shlex.join(costs.command))}",
        "",
        f"{_head(costs)}.",
        "",
        "| control | cost | what is switched |",
        "|---|---|---|",
    ]
    for control in costs.controls:
        if control.estimate is not None:
            said = _figure(control.estimate)
        else:
            said = f"{'failed' if control.status is Status.FAILED else 'not measured'}: {code_span(plain(control.reason))}"
        lines.append(f"| {code_span(control.name)} | {said} | {control.words} |")
    return "\n".join(lines) + "\n"


def cost_json(costs: Costs) -> str:
    """*costs* as the document ``sanctity.cost/1``."""
    return dump(
        {
            "schema": "sanctity.cost/1",
            "tool": {"name": "sanctity", "version": sanctity.__version__},
            "command": [utf8(word) for word in costs.command],
            "pairs": costs.pairs,
            "confidence": costs.confidence,
            "confidence_each": costs.each,
            "seconds": round(costs.seconds, 6),
            "runs": costs.runs,
            "asked": list(costs.asked),
            "answered": costs.answered,
            "controls": [_control(control, costs.each) for control in costs.controls],
        }
    )


def _control(control: ControlCost, confidence: float) -> dict[str, Any]:
    estimate = control.estimate
    stated: dict[str, Any] = {
        "name": control.name,
        "words": control.words,
        "status": str(control.status),
        "reason": utf8(control.reason) or None,
        "tail": utf8(control.tail) or None,
        "cost": None,
        "pairs": [
            {"with": round(pair.with_control, 6), "without": round(pair.without, 6), "first": "with" if pair.first else "without"}
            for pair in control.pairs
        ],
    }
    if estimate is not None:
        stated["cost"] = {
            "ratio": round(estimate.ratio, 6),
            "low": round(estimate.low, 6),
            "high": round(estimate.high, 6),
            "confidence": estimate.confidence,
            "distinguishable": estimate.distinguishable,
            "pairs_to_tell_10_percent": estimate.needed or None,
            "waiver": waiver_line(control, confidence) or None,
        }
    return stated


#: The formats beside text, which has colours on a terminal.
FORMATS: Final = {"json": cost_json, "markdown": cost_markdown}
