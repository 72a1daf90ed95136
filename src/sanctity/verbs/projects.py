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
    from sanctity.model.lock import Lock, LockFormat
    from sanctity.verbs.world import World

    #: A lock that was read, by its path as seen from a folder.
    _Named = tuple[str, Lock | None]

__all__ = ["judge_project", "shown_from"]

_MOST_NAMED: Final = 12


def judge_project(folder: str, world: World, locks: Sequence[LintedLock]) -> tuple[Finding, ...]:
    """The findings on the project in *folder*, whose *locks* were read; each with its path as a report shows it.

    What can not be read is passed over or told in a note: nothing of a project's own files is an error here.
    """
    from sanctity.linting.project import judge, judge_above
    from sanctity.observe.project import observe_project

    place = os.path.abspath(os.path.join(world.cwd, folder))
    own, above = _by_folder(place, locks, world)
    facts = observe_project(place, _formats(own), environ=world.environ)
    found = list(judge(facts, own))
    if not (locks or facts.locks or facts.seals or facts.above or any(finding.code == "lock-missing" for finding in found)):
        found.append(_nothing(place, world))
    placed = [_placed(finding, place, world) for finding in found]
    for root, its in above.items():
        of_all = observe_project(root, _formats(its), environ=world.environ)
        placed += [_placed(finding, root, world) for finding in judge_above(of_all, its, facts.texts)]
    return tuple(placed)


def _by_folder(place: str, locks: Sequence[LintedLock], world: World) -> tuple[list[_Named], dict[str, list[_Named]]]:
    """*locks* by their paths as seen from *place*, and those of a folder further up as seen from there, by the folder."""
    own: list[_Named] = []
    above: dict[str, list[_Named]] = {}
    for linted in locks:
        path = os.path.normpath(os.path.join(world.cwd, linted.path))
        root = os.path.dirname(path)
        if root != place and place.startswith(root.rstrip("/") + "/"):
            above.setdefault(root, []).append((os.path.basename(path), linted.lock))
        else:
            own.append((os.path.relpath(path, place), linted.lock))
    return own, above


def _formats(named: Sequence[_Named]) -> list[tuple[str, LockFormat]]:
    return [(path, lock.format) for path, lock in named if lock is not None]


def shown_from(path: str, world: World) -> str:
    """The file *path* as a report prints it, and from the working folder too where that lies below it: ``../../uv.lock``."""
    return os.path.normpath(os.path.join(_folder_from(os.path.dirname(path), world), os.path.basename(path)))


def _folder_from(folder: str, world: World) -> str:
    below = f"{world.cwd.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    return os.path.relpath(folder, world.cwd) if below else shown(folder, world)


def _nothing(place: str, world: World) -> Finding:
    """What is told of a folder in which there is nothing to look at: that it was not looked at is no pass."""
    from sanctity.linting.subject import finding, some
    from sanctity.observe.lock_files import projects_below
    from sanctity.observe.places import find_project

    below, above = projects_below(place), find_project(place)
    message = "there is nothing to lint here: no lock, and nothing that asks for packages"
    hint = "name the folder of a project, or a lock"
    if above != place:
        hint = f"name its project: sanctity lint {shlex.quote(_folder_from(above, world))}"
    if below:
        message += f"; projects lie in {some([f'{name}/' for name in below])}"
        hint = f"name them: sanctity lint {' '.join(below[:_MOST_NAMED])}" + (" …" if len(below) > _MOST_NAMED else "")
    return finding("lock-missing", message, hint=hint, about=("nothing to lint",))


def _placed(finding: Finding, place: str, world: World) -> Finding:
    """*finding* on the project in *place* as a report shows it, and its command as it is run from the working folder."""
    there = os.path.normpath(os.path.join(place, finding.path))
    path = "." if there == world.cwd else shown_from(there, world)
    if not finding.command or place == world.cwd:
        return replace(finding, path=path)
    command = f"cd {shlex.quote(_folder_from(place, world))} && {finding.command}"
    hint = command if finding.hint == finding.command else finding.hint
    return replace(finding, path=path, command=command, hint=hint)
