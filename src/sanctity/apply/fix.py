"""Run the commands that mend locks, one after the other, each in its own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.linting.remedies import Step

__all__ = ["apply_fix", "is_installed"]


def is_installed(tool: str, environ: Mapping[str, str]) -> bool:
    """Whether a program called *tool* is on the path of *environ*."""
    return shutil.which(tool, path=environ.get("PATH", os.defpath)) is not None


def apply_fix(step: Step, *, cwd: str, environ: Mapping[str, str]) -> None:
    """Run *step*. Its messages go where our own go; what it prints as its result (uv prints the whole file) is in the lock already.

    Raises:
        SanctityError: ``fix-failed``, it could not be started or did not succeed.
    """
    program = shutil.which(step.command[0], path=environ.get("PATH", os.defpath))
    if program is None:
        hint = "install it, as the project's own documentation has it, and run it by hand or again with --fix --apply"
        raise SanctityError("fix-failed", f"{step.command[0]} is not installed", where=str(step), hint=hint)
    try:
        done = subprocess.run(
            [program, *step.command[1:]],
            cwd=os.path.join(cwd, step.folder),
            env=dict(environ),
            check=False,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise SanctityError(
            "fix-failed", f"it can not be started: {error.strerror}", where=str(step), hint="run it by hand"
        ) from error
    if done.returncode:
        hint = "see its own message above, or run it by hand, and lint again"
        raise SanctityError("fix-failed", f"it ended with {done.returncode}", where=str(step), hint=hint)
