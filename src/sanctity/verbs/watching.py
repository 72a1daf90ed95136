"""`watch`: look again and again, and hold every look to the reference as it was when the watch began.

The judged don't own the rules: what is compared with, and the policy and the waivers by which it is judged, are read once. Whoever
can write to the project's folder can not make a drift pass by writing to the reference too; that it changed is told.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.drift import Depth
from sanctity.verbs.judging import compare_and_judge, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sanctity.verbs.judging import Look
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
) -> Iterator[Sight]:
    """Look at an environment without end: a look, then a pause of *every* seconds and up to a tenth more, then the next.

    *now* is the time in seconds since 1970, *pause* waits so many seconds, *chance* is a number from 0 to below 1. The other
    arguments are those of `verify`. Who consumes this ends it by closing it, or by an exception out of any of them.

    Raises:
        SanctityError: the first look fails, as `verify` does. A later one that does is a `Sight` with the error.
    """
    taken = look(target, world, reference=reference, depth=depth, profile=profile, workers=workers)
    number = 1
    yield Sight(number=number, ended=now(), outcome=compare_and_judge(taken, world, depth=depth), changed=_changed(taken, world))
    while True:
        pause(every * (1 + _SPREAD * chance()))
        number += 1
        outcome = failure = None
        try:
            taken = look(target, world, depth=depth, workers=workers, before=taken)
            outcome = compare_and_judge(taken, world, depth=depth)
        except SanctityError as error:
            failure = error.with_traceback(None)  # which would keep all that the look had found
        yield Sight(number=number, ended=now(), outcome=outcome, error=failure, changed=_changed(taken, world))


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
