"""The two searches of a bisect, over numbers and sets alone: they resolve nothing, build nothing and run nothing.

`narrow` halves a row of days down to where passing becomes failing, around days that decide nothing, as ``git bisect skip`` does.
`minimise` finds a smallest set of changes that fail together: Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing
Input*, IEEE Transactions on Software Engineering 28(2), 2002 (ddmin). What is asked of the caller may be answered by anything but
pass or fail; such an answer never counts as either.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sanctity.model.bisecting import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

__all__ = ["Bracket", "minimise", "narrow", "widest_gap"]

T = TypeVar("T")
#: So many sets are tried at most before what is left is named whole.
_MOST_SETS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """The index *last* passes and *first* fails; every one *between* decided nothing."""

    last: int
    first: int
    between: tuple[int, ...] = ()


def narrow(
    last: int,
    first: int,
    judge: Callable[[int], Outcome],
    key: Callable[[int], Hashable],
    *,
    width: int = 1,
    ahead: Callable[[tuple[int, ...]], None] = lambda _: None,
) -> Bracket:
    """Where passing becomes failing, between *last*, which passes, and *first*, which fails.

    *judge* says what becomes of an index and *key* which environment it is. Two indices of one environment have nothing else
    between them, since a resolver takes the newest that it may: with more to choose from it came back to the same choice. So a
    stretch that decides nothing is left behind whole. Where *width* can be judged at the same time, *ahead* is told so many indices
    that will be asked for, which cut the stretch into equal parts.
    """
    blank: set[int] = set()
    while len(blank) < first - last - 1:
        parts = {last + (first - last) * number // (width + 1) for number in range(1, width + 1)} if width > 1 else set()
        points = sorted(parts - blank - {last, first}) or [_next(last, first, blank)]
        if len(points) > 1:
            ahead(tuple(points))
        for index in points:
            if not last < index < first or index in blank:
                continue
            outcome = judge(index)
            if outcome is Outcome.PASS:
                last = index
            elif outcome is Outcome.FAIL:
                first = index
            else:
                same = [other for other in blank if key(other) == key(index)]
                blank |= set(range(min([*same, index]), max([*same, index]) + 1))
            blank = {other for other in blank if last < other < first}
    return Bracket(last=last, first=first, between=tuple(range(last + 1, first)))


def _next(last: int, first: int, blank: set[int]) -> int:
    """The index to look at: the middle, else the middle of the widest stretch that is left beside what is *blank*."""
    middle = (last + first) // 2
    if last < middle and middle not in blank:
        return middle
    marks = sorted((last, *blank, first))
    width, before = max((after - before, -before) for before, after in itertools.pairwise(marks))
    return -before + width // 2


def widest_gap(start: int, end: int, known: Mapping[int, Hashable]) -> int | None:
    """The middle of the widest stretch from *start* to *end* of which nothing is *known* yet, None where there is none.

    *known* is the environment of each index looked at. Where both ends of a stretch are one environment, so is all of it.
    """
    marks = sorted({start, end, *(index for index in known if start <= index <= end)})
    gaps = [
        (after - before, -before)
        for before, after in itertools.pairwise(marks)
        if after - before > 1 and not (before in known and after in known and known[before] == known[after])
    ]
    if not gaps:
        return None
    width, before = max(gaps)
    return -before + width // 2


class _Sets(Generic[T]):
    """What became of each set that was tried, so that none is tried twice."""

    def __init__(self, judge: Callable[[tuple[T, ...]], Outcome]) -> None:
        self.judge = judge
        self.known: dict[tuple[T, ...], Outcome] = {}

    def fails(self, items: tuple[T, ...]) -> bool:
        if items not in self.known:
            if len(self.known) >= _MOST_SETS:
                return False
            self.known[items] = self.judge(items)
        return self.known[items] is Outcome.FAIL


def minimise(items: Sequence[T], judge: Callable[[tuple[T, ...]], Outcome]) -> tuple[T, ...]:
    """A set of *items* that fails, of which no single one can be left out so that it still does; they keep their order.

    All *items* together are known to fail, and none at all to pass. The likeliest is tried alone first, so it should come first.
    """
    sets = _Sets(judge)
    current = tuple(items)
    if len(current) > 1 and sets.fails(current[:1]):
        return current[:1]
    parts = 2
    while len(current) > 1:
        pieces = _split(current, parts)
        found = next((piece for piece in pieces if sets.fails(piece)), None)
        if found is not None:
            current, parts = found, 2
            continue
        if parts > 2:
            rests = [tuple(item for item in current if item not in piece) for piece in pieces]
            found = next((rest for rest in rests if sets.fails(rest)), None)
            if found is not None:
                current, parts = found, max(parts - 1, 2)
                continue
        if parts >= len(current):
            break
        parts = min(len(current), parts * 2)
    return current


def _split(items: tuple[T, ...], parts: int) -> list[tuple[T, ...]]:
    """*items* in so many pieces of nearly equal length."""
    bounds = [len(items) * number // parts for number in range(parts + 1)]
    return [items[start:end] for start, end in itertools.pairwise(bounds)]
