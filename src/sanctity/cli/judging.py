"""The commands that judge an environment: check, verify, fingerprint, repair."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from sanctity.cli.common import (
    EXIT,
    environment_options,
    fail,
    judging_options,
    paint,
    perform,
    report,
    target_of,
    write,
)
from sanctity.errors import SanctityError
from sanctity.model.drift import Depth, Verdict

if TYPE_CHECKING:
    from sanctity.plan.repair import RepairPlan
    from sanctity.verbs import Outcome, World

__all__ = ["check", "fingerprint", "repair", "verify"]

#: How often `repair --apply` acts and looks again before it gives up.
_MOST_ROUNDS: Final = 3


@click.command()
@click.argument("directory", metavar="[DIR]", default=".")
@environment_options
@click.option(
    "--fast/--no-fast",
    default=True,
    show_default=True,
    help="Take again what an earlier look found, where the file system says that nothing moved.",
)
@judging_options
def check(directory: str, **options: Any) -> None:
    """Find the lock and the environment of the project in DIR, compare them, and say what to do next."""
    _judge("check", directory, "", **options)


@click.command()
@click.argument("reference", metavar="[REFERENCE]", default="")
@environment_options
@click.option("--fast", is_flag=True, help="Take again what an earlier look found, where the file system says nothing moved.")
@judging_options
def verify(reference: str, **options: Any) -> None:
    """Compare an environment with REFERENCE: a seal, a lock, or a fingerprint (sha256:…). By default the project's own.

    Without a seal or lock the environment is compared with its own RECORDs: consistency, not proof.
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
    fast: bool,
    depth: str,
    groups: tuple[str, ...],
    extras: tuple[str, ...],
    profile: str | None,
    strict: bool,
    require_reference: bool,
    format_: str,
    output: str,
    also: tuple[tuple[str, str], ...],
    metrics: str,
    receipts: str,
    archive: str,
    offline: bool,
) -> None:
    from sanctity import verbs
    from sanctity.cli.metrics import Metrics

    means = verbs.Means(archive=archive, offline=offline) if archive or offline else None

    def work(world: World) -> Outcome:
        return verbs.verify(
            target_of(project, env, python, root),
            world,
            reference=reference,
            depth=Depth(depth),
            groups=groups,
            extras=extras,
            workers=workers,
            profile=profile or "",
            fast=fast,
            means=means,
        )

    def look(world: World) -> Outcome:
        return _linted(work(world), project, world) if verb == "check" else work(world)

    kept = Metrics(file=metrics, receipts=receipts, env=env, python=python, root=root, project=project, reference=reference)
    outcome = perform(verb, format_, look, kept.failed)
    try:
        report(
            outcome,
            verb,
            format_=format_,
            output=output,
            strict=strict,
            require_reference=require_reference,
            also=also,
            metrics=kept.judged,
        )
    except SanctityError as error:
        fail(error, verb, format_)


def _linted(outcome: Outcome, project: str, world: World) -> Outcome:
    """*outcome* with the errors in the lock itself, and a word on them: its own fault is no drift of the environment."""
    from sanctity.report.words import count
    from sanctity.verbs.linting import lint_errors

    errors, why_not = lint_errors(outcome.comparison.reference, project, world)
    notices = (*outcome.notices, why_not) if why_not else outcome.notices
    if errors:
        codes = ", ".join(dict.fromkeys(error.code for error in errors))
        path = errors[0].path
        notices = (*notices, f"{path} has {count(len(errors), 'error')} of its own ({codes}): `sanctity lint {path}` says which")
    return replace(outcome, comparison=replace(outcome.comparison, faults=errors), notices=notices)


@click.command()
@environment_options
@click.option("--lock", metavar="FILE", default="", help="The lock or seal that says which of pip, setuptools and wheel count.")
@click.option("--parts", is_flag=True, help="Print one line a part, and in brackets what is beside them.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print.")
@click.option("-o", "--output", metavar="FILE", default="", help="Write it to this file instead.")
def fingerprint(*, env: str, python: str, root: str, workers: int, lock: str, parts: bool, format_: str, output: str) -> None:
    """Print the digest of an environment: its distributions, interpreter, start-up surface and unclaimed code."""
    from sanctity import verbs

    found, shown = perform(
        "fingerprint",
        format_,
        lambda world: verbs.fingerprint(
            target_of(".", env, python, root), world, reference=lock, workers=workers, platform=parts or format_ == "json"
        ),
    )
    if format_ == "json":
        from sanctity.report.json import fingerprint_json

        text = fingerprint_json(found, shown)
    else:
        from sanctity.report.text import fingerprint_text

        text = fingerprint_text(found, parts=parts)
    try:
        write(text, output)
    except SanctityError as error:
        fail(error, "fingerprint", format_)


@click.command()
@click.argument("reference", metavar="[REFERENCE]", default="")
@environment_options
@click.option("--apply", "apply_", is_flag=True, help="Run the commands, then verify again.")
@click.option(
    "--depth",
    type=click.Choice([str(Depth.RECORD), str(Depth.ARTIFACT)]),
    default=str(Depth.RECORD),
    show_default=True,
    help="How far to look, as for verify.",
)
def repair(*, reference: str, env: str, python: str, root: str, workers: int, apply_: bool, depth: str) -> None:
    """Print the exact commands of the project's own tool that undo each drift; with --apply, run them and verify again."""
    from sanctity import verbs
    from sanctity.errors import UsageError
    from sanctity.report.text import comparison_text, repair_text

    target = target_of(".", env, python, root)
    if apply_ and root:
        fail(UsageError("usage", "an image is not repaired in place", where="--root", hint="build it again"), "repair", "text")

    def look() -> Outcome:
        found: Outcome = perform(
            "repair", "text", lambda world: verbs.verify(target, world, reference=reference, workers=workers, depth=Depth(depth))
        )
        return found

    outcome = look()
    write(repair_text(outcome.plan, outcome.comparison, paint(sys.stdout)), "")
    verdict = outcome.comparison.verdict
    if not apply_ or verdict is not Verdict.DRIFTED:
        raise SystemExit(EXIT[verdict])
    for _ in range(_MOST_ROUNDS):
        plan = outcome.plan
        perform("repair", "text", partial(_apply, plan))
        outcome = look()
        if outcome.comparison.verdict is not Verdict.DRIFTED or not outcome.plan.steps or outcome.plan.steps == plan.steps:
            break
        # What was hidden before, such as the files that an older copy of a distribution left behind.
        write(repair_text(outcome.plan, outcome.comparison, paint(sys.stdout)), "")
    write(comparison_text(outcome.comparison, "repair", paint(sys.stdout)), "")
    raise SystemExit(EXIT[outcome.comparison.verdict])


def _apply(plan: RepairPlan, world: World) -> int:
    from sanctity.apply.repair import apply_repair

    return apply_repair(plan, cwd=world.cwd, environ=world.environ)
