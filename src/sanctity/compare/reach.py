"""For whom the pins of a lock are there: in which environments the tool installs each when it is told nothing, and who names it.

A marker on an edge, a group that became a default one, a root that moved: none of them is a word of the pin's own, and each can
bring a package to where it was not. So two locks are tried in the usual environments, and what comes out is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.compare.markers import environment_of, satisfies
from sanctity.compare.selection import select
from sanctity.errors import SanctityError
from sanctity.model.environment import Interpreter
from sanctity.model.lock import RootKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.lock import Dependency, Lock, Root

__all__ = ["reaches"]

_SYSTEMS: Final = {"Linux": "linux-x86_64", "Linux on ARM": "linux-aarch64", "macOS": "macosx-arm64", "Windows": "win-amd64"}
_MINORS: Final = (8, 9, 10, 11, 12, 13, 14)
#: A lock of more pins than this is not tried: no real one has as many.
_MOST: Final = 5000


def reaches(lock: Lock, requires: Iterable[str]) -> dict[int, frozenset[str]]:
    """For each pin of *lock* (by its identity) the environments in which it is installed when nothing is chosen, and who names it.

    Environments are told as a system and the Pythons on it, among those that all of *requires* allow.
    """
    found: dict[int, set[str]] = {id(pin): set() for pin in lock.pins}
    for pin_id, words in _named(lock):
        found[pin_id].add(words)
    if not lock.format.is_of_conda and len(lock.pins) <= _MOST:
        wanted = tuple(requires)
        minors = [minor for minor in _MINORS if all(satisfies(each, f"3.{minor}") is not False for each in wanted)]
        for system, machine in _SYSTEMS.items():
            for minor in minors:
                environment = environment_of(Interpreter(version=f"3.{minor}", abi=f"cpython-3{minor}", machine=machine))
                try:
                    selected = select(lock, environment, {})
                except SanctityError:  # a marker that is none: its reader has told
                    continue
                for pin in selected.expected:
                    found.setdefault(id(pin), set()).add(f"by default for Python 3.{minor} on {system}")
    return {pin: frozenset(words) for pin, words in found.items()}


def _named(lock: Lock) -> Iterable[tuple[int, str]]:
    """Which root names a pin, and with which extras anybody does."""
    by_name: dict[tuple[str, str], list[int]] = {}
    for index, pin in enumerate(lock.pins):
        by_name.setdefault((pin.ecosystem, pin.name), []).append(index)
    told: set[Dependency] = set()
    sets = [(_words(root, lock), root.dependencies) for root in lock.roots]
    sets += [("", pin.dependencies) for pin in lock.pins]
    sets += [("", edges) for pin in lock.pins for _, edges in pin.optional]
    # Of a hundred edges that say the same, one is followed.
    for who, edges in sets:
        for edge in dict.fromkeys(edge for edge in edges if who or edge.extras):
            if not who:
                if edge in told:
                    continue
                told.add(edge)
            for index in by_name.get((edge.ecosystem, edge.name), ()):
                pin = lock.pins[index]
                if (not edge.version or edge.version == pin.version) and (edge.source is None or edge.source == pin.source):
                    if who:
                        yield id(pin), who
                    yield from ((id(pin), f"with its extra {extra}") for extra in edge.extras)


def _words(root: Root, lock: Lock) -> str:
    """Who asks; the project itself is not told where what it brings is tried."""
    if root.kind is RootKind.PROJECT:
        return "by default" if lock.format.is_of_conda else ""
    return " of ".join(filter(None, (f"in the {root.kind} {root.name}".rstrip(), root.member)))
