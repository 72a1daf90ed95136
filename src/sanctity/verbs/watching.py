"""`watch`: look again and again, and hold every look to the reference as it was when the watch began.

The judged don't own the rules: what is compared with, and the policy and the waivers by which it is judged, are read once. Whoever
can write to the project's folder can not make a drift pass by writing to the reference too; that it changed is told.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.drift import Depth
from sanctity.verbs.judging import compare_and_judge, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sanctity.model.environment import KnownFile
    from sanctity.verbs.judging import Look
    from sanctity.verbs.remembering import Memory
    from sanctity.verbs.world import Outcome, Target, World

__all__ = ["Sight", "watch"]

#: The pause is longer by up to this part of it, so that a fleet that was started at once does not read at once.
_SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one look of a watch saw: its *number* from 1, and its *outcome*, or the *error* that it failed with.

    *ended* is in seconds since 1970. *changed* are the files of the reference that are not what they were when the watch began.
    """

    number: int
    ended: float
    outcome: Outcome | None = None
    error: SanctityError | None = None
    changed: tuple[str, ...] = ()


def watch(
    target: Target,
    world: World,
    *,
    every: float,
    now: Callable[[], float],
    pause: Callable[[float], object],
    chance: Callable[[], float],
    reference: str = "",
    depth: Depth = Depth.RECORD,
    profile: str = "",
    workers: int = 0,
    fast: bool = False,
) -> Iterator[Sight]:
    """Look at an environment without end: a look, then a pause of *every* seconds and up to a tenth more, then the next.

    *now* is the time in seconds since 1970, *pause* waits so many seconds, *chance* is a number from 0 to below 1. The other
    arguments are those of `verify`; with *fast* files are not read that nothing moved of, and the comparison is made anew all the
    same. Who consumes this ends it by closing it, or by an exception out of any of them.

    Raises:
        SanctityError: the first look fails, as `verify` does. A later one that does is a `Sight` with the error.
    """
    memory = _memory(target, world, reference) if fast and depth is not Depth.VERSION else None
    known = memory.known(world) if memory is not None else None
    taken = look(target, world, reference=reference, depth=depth, profile=profile, workers=workers, known=known)
    outcome = compare_and_judge(taken, world, depth=depth)
    number = 1
    while True:
        if memory is not None:
            memory.keep(taken, outcome, world)
        yield Sight(number=number, ended=now(), outcome=outcome, changed=_changed(taken, world))
        while True:
            pause(every * (1 + _SPREAD * chance()))
            number += 1
            memory, known = _again(memory, taken, world)
            try:
                taken = look(target, world, depth=depth, workers=workers, before=taken, known=known)
                outcome = compare_and_judge(taken, world, depth=depth)
                break
            except SanctityError as error:
                failure = error.with_traceback(None)  # which would keep all that the look had found
            yield Sight(number=number, ended=now(), error=failure, changed=_changed(taken, world))


def _memory(target: Target, world: World, reference: str) -> Memory | None:
    """What is remembered of the files. The outcomes of a watch are no other look's: they may be held to another reference."""
    from sanctity.verbs.remembering import remember

    return remember(target, world, reference, {"watch": True})


def _again(memory: Memory | None, taken: Look, world: World) -> tuple[Memory | None, Mapping[str, KnownFile] | None]:
    """*memory* for a look that begins now, and the files that it need not read."""
    if memory is None:
        return None, None
    from sanctity.store.statcache import StatCache, cache_folder

    cache = StatCache.open(cache_folder(world.environ), os.path.realpath(taken.place.prefix))
    memory = replace(memory, cache=cache, started_ns=world.now_ns())
    return memory, memory.known(world)


def _changed(taken: Look, world: World) -> tuple[str, ...]:
    """The files of the reference that do not say any more what was read from them."""
    from sanctity.observe.locks import read_lock
    from sanctity.observe.seals import read_seal

    references = taken.references
    found: dict[str, None] = {}
    seal = references.seal
    if seal is not None:
        path = os.path.join(world.cwd, os.path.expanduser(seal.path))
        try:
            same = read_seal(path).digest == seal.digest
        except DocumentError:
            same = False
        if not same:
            found[seal.path] = None
    locks = [lock for _, lock in references.locks] + ([references.lock] if seal is None else [])
    for lock in locks:
        if lock is None:
            continue
        try:
            same = read_lock(os.path.join(world.cwd, os.path.expanduser(lock.path))).digest == lock.digest
        except DocumentError:
            same = False
        if not same:
            found[lock.path] = None
    return tuple(found)
