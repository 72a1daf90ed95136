"""The command that compares any two of lock, seal and environment."""

from __future__ import annotations

import sys
from datetime import date
from typing import Final

import click

from sanctity.cli.common import fail, paint, perform, tell, write
from sanctity.errors import SanctityError

__all__ = ["diff"]

_FORMATS: Final = ("text", "json", "markdown", "sarif", "github")
#: The formats that point at a line of the lock or seal.
_LOCATED: Final = ("sarif", "github")


def _day(_context: click.Context, parameter: click.Parameter, value: str) -> date | None:
    """The value of ``--as-of``."""
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise click.BadParameter(f"{value} is no day, such as 2026-07-11", param=parameter) from error


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--platform", metavar="KEY", default="", help="The entry of a seal that is meant, such as linux-x86_64-glibc, or its beginning."
)
@click.option(
    "--min-age",
    type=click.IntRange(0),
    metavar="DAYS",
    default=7,
    show_default=True,
    help="Of two locks: releases younger than this deserve a look.",
)
@click.option("--as-of", metavar="DATE", default="", callback=_day, help="The day that ages count from; by default today (UTC).")
@click.option("--online", is_flag=True, help="Of two locks: also ask the index for what is yanked, gone, new or a first release.")
@click.option(
    "--artifacts", is_flag=True, help="Of two locks: also open the wheels of what changed, for start-up hooks and machine code."
)
@click.option("--archive", metavar="DIR", default="", help="With --artifacts: an archive that may hold the wheels.")
@click.option("--offline", is_flag=True, help="With --artifacts: ask no index for wheels that are not here.")
@click.option("--workers", type=click.IntRange(0, 64), default=0, help="Reading processes; 0 means one a processor.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True, help="What to print.")
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
def diff(
    *,
    before: str,
    after: str,
    platform: str,
    min_age: int,
    as_of: date | None,
    online: bool,
    artifacts: bool,
    archive: str,
    offline: bool,
    workers: int,
    format_: str,
    output: str,
) -> None:
    """Say what A and B differ in: packages first, then files; of two locks also why, and what deserves a look.

    Each is a lock, a seal, the folder of an environment or of its project, or a lock or seal as it was at a revision of git:
    main:env.seal.json, HEAD~3:uv.lock, :uv.lock for what is staged.

    Exit codes: 0 no difference, 1 they differ, 2 bad usage or unreadable input, 3 not all of it could be looked at.
    """
    from sanctity import verbs
    from sanctity.report.difference import FORMATS, difference_text, exit_code
    from sanctity.report.words import plain
    from sanctity.verbs.reviewing import Asked

    asked = Asked(min_age=min_age, as_of=as_of, online=online, artifacts=artifacts, archive=archive, offline=offline)
    found: verbs.Differing = perform(
        "diff",
        format_,
        lambda world: verbs.diff(
            before, after, world, platform=platform, workers=workers, located=format_ in _LOCATED, asked=asked
        ),
    )
    if format_ == "text":
        text = difference_text(found.differences, paint=paint(sys.stdout) if not output else None)
    else:
        text = FORMATS[format_](found.differences, [(place.file, place.lines) for place in found.places])
    for notice in found.notices:
        tell(f"note: {plain(notice)}\n")
    try:
        write(text, output)
    except SanctityError as error:
        fail(error, "diff", format_)
    raise SystemExit(exit_code(found.differences))
