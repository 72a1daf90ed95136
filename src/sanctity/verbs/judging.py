"""One function for each verb of the command line: hands look, thought compares, a value comes back.

What a verb may know of the world comes in as arguments: the working folder, the environment variables and the clock.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError, UsageError
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Comparison, Depth, Drift, Reference, ReferenceKind, Severity, Unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sanctity.model.environment import Environment, Fingerprint
    from sanctity.model.lock import Lock
    from sanctity.observe.places import Place
    from sanctity.plan.repair import RepairPlan

__all__ = ["Outcome", "Target", "World", "fingerprint", "verify"]


def _never_tick(_done: int, _found: int) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a verb may know of the process it runs in: *cwd*, *environ*, a *clock* in seconds, and who wants progress told."""

    cwd: str
    environ: Mapping[str, str]
    clock: Callable[[], float]
    tick: Callable[[int, int], None] = _never_tick


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


def _locate(target: Target, world: World) -> tuple[str, Place]:
    from sanctity.observe.places import find_environment, find_project

    start = os.path.join(world.cwd, target.project)
    if not os.path.isdir(start):
        raise UsageError("usage", "there is no such folder", where=target.project, hint="name the project's folder, or its lock")
    project = find_project(start)
    place = find_environment(project, environ=world.environ, cwd=world.cwd, env=target.env, python=target.python, root=target.root)
    return project, place


def _meant(target: Target, reference: str, world: World) -> tuple[Target, str]:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """What to compare with: a *lock*, a *literal* fingerprint, or neither; and a *notice* on what was passed over."""

    lock: Lock | None = None
    literal: Digest | None = None
    notice: str = ""


def _read_reference(reference: str, project: str, beside: str, world: World) -> _Reference:
    """The lock, or the literal fingerprint, that *reference* names; with none named, the project's own lock if it has one.

    Where the project has none, the folder *beside* the environment is looked into. With a literal fingerprint the project's lock is
    read as well, since only a lock can name what differs.
    """
    from sanctity.observe.locks import read_lock
    from sanctity.observe.places import find_lock

    if reference.startswith("sha256:"):
        try:
            literal = Digest.parse(reference)
        except ValueError as error:
            raise UsageError("usage", str(error), where=reference, hint="a fingerprint is sha256: and 64 hex digits") from error
        lock, _ = find_lock(project)
        return _Reference(lock=_exact(read_lock(_shown(lock, world))) if lock else None, literal=literal)
    if reference:
        return _Reference(lock=_exact(read_lock(os.path.expanduser(reference))))
    path, notice = find_lock(project)
    if not path and beside:
        path, notice = find_lock(beside)
    return _Reference(lock=_exact(read_lock(_shown(path, world))) if path else None, notice=notice)


def _shown(path: str, world: World) -> str:
    """*path* as a report prints it: relative where it lies below the working folder."""
    return os.path.relpath(path, world.cwd) if path.startswith(world.cwd.rstrip("/") + "/") else path


def _exact(lock: Lock) -> Lock:
    """*lock*, if it pins what it takes from an index: a file of loose requirements decides nothing to compare with."""
    from sanctity.model.lock import SourceKind

    loose = sorted({pin.name for pin in lock.pins if not pin.version and pin.source.kind is SourceKind.REGISTRY})
    if loose:
        some = ", ".join(loose[:4]) + (f" and {len(loose) - 4} more" if len(loose) > 4 else "")
        raise DocumentError(
            "lock-not-pinned",
            f"it gives no exact version for {some}, so it is no lock",
            where=lock.path,
            hint=f"lock it: uv pip compile --generate-hashes {lock.path} -o requirements-lock.txt",
        )
    return lock


def _observe(
    place: Place, target: Target, world: World, *, depth: Depth, workers: int, meanwhile: Iterable[object] = ()
) -> Environment:
    from sanctity.observe.environment import observe_environment

    return observe_environment(
        place.prefix,
        depth=depth,
        clock=world.clock,
        root=os.path.abspath(os.path.join(world.cwd, target.root)) if target.root else "",
        workers=workers,
        tick=world.tick,
        meanwhile=meanwhile,
    )


def verify(
    target: Target,
    world: World,
    *,
    reference: str = "",
    depth: Depth = Depth.RECORD,
    groups: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    workers: int = 0,
) -> Outcome:
    """Compare an environment with a lock, a literal fingerprint (``sha256:…``), or, where there is neither, its own RECORDs.

    *reference* empty means the project's own lock. *groups* and *extras* are required beside those found to be selected.

    Raises:
        UsageError: an argument names nothing, or what does not go together.
        NoEnvironmentError: there is no environment.
        DocumentError: the lock can not be read.
        ObservationError: the environment can not be looked at.
    """
    started = world.clock()
    target, reference = _meant(target, reference, world)
    project, place = _locate(target, world)
    beside = os.path.dirname(place.prefix) if target.env and not target.root else ""
    read: list[_Reference] = []

    def prepare() -> Iterator[None]:
        """What can be done while the files are read: the lock, and the modules that will compare."""
        read.append(_read_reference(reference, project, beside, world))
        if (groups or extras) and read[0].lock is None:
            raise UsageError("usage", "groups and extras need a lock that lists them", hint="name the lock, or leave them out")
        if read[0].literal is not None and depth is Depth.VERSION:
            raise UsageError("usage", "a fingerprint is over every byte", where="--depth version", hint="leave --depth out")
        yield
        importlib.import_module("sanctity.compare.comparison")
        importlib.import_module("sanctity.plan.repair")

    environment = _observe(place, target, world, depth=depth, workers=workers, meanwhile=prepare())
    return _judge(environment, read[0], place, target, world, started, project=project, depth=depth, groups=groups, extras=extras)


def _judge(
    environment: Environment,
    read: _Reference,
    place: Place,
    target: Target,
    world: World,
    started: float,
    *,
    project: str,
    depth: Depth,
    groups: tuple[str, ...],
    extras: tuple[str, ...],
) -> Outcome:
    from sanctity.compare.comparison import compare_with_lock, compare_with_records
    from sanctity.model.lock import RootKind
    from sanctity.observe.places import read_project_name
    from sanctity.plan.repair import plan_repair, with_hints

    lock, literal = read.lock, read.literal
    folder = os.path.dirname(os.path.abspath(os.path.join(world.cwd, lock.path))) if lock else project
    matched = _match_literal(compare_with_records(environment, depth=depth), environment, literal) if literal else None
    if matched is not None:
        comparison = matched
    elif lock is not None:
        comparison = compare_with_lock(
            environment,
            lock,
            depth=depth,
            lock_folder=_as_seen(folder, target, world),
            project_name=read_project_name(folder),
            groups=groups or None,
            extras=extras or None,
        )
    else:
        comparison = compare_with_records(environment, depth=depth)
    if literal is not None and matched is None:
        comparison = _mismatch_literal(comparison, literal)
    plan = plan_repair(
        comparison,
        environment,
        format=lock.format if lock else None,
        generator=lock.generator if lock else "",
        folder=os.path.relpath(folder, world.cwd),
        env=_from(folder, place.prefix),
        lock=os.path.basename(lock.path) if lock else "",
        default_groups=frozenset(root.name for root in lock.roots if root.kind is RootKind.GROUP and root.default)
        if lock
        else frozenset(),
    )
    comparison = replace(with_hints(comparison, plan), prefix=place.shown, seconds=world.clock() - started)
    told = tuple(
        f"{note.code}: {note.where}: {note.message}" if note.where else f"{note.code}: {note.message}"
        for note in (lock.notes if lock else ())
    )
    notices = tuple(text for text in (place.notice, read.notice, *told) if text)
    return Outcome(comparison=comparison, plan=plan, notices=notices)


def _as_seen(folder: str, target: Target, world: World) -> str:
    """*folder* as the environment sees it, every link resolved: below an image's root, where it lies there."""
    real = os.path.realpath(folder)
    root = os.path.realpath(os.path.join(world.cwd, target.root)) if target.root else ""
    return real[len(root) :] or "/" if root and f"{real}/".startswith(root.rstrip("/") + "/") else real


def _from(folder: str, path: str) -> str:
    """*path* as seen from *folder*: relative where it lies inside."""
    return os.path.relpath(path, folder) if path.startswith(folder.rstrip("/") + "/") else path


def _match_literal(comparison: Comparison, environment: Environment, literal: Digest) -> Comparison | None:
    """*comparison* with a literal fingerprint that *environment* has, or None where it has another.

    What an environment is seeded with depends on the lock, which a literal does not name; so the digest may be over the
    environment with any of pip, setuptools and wheel counted in. What the fingerprint covers is as it was when that was taken, so
    it is told and does not gate.
    """
    from itertools import combinations

    from packaging.utils import canonicalize_name

    from sanctity.compare.comparison import fingerprint_of
    from sanctity.compare.ownership import own
    from sanctity.compare.selection import SEEDS

    reference = Reference(kind=ReferenceKind.FINGERPRINT, digest=str(literal))
    index = own(environment)
    present = sorted(SEEDS & {item.key for item in environment.distributions})
    uncovered = {Code.BYTECODE_UNCHECKED, Code.INTERPRETER_CHANGED}
    for size in range(len(present), -1, -1):
        for seeds in combinations(present, size):
            found = fingerprint_of(environment, frozenset(seeds), index)
            if found is not None and found.digest == literal:
                drifts = tuple(
                    drift
                    if not drift.gating or drift.code in uncovered or canonicalize_name(drift.distribution) in seeds
                    else replace(drift, gating=False, severity=Severity.WARNING)
                    for drift in comparison.drifts
                )
                return replace(comparison, reference=reference, fingerprint=found, drifts=drifts)
    return None


def _mismatch_literal(comparison: Comparison, literal: Digest) -> Comparison:
    """*comparison* with a literal fingerprint that the environment does not have, or of which it can not be told."""
    reference = replace(comparison.reference, kind=ReferenceKind.FINGERPRINT, digest=str(literal))
    if comparison.fingerprint is None:
        blind = Unchecked(
            code="unreadable", what="fingerprint", reason="a part of the environment could not be read", in_scope=True
        )
        return replace(comparison, reference=reference, unchecked=(*comparison.unchecked, blind))
    named = any(drift.gating for drift in comparison.drifts)
    against = f"{comparison.reference.path} and its RECORDs" if comparison.reference.path else "its own RECORDs"
    drift = Drift(
        code=Code.FINGERPRINT_MISMATCH,
        expected=str(literal),
        actual=str(comparison.fingerprint.digest),
        message=f"what differs from {against} is named here"
        if named
        else f"it agrees with {against}, so these can not name what differs",
    )
    return replace(comparison, reference=reference, drifts=(drift, *comparison.drifts))


def fingerprint(target: Target, world: World, *, reference: str = "", workers: int = 0) -> tuple[Fingerprint, str]:
    """The fingerprint of an environment, and how to show its place. The lock only says which of pip, setuptools and wheel count.

    Raises as `verify` does, and ObservationError where a part of the environment could not be read.
    """
    from sanctity.compare.comparison import fingerprint_of, seeds_of
    from sanctity.errors import ObservationError

    target, reference = _meant(target, reference, world)
    project, place = _locate(target, world)
    lock = _read_reference(reference, project, "", world).lock
    environment = _observe(place, target, world, depth=Depth.RECORD, workers=workers)
    found = fingerprint_of(environment, seeds_of(lock))
    if found is None:
        blind = next((f"{item.path}: {item.reason}" for item in environment.problems), "")
        without = next(
            (f"{item.name} has no content that could be read" for item in environment.distributions if not item.content), ""
        )
        why = blind or without or "its interpreter is not known"
        raise ObservationError(
            "no-fingerprint", f"a part of it could not be read: {why}", where=place.shown, hint="`sanctity verify` names every part"
        )
    return found, place.shown
