"""The command that seals an environment."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from sanctity.cli.common import EXIT, environment_options, fail, paint, perform, target_of, tell, write
from sanctity.errors import SanctityError
from sanctity.model.drift import Verdict

__all__ = ["seal"]


@click.command()
@environment_options
@click.option("--lock", metavar="FILE", default="", help="The lock to compare with first; by default the project's own.")
@click.option("--accept", is_flag=True, help="Seal a drifted environment too, and name its drifts in the seal.")
@click.option("--canary", metavar="FILE", default="", help="A program that `run` starts first, whose output is sealed too.")
@click.option(
    "--files", is_flag=True, help="Also write the rows behind each digest, to the seal's name with .files in place of .json."
)
@click.option("-o", "--output", metavar="FILE", default="", help="The seal; by default env.seal.json in the project's folder.")
@click.option("--check", is_flag=True, help="Only say whether the seal was made under the lock as it is now; write nothing.")
def seal(
    *,
    env: str,
    python: str,
    root: str,
    workers: int,
    lock: str,
    accept: bool,
    canary: str,
    files: bool,
    output: str,
    check: bool,
) -> None:
    """Compare an environment with its lock, and write down what it must be from now on.

    What the seal says of other platforms and Pythons is kept. Commit the file: it is small, made to be read in a pull request, and
    the same for the same environment.
    """
    from sanctity import verbs
    from sanctity.report.text import comparison_text, sealing_text
    from sanctity.seals.files import files_name

    if check:
        _check(output)
    made: verbs.Sealing = perform(
        "seal",
        "text",
        lambda world: verbs.seal(
            target_of(".", env, python, root),
            world,
            lock=lock,
            output=output,
            accept=accept,
            canary=canary,
            files=files,
            workers=workers,
        ),
    )
    comparison = made.outcome.comparison
    if made.seal is None:
        tell(comparison_text(comparison, "seal", paint(sys.stderr)))
        if comparison.verdict is Verdict.DRIFTED:
            tell("not sealed: `sanctity repair` undoes the drifts; --accept seals them as they are\n")
        else:
            tell("not sealed: what could not be looked at can not be stated\n")
        raise SystemExit(EXIT[comparison.verdict])
    try:
        write(made.text, made.path)
        if made.files_text:
            write(made.files_text, files_name(made.path))
        write(sealing_text(made.seal, comparison, paint(sys.stdout)), "")
    except SanctityError as error:
        fail(error, "seal", "text")


def _check(output: str) -> NoReturn:
    """Say whether the seal *output* is of the lock as it is now, and end: 0 it is, 1 it is not."""
    from sanctity.report.text import plain
    from sanctity.verbs.freshness import Freshness, check_freshness

    found: Freshness = perform("seal", "text", lambda world: check_freshness(world, seal=output))
    colour = paint(sys.stdout)
    if not found.stale:
        write(f"{colour('good', 'FRESH')}  {plain(found.path)} was made under {plain(', '.join(found.locks))} as it is now\n", "")
        raise SystemExit(0)
    lines = [f"{colour('bad', 'STALE')}  {plain(found.path)} was not made under the lock as it is now"]
    lines += [f"  {colour('bad', 'seal-stale')}   {plain(lock)}   ({plain(why)})" for lock, why in found.stale]
    lines.append(f"  {colour('bold', 'fix:')} install what the lock says, then `sanctity seal`")
    write("\n".join(lines) + "\n", "")
    raise SystemExit(1)
