"""For whom the pins of a lock are there: in which environments the tool installs each when it is told nothing, and who names it.

A marker on an edge, a group that became a default one, a root that moved: none of them is a word of the pin's own, and each can
bring a package to where it was not. So two locks are tried in the usual environments, and what comes out is compared. What a lock
does not say of a pin is doubtful, and neither yes nor no.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.compare.conditions import Space
from sanctity.compare.markers import Junction, Test, environment_of, parse_marker, satisfies
from sanctity.compare.selection import select
from sanctity.errors import SanctityError
from sanctity.model.environment import Interpreter
from sanctity.model.lock import LockFormat, RootKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.compare.markers import Tree
    from sanctity.model.lock import Dependency, Lock, Root

__all__ = ["BY_DEFAULT", "WITH_EXTRA", "Reach", "Reaches", "is_listed", "reaches", "simplified"]

#: How what is installed without being chosen, and what is wanted with an extra, begins in words.
BY_DEFAULT: Final = "by default"
WITH_EXTRA: Final = "with its extra"
_SYSTEMS: Final = {"Linux": "linux-x86_64", "Linux on ARM": "linux-aarch64", "macOS": "macosx-arm64", "Windows": "win-amd64"}
_MINORS: Final = (8, 9, 10, 11, 12, 13, 14)
#: How much work the trying of one environment may be, for how many of the Pythons: all, the first and the last, the last alone.
#: No real lock comes to a third of the first.
_BUDGET: Final = ((10_000, len(_MINORS)), (50_000, 2), (200_000, 1))


#: Formats of which some locks are a graph, and others a list.
_OF_TWO_LAYOUTS: Final = frozenset({LockFormat.POETRY, LockFormat.PDM})


class Reach(NamedTuple):
    """For whom a pin is there, in words, and those of whom its lock does not say it."""

    told: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()


class Reaches(NamedTuple):
    """What is known of the pins of a lock, by their identity.

    *blind* is what the two locks can not be compared by, and why.
    """

    of: dict[int, Reach]
    blind: tuple[tuple[str, str], ...]


def is_listed(lock: Lock) -> bool:
    """Whether *lock*, whose format has two layouts, is a list, in which each package says for itself when it is wanted."""
    return lock.format in _OF_TWO_LAYOUTS and not any(pin.dependencies or pin.optional for pin in lock.pins)


def reaches(lock: Lock, beside: Lock) -> Reaches:
    """For each pin of *lock* the environments in which it is installed when nothing is chosen, and who names it.

    Environments are told as a system and a Python, of those that both *lock* and the one *beside* it are for.
    """
    found: dict[int, set[str]] = {id(pin): set() for pin in lock.pins}
    doubts: dict[int, set[str]] = {}
    blind = tuple(_untold(lock, beside))
    for pin_id, words in _named(lock) if _WHO not in dict(blind) else ():
        found[pin_id].add(words)
    if not lock.format.is_of_conda and _FOR_WHOM not in dict(blind):
        most = _pythons(lock, beside)
        wanted = (lock.requires_python, beside.requires_python)
        allowed = [minor for minor in _MINORS if all(satisfies(each, f"3.{minor}") is not False for each in wanted)]
        for minor in allowed if most >= len(allowed) else [allowed[0], allowed[-1]] if most > 1 else allowed[-1:]:
            for system, machine in _SYSTEMS.items():
                environment = environment_of(Interpreter(version=f"3.{minor}", abi=f"cpython-3{minor}", machine=machine))
                words = f"{BY_DEFAULT} for Python 3.{minor} on {system}"
                try:
                    selected = select(lock, environment, {})
                except SanctityError:  # a marker that is none: its reader has told
                    continue
                for pin in selected.expected:
                    found.setdefault(id(pin), set()).add(words)
                for each in selected.undecided:
                    doubts.setdefault(id(each.pin), set()).add(words)
    known = {pin: Reach(frozenset(words), frozenset(doubts.get(pin, ()))) for pin, words in found.items()}
    return Reaches(known, blind)


_FOR_WHOM: Final = "for whom packages are installed"
_WHO: Final = "which groups and extras ask for packages"


def _pythons(lock: Lock, beside: Lock) -> int:
    """With how many Pythons the two are tried; none where they are too large for that."""
    work = max(_work(lock), _work(beside))
    return next((number for limit, number in _BUDGET if work <= limit), 0)


def _untold(lock: Lock, beside: Lock) -> Iterator[tuple[str, str]]:
    """What the two can not be compared by, and why."""
    complete = [all(root.complete for root in each.roots) for each in (lock, beside)]
    if not all(complete):
        yield (
            _FOR_WHOM,
            "neither of the two says all that is asked for"
            if not any(complete)
            else "one of the two does not say all that is asked for",
        )
    elif not lock.format.is_of_conda and not _pythons(lock, beside):
        yield _FOR_WHOM, "there are too many of them to try it"
    if is_listed(lock) is not is_listed(beside):
        yield _WHO, "one lists all that each of them brings, and the other what it asks for itself"
    elif complete[0] is not complete[1]:
        yield _WHO, "one of the two does not say it"


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
                    yield from ((id(pin), f"{WITH_EXTRA} {extra}") for extra in edge.extras)


def _words(root: Root, lock: Lock) -> str:
    """Who asks; the project itself is not told where what it brings is tried."""
    if root.kind is RootKind.PROJECT:
        return BY_DEFAULT if lock.format.is_of_conda else ""
    return " of ".join(filter(None, (f"in the {root.kind} {root.name}".rstrip(), root.member)))


# -- markers ----------------------------------------------------------------------------------------------------------------------

_CLAUSE: Final = re.compile(r"\s*(===|~=|[=!<>]=|[<>])\s*([0-9A-Za-z.*+!-]+)\s*")
_MINOR: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
_IN_EXTRAS: Final = re.compile(r"('[^']*') (not in|in) extras")


def simplified(lock: Lock, beside: Lock) -> dict[str, str]:
    """Each marker of a pin of the two as short as it comes for the Pythons that both are for.

    Markers that mean the same there are one text, from either side. One that can not be simplified is left out.
    """
    pythons = sorted({lock.requires_python, beside.requires_python})
    # Of both, so that what is too much for one is too much for the other.
    every = sorted({pin.marker for each in (lock, beside) for pin in each.pins if pin.marker})
    if not every:
        return {}
    try:
        tests = [test for marker in every for test in _tests(parse_marker(marker)) if test.variable in _CHOICES]
        extras = {test.literal for test in tests if test.variable != "dependency_groups"}
        groups = {test.literal for test in tests if test.variable == "dependency_groups"}
        space = Space([*every, *(_python_marker(each, _PYTHONS) for each in pythons)], extras=extras, groups=groups)
    except SanctityError:
        return {}

    def chosen(kind: str, name: str) -> int:
        return space.group_chosen(name) if kind == "dependency_groups" else space.extra_chosen(name)

    found: dict[str, str] = {}
    try:

        def allowed(names: frozenset[str]) -> int:
            return reduce(space.both, (space.of(_python_marker(each, names), chosen) for each in pythons))

        known, bounds = allowed(_PYTHONS), {name: allowed(frozenset({name})) for name in _PYTHONS}
        for marker in every:
            try:
                wide = space.written(space.of(marker, chosen), given=known)
                asked = (bounds[name] for name in sorted(_PYTHONS) if name in wide)
                narrow = space.written(reduce(space.both, asked, space.of(wide, chosen)))
            except ValueError:  # what never holds has no marker, and what is asked of extras may have no meaning
                continue
            # What may be said of other Pythons makes most texts shorter, and some longer.
            text = min(narrow, wide, key=lambda each: (len(each), each))
            found[marker] = text if any(test.variable == "extras" for test in tests) else _IN_EXTRAS.sub(_extra, text)
    except OverflowError:
        return {}
    return found


_PYTHONS: Final = frozenset({"python_full_version", "python_version"})
_CHOICES: Final = frozenset({"extra", "extras", "dependency_groups"})


def _extra(match: re.Match[str]) -> str:
    return f"extra {'==' if match[2] == 'in' else '!='} {match[1]}"


def _tests(tree: Tree) -> Iterator[Test]:
    if isinstance(tree, Junction):
        for term in tree.terms:
            yield from _tests(term)
    elif isinstance(tree, Test):
        yield tree


def _python_marker(requires_python: str, names: frozenset[str]) -> str:
    """The marker, of the variables *names*, that holds for all interpreters that *requires_python* allows, and few others."""
    parts: list[str] = []
    for alternative in requires_python.split("||"):
        clauses: list[str] = []
        for text in filter(str.strip, alternative.split(",")):
            match = _CLAUSE.fullmatch(text)
            if match is None:
                return ""
            # Two variables, of which nobody else says that they hang together.
            minor = match[1] in {">=", "<"} and _MINOR.fullmatch(match[2])
            told = [name for name in sorted(names) if name == "python_full_version" or minor]
            clauses += [f"{name} {match[1]} '{match[2]}'" for name in told]
        if not clauses:
            return ""
        parts.append(f"({' and '.join(clauses)})")
    return " or ".join(parts)
