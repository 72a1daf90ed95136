"""What the commands have in common: the options they share, how a result is written, and how an error is told."""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import click

from sanctity.errors import SanctityError, UsageError
from sanctity.model.drift import Depth, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.drift import Comparison
    from sanctity.report.text import Paint
    from sanctity.verbs import Outcome, Target, World

__all__ = [
    "EXIT",
    "also_option",
    "as_asked",
    "check_output",
    "environment_options",
    "fail",
    "judging_options",
    "metrics_option",
    "paint",
    "perform",
    "receipts_option",
    "report",
    "target_of",
    "tell",
    "write",
    "write_bytes",
]

EXIT: Final = {Verdict.CLEAN: 0, Verdict.DRIFTED: 1, Verdict.UNDECIDED: 3}
_PROGRESS_AFTER: Final = 1.0
#: What a command does, and what it counts, where it is not looking at files.
_PROGRESS: Final = {"cone": ("resolving", "dates")}
_FORMATS: Final = ("text", "json", "markdown", "sarif", "github")
#: The formats that point at a line of the lock or seal.
_LOCATED: Final = ("sarif", "github")


class _Progress:
    """A progress bar that appears on a terminal once a second has passed, and leaves nothing behind."""

    def __init__(self, verb: str = "") -> None:
        self.words = _PROGRESS.get(verb, ("looking", "files"))
        self.started = time.monotonic()
        self.wanted = sys.stderr.isatty()
        self.bar: Any = None
        self.task: Any = None

    def __call__(self, done: int, found: int) -> None:
        if not self.wanted or time.monotonic() - self.started < _PROGRESS_AFTER:
            return
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            doing, things = self.words
            columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn(things), TimeElapsedColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("", total=found)
        self.bar.update(self.task, completed=done, total=found)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _world(progress: _Progress) -> World:
    from sanctity.observe.sites import find_user_base
    from sanctity.verbs import World

    try:
        cwd = os.getcwd()
    except OSError as error:
        from sanctity.errors import UsageError

        raise UsageError(
            "no-working-folder", f"the working folder is gone: {error.strerror}", hint="change to one that is there"
        ) from error
    return World(cwd=cwd, environ=os.environ, clock=time.monotonic, tick=progress, user_base=find_user_base())


def paint(stream: IO[str]) -> Paint:
    """Colours for *stream*, where it is a terminal that wants them."""
    from sanctity.report.text import Paint

    wanted = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Paint(on=wanted)


def write(text: str, output: str) -> None:
    """Print *text*, or put it in the file *output* by way of a temporary one beside it, so that it is never half written."""
    if not output or output == "-":
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            # What is still buffered must not be tried again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(3) from None  # the reader has gone: there is nobody left to tell
            raise SanctityError("output-failed", error.strerror or "it can not be written", where="standard output") from error
        return
    write_bytes(text.encode("utf-8", "backslashreplace"), output)


def write_bytes(data: bytes, output: str) -> None:
    """Put *data* in the file *output* as `write` does."""
    target = os.path.realpath(output)
    temporary = ""
    try:
        if not os.path.exists(target) or os.path.isfile(target):
            # In a container every process is number 1, and what a killed one left behind must not be in the way.
            temporary = f"{target}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        # What is no regular file, such as a device or a FIFO, is written to and never replaced.
        flags = os.O_WRONLY | ((os.O_CREAT | os.O_EXCL) if temporary else 0)
        with os.fdopen(os.open(temporary or target, flags, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            if temporary:
                os.fsync(file.fileno())
        if temporary:
            os.replace(temporary, target)
            temporary = ""
    except OSError as error:
        raise SanctityError(
            "output-failed", error.strerror or "it can not be written", where=output, hint="name another file"
        ) from error
    finally:
        if temporary and os.path.exists(temporary):  # also where a signal ended this
            os.unlink(temporary)


def check_output(output: str) -> None:
    """See that `write` can put something in the file *output* later on, before work is done that takes long.

    Raises:
        UsageError: ``output-failed``, it can not.
    """
    if not output or output == "-":
        return
    target = os.path.realpath(output)
    try:
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.exists(target) and not os.path.isfile(target):
            return  # whoever opens a FIFO waits for its reader
        probe = f"{target}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(probe)
    except OSError as error:
        words = error.strerror or "it can not be written"
        raise UsageError("output-failed", words, where=f"-o {output}", hint="name a file in a folder that is there") from error


def tell(text: str) -> None:
    """Write *text* to standard error, as far as anybody reads it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what is still buffered must not be tried again at exit


def fail(error: SanctityError, verb: str, format_: str) -> NoReturn:
    """Tell *error*, as data where JSON was asked for, and end with its exit code."""
    if format_ == "json" and error.code != "output-failed":
        from sanctity.report.json import error_json

        try:
            write(error_json(error, verb), "")
        except SanctityError as worse:
            fail(worse, verb, format_)
    else:
        from sanctity.report.text import error_text

        tell(error_text(error, paint(sys.stderr)))
    raise SystemExit(error.exit_code)


def as_asked(comparison: Comparison, *, strict: bool, require_reference: bool) -> Comparison:
    """*comparison* judged as the command line asks: with *strict* warnings gate, and a reference can be required."""
    from dataclasses import replace

    from sanctity.model.drift import ReferenceKind, Unchecked

    if strict:
        drifts = tuple(
            replace(drift, gating=drift.gating or (drift.severity is Severity.WARNING and not drift.waiver))
            for drift in comparison.drifts
        )
        comparison = replace(comparison, drifts=drifts)
    if require_reference and comparison.reference.kind is ReferenceKind.NONE:
        missing = Unchecked(
            code="no-reference", what="the environment", reason="there is no lock to compare it with", in_scope=True
        )
        comparison = replace(comparison, unchecked=(*comparison.unchecked, missing))
    return comparison


def report(
    outcome: Outcome,
    verb: str,
    *,
    format_: str,
    output: str,
    strict: bool,
    require_reference: bool,
    also: tuple[tuple[str, str], ...] = (),
    metrics: Callable[[Comparison], None] | None = None,
) -> NoReturn:
    """Print the report on *outcome*, and end with the exit code of its verdict.

    *also* are (format, file) pairs to write it to as well; *metrics* is told what was judged before anything is printed. An error
    in the lock itself makes the exit code 1 where the environment is clean.
    """
    from sanctity.report.text import plain

    comparison = as_asked(outcome.comparison, strict=strict, require_reference=require_reference)
    code = EXIT[comparison.verdict] or int(bool(comparison.faults))
    if metrics is not None:
        metrics(comparison)
    for each, file in also:
        write(_drawn(comparison, verb, each, code), file)
    if format_ == "text":
        from sanctity.report.text import comparison_text

        text = comparison_text(comparison, verb, paint(sys.stdout) if not output else None)
    else:
        text = _drawn(comparison, verb, format_, code)
    for notice in outcome.notices:
        tell(f"note: {plain(notice)}\n")
    write(text, output)
    if verb == "check" and format_ == "text" and not output:
        tell(_next_step(outcome))
    raise SystemExit(code)


def _drawn(comparison: Comparison, verb: str, format_: str, code: int) -> str:
    from sanctity.report import FORMATS
    from sanctity.verbs.references import lines_of

    lines = lines_of(comparison.reference) if format_ in _LOCATED else {}
    return FORMATS[format_](comparison, verb, lines=lines, exit_code=code)


def _next_step(outcome: Outcome) -> str:
    """What to do next, after `check`."""
    from sanctity.model.drift import ReferenceKind

    comparison = outcome.comparison
    if comparison.reference.kind is ReferenceKind.NONE:
        return (
            "next: lock the project, so that there is something to prove: `uv lock`, `poetry lock`, or for requirements\n"
            "      `uv pip compile --generate-hashes requirements.txt -o requirements-lock.txt`; then `sanctity check` again\n"
        )
    if comparison.verdict is Verdict.DRIFTED:
        return "next: `sanctity repair` prints every command in order; `sanctity explain CODE` says what a code means\n"
    if comparison.verdict is Verdict.UNDECIDED:
        return "next: `sanctity explain CODE` says what each code above means, and what would decide it\n"
    return ""


def perform(verb: str, format_: str, work: Callable[[World], Any], failed: Callable[[SanctityError], None] | None = None) -> Any:
    """What *work* gives, with progress on a terminal; an error of it is told, to *failed* first, and ends the process."""
    progress = _Progress(verb)
    try:
        return work(_world(progress))
    except SanctityError as error:
        progress.close()
        if failed is not None:
            failed(error)
        fail(error, verb, format_)
    finally:
        progress.close()


def environment_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name an environment."""
    for option in reversed(
        (
            click.option(
                "--env",
                metavar="DIR",
                default="",
                help="The environment to look at; by default the one the project's tool would use.",
            ),
            click.option("--python", metavar="EXE", default="", help="The environment around this interpreter."),
            click.option(
                "--root", metavar="DIR", default="", help="Look into an image unpacked here; --env is then a path inside it."
            ),
            click.option("--workers", type=click.IntRange(0, 64), default=0, help="Reading processes; 0 means one a processor."),
        )
    ):
        function = option(function)
    return function


def _pairs(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The values of ``--also`` as (format, file)."""
    found = tuple((format_, file) for format_, _, file in (value.partition("=") for value in values))
    for format_, file in found:
        if format_ not in _FORMATS or file in {"", "-"}:
            raise click.BadParameter(
                f"{format_}={file} is not one of {', '.join(_FORMATS)}, an equals sign and a file", param=parameter
            )
    return found


#: The option of every command that can write its report in several formats at once.
also_option = click.option(
    "--also",
    multiple=True,
    metavar="FORMAT=FILE",
    callback=_pairs,
    help="Write the report to this file too, in this format; may be repeated.",
)
#: The option of every command that can leave metrics behind.
metrics_option = click.option(
    "--metrics",
    metavar="FILE",
    default="",
    is_eager=True,  # it is known when --receipts is looked at
    help="Also keep the verdict in this file, as metrics for Prometheus.",
)


def _beside_metrics(ctx: click.Context, _: click.Parameter, folder: str) -> str:
    if folder and not ctx.params.get("metrics"):
        raise click.BadParameter("it is counted in the metrics: give --metrics too")
    return folder


#: The option of such a command that has what programs relaxed counted there.
receipts_option = click.option(
    "--receipts",
    metavar="DIR",
    default="",
    callback=_beside_metrics,
    help="With --metrics: count there what the receipts in this folder say was relaxed on purpose.",
)


def judging_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that judges."""
    for option in reversed(
        (
            click.option(
                "--depth",
                type=click.Choice([str(depth) for depth in Depth]),
                default=str(Depth.RECORD),
                show_default=True,
                help="How far to look: names and versions, every byte against its RECORD, or against the locked artifact itself.",
            ),
            click.option(
                "--archive", metavar="DIR", default="", help="At depth artifact: an archive that may hold the locked artifacts."
            ),
            click.option("--offline", is_flag=True, help="At depth artifact: ask no index for what is not here."),
            click.option(
                "--group", "groups", multiple=True, metavar="NAME", help="Require this dependency group; may be repeated."
            ),
            click.option("--extra", "extras", multiple=True, metavar="NAME", help="Require this extra; may be repeated."),
            click.option(
                "--profile",
                type=click.Choice(["production"]),
                default=None,
                help="Judge as strictly as can be, whatever the policy says: every part gates, and waivers must be signed.",
            ),
            click.option("--strict", is_flag=True, help="Let warnings set the exit code too, seeds among them."),
            click.option("--require-reference", is_flag=True, help="Undecided (3) where there is no lock to compare with."),
            click.option(
                "--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True, help="What to print."
            ),
            click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead."),
            also_option,
            metrics_option,
            receipts_option,
        )
    ):
        function = option(function)
    return function


def target_of(project: str, env: str, python: str, root: str) -> Target:
    """The environment that a command's arguments mean."""
    from sanctity.verbs import Target

    return Target(project=project, env=env, python=python, root=root)
