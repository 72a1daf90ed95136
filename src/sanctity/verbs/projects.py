"""What is wrong with a project around its locks."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanctity.model.finding import Finding, LintedLock
    from sanctity.model.lock import LockFormat
    from sanctity.verbs.world import World

__all__ = ["judge_project"]

_MOST_NAMED: Final = 12


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
    found = list(judge(facts, named))
    if not (locks or facts.locks or facts.seals or facts.above or any(finding.code == "lock-missing" for finding in found)):
        found.append(_nothing(place))
    return tuple(_placed(finding, place, world) for finding in found)


def _nothing(place: str) -> Finding:
    """What is told of a folder in which there is nothing to look at: that it was not looked at is no pass."""
    from sanctity.linting.subject import finding, some
    from sanctity.observe.lock_files import projects_below

    below = projects_below(place)
    message = "there is nothing to lint here: no lock, and nothing that asks for packages"
    hint = "name the folder of a project, or a lock"
    if below:
        message += f"; projects lie in {some([f'{name}/' for name in below])}"
        hint = f"name them: sanctity lint {' '.join(below[:_MOST_NAMED])}" + (" …" if len(below) > _MOST_NAMED else "")
    return finding("lock-missing", message, hint=hint, about=("nothing to lint",))


def _placed(finding: Finding, place: str, world: World) -> Finding:
    """*finding* on the project in *place* as a report shows it, and its command as it is run from the working folder."""
    there = os.path.normpath(os.path.join(place, finding.path))
    path = "." if there == world.cwd else shown(there, world)
    if not finding.command or place == world.cwd:
        return replace(finding, path=path)
    command = f"cd {shlex.quote(shown(place, world))} && {finding.command}"
    hint = command if finding.hint == finding.command else finding.hint
    return replace(finding, path=path, command=command, hint=hint)
