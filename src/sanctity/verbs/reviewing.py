"""A change of a lock, reviewed: what the indexes and the wheels of changed packages say, as far as that was asked for.

Indexes are asked with ``--online`` alone, each for the projects that the new lock takes from it, and wheels opened with
``--artifacts`` alone. What could not be looked at is told, and an index that does not answer is asked once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.compare.review import MIN_AGE, Knowledge, Pins, review
from sanctity.errors import SanctityError, UsageError
from sanctity.model.drift import Unchecked
from sanctity.model.lock import Ecosystem, SourceKind
from sanctity.verbs.opening import look_into
from sanctity.verbs.proving import Means
from sanctity.verbs.sources import fetcher_for
from sanctity.verbs.world import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from sanctity.model.difference import Difference
    from sanctity.model.index import Offer
    from sanctity.model.lock import Lock, Pin
    from sanctity.verbs.world import World

__all__ = ["Asked", "Reviewed", "reviewed"]

_JOBS: Final = 8
_MOST_NAMES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a reviewer asks: for releases of less than *min_age* days before the day *as_of* (None for today).

    *online* asks indexes too; *artifacts* opens wheels, from the *archive* at this place, from caches, and unless *offline* from
    indexes.
    """

    min_age: int = MIN_AGE
    as_of: date | None = None
    online: bool = False
    artifacts: bool = False
    archive: str = ""
    offline: bool = False

    @property
    def wants_locks(self) -> str:
        """The option that says something of two locks alone; empty where none was given."""
        given = (("--online", self.online), ("--artifacts", self.artifacts), ("--as-of", self.as_of is not None))
        return next((name for name, on in given if on), "")

    def check(self) -> None:
        """Refuse what contradicts itself. Raises UsageError."""
        if self.online and self.offline:
            raise UsageError("usage", "it asks indexes, and --offline asks none", where="--online", hint="leave one of them out")
        if (self.archive or self.offline) and not self.artifacts:
            option = f"--archive {self.archive}" if self.archive else "--offline"
            raise UsageError(
                "usage", "it says where wheels may come from, and none is opened", where=option, hint="add --artifacts"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A lock as it is reviewed: its *parents* where it is a flat list."""

    lock: Lock
    parents: Mapping[str, tuple[str, ...]]


def reviewed(found: Difference, before: Reviewed, after: Reviewed, world: World, asked: Asked) -> Difference:
    """*found*, what two locks differ in, with what there is to say of each package to a reviewer.

    Raises:
        SanctityError: an archive that is named can not be read.
    """
    knowledge = Knowledge(parents_before=before.parents, parents_after=after.parents)
    unchecked: list[Unchecked] = []
    older_pins, newer_pins = Pins(before.lock), Pins(after.lock)
    olds = [pin for change in found.packages if (pin := older_pins.of(change.before)) is not None]
    news = [pin for change in found.packages if (pin := newer_pins.of(change.after)) is not None]
    if asked.online:
        offers, blind = _ask(news, folder_of(after.lock, world), world)
        knowledge = replace(knowledge, offers=offers)
        unchecked += blind
    if asked.artifacts:
        means = Means(archive=asked.archive, offline=asked.offline)
        older, newer = look_into(before.lock, olds, world, means), look_into(after.lock, news, world, means)
        knowledge = replace(knowledge, opened_before=older.facts, opened_after=newer.facts, contradicted=newer.contradicted)
        unchecked += _merged((*older.unchecked, *newer.unchecked))
    today = asked.as_of or world.today()
    told = review(found, before.lock, after.lock, today=today, min_age=asked.min_age, knowledge=knowledge)
    return replace(told, unchecked=(*told.unchecked, *unchecked))


def _merged(items: Iterable[Unchecked]) -> list[Unchecked]:
    """*items* of both sides, those of one reason at once."""
    found: dict[tuple[str, str], Unchecked] = {}
    for item in items:
        before = found.get((item.code, item.reason))
        what = f"{before.what}, {item.what}" if before is not None else item.what
        found[item.code, item.reason] = replace(item, what=what, count=item.count + (before.count if before is not None else 0))
    return list(found.values())


def _ask(pins: Iterable[Pin], folder: str, world: World) -> tuple[dict[tuple[str, str], tuple[Offer, ...]], list[Unchecked]]:
    """What the index of each of *pins* offers of its project, and of which it could not be asked."""
    from concurrent.futures import ThreadPoolExecutor

    keys = sorted(
        {
            (pin.name, pin.source.location)
            for pin in pins
            if pin.source.kind is SourceKind.REGISTRY and pin.ecosystem is Ecosystem.PYPI
        }
    )
    fetcher = fetcher_for(folder, world, offline=False)
    silent: dict[str, SanctityError] = {}

    def ask(key: tuple[str, str]) -> tuple[Offer, ...] | SanctityError:
        name, index = key
        if index in silent:
            return silent[index]
        try:
            return fetcher.project(name, index)
        except SanctityError as error:
            silent[index] = error
            return error

    offers: dict[tuple[str, str], tuple[Offer, ...]] = {}
    failures: dict[tuple[str, str], list[str]] = {}
    with ThreadPoolExecutor(_JOBS) as pool:
        for key, answer in zip(keys, pool.map(ask, keys), strict=True):
            if isinstance(answer, SanctityError):
                failures.setdefault((answer.code, key[1]), []).append(key[0])
            else:
                offers[key] = answer
    return offers, [_blind(names, silent[index], code, index) for (code, index), names in failures.items()]


def _blind(names: list[str], error: SanctityError, code: str, index: str) -> Unchecked:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    where = index or "the index"
    return Unchecked(
        code=code,
        what=", ".join(names[:_MOST_NAMES]) + more,
        reason=f"{where} was asked and did not say: {error.message}",
        count=len(names),
    )
