"""The command that measures what each control of determinism costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from sanctity.cli.common import check_output, fail, paint, perform, tell, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.model.cost import Costs

__all__ = ["cost"]

#: As `sanctity.plan.cost` has it, which is imported when it is used.
_MOST_PAIRS: Final = 1000


class _Steps:
    """What is being done, on standard error: on a terminal in one line, which is gone at the end; in a pipe only what is settled.

    Nothing moves by itself: a spinner would be a second program beside the one that is measured.
    """

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()

    def narrate(self, text: str) -> None:
        from sanctity.report.words import plain

        self.clear()
        tell(f"{plain(text)}\n")

    def doing(self, text: str) -> None:
        from sanctity.report.words import plain

        if self.shown:
            tell(f"\r\x1b[K{plain(text)[:79]}")

    def clear(self) -> None:
        if self.shown:
            tell("\r\x1b[K")


@click.command()
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-n", "pairs", type=click.IntRange(1, _MOST_PAIRS), default=10, show_default=True, help="Pairs of runs for each control."
)
@click.option(
    "--control",
    "controls",
    multiple=True,
    metavar="NAME",
    help=(
        "Measure this alone; may be repeated: hash-seed, torch-algorithms, fill-uninitialized-memory, torch-unfilled, cudnn, "
        "cublas-workspace, tensorflow-ops, threads, all."
    ),
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.9999),
    default=0.95,
    show_default=True,
    help="With which all intervals hold together.",
)
@click.option(
    "--timeout", type=click.IntRange(0), metavar="SECONDS", default=0, help="A run that takes longer fails; 0 waits for ever."
)
@click.option(
    "--format", "format_", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True, help="What to print."
)
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
def cost(
    *,
    command: tuple[str, ...],
    pairs: int,
    controls: tuple[str, ...],
    confidence: float,
    timeout: int,
    format_: str,
    output: str,
) -> None:
    """Measure what each control of determinism costs CMD: its wall time with the control and without it, in pairs.

    By default these are the controls that `sanctity run --seed --inject` sets and CMD reaches. Each cost has an interval; "not
    distinguishable from 0" is an answer, and so is how many pairs would tell 10 %. CMD is run many times, in the working folder as
    it is, and has to end with 0.

    Exit codes: 0 measured, 2 bad usage, 3 CMD fails, or something that was asked for can not be measured.
    """
    from sanctity.apply.run import Stopped, end_by, stoppable
    from sanctity.report.cost import FORMATS, cost_text, exit_code
    from sanctity.verbs.costing import cost as measure

    steps = _Steps()
    try:
        check_output(output)
    except SanctityError as error:
        fail(error, "cost", format_)
    try:
        with stoppable():
            try:
                found: Costs = perform(
                    "cost",
                    format_,
                    lambda world: measure(
                        command,
                        world,
                        pairs=pairs,
                        controls=controls,
                        confidence=confidence,
                        timeout=timeout,
                        narrate=steps.narrate,
                        doing=steps.doing,
                    ),
                    lambda _: steps.clear(),
                )
            finally:
                steps.clear()
    except Stopped as stop:
        tell("stopped: nothing is said of pairs that were not all made\n")
        end_by(stop.number)
    text = cost_text(found, paint=paint(sys.stdout) if not output else None) if format_ == "text" else FORMATS[format_](found)
    try:
        write(text, output)
    except SanctityError as error:
        if output:  # what was measured is not lost with the file
            tell(cost_text(found, paint=paint(sys.stderr)))
        fail(error, "cost", format_)
    raise SystemExit(exit_code(found))
