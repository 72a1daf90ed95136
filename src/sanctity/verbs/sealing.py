"""`seal`: state what an environment must be, once it is what its lock says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanctity.model.drift import Depth, Verdict
from sanctity.verbs.judging import compare_and_judge, fingerprint_or_fail, look, seeds_for
from sanctity.verbs.references import lock_beside
from sanctity.verbs.running import canary_of
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from sanctity.model.seal import Seal
    from sanctity.verbs.judging import Look
    from sanctity.verbs.world import Outcome, Target, World

__all__ = ["Sealing", "seal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What sealing came to: the *outcome* of the comparison before it, and the seal with its *text*, None where it was refused.

    *path* is where it belongs; *files_text* is the text of ``env.seal.files``, empty where nobody asked for it.
    """

    outcome: Outcome
    path: str = ""
    seal: Seal | None = None
    text: str = ""
    files_text: str = ""


def seal(
    target: Target,
    world: World,
    *,
    lock: str = "",
    output: str = "",
    accept: bool = False,
    canary: str = "",
    files: bool = False,
    workers: int = 0,
) -> Sealing:
    """Compare an environment with its lock, and state what it is in a seal.

    *lock* names the lock, by default the project's own; *output* is the seal's path, by default ``env.seal.json`` in the project's
    folder. What the seal there says of other platforms and Pythons is kept. A drifted environment is sealed only with *accept*,
    and then the drifts are named in the seal; what could not be looked at is never sealed. *canary* is the path of a canary's
    description, which is run twice; *files* asks for the rows behind each digest.

    Raises:
        SanctityError: as `verify`, or the canary does not say the same twice.
    """
    from sanctity.observe.seals import SEAL_NAME, read_seal
    from sanctity.seals.document import format_seal, seal_of
    from sanctity.seals.make import merged, seal_environment

    taken = look(target, world, reference=lock, workers=workers, platform=True, keep_rows=files, seals=False)
    outcome = compare_and_judge(taken, world, depth=Depth.RECORD)
    comparison = outcome.comparison
    if comparison.verdict is Verdict.UNDECIDED or (comparison.verdict is Verdict.DRIFTED and not accept):
        return Sealing(outcome=outcome)
    path = os.path.join(world.cwd, output) if output else f"{taken.project}/{SEAL_NAME}"
    folder = os.path.dirname(os.path.abspath(path))
    before = read_seal(path, shown=shown(path, world)) if os.path.exists(path) else None
    found = taken.references.lock
    made = seal_environment(
        taken.environment,
        fingerprint_or_fail(taken),
        seeds=seeds_for(taken.references, taken.environment),
        comparison=comparison,
        lock=found,
        sealed_lock=lock_beside(found, folder, world) if found is not None else None,
    )
    policy = taken.judging
    sealed = seal_of(
        shown(path, world),
        merged(before, made),
        policy=policy.policy,
        waivers=policy.waivers,
        canary=canary_of(canary, taken, comparison, folder, world) if canary else before.canary if before is not None else None,
    )
    return Sealing(
        outcome=outcome,
        path=path,
        seal=sealed,
        text=format_seal(sealed),
        files_text=_files_text(taken, sealed, path) if files else "",
    )


def _files_text(taken: Look, sealed: Seal, path: str) -> str:
    """The text of the rows beside the seal at *path*: those of what was looked at, and those kept for its other entries."""
    from sanctity.observe.seal_files import read_rows
    from sanctity.seals.files import files_of, format_files

    return format_files({**read_rows(path), **files_of(taken.environment)}, sealed)
