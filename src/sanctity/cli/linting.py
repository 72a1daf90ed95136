"""The command that judges locks and projects: lint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from sanctity.cli.common import also_option, fail, paint, perform, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.model.finding import Linting

__all__ = ["lint"]

_FORMATS: Final = ("text", "json", "markdown", "sarif", "github")


@click.command()
@click.argument("locks", metavar="[LOCK]...", nargs=-1)
@click.option("--strict", is_flag=True, help="Let warnings set the exit code too.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True, help="What to print.")
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
@also_option
def lint(*, locks: tuple[str, ...], strict: bool, format_: str, output: str, also: tuple[tuple[str, str], ...]) -> None:
    """Say what is wrong with each LOCK: a file, or the folder of a project. By default the project in the working folder.

    Exit codes: 0 no error, 1 an error (with --strict, a warning too), 2 bad usage or a lock that can not be read.
    """
    from sanctity import verbs
    from sanctity.report.linting import FORMATS, exit_code, linting_text

    found: Linting = perform("lint", format_, lambda world: verbs.lint(locks, world, asked=verbs.Lint(strict=strict)))
    try:
        for each, file in also:
            write(FORMATS[each](found), file)
        text = linting_text(found, paint(sys.stdout) if not output else None) if format_ == "text" else FORMATS[format_](found)
        write(text, output)
    except SanctityError as error:
        fail(error, "lint", format_)
    raise SystemExit(exit_code(found))
