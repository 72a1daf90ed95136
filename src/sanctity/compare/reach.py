"""For whom the pins of a lock are there: in which environments the tool installs each when it is told nothing, and who names it.

A marker on an edge, a group that became a default one, a root that moved: none of them is a word of the pin's own, and each can
bring a package to where it was not. So two locks are tried in the usual environments, and what comes out is compared.
"""

from __future__ import annotations

from collections import Counter
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
#: How much work the trying of one environment may be, for how many of the Pythons: all, the first and the last, the last alone.
#: No real lock comes to a third of the first.
_BUDGET: Final = ((10_000, len(_MINORS)), (50_000, 2), (200_000, 1))


def reaches(lock: Lock, beside: Lock) -> tuple[dict[int, frozenset[str]], bool]:
    """For each pin of *lock* (by its identity) the environments in which it is installed when nothing is chosen, and who names it.

    Environments are told as a system and a Python, of those that both *lock* and the one *beside* it are for. The other answer is
    whether they were tried: what is too large for that is not.
    """
    found: dict[int, set[str]] = {id(pin): set() for pin in lock.pins}
    for pin_id, words in _named(lock):
        found[pin_id].add(words)
    tried = True
    if not lock.format.is_of_conda:
        work = max(_work(lock), _work(beside))
        most = next((number for limit, number in _BUDGET if work <= limit), 0)
        wanted = (lock.requires_python, beside.requires_python)
        allowed = [minor for minor in _MINORS if all(satisfies(each, f"3.{minor}") is not False for each in wanted)]
        tried = most > 0
        for minor in allowed if most >= len(allowed) else [allowed[0], allowed[-1]] if most > 1 else allowed[-1:] if tried else []:
            for system, machine in _SYSTEMS.items():
                environment = environment_of(Interpreter(version=f"3.{minor}", abi=f"cpython-3{minor}", machine=machine))
                try:
                    selected = select(lock, environment, {})
                except SanctityError:  # a marker that is none: its reader has told
                    continue
                for pin in selected.expected:
                    found.setdefault(id(pin), set()).add(f"by default for Python 3.{minor} on {system}")
    return {pin: frozenset(words) for pin, words in found.items()}, tried


def _work(lock: Lock) -> int:
    """How much there is to do to walk *lock* once, roughly: each edge to each pin of its name, and each pin for each root."""
    alike = Counter(pin.name for pin in lock.pins)
    sets = [root.dependencies for root in lock.roots]
    sets += [edges for pin in lock.pins for edges in (pin.dependencies, *(each for _, each in pin.optional))]
    edges = sum(alike[edge.name] for each in sets for edge in each)
    return len(lock.pins) + edges + len(lock.roots) * len(lock.pins) // 4


def _named(lock: Lock) -> Iterable[tuple[int, str]]:
    """Which root names a pin, and with which extras anybody does."""
    by_name: dict[tuple[str, str, str], list[int]] = {}
    for index, pin in enumerate(lock.pins):
        for version in {"", pin.version}:
            by_name.setdefault((pin.ecosystem, pin.name, version), []).append(index)
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
            for index in by_name.get((edge.ecosystem, edge.name, edge.version), ()):
                pin = lock.pins[index]
                if edge.source is None or edge.source == pin.source:
                    if who:
                        yield id(pin), who
                    yield from ((id(pin), f"with its extra {extra}") for extra in edge.extras)


def _words(root: Root, lock: Lock) -> str:
    """Who asks; the project itself is not told where what it brings is tried."""
    if root.kind is RootKind.PROJECT:
        return "by default" if lock.format.is_of_conda else ""
    return " of ".join(filter(None, (f"in the {root.kind} {root.name}".rstrip(), root.member)))
