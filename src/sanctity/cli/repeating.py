"""The command that proves that a command repeats, or finds out why not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from sanctity.cli.common import check_output, fail, paint, perform, tell, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.repeats import Repeats
    from sanctity.verbs.world import World

__all__ = ["LEVELS", "SEARCH", "prove"]

#: `sanctity.model.repeats.Level` and `sanctity.plan.repeats.BUDGET`, which nobody imports who asks for another command.
LEVELS: Final = ("process", "machine", "numerics")
SEARCH: Final = 80


@click.command()
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-n", "runs", type=click.IntRange(1), metavar="N", default=5, show_default=True, help="Runs with everything varied.")
@click.option(
    "--outputs",
    multiple=True,
    metavar="PATTERN",
    help="What is compared, such as 'out/**'; may be repeated. By default all that CMD writes below the working folder.",
)
@click.option("--stdout", is_flag=True, help="Compare what CMD prints, too.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default=None,
    help="How much is varied: what each process has of its own, the machine's surroundings too (this is usual), or numerics too.",
)
@click.option(
    "--vary", multiple=True, metavar="NAME", help="Vary this alone; may be repeated. `numeric` is the same as --level numerics."
)
@click.option("--hold", multiple=True, metavar="NAME", help="Do not vary this; may be repeated.")
@click.option(
    "--timeout", type=click.IntRange(0), metavar="SECONDS", default=0, help="End a run that takes longer; 0 waits for ever."
)
@click.option(
    "--search",
    type=click.IntRange(0),
    metavar="RUNS",
    default=SEARCH,
    show_default=True,
    help="Runs that it may take to find out why some differ; 0 only says that they do.",
)
@click.option("--keep", metavar="DIR", default="", help="Leave what the first run wrote there, and the first that differs.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("text", "json", "markdown", "html")),
    default="text",
    show_default=True,
    help="What to print.",
)
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
def prove(*, command: tuple[str, ...], level: str | None, format_: str, output: str, **options: Any) -> None:
    """Run CMD again and again, compare what it writes bit for bit, and name the guilty one where it differs.

    First two unchanged runs, then N with everything varied at once that must not matter: hash seed, addresses, time zone, locale,
    folders, umask, order of files, environment, load. Only where some differ are there more, to find which variation does it. Each
    run works in a copy of the working folder, with an empty standard input; what it changes in yours, and what a Python of it
    writes elsewhere or reads of another run, is told.

    Exit codes: 0 the same, 1 different, 2 bad usage, 3 undecided or failed.
    """
    from sanctity.apply.run import Stopped, end_by, stoppable
    from sanctity.cli.narration import narration
    from sanctity.model.repeats import Level
    from sanctity.report.repeats import FORMATS, exit_code, repeats_text
    from sanctity.verbs.repeating import Asked, NotKeptError
    from sanctity.verbs.repeating import prove as search

    asked = Asked(level=Level(level) if level else None, **options)

    def work(world: World, doing: Callable[[str], None]) -> Repeats | NotKeptError:
        try:
            check_output(output)
            return search(command, asked, world, doing=doing)
        except NotKeptError as error:
            return error

    try:
        with stoppable(), narration() as told:
            made = perform("prove", format_, lambda world: work(world, told.on_terminal))
    except Stopped as stop:
        tell("stopped: nothing is left behind\n")
        end_by(stop.number)
    found: Repeats = made.found if isinstance(made, NotKeptError) else made
    text = repeats_text(found, paint=paint(sys.stdout) if not output else None) if format_ == "text" else FORMATS[format_](found)
    try:
        write(text, output)
    except SanctityError as error:
        if output:  # what was found is not lost with the file
            tell(repeats_text(found, paint=paint(sys.stderr)))
        fail(error, "prove", format_)
    if isinstance(made, NotKeptError):
        fail(made, "prove", format_)
    raise SystemExit(exit_code(found))
