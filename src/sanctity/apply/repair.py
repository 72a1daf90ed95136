"""Run the commands of a repair plan, one after the other, in the project's folder."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.plan.repair import RepairPlan

__all__ = ["apply_repair"]


def apply_repair(plan: RepairPlan, *, cwd: str, environ: Mapping[str, str]) -> int:
    """Run every step of *plan*; returns how many ran. What a command prints goes where ours does.

    Raises:
        SanctityError: ``repair-failed``, a command could not be started or did not succeed; later steps are not run.
    """
    folder = os.path.join(cwd, plan.folder)
    for count, step in enumerate(plan.steps):
        try:
            done = subprocess.run(list(step.command), cwd=folder, env=dict(environ), check=False)
        except OSError as error:
            raise SanctityError(
                "repair-failed",
                f"{step.command[0]} can not be started: {error.strerror}",
                where=str(step),
                hint="install it, or run the rest by hand",
            ) from error
        if done.returncode:
            after = f"{count} of {len(plan.steps)} steps are done"
            raise SanctityError(
                "repair-failed",
                f"it ended with {done.returncode}; {after}",
                where=str(step),
                hint="see its own message above, then repair again",
            )
    return len(plan.steps)
