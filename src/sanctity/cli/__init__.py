"""The door: argv in, one verb called, one report out, an exit code back (0 clean, 1 drifted, 2 usage, 3 undecided or failed)."""

from __future__ import annotations

import gc
import os
import sys
import time
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import click

import sanctity
from sanctity.errors import SanctityError
from sanctity.model.drift import Depth, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.plan.repair import RepairPlan
    from sanctity.report.text import Paint
    from sanctity.verbs import Outcome, Target, World

__all__ = ["main"]

_EXIT: Final = {Verdict.CLEAN: 0, Verdict.DRIFTED: 1, Verdict.UNDECIDED: 3}
_PROGRESS_AFTER: Final = 1.0
#: How often `repair --apply` acts and looks again before it gives up.
_MOST_ROUNDS: Final = 3
#: What a shell reports of a program that SIGINT ended.
_INTERRUPTED: Final = 130


class _Progress:
    """A progress bar that appears on a terminal once a second has passed, and leaves nothing behind."""

    def __init__(self) -> None:
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

            columns = (TextColumn("looking"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeElapsedColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("", total=found)
        self.bar.update(self.task, completed=done, total=found)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _world(progress: _Progress) -> World:
    from sanctity.verbs import World

    try:
        cwd = os.getcwd()
    except OSError as error:
        from sanctity.errors import UsageError

        raise UsageError(
            "no-working-folder", f"the working folder is gone: {error.strerror}", hint="change to one that is there"
        ) from error
    return World(cwd=cwd, environ=os.environ, clock=time.monotonic, tick=progress)


def _paint(stream: IO[str]) -> Paint:
    from sanctity.report.text import Paint

    wanted = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Paint(on=wanted)


def _write(text: str, output: str) -> None:
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
    target = os.path.realpath(output)
    temporary = ""
    try:
        if not os.path.exists(target) or os.path.isfile(target):
            temporary = f"{target}.{os.getpid()}.tmp"
        # What is no regular file, such as a device or a FIFO, is written to and never replaced.
        flags = os.O_WRONLY | ((os.O_CREAT | os.O_EXCL) if temporary else 0)
        with os.fdopen(os.open(temporary or target, flags, 0o666), "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            if temporary:
                os.fsync(file.fileno())
        if temporary:
            os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise SanctityError(
            "output-failed", error.strerror or "it can not be written", where=output, hint="name another file with -o"
        ) from error


def _tell(text: str) -> None:
    """Write *text* to standard error, as far as anybody reads it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what is still buffered must not be tried again at exit


def _fail(error: SanctityError, verb: str, format_: str) -> NoReturn:
    if format_ == "json" and error.code != "output-failed":
        from sanctity.report.json import error_json

        try:
            _write(error_json(error, verb), "")
        except SanctityError as worse:
            _fail(worse, verb, format_)
    else:
        from sanctity.report.text import error_text

        _tell(error_text(error, _paint(sys.stderr)))
    raise SystemExit(error.exit_code)


def _report(outcome: Outcome, verb: str, *, format_: str, output: str, strict: bool, require_reference: bool) -> NoReturn:
    from dataclasses import replace

    from sanctity.model.drift import ReferenceKind, Unchecked
    from sanctity.report.text import plain

    comparison = outcome.comparison
    if strict:
        drifts = tuple(replace(drift, gating=drift.gating or drift.severity is Severity.WARNING) for drift in comparison.drifts)
        comparison = replace(comparison, drifts=drifts)
    if require_reference and comparison.reference.kind is ReferenceKind.NONE:
        missing = Unchecked(
            code="no-reference", what="the environment", reason="there is no lock to compare it with", in_scope=True
        )
        comparison = replace(comparison, unchecked=(*comparison.unchecked, missing))
    if format_ == "json":
        from sanctity.report.json import comparison_json

        text = comparison_json(comparison, verb)
    else:
        from sanctity.report.text import comparison_text

        text = comparison_text(comparison, verb, _paint(sys.stdout) if not output else None)
    for notice in outcome.notices:
        _tell(f"note: {plain(notice)}\n")
    _write(text, output)
    if verb == "check" and format_ == "text" and not output:
        _tell(_next_step(outcome))
    raise SystemExit(_EXIT[comparison.verdict])


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


def _run(verb: str, format_: str, work: Callable[[World], Any]) -> Any:
    progress = _Progress()
    try:
        return work(_world(progress))
    except SanctityError as error:
        progress.close()
        _fail(error, verb, format_)
    finally:
        progress.close()


def _environment_options(function: Callable[..., Any]) -> Callable[..., Any]:
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


def _judging_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option(
                "--depth",
                type=click.Choice([str(depth) for depth in Depth]),
                default=str(Depth.RECORD),
                show_default=True,
                help="How far to look: names and versions, or every byte against its RECORD.",
            ),
            click.option(
                "--group", "groups", multiple=True, metavar="NAME", help="Require this dependency group; may be repeated."
            ),
            click.option("--extra", "extras", multiple=True, metavar="NAME", help="Require this extra; may be repeated."),
            click.option("--strict", is_flag=True, help="Let warnings set the exit code too, seeds among them."),
            click.option("--require-reference", is_flag=True, help="Undecided (3) where there is no lock to compare with."),
            click.option(
                "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
            ),
            click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead."),
        )
    ):
        function = option(function)
    return function


def _target(project: str, env: str, python: str, root: str) -> Target:
    from sanctity.verbs import Target

    return Target(project=project, env=env, python=python, root=root)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(sanctity.__version__, prog_name="sanctity", message="%(prog)s %(version)s")
def cli() -> None:
    """Prove that a Python environment is, byte for byte, what its lock says.

    Exit codes: 0 clean, 1 drifted, 2 bad usage or unreadable input, 3 undecided or failed.
    """


@cli.command()
@click.argument("directory", metavar="[DIR]", default=".")
@_environment_options
@_judging_options
def check(directory: str, **options: Any) -> None:
    """Find the lock and the environment of the project in DIR, compare them, and say what to do next."""
    _judge("check", directory, "", **options)


@cli.command()
@click.argument("reference", metavar="[REFERENCE]", default="")
@_environment_options
@_judging_options
def verify(reference: str, **options: Any) -> None:
    """Compare an environment with REFERENCE: a lock file, or a fingerprint (sha256:…). By default the project's own lock.

    Without any lock the environment is compared with its own RECORDs: consistency, not proof.
    """
    _judge("verify", ".", reference, **options)


def _judge(
    verb: str,
    project: str,
    reference: str,
    *,
    env: str,
    python: str,
    root: str,
    workers: int,
    depth: str,
    groups: tuple[str, ...],
    extras: tuple[str, ...],
    strict: bool,
    require_reference: bool,
    format_: str,
    output: str,
) -> None:
    from sanctity import verbs

    def work(world: World) -> Outcome:
        return verbs.verify(
            _target(project, env, python, root),
            world,
            reference=reference,
            depth=Depth(depth),
            groups=groups,
            extras=extras,
            workers=workers,
        )

    outcome = _run(verb, format_, work)
    try:
        _report(outcome, verb, format_=format_, output=output, strict=strict, require_reference=require_reference)
    except SanctityError as error:
        _fail(error, verb, format_)


@cli.command()
@_environment_options
@click.option("--lock", metavar="FILE", default="", help="The lock that says which of pip, setuptools and wheel count.")
@click.option("--parts", is_flag=True, help="Print one line a part.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print.")
@click.option("-o", "--output", metavar="FILE", default="", help="Write it to this file instead.")
def fingerprint(*, env: str, python: str, root: str, workers: int, lock: str, parts: bool, format_: str, output: str) -> None:
    """Print the digest of an environment: its distributions, interpreter, start-up surface and unclaimed code."""
    from sanctity import verbs

    found, shown = _run(
        "fingerprint",
        format_,
        lambda world: verbs.fingerprint(_target(".", env, python, root), world, reference=lock, workers=workers),
    )
    if format_ == "json":
        from sanctity.report.json import fingerprint_json

        text = fingerprint_json(found, shown)
    else:
        from sanctity.report.text import fingerprint_text

        text = fingerprint_text(found, parts=parts)
    try:
        _write(text, output)
    except SanctityError as error:
        _fail(error, "fingerprint", format_)


@cli.command()
@click.argument("reference", metavar="[REFERENCE]", default="")
@_environment_options
@click.option("--apply", "apply_", is_flag=True, help="Run the commands, then verify again.")
def repair(*, reference: str, env: str, python: str, root: str, workers: int, apply_: bool) -> None:
    """Print the exact commands of the project's own tool that undo each drift; with --apply, run them and verify again."""
    from sanctity import verbs
    from sanctity.errors import UsageError
    from sanctity.report.text import comparison_text, repair_text

    target = _target(".", env, python, root)
    if apply_ and root:
        _fail(UsageError("usage", "an image is not repaired in place", where="--root", hint="build it again"), "repair", "text")

    def look() -> Outcome:
        found: Outcome = _run("repair", "text", lambda world: verbs.verify(target, world, reference=reference, workers=workers))
        return found

    outcome = look()
    _write(repair_text(outcome.plan, outcome.comparison, _paint(sys.stdout)), "")
    verdict = outcome.comparison.verdict
    if not apply_ or verdict is not Verdict.DRIFTED:
        raise SystemExit(_EXIT[verdict])
    for _ in range(_MOST_ROUNDS):
        plan = outcome.plan
        _run("repair", "text", partial(_apply, plan))
        outcome = look()
        if outcome.comparison.verdict is not Verdict.DRIFTED or not outcome.plan.steps or outcome.plan.steps == plan.steps:
            break
        # What was hidden before, such as the files that an older copy of a distribution left behind.
        _write(repair_text(outcome.plan, outcome.comparison, _paint(sys.stdout)), "")
    _write(comparison_text(outcome.comparison, "repair", _paint(sys.stdout)), "")
    raise SystemExit(_EXIT[outcome.comparison.verdict])


def _apply(plan: RepairPlan, world: World) -> int:
    from sanctity.apply.repair import apply_repair

    return apply_repair(plan, cwd=world.cwd, environ=world.environ)


@cli.command()
@click.argument("code", required=False, default="")
def explain(code: str) -> None:
    """Say what CODE means, how it arises, and what to do. Without one, list the codes."""
    from sanctity.pages import page, pages, summary

    if not code:
        width = max(map(len, pages()))
        _write("".join(f"{name:<{width}}  {summary(name)}\n" for name in pages()), "")
        return
    text = _run("explain", "text", lambda _: page(code))
    _write(text, "")


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
        _tell("interrupted\n")
        raise SystemExit(_INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - a fault of ours is no verdict, least of all "drifted"
        _fail(_internal(error), "", "text")
    raise SystemExit(code if isinstance(code, int) else 0)


def _internal(error: Exception) -> SanctityError:
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
