"""What a verb may know of the world, and which environment it is about."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from time import time_ns
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from sanctity.model.drift import Comparison
    from sanctity.model.lock import Lock
    from sanctity.observe.places import Place
    from sanctity.plan.repair import RepairPlan

__all__ = ["Outcome", "Target", "World", "folder_of", "from_folder", "locate", "meant", "root_of", "seen_by_environment", "shown"]


def _never_tick(_done: int, _found: int) -> None:
    return


def _today() -> date:
    from datetime import UTC, datetime

    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a verb may know of the process it runs in.

    *cwd*, *environ*, a *clock* in seconds, who wants progress told (*tick*), the day (UTC) that waivers are looked at, the folder
    of the user's own packages (*user_base*, as PEP 370 names it), empty for nobody's, and the time by which files are remembered.
    """

    cwd: str
    environ: Mapping[str, str]
    clock: Callable[[], float]
    tick: Callable[[int, int], None] = _never_tick
    today: Callable[[], date] = _today
    user_base: str = ""
    now_ns: Callable[[], int] = time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which environment is meant: a *project* folder, or one named by *env*, *python*, or below an image's *root*."""

    project: str = "."
    env: str = ""
    python: str = ""
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A comparison, what would repair it, and what a reader should be told beside it."""

    comparison: Comparison
    plan: RepairPlan
    notices: tuple[str, ...] = ()


def locate(target: Target, world: World) -> tuple[str, Place]:
    """The project's folder, and the environment that *target* means."""
    from sanctity.observe.places import find_environment, find_project

    start = os.path.join(world.cwd, target.project)
    if not os.path.isdir(start):
        raise UsageError("usage", "there is no such folder", where=target.project, hint="name the project's folder, or its lock")
    project = find_project(start)
    place = find_environment(project, environ=world.environ, cwd=world.cwd, env=target.env, python=target.python, root=target.root)
    return project, place


def meant(target: Target, reference: str, world: World) -> tuple[Target, str]:
    """The target and reference that are meant where one stands in the other's place: a folder for a lock, or a lock for a folder.

    A lock that is named stands for its project too, unless an environment is named as well.
    """
    if reference.startswith("sha256:"):
        return target, reference
    named = os.path.join(world.cwd, os.path.expanduser(reference)) if reference else ""
    if named and os.path.isdir(named):
        return replace(target, project=named), ""
    if not reference and os.path.isfile(os.path.join(world.cwd, target.project)):
        named, reference = os.path.join(world.cwd, target.project), target.project
    if named and not os.path.exists(named):
        raise DocumentError("lock-not-found", "there is no such file", where=reference, hint="name the project's lock")
    if named and not (target.env or target.python or target.root):
        return replace(target, project=os.path.dirname(named)), reference
    return (replace(target, project="."), reference) if named else (target, reference)


def shown(path: str, world: World) -> str:
    """*path* as a report prints it: relative where it lies below the working folder."""
    return os.path.relpath(path, world.cwd) if path.startswith(world.cwd.rstrip("/") + "/") else path


def folder_of(lock: Lock, world: World) -> str:
    """The absolute folder that *lock* lies in."""
    return os.path.dirname(os.path.abspath(os.path.join(world.cwd, lock.path)))


def root_of(target: Target, world: World) -> str:
    """The absolute root of the image that *target* lies in, empty where it is this machine."""
    return os.path.abspath(os.path.join(world.cwd, target.root)) if target.root else ""


def seen_by_environment(folder: str, target: Target, world: World) -> str:
    """*folder* as the environment sees it, every link resolved: below an image's root, where it lies there."""
    real = os.path.realpath(folder)
    root = os.path.realpath(os.path.join(world.cwd, target.root)) if target.root else ""
    return real[len(root) :] or "/" if root and f"{real}/".startswith(root.rstrip("/") + "/") else real


def from_folder(folder: str, path: str) -> str:
    """*path* as seen from *folder*: relative where it lies inside."""
    return os.path.relpath(path, folder) if path.startswith(folder.rstrip("/") + "/") else path
