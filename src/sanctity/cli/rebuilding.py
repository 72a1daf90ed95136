"""The command that builds an environment again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sanctity.cli.common import EXIT, fail, paint, perform, tell, write
from sanctity.errors import SanctityError
from sanctity.model.drift import Verdict

if TYPE_CHECKING:
    from sanctity.verbs.rebuilding import Rebuilding

__all__ = ["rebuild"]


@click.command()
@click.argument("reference")
@click.argument("target")
@click.option(
    "--archive",
    metavar="DIR",
    default="",
    envvar="SANCTITY_ARCHIVE",
    help="Take what this archive has; by default $SANCTITY_ARCHIVE.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and make nothing.")
@click.option(
    "--python",
    metavar="EXE|VERSION",
    default="",
    help="The interpreter to build on; by default what the seal, or the project, asks for.",
)
@click.option("--group", "groups", multiple=True, metavar="NAME", help="Of a lock: this dependency group too; may be repeated.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="Of a lock: this extra too; may be repeated.")
@click.option("--engine", type=click.Choice(["uv", "pip"]), default=None, help="What installs; by default uv, where it is there.")
@click.option("--offline", is_flag=True, help="Ask no index: take what the archive and the caches have.")
@click.option("--no-project", is_flag=True, help="Leave editables out, even where their folders are there.")
@click.option("--discard", is_flag=True, help="Remove what could not be proven, rather than give it another name.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print.")
def rebuild(
    *,
    reference: str,
    target: str,
    archive: str,
    dry_run: bool,
    python: str,
    groups: tuple[str, ...],
    extras: tuple[str, ...],
    engine: str | None,
    offline: bool,
    no_project: bool,
    discard: bool,
    format_: str,
) -> None:
    """Build the environment again that REFERENCE describes, at TARGET, and prove it.

    REFERENCE is a lock, a seal, a project's folder, or, with --archive, the digest or name of what the archive holds. Without an
    archive every file is fetched by its hash. The proof is printed, and written to TARGET.proof.json. TARGET
    must not exist, or be empty.

    Exit codes: 0 proven, 1 it came out otherwise (then it is TARGET.unproven), 3 something is missing, or can not be known.
    """
    from sanctity.report.rebuild import plan_document, plan_text, proof_document, proof_json, proof_text
    from sanctity.verbs.rebuilding import Ways
    from sanctity.verbs.rebuilding import rebuild as build

    ways = Ways(
        archive=archive,
        offline=offline,
        python=python,
        groups=groups,
        extras=extras,
        engine=engine or "",
        project=not no_project,
        discard=discard,
    )
    made: Rebuilding = perform("rebuild", format_, lambda world: build(reference, target, world, ways, dry_run=dry_run))
    plan, proof = made.plan, made.proof
    if proof is None:
        write(proof_json(plan_document(plan)) if format_ == "json" else plan_text(plan, paint(sys.stdout)), "")
        raise SystemExit(3 if plan.missing else 0)
    lines = [(had.item, had.filename, had.sha256, had.place, had.content, had.proof) for had in proof.had]
    claims: dict[str, Any] = {"expected": proof.expected, "actual": proof.actual, "left": proof.left, "unknown": proof.unknown}
    document = proof_document(plan, proof.comparison, lines, **claims)
    path = f"{proof.place or plan.target}.proof.json"
    for notice in (*plan.notices, *made.notices):
        tell(f"note: {notice}\n")
    try:
        write(proof_json(document), path)
        if format_ == "json":
            write(proof_json(document), "")
        else:
            write(proof_text(plan, proof.comparison, **claims, place=proof.place, proof=path, paint=paint(sys.stdout)), "")
    except SanctityError as error:
        fail(error, "rebuild", format_)
    verdict = proof.comparison.verdict
    raise SystemExit(EXIT[Verdict.UNDECIDED if proof.unknown and verdict is Verdict.CLEAN else verdict])
