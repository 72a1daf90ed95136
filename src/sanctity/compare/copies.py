"""Distributions by name, and those that are there more than once."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from sanctity.model.drift import Code, Drift

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.environment import Distribution, Environment

__all__ = ["by_key", "compare_distributions_alone", "shown_home"]


def by_key(environment: Environment) -> dict[str, list[Distribution]]:
    """The copies of each normalised name, in order of place and version."""
    found: dict[str, list[Distribution]] = {}
    for distribution in sorted(environment.distributions, key=lambda each: (each.key, each.home, each.version)):
        found.setdefault(distribution.key, []).append(distribution)
    return found


def shown_home(copy: Distribution) -> str:
    """The folder of its metadata, relative to the site-packages it lies in."""
    return copy.home.rpartition("/")[2]


def _is_systems_own(copies: list[Distribution]) -> bool:
    """Whether the system's package manager put the *copies* of one name there, but for one at most in another folder of its own.

    Debian ships some metadata twice, and what pip installs into ``/usr/local`` goes before Debian's by design.
    """
    kept = {posixpath.dirname(copy.home) for copy in copies if copy.keeper}
    others = [posixpath.dirname(copy.home) for copy in copies if not copy.keeper]
    return not others or (len(others) == 1 and bool(kept) and others[0] not in kept)


def compare_distributions_alone(environment: Environment) -> tuple[Drift, ...]:
    """What can be said of distributions where there is no lock: two of one name."""
    drifts: list[Drift] = []
    for _, copies in sorted(by_key(environment).items()):
        if len(copies) > 1 and not _is_systems_own(copies):
            first = copies[0]
            places = _and(f"{copy.version} in {copy.home}" for copy in copies)
            drifts.append(
                Drift(
                    code=Code.DISTRIBUTION_DUPLICATE,
                    distribution=first.name,
                    version=first.version,
                    path=shown_home(copies[1]),
                    expected="one distribution",
                    actual=places,
                    message=f"{first.name} is installed {_times(len(copies))}: {places}; imports get one of them",
                )
            )
    return tuple(drifts)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
