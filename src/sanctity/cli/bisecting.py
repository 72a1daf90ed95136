"""The command that finds the release that broke a program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from sanctity.cli.common import fail, paint, perform, tell, write
from sanctity.cli.narration import narration as narrating
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.verbs.bisecting import Bisecting, Replayed

__all__ = ["bisect"]

_UNDECIDED: Final = 3
_DISAGREES: Final = 1


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--good", metavar="DATE", default="", help="A date at which the command works.")
@click.option("--bad", metavar="DATE", default="today", show_default=True, help="A later date at which it does not.")
@click.argument("requirements", metavar="REQUIREMENTS", required=False, default="")
@click.argument("command", metavar="-- CMD...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--python",
    metavar="VERSION|PATH",
    default="",
    help="The Python, such as 3.11, or an interpreter; by default this one's version.",
)
@click.option(
    "--compare", metavar="OUT", default="", help="Look for a changed result instead of a failure: CMD writes this file or folder."
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=2,
    show_default=True,
    help="How often the trials are run that the answer stands on.",
)
@click.option(
    "--timeout", type=click.IntRange(0), metavar="SECONDS", default=0, help="A run that takes longer fails; 0 waits for ever."
)
@click.option("--log", metavar="FILE", default="bisect.json", show_default=True, help="The log; if it is there, go on from it.")
@click.option("--replay", metavar="LOG", default="", help="Build the two decisive environments of this log again, and try them.")
@click.option(
    "--undated", multiple=True, metavar="NAME", help="Let this package float: its index gives no upload times; may be repeated."
)
@click.option("--only-binary", is_flag=True, help="Nothing is built from source: a release without a wheel is not chosen.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="Of a pyproject.toml: this extra too; may be repeated.")
@click.option(
    "--group", "groups", multiple=True, metavar="NAME", help="Of a pyproject.toml: this dependency group too; may be repeated."
)
@click.option("--keep", is_flag=True, help="Leave the two decisive environments beside the log: bisect-passes and bisect-fails.")
@click.option("--thorough", is_flag=True, help="Try every environment that there was, and not a few beside the search.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Runs of CMD at the same time, where it can be run so: in one folder, on the same files.",
)
@click.option("--fresh", is_flag=True, help="Begin anew, whatever the log and the caches hold.")
@click.option(
    "--format", "format_", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True, help="What to print."
)
@click.option("-o", "--output", metavar="FILE", default="", help="Write the answer to this file instead.")
def bisect(*, replay: str, format_: str, output: str, **options: Any) -> None:
    """Find the release that broke CMD.

    REQUIREMENTS, a file of requirements or a pyproject.toml, is resolved as of a date; CMD is run in that environment, and passes
    if it ends with 0. The days between are halved, then the packages that changed on the day. 125 skips an environment.

    Exit codes: 0 found, 2 bad usage or unreadable input, 3 undecided; of a replay 0 it agrees, 1 it does not.
    """
    from sanctity.apply.run import Stopped, end_by, stoppable

    try:
        with stoppable():
            if replay:
                _replay(replay, format_, output, options)
            _bisect(format_, output, options)
    except Stopped as stop:
        tell("stopped\n" if replay else "stopped; what was tried is in the log: the same command goes on from there\n")
        end_by(stop.number)


def _usage(message: str) -> NoReturn:
    raise click.UsageError(message)


def _bisect(format_: str, output: str, options: dict[str, Any]) -> NoReturn:
    from sanctity.report.bisect import bisect_json, bisect_markdown, bisect_text
    from sanctity.verbs.bisecting import Asked
    from sanctity.verbs.bisecting import bisect as search

    if not options["requirements"] or not options["good"] or not options["command"]:
        _usage(
            "--good DATE, REQUIREMENTS and a command are needed, as in: "
            "sanctity bisect --good 2024-03-01 requirements.txt -- python train.py"
        )
    asked = Asked(**options)
    with narrating() as narration:
        found: Bisecting = perform(
            "bisect", format_, lambda world: search(asked, world, narrate=narration.narrate, doing=narration.doing)
        )
    if format_ == "json":
        text = bisect_json(found.document)
    else:
        told: dict[str, Any] = {"good": found.good, "bad": found.bad, "log": asked.log}
        if format_ == "markdown":
            text = bisect_markdown(found.answer, found.question, found.counts, **told)
        else:
            colours = paint(sys.stdout) if not output else None
            text = bisect_text(found.answer, found.question, found.counts, **told, paint=colours)
    _end(text, output, format_, 0 if found.answer.exact else _UNDECIDED)


def _replay(log: str, format_: str, output: str, options: dict[str, Any]) -> NoReturn:
    from sanctity.model.bisecting import Outcome
    from sanctity.report.bisect import replay_json, replay_text
    from sanctity.report.words import plain
    from sanctity.verbs.bisecting import replay

    if options["requirements"] or options["good"] or options["command"]:
        _usage("--replay takes everything from the log: give it alone")
    with narrating() as narration:
        again: Replayed = perform(
            "bisect", format_, lambda world: replay(log, world, narrate=narration.narrate, doing=narration.doing)
        )
    for notice in again.notices:
        tell(f"note: {plain(notice)}\n")
    sides = [(side.name, side.at, side.expected, side.outcome, side.reason, side.packages) for side in again.sides]
    if format_ == "json":
        text = replay_json(again.path, again.line, sides, again.counts)
    else:
        text = replay_text(again.path, again.line, sides, again.counts, paint(sys.stdout) if not output else None)
    undecided = any(side.outcome is Outcome.UNBUILDABLE or not side.outcome.decided for side in again.sides)
    _end(text, output, format_, 0 if again.agrees else _UNDECIDED if undecided else _DISAGREES)


def _end(text: str, output: str, format_: str, code: int) -> NoReturn:
    try:
        write(text, output)
    except SanctityError as error:
        fail(error, "bisect", format_)
    raise SystemExit(code)
