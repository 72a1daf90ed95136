"""The commands that carry what is known of wheels from one machine to another."""

from __future__ import annotations

import click

from sanctity.cli.common import fail, perform, write
from sanctity.errors import SanctityError

__all__ = ["contents"]

_ARCHIVE = click.option("--archive", metavar="DIR", default="", help="Also what this archive states of the wheels that were built.")


@click.group()
def contents() -> None:
    """What is known of wheels: the content digest behind each hash.

    A lock names a wheel by the hash of its file; what it becomes once it is installed takes the file, once. Depth `artifact`
    remembers it for good, and this map may be carried to where there is no index.
    """


@contents.command("list")
@_ARCHIVE
def list_(archive: str) -> None:
    """Print each wheel that is known, its hash, its content digest, and how that is known."""
    from sanctity.report.text import plain
    from sanctity.verbs.contents import known_contents

    found = perform("contents", "text", lambda world: known_contents(world, archive=archive))
    width = max((len(plain(wheel.filename)) for wheel in found), default=0)
    write("".join(f"{plain(wheel.filename):<{width}}  {wheel.sha256}  {wheel.content}  {wheel.proof}\n" for wheel in found), "")


@contents.command("export")
@click.argument("file", metavar="FILE")
@_ARCHIVE
def export(file: str, archive: str) -> None:
    """Write what is known of wheels to FILE (- for standard output)."""
    from sanctity.verbs.contents import export_contents

    text = perform("contents", "text", lambda world: export_contents(world, archive=archive))
    try:
        write(text, file)
    except SanctityError as error:
        fail(error, "contents", "text")


@contents.command("import")
@click.argument("file", metavar="FILE")
def import_(file: str) -> None:
    """Remember what FILE states of wheels. A report says `imported` of what rests on it: believe whoever made it."""
    from sanctity.verbs.contents import import_contents

    made = perform("contents", "text", lambda world: import_contents(file, world))
    write(f"{made.wheels:,} wheels in it, {made.new:,} of them new; {made.in_all:,} are known now\n", "")
