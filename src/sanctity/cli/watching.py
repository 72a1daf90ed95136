"""The command that looks again and again. It runs for months, as PID 1 too, and ends at once when it is asked to."""

from __future__ import annotations

import gc
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

import click

from sanctity.cli.common import (
    EXIT,
    as_asked,
    environment_options,
    metrics_option,
    paint,
    perform,
    receipts_option,
    target_of,
    tell,
    write,
)
from sanctity.errors import SanctityError
from sanctity.model.drift import Comparison, Depth, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.cli.metrics import Metrics
    from sanctity.verbs import Sight
    from sanctity.verbs.world import World

__all__ = ["watch"]

#: The signals that are an ordinary end.
_ENDS: Final = ("SIGTERM", "SIGINT")


@click.command()
@click.argument("reference", metavar="[REFERENCE]", default="")
@environment_options
@click.option(
    "--depth",
    type=click.Choice([str(Depth.VERSION), str(Depth.RECORD)]),
    default=str(Depth.RECORD),
    show_default=True,
    help="How far to look: names and versions, or every byte against its RECORD.",
)
@click.option("--fast", is_flag=True, help="Do not read a file again where the file system says that it did not move.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 604_800),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="The pause between two looks; up to a tenth more, by chance.",
)
@click.option(
    "--on-drift",
    type=click.Choice(["exit", "log"]),
    default="exit",
    show_default=True,
    help="What to do when a look is not clean: end with its exit code, or go on.",
)
@click.option("--profile", type=click.Choice(["production"]), default=None, help="Judge as strictly as can be.")
@click.option("--strict", is_flag=True, help="Let warnings count too, seeds among them.")
@click.option("--require-reference", is_flag=True, help="Undecided where there is no lock to compare with.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="One line a look, for people or as JSON.",
)
@metrics_option
@receipts_option
def watch(
    *,
    reference: str,
    env: str,
    python: str,
    root: str,
    workers: int,
    depth: str,
    fast: bool,
    every: float,
    on_drift: str,
    profile: str | None,
    strict: bool,
    require_reference: bool,
    format_: str,
    metrics: str,
    receipts: str,
) -> None:
    """Compare an environment with REFERENCE again and again, and write one line a look.

    The reference is read once, when the watch begins: a change of it is told, and not followed. SIGTERM and SIGINT end it with 0.
    """
    import random
    import signal

    from sanctity import verbs
    from sanctity.apply.run import Stopped, end_by, stoppable
    from sanctity.cli.metrics import Metrics
    from sanctity.verbs import Sight

    target = target_of(".", env, python, root)
    kept = Metrics(file=metrics, receipts=receipts, env=env, python=python, root=root, reference=reference)

    def work(world: World) -> Iterator[Sight]:
        return verbs.watch(
            target,
            # There is nobody to show progress to, month after month.
            replace(world, tick=lambda _done, _found: None),
            every=every,
            now=time.time,
            pause=time.sleep,
            chance=random.random,
            reference=reference,
            depth=Depth(depth),
            profile=profile or "",
            workers=workers,
            fast=fast,
        )

    def follow(world: World) -> NoReturn:
        try:
            for sight in work(world):
                found: Comparison | SanctityError | None = sight.error
                if sight.outcome is not None:
                    found = as_asked(sight.outcome.comparison, strict=strict, require_reference=require_reference)
                assert found is not None
                _tell(found, sight, kept, format_)
                verdict = found.verdict if isinstance(found, Comparison) else Verdict.UNDECIDED
                if verdict is not Verdict.CLEAN and on_drift == "exit":
                    _explain(found, format_)
                    raise SystemExit(EXIT[verdict])
                del found, sight
                # A command collects nothing, since it ends; this one does not.
                gc.collect()
        except SanctityError as error:
            # The first look failed: what was named is not there, or can not be read.
            _tell(error, Sight(number=1, ended=time.time(), error=error), kept, format_)
            _explain(error, format_)
            raise SystemExit(error.exit_code) from None
        raise AssertionError

    try:
        with stoppable():
            try:
                perform("watch", format_, follow)
            except Exception as error:
                from sanctity.cli import internal

                kept.failed(internal(error))  # or else the last look would stand as if it were of now
                raise
    except Stopped as stop:
        if signal.Signals(stop.number).name not in _ENDS:
            end_by(stop.number)
        raise SystemExit(0) from None


def _tell(found: Comparison | SanctityError, sight: Sight, kept: Metrics, format_: str) -> None:
    """Keep the metrics of a look, and write its line; where a watch begins, also what else there is to say."""
    from sanctity.report.look import look_json, look_text
    from sanctity.report.text import error_text, plain

    if isinstance(found, Comparison):
        kept.judged(found, reference_changed=bool(sight.changed))
    else:
        kept.failed(found)
    if sight.number == 1 and sight.outcome is not None:
        for notice in sight.outcome.notices:
            tell(f"note: {plain(notice)}\n")
    if format_ == "json":
        text = look_json(found, number=sight.number, ended=sight.ended, changed=sight.changed)
    else:
        text = look_text(found, ended=sight.ended, changed=sight.changed)
    try:
        write(text, "")
    except SanctityError as error:
        tell(error_text(error, paint(sys.stderr)))
        raise SystemExit(error.exit_code) from None


def _explain(found: Comparison | SanctityError, format_: str) -> None:
    """The whole of what ends a watch, for people."""
    from sanctity.report.text import comparison_text, error_text

    if format_ != "text":
        return
    with_colour = paint(sys.stderr)
    tell(comparison_text(found, "watch", with_colour) if isinstance(found, Comparison) else error_text(found, with_colour))
