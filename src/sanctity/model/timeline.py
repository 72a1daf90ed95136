"""One file of requirements at many dates: what it was resolved to at each, and how far those answers lie apart.

A `Resolution` is the answer at one instant: a set of releases, or the reason why there is none. Two resolutions are one environment
if and only if their digests are equal; those are over names and versions alone: neither the date nor who asked for what is in them.

A `Cone` is a row of resolutions in the order of their instants. Its measures, which the reports print:

- *environments*: how many distinct answers there were, each counted once, however often it came back.
- the *width* at an instant: the packages whose version then is not that of the first resolution, one that came or went included.
- a package's *states*: its distinct versions, and its absence as one more where it was absent at a date that has a resolution. Its
  *moves* are the states it has been in so far less the first. What a picture draws as the cone's height is the sum of all moves:
  it never shrinks, since to have been elsewhere once is what makes the file uncertain.

A date without a resolution counts in none of them: it is told apart, with its reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sanctity.model.digest import Digest
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Change", "Cone", "Environment", "Release", "Resolution", "Stage", "Strand", "Target", "changes", "day_of"]

_MIDNIGHT: Final = "T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A *version* of the package *name* (normalised, PEP 503).

    *uploaded* is when the earliest file of it that the resolver names was uploaded, in RFC 3339 and UTC (``upload-time``, PEP 700),
    empty where that is unknown. *via* is what asks for it: names of packages, and the file of requirements as the resolver names it
    (``-r requirements.in``).
    """

    name: str
    version: str
    uploaded: str = ""
    via: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What the requirements came to *at* an instant (RFC 3339, UTC): *releases* in the order of their names.

    Where there is no resolution, *failure* says why in one plain paragraph, and there are no releases. *passed_over* are files that
    the resolver did not consider, since their index gives no time of upload for them: the answer is one without them.
    """

    at: str
    releases: tuple[Release, ...] = ()
    failure: str = ""
    passed_over: tuple[str, ...] = ()

    @cached_property
    def pins(self) -> Mapping[str, str]:
        """The version of each package, by its name."""
        return MappingProxyType({release.name: release.version for release in self.releases})

    @cached_property
    def digest(self) -> Digest:
        """The SHA-256 of the canonical list of [name, version]: what makes two resolutions one environment."""
        rows = [[release.name, release.version] for release in self.releases]
        return Digest.of_sha256(hashlib.sha256(canonical(rows)).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The package *name* went from the version *old* to *new*; empty where it came or went."""

    name: str
    old: str = ""
    new: str = ""


def changes(before: Resolution, after: Resolution) -> tuple[Change, ...]:
    """Each package whose version differs between two resolutions, in the order of names."""
    names = sorted(before.pins.keys() | after.pins.keys())
    pairs = ((name, before.pins.get(name, ""), after.pins.get(name, "")) for name in names)
    return tuple(Change(name=name, old=old, new=new) for name, old, new in pairs if old != new)


def day_of(instant: str) -> str:
    """*instant* as people write it: a midnight as the day that ends there, another with hour and minute."""
    if instant.endswith(_MIDNIGHT):
        return (date.fromisoformat(instant.removesuffix(_MIDNIGHT)) - timedelta(days=1)).isoformat()
    return f"{instant[:10]} {instant[11:16]} UTC" if "T" in instant else instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is resolved for: *python* as ``3.11``, *platform* in uv's words for ``--python-platform``, empty for this machine's."""

    python: str
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A distinct answer: the *releases* and their *digest*, the *dates* at which it was the answer, in order."""

    digest: Digest
    releases: tuple[Release, ...]
    dates: tuple[str, ...]

    @property
    def first(self) -> str:
        """The first instant at which this was the answer."""
        return self.dates[0]

    @property
    def last(self) -> str:
        """The last instant at which this was the answer; another may have been it between."""
        return self.dates[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The cone at an instant: its *width*, and how many *environments* and *moves* there were up to then, this one included."""

    at: str
    width: int
    environments: int
    moves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """One package through all dates.

    *states* are (instant, version) where the version became another than it was at the resolution before, the first one included; a
    version is empty where the package was absent. *moves* are how many states beyond the first it has been in at each resolution.
    *via* is everything that ever asked for it. *locked* is the version in the lock, None where there is no lock or it is not in it.
    """

    name: str
    states: tuple[tuple[str, str], ...]
    moves: tuple[int, ...]
    via: tuple[str, ...] = ()
    locked: str | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        """Its distinct versions, in the order in which they were first the answer."""
        return tuple(dict.fromkeys(version for _, version in self.states if version))

    @property
    def first(self) -> str:
        """Its version at the first resolution, empty where it was absent."""
        return self.states[0][1]

    @property
    def last(self) -> str:
        """Its version at the last resolution, empty where it is absent."""
        return self.states[-1][1]

    @property
    def changed(self) -> tuple[str, ...]:
        """The instants at which it was first seen changed."""
        return tuple(at for at, _ in self.states[1:])


@dataclass(frozen=True, kw_only=True)
class Cone:
    """The file *subject* resolved for *target* at a row of instants, and beside it what is *locked*, if anything is.

    *every* is the step between the instants as it was asked for. *lock* is the locked file's path as given, empty where there is
    none; *undated* are the packages that were let float, whatever the date; *resolver* is the resolver's name and version.
    """

    subject: str
    target: Target
    resolutions: tuple[Resolution, ...]
    every: str = ""
    lock: str = ""
    locked: tuple[Release, ...] | None = None
    undated: tuple[str, ...] = ()
    resolver: str = ""

    @cached_property
    def resolved(self) -> tuple[Resolution, ...]:
        """Those that are an answer."""
        return tuple(each for each in self.resolutions if not each.failure)

    @cached_property
    def failed(self) -> tuple[Resolution, ...]:
        """The dates without an answer."""
        return tuple(each for each in self.resolutions if each.failure)

    @cached_property
    def environments(self) -> tuple[Environment, ...]:
        """The distinct answers, in the order in which each came first."""
        found: dict[Digest, list[Resolution]] = {}
        for each in self.resolved:
            found.setdefault(each.digest, []).append(each)
        return tuple(
            Environment(digest=digest, releases=group[0].releases, dates=tuple(each.at for each in group))
            for digest, group in found.items()
        )

    @cached_property
    def strands(self) -> tuple[Strand, ...]:
        """Each package that was in any answer, the one of most versions first, then the one that moved most, then by name."""
        locked = {release.name: release.version for release in self.locked or ()}
        asked: dict[str, dict[str, None]] = {}
        for each in self.resolved:
            for release in each.releases:
                asked.setdefault(release.name, {}).update(dict.fromkeys(release.via))
        found = [self._strand(name, tuple(asked[name]), locked.get(name)) for name in sorted(asked)]
        return tuple(sorted(found, key=lambda strand: (-len(strand.versions), -strand.moves[-1], strand.name)))

    def _strand(self, name: str, via: tuple[str, ...], locked: str | None) -> Strand:
        states: list[tuple[str, str]] = []
        seen: set[str] = set()
        moves: list[int] = []
        for each in self.resolved:
            version = each.pins.get(name, "")
            if not states or states[-1][1] != version:
                states.append((each.at, version))
            seen.add(version)
            moves.append(len(seen) - 1)
        return Strand(name=name, states=tuple(states), moves=tuple(moves), via=via, locked=locked)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The cone at each resolution."""
        seen: set[Digest] = set()
        found = []
        for index, each in enumerate(self.resolved):
            seen.add(each.digest)
            moves = sum(strand.moves[index] for strand in self.strands)
            found.append(Stage(at=each.at, width=len(self.apart(each)), environments=len(seen), moves=moves))
        return tuple(found)

    def apart(self, resolution: Resolution) -> tuple[Change, ...]:
        """How *resolution* differs from the first answer; its length is the cone's width there."""
        return changes(self.resolved[0], resolution)

    @cached_property
    def from_lock(self) -> tuple[Change, ...] | None:
        """How the last answer differs from the lock; None where there is no lock, or no answer."""
        if self.locked is None or not self.resolved:
            return None
        return changes(Resolution(at="", releases=self.locked), self.resolved[-1])
