"""`check`, `verify` and `fingerprint`: look at an environment, compare it with its reference, judge it by its policy."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sanctity.errors import UsageError
from sanctity.model.drift import Code, Comparison, Depth, Drift, Unchecked
from sanctity.verbs.references import Judging, References, has_rows_beside, read_policies, read_references, unsealed
from sanctity.verbs.world import Outcome, folder_of, from_folder, locate, meant, root_of, seen_by_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.environment import Environment, Fingerprint, KnownFile
    from sanctity.model.lock import Lock
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.observe.places import Place
    from sanctity.verbs.proving import Means
    from sanctity.verbs.world import Target, World

__all__ = [
    "Look",
    "compare_and_judge",
    "fingerprint",
    "fingerprint_or_fail",
    "look",
    "observe",
    "seeds_for",
    "verify",
    "with_platform",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look that was taken: the *environment*, where it is, what to compare it with and by what to judge it."""

    environment: Environment
    place: Place
    project: str
    references: References
    judging: Judging
    target: Target
    started: float


def observe(
    place: Place,
    target: Target,
    world: World,
    *,
    depth: Depth,
    workers: int,
    meanwhile: Iterable[object] = (),
    keep_rows: bool = False,
    known: Mapping[str, KnownFile] | None = None,
) -> Environment:
    """The environment at *place*; *known* are files that need not be read again while they are the same."""
    from sanctity.observe.environment import observe_environment
    from sanctity.observe.sites import find_user_base

    root = root_of(target, world)
    return observe_environment(
        place.prefix,
        depth=depth,
        clock=world.clock,
        root=root,
        user_base=find_user_base(root) if root else world.user_base,
        workers=workers,
        tick=world.tick,
        meanwhile=meanwhile,
        keep_rows=keep_rows,
        known=known or {},
    )


def with_platform(environment: Environment, target: Target, world: World, *, workers: int) -> Environment:
    """*environment* with what it stands on."""
    from sanctity.observe.platform import observe_platform
    from sanctity.observe.view import View

    view = View(root_of(target, world))
    found, problems = observe_platform(
        view, environment, environ=world.environ, workers=workers, clock=world.clock, tick=world.tick
    )
    return replace(
        environment,
        platform=found,
        problems=tuple(sorted({*environment.problems, *problems})),
        asked=tuple(sorted({*environment.asked, *view.asked})),
        listed=tuple(sorted({*environment.listed, *view.listed})),
    )


def look(
    target: Target,
    world: World,
    *,
    reference: str = "",
    depth: Depth = Depth.RECORD,
    workers: int = 0,
    profile: str = "",
    asked: bool = False,
    platform: bool = False,
    keep_rows: bool = False,
    seals: bool = True,
    before: Look | None = None,
    known: Mapping[str, KnownFile] | None = None,
) -> Look:
    """Look at the environment that *target* means, while *reference* is read; *asked* says that groups or extras were asked for.

    *platform* looks at what it stands on even where no seal asks for it; without *seals* none is looked for. With a look taken
    *before*, the same environment is looked at, and held to what was read then.
    """
    started = world.clock()
    if before is not None:
        target, project, place = before.target, before.project, before.place
    else:
        target, reference = meant(target, reference, world)
        project, place = locate(target, world)
    beside = os.path.dirname(place.prefix) if target.env and not target.root else ""
    read: list[References] = []

    def prepare() -> Iterator[None]:
        """What can be done while the files are read: the reference, and the modules that will compare."""
        read.append(before.references if before else read_references(reference, project, beside, world, seals=seals))
        if asked and read[0].lock is None:
            raise UsageError("usage", "groups and extras need a lock that lists them", hint="name the lock, or leave them out")
        if read[0].literal is not None and depth is Depth.VERSION:
            raise UsageError("usage", "a fingerprint is over every byte", where="--depth version", hint="leave --depth out")
        yield
        importlib.import_module("sanctity.compare.comparison" if read[0].lock else "sanctity.compare.records")
        importlib.import_module("sanctity.plan.repair")

    keep_rows = keep_rows or (seals and has_rows_beside(reference, project, beside, world))
    environment = observe(place, target, world, depth=depth, workers=workers, meanwhile=prepare(), keep_rows=keep_rows, known=known)
    # What was held to a seal before stays so: another Python is no reason to be judged by the lock.
    references = before.references if before else _for_this(read[0], environment, profile)
    if depth is not Depth.VERSION and (platform or references.seal is not None):
        environment = with_platform(environment, target, world, workers=workers)
    # A seal judges by its own policy, also where it has no entry for this Python.
    seal = references.seal or references.passed_over
    if seal is not None and before is None:
        references = replace(references, notices=(*references.notices, *unsealed(project, seal, world)))
    return Look(
        environment=environment,
        place=place,
        project=project,
        references=references,
        judging=before.judging if before else read_policies(project, seal, world, profile=profile),
        target=target,
        started=started,
    )


def _for_this(read: References, environment: Environment, profile: str) -> References:
    """*read* without a seal that says nothing of this platform and Python, where nobody named it and there is a lock.

    In the profile ``production``, asked for or sealed, no seal is passed over: the working tree's policy would judge then.
    """
    if read.seal is None or read.named or read.lock is None:
        return read
    from sanctity.compare.seal import entry_for
    from sanctity.model.policy import Profile

    if entry_for(read.seal, environment) is not None:
        return read
    if Profile.PRODUCTION in {profile, read.seal.policy.profile}:
        return read
    words = f"{read.seal.path} has no entry for this platform and Python, so the lock was taken; run `sanctity seal` here"
    return replace(read, seal=None, passed_over=read.seal, notices=(*read.notices, words))


def verify(
    target: Target,
    world: World,
    *,
    reference: str = "",
    depth: Depth = Depth.RECORD,
    groups: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    workers: int = 0,
    profile: str = "",
    settings: bool = False,
    fast: bool = False,
    means: Means | None = None,
) -> Outcome:
    """Compare an environment with a seal, a lock, a literal fingerprint (``sha256:…``), or, where there is none, its own RECORDs.

    *reference* empty means the project's own seal, or else its lock. *groups* and *extras* are required beside those found to be
    selected. *profile* ``production`` judges as strictly as can be; *settings* also compares the numeric settings of this process
    with the sealed ones. With *fast*, what an earlier look found is taken again where the file system says that it did not move,
    but not at depth ``artifact``, which is about proof. There *means* say what may be used to prove.

    Raises:
        UsageError: an argument names nothing, or what does not go together.
        NoEnvironmentError: there is no environment.
        DocumentError: the lock, seal or policy can not be read.
        ObservationError: the environment can not be looked at.
    """
    asked = bool(groups or extras)
    memory = None
    if fast and depth is Depth.RECORD:
        from sanctity.verbs.remembering import remember

        started = world.clock()
        ways = {"groups": groups, "extras": extras, "profile": profile, "settings": settings, "depth": str(depth)}
        memory = remember(target, world, reference, ways)
        outcome = memory.recall(world, workers=workers) if memory is not None else None
        if outcome is not None:
            return replace(outcome, comparison=replace(outcome.comparison, seconds=world.clock() - started))
    known = memory.known(world) if memory is not None else None
    taken = look(target, world, reference=reference, depth=depth, workers=workers, profile=profile, asked=asked, known=known)
    outcome = compare_and_judge(taken, world, depth=depth, groups=groups, extras=extras, settings=settings, means=means)
    if memory is not None:
        memory.keep(taken, outcome, world)
    return outcome


def compare_and_judge(
    taken: Look,
    world: World,
    *,
    depth: Depth,
    groups: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    settings: bool = False,
    means: Means | None = None,
) -> Outcome:
    """Compare what was looked at with its reference, judge it, and plan what would repair it.

    *means* are for depth ``artifact``.
    """
    from sanctity.compare.policy import apply_policy
    from sanctity.observe.places import read_project_name
    from sanctity.plan.repair import plan_repair, with_hints

    references, environment = taken.references, taken.environment
    lock = references.lock
    sealed_lock = None
    if references.seal is not None:
        comparison, sealed_lock = _compare_with_seal(taken, references.seal, world, depth=depth, settings=settings)
        lock = sealed_lock or lock
    elif references.literal is not None:
        comparison = _compare_with_literal(taken, world, depth=depth, groups=groups, extras=extras)
    elif lock is not None:
        comparison = _compare_with_lock(taken, lock, world, depth=depth, groups=groups, extras=extras)
    else:
        from sanctity.compare.records import compare_with_records

        comparison = compare_with_records(environment, depth=depth)
    if depth is Depth.ARTIFACT:
        from sanctity.compare.seal import entry_for
        from sanctity.verbs.proving import Means, prove

        sealed = entry_for(references.seal, environment) if references.seal is not None else None
        comparison = prove(taken, comparison, world, means or Means(), lock=lock, sealed=sealed)
    if references.passed_over is not None:
        given = Unchecked(
            code="seal-not-for-this-platform",
            what=references.passed_over.path,
            reason="it has no entry for this platform and Python, so the lock was taken; its policy judges",
        )
        comparison = replace(comparison, unchecked=(*comparison.unchecked, given))
    judging = taken.judging
    comparison = apply_policy(comparison, judging.policy, judging.waivers, digest=judging.digest, today=world.today())
    folder = folder_of(lock, world) if lock else taken.project
    plan = plan_repair(
        comparison,
        environment,
        format=lock.format if lock else None,
        generator=lock.generator if lock else "",
        folder=os.path.relpath(folder, world.cwd),
        env=from_folder(folder, taken.place.prefix),
        lock=os.path.basename(lock.path) if lock else "",
        default_groups=_default_groups(lock),
        project=read_project_name(folder) if lock else "",
        unhashable=_has_places(lock),
    )
    comparison = replace(with_hints(comparison, plan), prefix=taken.place.shown, seconds=world.clock() - taken.started)
    told = tuple(
        f"{note.code}: {note.where}: {note.message}" if note.where else f"{note.code}: {note.message}"
        for note in (lock.notes if lock else ())
    )
    notices = tuple(text for text in (taken.place.notice, *references.notices, *told) if text)
    return Outcome(comparison=comparison, plan=plan, notices=notices)


def _default_groups(lock: Lock | None) -> frozenset[str]:
    """The groups that the project's tool installs unasked."""
    from sanctity.model.lock import RootKind

    return frozenset(root.name for root in lock.roots if root.kind is RootKind.GROUP and root.default) if lock else frozenset()


def _has_places(lock: Lock | None) -> bool:
    """Whether *lock* has folders or repositories, which have no hash."""
    from sanctity.model.lock import SourceKind

    kinds = {SourceKind.GIT, SourceKind.DIRECTORY, SourceKind.EDITABLE}
    return lock is not None and any(pin.source.kind in kinds for pin in lock.pins)


def _compare_with_lock(
    taken: Look, lock: Lock, world: World, *, depth: Depth, groups: tuple[str, ...], extras: tuple[str, ...]
) -> Comparison:
    from sanctity.compare.comparison import compare_with_lock
    from sanctity.observe.places import read_project_name

    folder = folder_of(lock, world)
    return compare_with_lock(
        taken.environment,
        lock,
        depth=depth,
        lock_folder=seen_by_environment(folder, taken.target, world),
        project_name=read_project_name(folder),
        groups=groups or None,
        extras=extras or None,
    )


def _compare_with_literal(
    taken: Look, world: World, *, depth: Depth, groups: tuple[str, ...], extras: tuple[str, ...]
) -> Comparison:
    from sanctity.compare.literal import match_literal, mismatch_literal
    from sanctity.compare.records import compare_with_records

    literal, lock = taken.references.literal, taken.references.lock
    assert literal is not None
    alone = compare_with_records(taken.environment, depth=depth)
    matched = match_literal(alone, taken.environment, literal)
    if matched is not None:
        return matched
    if lock is not None:
        alone = _compare_with_lock(taken, lock, world, depth=depth, groups=groups, extras=extras)
    return mismatch_literal(alone, literal)


def _compare_with_seal(taken: Look, seal: Seal, world: World, *, depth: Depth, settings: bool) -> tuple[Comparison, Lock | None]:
    """The comparison with *seal*, and the lock that it was made under, where that is there."""
    from sanctity.compare.seal import hold_to_seal

    comparison, sealed = hold_to_seal(taken.environment, seal, depth=depth, rows=taken.references.rows, settings=settings)
    if sealed is None:
        return comparison, None
    stale, lock = _stale(sealed, taken.references)
    more = [stale] if stale else [*_editables(taken, lock, world)] if lock is not None and not taken.target.root else []
    return replace(comparison, drifts=(*comparison.drifts, *more)), lock


def _editables(taken: Look, lock: Lock, world: World) -> Iterator[Drift]:
    """Editables that do not point where *lock* says: a seal has no place of theirs, and git governs what lies where they should.

    Not below an image's root: the lock beside the seal is then not where the image has the project.
    """
    named = {item.name for item in taken.environment.distributions if item.origin is not None and item.origin.editable}
    if named:
        found = _compare_with_lock(taken, lock, world, depth=Depth.VERSION, groups=(), extras=())
        yield from (drift for drift in found.drifts if drift.code is Code.ORIGIN_MISMATCH and drift.distribution in named)


def _stale(sealed: SealedEnvironment, references: References) -> tuple[Drift | None, Lock | None]:
    """Whether the lock that *sealed* was made under says something else now."""
    locks = dict(references.locks)
    if sealed.lock is None or sealed.lock.path not in locks:
        return None, None
    lock = locks[sealed.lock.path]
    if lock is not None and lock.digest == sealed.lock.digest:
        return None, lock
    return (
        Drift(
            code=Code.SEAL_STALE,
            path=sealed.lock.path,
            expected=str(sealed.lock.digest),
            actual=str(lock.digest) if lock else "",
            message="the lock is not the one that this was sealed under"
            if lock
            else "the lock that this was sealed under can not be read",
            hint="if the environment is what the lock says now, seal it again: sanctity seal",
        ),
        lock,
    )


def fingerprint(
    target: Target, world: World, *, reference: str = "", workers: int = 0, platform: bool = False
) -> tuple[Fingerprint, str]:
    """The fingerprint of an environment, and how to show its place; with *platform*, what it stands on beside it.

    The reference only says which of pip, setuptools and wheel count. Raises as `verify` does, and ObservationError where a part of
    the environment could not be read.
    """
    from sanctity.compare.seal import platform_parts

    taken = look(target, world, reference=reference, workers=workers, platform=platform)
    found = fingerprint_or_fail(taken)
    if platform and taken.environment.platform is not None:
        found = replace(found, beside=(*found.beside, *platform_parts(taken.environment.platform)))
    return found, taken.place.shown


def seeds_for(references: References, environment: Environment) -> frozenset[str]:
    """The names that count as seeds, by what the environment is compared with."""
    from sanctity.compare.comparison import seeds_of
    from sanctity.compare.seal import entry_for, seeds_beside

    sealed = entry_for(references.seal, environment) if references.seal is not None else None
    return seeds_beside(sealed) if sealed is not None else seeds_of(references.lock)


def fingerprint_or_fail(taken: Look) -> Fingerprint:
    """The fingerprint of what was looked at. Raises ObservationError where a part of it could not be read."""
    from sanctity.compare.records import fingerprint_of
    from sanctity.errors import ObservationError

    environment = taken.environment
    found = fingerprint_of(environment, seeds_for(taken.references, environment))
    if found is not None:
        return found
    blind = next((f"{item.path}: {item.reason}" for item in environment.problems), "")
    without = next((f"{item.name} has no content that could be read" for item in environment.distributions if not item.content), "")
    why = blind or without or "its interpreter is not known"
    raise ObservationError(
        "no-fingerprint",
        f"a part of it could not be read: {why}",
        where=taken.place.shown,
        hint="`sanctity verify` names every part",
    )
