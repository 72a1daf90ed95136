"""The command that compares two results."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sanctity.cli.common import fail, paint, perform, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.model.result import ResultComparison

__all__ = ["compare"]


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--bytes", "as_bytes", is_flag=True, help="Look into no file: compare bytes alone.")
@click.option("--strict", is_flag=True, help="Files whose values are the same and whose bytes are not are different too.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("text", "json", "markdown", "html")),
    default="text",
    show_default=True,
    help="What to print.",
)
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
def compare(before: str, after: str, *, as_bytes: bool, strict: bool, format_: str, output: str) -> None:
    """Say where the results A and B, two files or two folders, first differ: which value, at which index, by how many ulps.

    Read are npy, npz, pt, safetensors, pickle, parquet, arrow, JSON, CSV, text and images; nothing in them is executed. What only
    their container says (a time, an order of keys) is told apart from what their values are. Other formats are compared as bytes.

    Exit codes: 0 no value differs, 1 one does, 2 bad usage, 3 not all of it could be read.
    """
    from sanctity.report.results import FORMATS, exit_code, results_text
    from sanctity.verbs.comparing import compare as compare_two

    found: ResultComparison = perform("compare", format_, lambda world: compare_two(before, after, world, as_bytes=as_bytes))
    text = results_text(found, paint=paint(sys.stdout) if not output else None) if format_ == "text" else FORMATS[format_](found)
    try:
        write(text, output)
    except SanctityError as error:
        fail(error, "compare", format_)
    raise SystemExit(exit_code(found, strict=strict))
