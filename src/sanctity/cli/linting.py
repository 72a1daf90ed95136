"""The command that judges locks and projects: lint."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import click

from sanctity.cli.common import also_option, fail, paint, perform, tell, write
from sanctity.errors import SanctityError, UsageError

if TYPE_CHECKING:
    from sanctity.linting.remedies import Step
    from sanctity.verbs import Lint, Linted, World

__all__ = ["lint"]

_FORMATS: Final = ("text", "json", "markdown", "sarif", "github")


@click.command()
@click.argument("locks", metavar="[LOCK]...", nargs=-1)
@click.option("--strict", is_flag=True, help="Let warnings set the exit code too.")
@click.option(
    "--baseline", metavar="FILE", default="", help="What is known and was let be; by default the project's lint.baseline.json."
)
@click.option("--write-baseline", is_flag=True, help="Let be all that is found now: write it to that file.")
@click.option("--platform", metavar="NAME", default="", help="Judge wheels for this platform (linux-x86_64-glibc).")
@click.option("--python-version", metavar="X.Y", default="", help="Judge wheels for this Python.")
@click.option("--artifacts", is_flag=True, help="Open the locked wheels too: start-up hooks, absolute folders for libraries.")
@click.option("--archive", metavar="DIR", default="", help="With --artifacts: an archive that may hold the wheels.")
@click.option("--offline", is_flag=True, help="With --artifacts: ask no index for what is not here.")
@click.option("--fix", is_flag=True, help="Say which commands of the project's own tools mend what they can mend.")
@click.option("--apply", "apply_", is_flag=True, help="With --fix: run them, then lint again.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True, help="What to print.")
@click.option("-o", "--output", metavar="FILE", default="", help="Write the report to this file instead.")
@also_option
def lint(
    *,
    locks: tuple[str, ...],
    strict: bool,
    baseline: str,
    write_baseline: bool,
    platform: str,
    python_version: str,
    artifacts: bool,
    archive: str,
    offline: bool,
    fix: bool,
    apply_: bool,
    format_: str,
    output: str,
    also: tuple[tuple[str, str], ...],
) -> None:
    """Say what is wrong with each LOCK: a file, or the folder of a project. By default the project in the working folder.

    Exit codes: 0 no error, 1 an error (with --strict, a warning too), 2 bad usage, or a lock that can not be read.
    """
    from sanctity import verbs

    if (archive or offline) and not artifacts:
        fail(UsageError("usage", "--archive and --offline say where wheels come from", hint="add --artifacts"), "lint", format_)
    if apply_ and not fix:
        fail(UsageError("usage", "--apply runs what --fix says", hint="add --fix"), "lint", format_)
    if fix and format_ != "text":
        fail(
            UsageError("usage", "--fix is for people", where=f"--format {format_}", hint="use it with --format text"),
            "lint",
            format_,
        )
    asked = verbs.Lint(
        strict=strict,
        baseline=baseline,
        write_baseline=write_baseline,
        platform=platform,
        python=python_version,
        means=verbs.Means(archive=archive, offline=offline) if artifacts else None,
    )
    found = _look(locks, asked, format_)
    try:
        if fix:
            found = _fix(locks, asked, found, apply=apply_)
        _report(found, format_, output, also)
    except SanctityError as error:
        fail(error, "lint", format_)


def _look(locks: tuple[str, ...], asked: Lint, format_: str) -> Linted:
    from sanctity import verbs

    found: Linted = perform("lint", format_, lambda world: verbs.lint(locks, world, asked=asked))
    return found


def _report(found: Linted, format_: str, output: str, also: tuple[tuple[str, str], ...]) -> NoReturn:
    from sanctity.report.linting import FORMATS, exit_code, linting_text

    linting = found.linting
    if found.baseline is not None:
        write(found.baseline[1], found.baseline[0])
    for each, file in also:
        write(FORMATS[each](linting), file)
    text = linting_text(linting, paint(sys.stdout) if not output else None) if format_ == "text" else FORMATS[format_](linting)
    write(text, output)
    raise SystemExit(exit_code(linting))


def _fix(locks: tuple[str, ...], asked: Lint, found: Linted, *, apply: bool) -> Linted:
    """Tell what mends what *found* has, and with *apply* do it, where there is something to do; what is found then."""
    from sanctity.report.linting import fix_text, linting_text

    if not (apply and found.steps):
        tools = perform("lint", "text", lambda world: _installed(found, world))
        tell(fix_text(found.linting, found.steps, tools))
        return found
    write(linting_text(found.linting, paint(sys.stdout)), "")
    for step in found.steps:
        tell(f"$ {step}\n")
        perform("lint", "text", partial(_run, step))
    return _look(locks, asked, "text")


def _installed(found: Linted, world: World) -> frozenset[str]:
    from sanctity.apply.fix import is_installed

    return frozenset(step.command[0] for step in found.steps if is_installed(step.command[0], world.environ))


def _run(step: Step, world: World) -> None:
    from sanctity.apply.fix import apply_fix

    apply_fix(step, cwd=world.cwd, environ=world.environ)
