"""One look at an environment made by `sites`, in process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sanctity import verbs

if TYPE_CHECKING:
    from pathlib import Path

    from sanctity.model.drift import Comparison

__all__ = ["gating", "in_doubt", "look"]


def look(env: Path, **options: object) -> Comparison:
    """The comparison of *env* with its own RECORDs; *options* are `verbs.verify`'s."""
    world = verbs.World(cwd=str(env.parent), environ={}, clock=time.monotonic)
    return verbs.verify(verbs.Target(project=str(env.parent), env=str(env)), world, **options).comparison  # type: ignore[arg-type]


def gating(comparison: Comparison) -> set[tuple[str, str]]:
    """(code, path) of every drift that decides the verdict."""
    return {(str(drift.code), drift.path) for drift in comparison.drifts if drift.gating}


def in_doubt(comparison: Comparison) -> set[tuple[str, str]]:
    """(code, what) of everything in scope that could not be looked at."""
    return {(item.code, item.what) for item in comparison.unchecked if item.in_scope}
