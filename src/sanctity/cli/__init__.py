"""The door: argv in, one verb called, one report out, an exit code back (0 clean, 1 drifted, 2 usage, 3 undecided or failed)."""

from __future__ import annotations

import gc
import os
import sys
from typing import Final, NoReturn

import click

import sanctity
from sanctity.cli.archiving import archive
from sanctity.cli.bisecting import bisect
from sanctity.cli.common import fail, perform, tell, write
from sanctity.cli.comparing import compare
from sanctity.cli.completion import complete_codes, complete_places, completion
from sanctity.cli.coning import cone
from sanctity.cli.contents import contents
from sanctity.cli.costing import cost
from sanctity.cli.differing import diff
from sanctity.cli.exporting import export
from sanctity.cli.judging import check, fingerprint, repair, verify
from sanctity.cli.labbing import lab
from sanctity.cli.linting import lint
from sanctity.cli.rebuilding import rebuild
from sanctity.cli.repeating import prove
from sanctity.cli.running import run
from sanctity.cli.sealing import seal
from sanctity.cli.watching import watch
from sanctity.errors import SanctityError

__all__ = ["cli", "internal", "main"]

#: What a shell reports of a program that SIGINT ended.
_INTERRUPTED: Final = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(sanctity.__version__, prog_name="sanctity", message="%(prog)s %(version)s")
def cli() -> None:
    """Prove that a Python environment is, byte for byte, what its lock says.

    Exit codes: 0 clean, 1 drifted, 2 bad usage or unreadable input, 3 undecided or failed.
    """


for command in (
    check,
    verify,
    lint,
    seal,
    fingerprint,
    diff,
    compare,
    prove,
    cost,
    repair,
    run,
    watch,
    contents,
    completion,
    archive,
    rebuild,
    export,
    cone,
    bisect,
    lab,
):
    cli.add_command(command)
complete_places((*cli.commands.values(), *archive.commands.values()))


@cli.command()
@click.argument("code", required=False, default="", shell_complete=complete_codes)
def explain(code: str) -> None:
    """Say what CODE means, how it arises, and what to do. Without one, list the codes."""
    from sanctity.pages import page, pages, summary

    if not code:
        width = max(map(len, pages()))
        write("".join(f"{name:<{width}}  {summary(name)}\n" for name in pages()), "")
        return
    text = perform("explain", "text", lambda _: page(code))
    write(text, "")


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line on *argv*, by default the process's own arguments. Always ends in SystemExit."""
    # A run makes hundreds of thousands of small values and then ends: collecting cycles among them would only cost time.
    gc.disable()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        # Not click's own standalone mode: it ends an interrupted run with 1, which here means drifted.
        code = cli.main(args=argv, prog_name="sanctity", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted\n")
        raise SystemExit(_INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - a fault of ours is no verdict, least of all "drifted"
        fail(internal(error), "", "text")
    raise SystemExit(code if isinstance(code, int) else 0)


def internal(error: Exception) -> SanctityError:
    """A fault of this program as an error like any other, with the place it happened at."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace is not None else ""
    return SanctityError(
        "internal-error",
        f"{type(error).__name__}: {error}"[:500],
        where=place,
        hint="this is a fault of sanctity: please report it",
    )


def _open_closed_streams() -> None:
    """Open the null device for standard streams that are closed, before another file takes their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
