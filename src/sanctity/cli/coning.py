"""The command that shows what a loose file came to over time."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from sanctity.cli.common import fail, paint, perform, tell, write, write_bytes
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.verbs.coning import Coning

__all__ = ["cone"]

#: Undecided: no date has a resolution.
_NONE_RESOLVED: Final = 3


@click.command()
@click.argument("requirements", metavar="REQUIREMENTS")
@click.option(
    "--from", "first", metavar="DATE", required=True, help="The first date, such as 2023-01-01: the end of that day in UTC."
)
@click.option("--to", "last", metavar="DATE", default="today", show_default=True, help="The last date.")
@click.option(
    "--every",
    metavar="STEP",
    default="month",
    show_default=True,
    help="The step between dates: day, week, month, quarter, year, or a number of days such as 10d.",
)
@click.option(
    "--python",
    metavar="VERSION|PATH",
    default="",
    help="Resolve for this Python, such as 3.11, or that of an interpreter; by default this one's.",
)
@click.option(
    "--platform", metavar="NAME", default="", help="Resolve for this platform, as uv names it: linux, macos, windows, aarch64-…"
)
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="With this extra of a pyproject.toml; may be repeated.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="With this dependency group; may be repeated.")
@click.option("--lock", metavar="FILE", default="", help="The lock to show it beside; by default one that lies beside it.")
@click.option(
    "--undated",
    multiple=True,
    metavar="NAME",
    help="Take any release of this package, whose index does not say when it was uploaded; may be repeated.",
)
@click.option("--only-binary", is_flag=True, help="Nothing is built from source: a release without a wheel is not chosen.")
@click.option("--fresh", is_flag=True, help="Resolve every date again, also those that are remembered.")
@click.option("--workers", type=click.IntRange(0, 64), default=0, help="Resolutions at a time; 0 means one a processor.")
@click.option("--svg", metavar="FILE", default="", help="Draw it into this file, as SVG.")
@click.option("--png", metavar="FILE", default="", help="Draw it into this file, as PNG.")
@click.option("--html", metavar="FILE", default="", help="Write it to this file, as a page that needs no other file.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("text", "json", "markdown")),
    default="text",
    show_default=True,
    help="What to print.",
)
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
@click.pass_context
def cone(
    context: click.Context,
    requirements: str,
    first: str,
    last: str,
    every: str,
    python: str,
    platform: str,
    extras: tuple[str, ...],
    groups: tuple[str, ...],
    lock: str,
    undated: tuple[str, ...],
    workers: int,
    svg: str,
    png: str,
    html: str,
    format_: str,
    output: str,
    *,
    only_binary: bool,
    fresh: bool,
) -> None:
    """Resolve REQUIREMENTS as of each date, and show how far the answers lie apart.

    REQUIREMENTS is a loose file of requirements or a pyproject.toml. uv resolves it with what had been uploaded by then; what was
    resolved is remembered, so an interrupted run goes on where it was. A lock that lies beside it is one environment at every date.
    """
    from sanctity.apply.run import Stopped, end_by, stoppable
    from sanctity.verbs.coning import cone as make

    if (svg or png) and not _can_draw():
        from sanctity.report.plots import not_installed

        fail(not_installed(), "cone", format_)
    try:
        with stoppable():
            made: Coning = perform(
                "cone",
                format_,
                lambda world: make(
                    world,
                    requirements,
                    first=first,
                    last=last,
                    every=every,
                    python=python,
                    platform=platform,
                    lock=lock,
                    extras=extras,
                    groups=groups,
                    undated=undated,
                    only_binary=only_binary,
                    fresh=fresh,
                    workers=workers,
                ),
            )
    except Stopped as stop:
        tell("stopped; what was resolved is remembered: the same command goes on from there\n")
        end_by(stop.number)
    told = list(made.notices)
    try:
        if svg:
            from sanctity.report.cone_plot import cone_svg

            write(cone_svg(made.cone), svg)
        if png:
            from sanctity.report.cone_plot import cone_png

            write_bytes(cone_png(made.cone), png)
        if html:
            write(_page(made, sys.argv[1:], told), html)
        made = replace(made, notices=tuple(told))
        write(_drawn(made, format_, terminal=not output or output == "-"), output)
    except SanctityError as error:
        fail(error, "cone", format_)
    if not made.cone.resolved:
        context.exit(_NONE_RESOLVED)


def _can_draw() -> bool:
    """Whether matplotlib is here, without importing it: what would fail at the end is better told before anything is resolved."""
    from importlib.util import find_spec

    try:
        return find_spec("matplotlib") is not None
    except ValueError:  # it was put out of the way: sys.modules has none for it
        return False


def _page(made: Coning, words: list[str], told: list[str]) -> str:
    """The page; without matplotlib it has no picture, which is told."""
    from sanctity.report.cone_html import Pictures, cone_html
    from sanctity.report.cone_plot import cone_svg

    pictures = None
    try:
        if made.cone.resolved:
            pictures = Pictures(wide=cone_svg(made.cone, titled=False), narrow=cone_svg(made.cone, narrow=True, titled=False))
    except SanctityError as error:
        if error.code != "plots-not-installed":
            raise
        told.append(f"the page has no picture: {error.message} ({error.hint})")
    return cone_html(made.cone, pictures=pictures, command=["sanctity", shlex.join(words)], notices=made.notices)


def _drawn(made: Coning, format_: str, *, terminal: bool) -> str:
    from sanctity.report.cone import cone_json, cone_markdown, cone_text

    if format_ == "json":
        return cone_json(made.cone, made.notices)
    if format_ == "markdown":
        return cone_markdown(made.cone, made.notices)
    return cone_text(made.cone, paint(sys.stdout) if terminal else None, made.notices)
