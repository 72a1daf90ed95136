"""`archive add`: keep what a rebuild needs, of locks and seals, for the platforms that are named.

The artifacts of a closure are sought by hash: in the archive, in pip's and uv's caches, where the lock says, and behind the index.
Each is hashed as it comes in, and a wheel is read once, for the content that it becomes when it is installed. What has no wheel is
packed from an environment that holds it, or built where that was asked for; what still lacks one is told. What the archive does is
`sanctity.verbs.keeping`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import UsageError
from sanctity.model.archive import (
    ArchivedDocument,
    ArchivedInterpreter,
    ArchivedLock,
    ArchivedSeal,
)
from sanctity.model.drift import Depth
from sanctity.verbs.gathering import Case, Gatherer, Lacking, Tally, observe, platform_name, take
from sanctity.verbs.references import locks_named
from sanctity.verbs.sources import archive_place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.environment import Environment, Interpreter
    from sanctity.model.lock import Lock
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.store.archive import Archive
    from sanctity.verbs.world import World

__all__ = ["Added", "Lacking", "add_to_archive", "own_interpreter"]

#: Artifacts that are fetched at the same time, where nobody says otherwise.
_JOBS: Final = 8
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What was added to the archive *place*: the *locks*, *seals* and *interpreters*, as they are kept now.

    *fetched* (from an index), *found* (in caches, or where the lock says), *made* (packed or built) and *there* count artifacts;
    *size* is the bytes of them all.
    """

    place: str
    locks: tuple[ArchivedLock, ...] = ()
    seals: tuple[ArchivedSeal, ...] = ()
    interpreters: tuple[ArchivedInterpreter, ...] = ()
    fetched: int = 0
    found: int = 0
    made: int = 0
    there: int = 0
    size: int = 0
    lacking: tuple[Lacking, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether something could not be had that was sought."""
        return any(item.failed for item in self.lacking)


def own_interpreter(world: World) -> Interpreter:
    """The interpreter that this tool runs on."""
    return observe(sys.prefix, world, depth=Depth.VERSION).interpreter


def add_to_archive(
    references: tuple[str, ...],
    world: World,
    *,
    place: str,
    env: str = "",
    platforms: tuple[str, ...] = (),
    pythons: tuple[str, ...] = (),
    whole: bool = False,
    groups: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    interpreter: str = "",
    build: bool = False,
    offline: bool = False,
    name: str = "",
    jobs: int = 0,
) -> Added:
    """Keep the locks and seals that *references* name in the archive at *place*, which is made, with the artifacts they need.

    Artifacts are those of the closure for each of *platforms* and *pythons*, by default for the environment *env* or the project's
    own, else for this tool's interpreter; of a seal, for each of its entries. *whole* takes everything that a lock lists. Pins
    without a wheel are packed from the environment, or, with *build*, built by pip or uv. *interpreter* is a file to keep beside
    the identity of the interpreter; *name* is what the archive calls the lock. *offline* asks no index.

    Raises:
        SanctityError: a reference or the archive can not be read; ``archive-full``. What was kept until then stays.
    """
    from sanctity.store.archive import Archive
    from sanctity.store.contents import ContentsMemory
    from sanctity.store.statcache import cache_folder

    if name and len(references) > 1:
        raise UsageError("usage", "one name is for one lock", where="--name", hint="add them one by one")
    read = [locks_named(reference, world) for reference in references]
    tally = Tally(tick=world.tick)
    kept_locks: list[ArchivedLock] = []
    kept_seals: list[ArchivedSeal] = []
    kept_interpreters: list[ArchivedInterpreter] = []
    with Archive.open(archive_place(place, world), create=True) as archive, archive.adding():
        for reference, (locks, seal, folder) in zip(references, read, strict=True):
            worker = Gatherer(archive, world, tally, folder=folder, offline=offline, jobs=jobs or _JOBS, build=build, env=env)
            found = worker.environment()
            for lock in locks:
                cases = _cases(lock, seal, found, world, platforms, pythons, groups, extras)
                kept_locks.append(worker.keep_lock(lock, cases, whole=whole, name=name if seal is None else ""))
            if seal is not None:
                kept_seals.append(worker.keep_seal(seal, os.path.join(world.cwd, os.path.expanduser(reference)), name))
                kept_interpreters += [archive.add_interpreter(_sealed_interpreter(each)) for each in seal.environments]
                _tell_of_locks(seal, locks, tally)
            if interpreter or (seal is None and not (platforms or pythons)):
                seen = found.interpreter if found is not None else own_interpreter(world)
                kept_interpreters.append(_keep_interpreter(archive, seen, worker.prefix, interpreter, world))
    with contextlib.suppress(OSError):  # what was read is known from now on, here
        ContentsMemory(cache_folder(world.environ)).keep(tally.learnt)
    return Added(
        place=place,
        locks=tuple(kept_locks),
        seals=tuple(kept_seals),
        interpreters=tuple({each.manifest: each for each in kept_interpreters}.values()),
        fetched=tally.fetched,
        found=tally.found,
        made=tally.made,
        there=tally.there,
        size=tally.size,
        lacking=tuple(sorted(tally.lacking, key=lambda item: (not item.failed, item.name, item.version, item.code))),
        notices=tuple(dict.fromkeys(tally.notices)),
    )


def _tell_of_locks(seal: Seal, locks: Iterable[Lock], tally: Tally) -> None:
    there = {lock.digest for lock in locks}
    for each in seal.environments:
        if each.lock is not None and each.lock.digest not in there:
            tally.notices.append(
                f"{each.lock.path} as it was sealed ({each.lock.digest}) is not beside the seal: its artifacts were not added"
            )


def _cases(
    lock: Lock,
    seal: Seal | None,
    found: Environment | None,
    world: World,
    platforms: tuple[str, ...],
    pythons: tuple[str, ...],
    groups: tuple[str, ...],
    extras: tuple[str, ...],
) -> tuple[Case, ...]:
    """The interpreters that the artifacts of *lock* are kept for."""
    from sanctity.plan.needs import named_interpreter

    if seal is not None:
        cases = []
        for each in seal.environments:
            if each.lock is None or each.lock.digest != lock.digest:
                continue
            python = f"{each.version}t" if each.abi.endswith("t") else each.version
            named = replace(named_interpreter(each.platform, python), libc=each.libc, abi=each.abi)
            chosen = each.selection
            cases.append(Case(interpreter=named, platform=each.platform, groups=chosen.groups, extras=chosen.extras))
        return tuple(cases)
    if not platforms and not pythons and found is not None:
        installed: dict[str, frozenset[str]] = {}
        for item in found.distributions:
            installed[item.name] = installed.get(item.name, frozenset()) | {item.version}
        return (
            Case(
                interpreter=found.interpreter,
                platform=platform_name(found.interpreter),
                installed=installed,
                groups=groups or None,
                extras=extras or None,
            ),
        )
    own = found.interpreter if found is not None else own_interpreter(world)
    made = [
        named_interpreter(platform, python)
        for platform in platforms or (platform_name(own),)
        for python in pythons or (own.version + ("t" if own.abi.endswith("t") else ""),)
    ]
    if not platforms:  # this machine's own libc says which wheels it takes
        made = [replace(each, libc=own.libc) for each in made]
    return tuple(
        Case(interpreter=each, platform=platform_name(each), groups=groups or None, extras=extras or None) for each in made
    )


def _sealed_interpreter(sealed: SealedEnvironment) -> ArchivedInterpreter:
    return ArchivedInterpreter(
        implementation=sealed.implementation,
        version=sealed.version,
        abi=sealed.abi,
        platform=sealed.platform,
        build=sealed.build,
    )


def _keep_interpreter(archive: Archive, interpreter: Interpreter, prefix: str, path: str, world: World) -> ArchivedInterpreter:
    """Keep the identity of *interpreter*, and the file at *path* as the interpreter itself."""
    from sanctity.observe.build import observe_build
    from sanctity.observe.view import View

    build, _ = observe_build(View(), prefix, interpreter)
    kept = ArchivedInterpreter(
        implementation=interpreter.implementation,
        version=interpreter.version,
        abi=interpreter.abi,
        platform=platform_name(interpreter),
        build=build,
    )
    if path:
        whole = os.path.join(world.cwd, os.path.expanduser(path))
        digest, size = take(archive, whole, shown=path)
        kept = replace(kept, file=ArchivedDocument(path=os.path.basename(whole), sha256=digest, size=size))
    return archive.add_interpreter(kept)
