"""What is wrong with a project around its locks."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanctity.model.finding import Finding, LintedLock
    from sanctity.model.lock import LockFormat
    from sanctity.verbs.world import World

__all__ = ["judge_project"]


def judge_project(folder: str, world: World, locks: Sequence[LintedLock]) -> tuple[Finding, ...]:
    """The findings on the project in *folder*, whose *locks* were read; each with its path as a report shows it.

    What can not be read is passed over or told in a note: nothing of a project's own files is an error here.
    """
    from sanctity.linting.project import judge
    from sanctity.observe.project import observe_project

    place = os.path.abspath(os.path.join(world.cwd, folder))
    named = [(os.path.relpath(os.path.join(world.cwd, linted.path), place), linted.lock) for linted in locks]
    formats: list[tuple[str, LockFormat]] = [(path, lock.format) for path, lock in named if lock is not None]
    facts = observe_project(place, formats, environ=world.environ)
    return tuple(
        replace(finding, path=shown(os.path.normpath(os.path.join(place, finding.path)), world)) for finding in judge(facts, named)
    )
