"""The command that becomes a program, once the environment is verified. Whatever keeps it from that ends with 125, 126 or 127."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from sanctity.cli.common import paint, perform, target_of
from sanctity.errors import SanctityError
from sanctity.report import FORMATS

if TYPE_CHECKING:
    from sanctity.plan.seeding import SeedPlan
    from sanctity.verbs import World
    from sanctity.verbs.running import Running

__all__ = ["run"]

#: What `run` ends with where it starts nothing, as env(1) does: its own refusal or failure, and what is told apart from that.
_REFUSED: Final = 125
_CODES: Final = {"command-not-executable": 126, "command-not-found": 127}


class _Run(click.Command):
    """A command whose bad usage is a refusal too: with 2 it would look as if the program had ended so."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            with contextlib.suppress(OSError):
                error.show()
            raise SystemExit(_REFUSED) from None


def _tell(text: str) -> None:
    """Write *text* to standard error as far as anybody reads it; the descriptor stays what it is, since it is handed on."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return


@click.command(cls=_Run, context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--seal", metavar="FILE", default="", help="The seal to hold it to; by default the project's own.")
@click.option("--lock", metavar="FILE", default="", help="The lock to hold it to; by default the project's own, if it has no seal.")
@click.option("--env", metavar="DIR", default="", help="The environment; by default the one the project's tool would use.")
@click.option("--python", metavar="EXE", default="", help="The environment around this interpreter.")
@click.option("--workers", type=click.IntRange(0, 64), default=0, help="Reading processes; 0 means one a processor.")
@click.option("--profile", type=click.Choice(["production"]), default=None, help="Judge as strictly as can be, as `verify` does.")
@click.option("--drop-variables", is_flag=True, help="Drop variables that load code, and say so, where they would be refused.")
@click.option("--fast", is_flag=True, help="Do not read a file again where the file system says that it did not move: no proof.")
@click.option("--fresh-bytecode", is_flag=True, help="Give CMD a private, empty folder for bytecode: what is there now is not run.")
@click.option(
    "--seed", type=int, default=None, metavar="N", help="Set what one seed needs before Python starts, and SANCTITY_SEED."
)
@click.option("--inject", is_flag=True, help="With --seed: make the call in every Python that CMD starts, unasked.")
@click.option("--receipts", metavar="DIR", default="", help="Keep the receipts of CMD's processes there, merged in receipt.json.")
@click.option("--otel", is_flag=True, help="Add the fingerprint and the verdict to CMD's OTEL_RESOURCE_ATTRIBUTES.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="How to print a refusal, which goes to standard error.",
)
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(*, format_: str, command: tuple[str, ...], **options: Any) -> None:
    """Verify the environment, then become CMD inside it; refuse (125) if it is not clean.

    CMD is a program of the environment's: a name in its scripts folder, or a path in it. Everything but what is verified is left
    to CMD as it is: streams, terminal, working folder, variables, signals, PID and exit code.
    """
    from sanctity.apply.run import Stopped, become, end_by, stoppable

    try:
        with stoppable():
            made = _prepare(command, **options)
            if made.start is None:
                _refuse(made, format_)
            if made.dropped:
                _tell(f"note: not handed on, since they load code: {', '.join(made.dropped)}\n")
            checked = made.outcome.comparison.checked
            if checked.cached:
                _tell(f"note: fast, not proof: {checked.cached:,} of {checked.files:,} files were not read again\n")
            if made.seeding is not None:
                _tell(_seeded(made.seeding, made.injected))
            become(made.start)
    except SanctityError as error:
        _fail(error, format_)
    except Stopped as stop:
        end_by(stop.number)
    except Exception as error:  # noqa: BLE001 - a fault of ours is a refusal, and not what the program ended with
        from sanctity.cli import internal

        _fail(internal(error), format_)


def _prepare(command: tuple[str, ...], *, env: str, python: str, profile: str | None, **options: Any) -> Running:
    """What `run` came to, with progress on a terminal. Raises SanctityError."""
    from sanctity import verbs

    def work(world: World) -> Running | SanctityError:
        try:
            return verbs.run(target_of(".", env, python, ""), world, command, profile=profile or "", **options)
        except SanctityError as error:
            return error  # not told by whoever performs this, since its exit code here is another

    try:
        found = perform("run", "text", work)
    except SystemExit:
        raise SystemExit(_REFUSED) from None  # what kept it from even beginning was told
    if isinstance(found, SanctityError):
        raise found
    made: Running = found
    return made


def _seeded(seeding: SeedPlan, injected: str) -> str:
    """One line on what CMD is started with."""
    parts = [f"{name}={value}" for name, value in seeding.environ.items()]
    if injected:
        parts.append(f"injected by PYTHONPATH into every Python: {injected}")
    return f"note: {', '.join(parts)}" + "".join(f"; {words}" for words in seeding.kept) + "\n"


def _refuse(made: Running, format_: str) -> NoReturn:
    """Print the report, and end with 125."""
    from sanctity.report.text import comparison_text, plain

    comparison = made.outcome.comparison
    if format_ != "text":
        _tell(FORMATS[format_](comparison, "run", lines={}, exit_code=_REFUSED))
        raise SystemExit(_REFUSED)
    for notice in made.outcome.notices:
        _tell(f"note: {plain(notice)}\n")
    _tell(comparison_text(comparison, "run", paint(sys.stderr)))
    told = "not started: `sanctity repair` undoes the drifts, `sanctity explain CODE` says what each code means\n"
    _tell(told)
    raise SystemExit(_REFUSED)


def _fail(error: SanctityError, format_: str) -> NoReturn:
    from sanctity.report.json import error_json
    from sanctity.report.text import error_text

    _tell(error_json(error, "run") if format_ == "json" else error_text(error, paint(sys.stderr)))
    raise SystemExit(_CODES.get(error.code, _REFUSED))
