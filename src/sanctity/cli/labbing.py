"""The command that shows, on real packages, why a lock, a seal and a look at bytes matter."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from sanctity.cli.common import fail, paint, perform, tell, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.lab.steps import Definition
    from sanctity.lab.story import Command, Step, Story
    from sanctity.report.text import Paint

__all__ = ["lab"]

_UNDECIDED: Final = 3


class _Teller:
    """Tells each thing on standard output as it happens."""

    def __init__(self, paint_: Paint) -> None:
        self.paint = paint_
        self.folder = ""

    def prepare(self, text: str) -> None:
        tell(f"{text}\n")

    def begin(self, number: int, definition: Definition) -> None:
        from sanctity.lab.text import begin_text

        write(begin_text(number, definition, self.paint), "")

    def ran(self, command: Command) -> None:
        from sanctity.lab.text import command_text

        write(command_text(command, self.folder, self.paint), "")
        if not command.line.startswith("#"):
            self.folder = command.folder

    def end(self, step: Step) -> None:
        from sanctity.lab.text import end_text

        write(end_text(step, self.paint), "")


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, default="")
@click.option("--html", metavar="FILE", default="", help="Also write it all to this file, as a page with nothing to load.")
@click.option("--only", multiple=True, metavar="STEP", help="Do this step, and what it needs; may be repeated.")
@click.option("--list", "listed", is_flag=True, help="Print the steps, and do nothing.")
@click.option("--keep", is_flag=True, help="Keep the folder, so that you can go on by hand.")
@click.option("--python", metavar="EXE|VERSION", default="", help="Make environments of this interpreter: 3.10, 3.11 or 3.12.")
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True, help="What to print.")
def lab(folder: str, html: str, only: tuple[str, ...], python: str, format_: str, *, listed: bool, keep: bool) -> None:
    """Show on real packages what moves under a program, and what sees it.

    A loose file before and after numpy 2.0, the same program locked, a digest for an environment, a wheel replaced on the index, a
    file changed after the install, an edit that travels through uv's cache, and a rebuild with the index gone. All of it happens in
    DIR, by default a temporary folder that is removed, against an index of its own on 127.0.0.1. The first run fetches about 70 MB
    through your own pip and uv configuration, and keeps it; later ones need no network.

    Exit codes: 0 every expectation held, 3 one did not, or a step could not be done.
    """
    from sanctity.lab.steps import STEPS
    from sanctity.lab.telling import Asked, Silent, run_lab
    from sanctity.lab.text import listing_text, story_text

    if listed:
        write(listing_text(STEPS), "")
        return
    if html and os.path.isdir(html):
        raise click.BadParameter(f"{html} is a folder; name a file", param_hint="--html")
    asked = Asked(folder=folder, only=only, keep=keep, python=python)
    teller: Any = _Teller(paint(sys.stdout)) if format_ == "text" else Silent()
    story: Story = perform("lab", format_, lambda world: run_lab(asked, world, teller))
    try:
        if html:
            from sanctity.lab.page import story_page

            write(story_page(story), html)
        if format_ == "json":
            from sanctity.lab.document import story_json

            write(story_json(story), "")
        else:
            write(story_text(story, paint(sys.stdout)), "")
    except SanctityError as error:
        fail(error, "lab", format_)
    raise SystemExit(0 if story.complete else _UNDECIDED)
