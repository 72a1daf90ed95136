"""The command that seals an environment."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from sanctity.cli.common import EXIT, environment_options, fail, paint, perform, target_of, tell, write
from sanctity.errors import SanctityError, UsageError
from sanctity.model.drift import Depth, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.verbs.sealing import FromLock
    from sanctity.verbs.world import World

__all__ = ["seal"]


@click.command()
@environment_options
@click.option("--lock", metavar="FILE", default="", help="The lock to compare with first; by default the project's own.")
@click.option(
    "--depth",
    type=click.Choice([str(Depth.RECORD), str(Depth.ARTIFACT)]),
    default=str(Depth.RECORD),
    show_default=True,
    help="How far to look first: every byte against its RECORD, or against the locked artifact itself.",
)
@click.option("--accept", is_flag=True, help="Seal a drifted environment too, and name its drifts in the seal.")
@click.option("--canary", metavar="FILE", default="", help="A program that `run` starts first, whose output is sealed too.")
@click.option(
    "--files", is_flag=True, help="Also write the rows behind each digest, to the seal's name with .files in place of .json."
)
@click.option("--from-lock", is_flag=True, help="State it from the lock and its wheels alone: no environment is needed.")
@click.option("--platform", metavar="NAME", multiple=True, help="From a lock: for this platform (linux-x86_64-glibc); repeatable.")
@click.option("--python-version", metavar="X.Y.Z", multiple=True, help="From a lock: for this exact Python (3.11.7); repeatable.")
@click.option("--group", metavar="NAME", multiple=True, help="From a lock: with this dependency group; repeatable.")
@click.option("--extra", metavar="NAME", multiple=True, help="From a lock: with this extra; repeatable.")
@click.option("--no-project", is_flag=True, help="From a lock: without the project, as `uv sync --no-install-project`.")
@click.option("--archive", metavar="DIR", default="", help="Take wheels from this archive where it has them.")
@click.option("--offline", is_flag=True, help="Ask no index.")
@click.option("-o", "--output", metavar="FILE", default="", help="The seal; by default env.seal.json in the project's folder.")
@click.option("--check", is_flag=True, help="Only say whether the seal was made under the lock as it is now; write nothing.")
def seal(
    *,
    env: str,
    python: str,
    root: str,
    workers: int,
    lock: str,
    depth: str,
    accept: bool,
    canary: str,
    files: bool,
    from_lock: bool,
    platform: tuple[str, ...],
    python_version: tuple[str, ...],
    group: tuple[str, ...],
    extra: tuple[str, ...],
    no_project: bool,
    archive: str,
    offline: bool,
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

    only = (*platform, *python_version, *group, *extra, no_project)
    if depth != Depth.ARTIFACT and not from_lock:
        only = (*only, archive, offline)
    mixed = (env, python, root, accept, canary, files, check, workers) if from_lock else only
    if any(mixed):
        words = (
            "with --from-lock there is no environment"
            if from_lock
            else "these options go with --from-lock, and --archive and --offline with --depth artifact too"
        )
        fail(UsageError("usage", words, hint="see `sanctity seal --help`"), "seal", "text")
    if from_lock:
        _seal_lock(
            lambda world: verbs.seal_lock(
                world,
                lock=lock,
                platforms=platform,
                pythons=python_version,
                archive=archive,
                offline=offline,
                groups=group,
                extras=extra,
                project=not no_project,
                output=output,
            )
        )
        return
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
            depth=Depth(depth),
            means=verbs.Means(archive=archive, offline=offline),
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


def _seal_lock(work: Callable[[World], FromLock]) -> None:
    """Write the seal that *work* makes of a lock, and say what it states."""
    from sanctity.report.text import from_lock_text

    made: FromLock = perform("seal", "text", work)
    try:
        write(made.text, made.path)
        write(from_lock_text(made.seal, made.made, paint(sys.stdout)), "")
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
