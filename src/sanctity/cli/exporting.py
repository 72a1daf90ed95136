"""The command that writes a lock as pylock.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sanctity.cli.common import fail, perform, tell, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.verbs.exporting import Exporting

__all__ = ["export"]


@click.command()
@click.argument("lock", metavar="[LOCK]", required=False, default="")
@click.option(
    "-o", "--output", metavar="FILE", default="", help="The file to write, such as pylock.toml; by default standard output."
)
@click.option("--no-project", is_flag=True, help="Leave the project itself out, as pip asks: it takes no folder beside hashes.")
@click.option("--online", is_flag=True, help="Ask the index where the files are, where the lock has their hashes alone.")
def export(lock: str, output: str, *, no_project: bool, online: bool) -> None:
    """Write LOCK, by default the project's own, as a pylock.toml (PEP 751), which pip, uv and PDM install from.

    Each package carries the marker under which anything asks for it, extras and dependency groups included. What the format can not
    say is refused by name, and what is left out is told.
    """
    from sanctity.report.text import plain
    from sanctity.verbs.exporting import export as export_lock

    made: Exporting = perform(
        "export", "text", lambda world: export_lock(world, lock=lock, output=output, project=not no_project, online=online)
    )
    for notice in made.notices:
        tell(f"note: {plain(notice)}\n")
    try:
        write(made.text, output)
    except SanctityError as error:
        fail(error, "export", "text")
    if output not in {"", "-"}:
        tell(f"wrote {plain(output)}: {made.packages:,} {'package' if made.packages == 1 else 'packages'} of {plain(made.lock)}\n")
