"""Whether two environment markers mean the same, or can hold together: tried on every environment that they can tell apart.

A marker asks of an environment only how its variables compare with the texts that the marker writes. So one environment for each
such text, and for what lies between and beside them, is all that there can be. The variables of one system go together (there is
no Linux whose ``os_name`` is ``nt``), and so do those of one Python. Where that makes too many environments, the answer is None.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Patience", "can_hold_together", "mean_the_same", "narrowed", "parsed", "versions_admitted"]

#: How many environments are tried at most.
_MOST: Final = 1500
_TEST: Final = re.compile(
    r"""\b([a-z_]+)\s*(?:===|[=!<>~]=|<|>|(?:not\s+)?in\b)\s*(?:'([^']*)'|"([^"]*)")"""
    r"""|(?:'([^']*)'|"([^"]*)")\s*(?:===|[=!<>~]=|<|>|(?:not\s+)?in\b)\s*([a-z_]+)\b"""
)
_VERSION: Final = re.compile(r"\d{1,4}(?:\.\d{1,6}){0,2}")
#: ``sys_platform``, ``platform_system`` and ``os_name`` of the systems that there are.
_SYSTEMS: Final = (
    ("linux", "Linux", "posix"),
    ("darwin", "Darwin", "posix"),
    ("win32", "Windows", "nt"),
    ("other", "Other", "posix"),
)
_PYTHONS: Final = (("cpython", "CPython"), ("pypy", "PyPy"), ("other", "Other"))
_NEWEST: Final = 20


class Patience:
    """How many environments may still be tried, for all the markers of one document: a hostile one has thousands of them."""

    __slots__ = ("_left",)

    def __init__(self, environments: int = 50_000) -> None:
        self._left = environments

    def lasts(self, one: str, other: str, requires_python: str) -> bool:
        """Whether the two markers may be tried still."""
        if not self.ended:
            self._left -= 1 + min(_MOST, _cost(f"{one} and {other}", requires_python))
        return not self.ended

    @property
    def ended(self) -> bool:
        """Whether nothing more is tried, so that an answer may be missing."""
        return self._left < 0


def mean_the_same(one: str, other: str, requires_python: str = "", patience: Patience | None = None) -> bool | None:
    """Whether the markers *one* and *other* hold in the same environments, of those whose Python is *requires_python*.

    None where that can not be told, or *patience* is at its end. An empty marker holds in all of them.
    """
    if one == other:
        return True
    if patience is not None and not patience.lasts(one, other, requires_python):
        return None
    return _tried(one, other, requires_python, together=False)


def can_hold_together(one: str, other: str, requires_python: str = "", patience: Patience | None = None) -> bool | None:
    """Whether there is an environment whose Python is *requires_python*, and in which both markers hold."""
    if not one and not other:
        return True
    if patience is not None and not patience.lasts(one, other, requires_python):
        return None
    return _tried(one, other, requires_python, together=True)


def narrowed(requires_python: Iterable[str]) -> str:
    """The specifier of all of *requires_python* at once; what is no specifier is left out."""
    return ",".join(text for text in requires_python if text and _specifiers(text) is not None)


def versions_admitted(requires_python: str) -> tuple[str, ...] | None:
    """The minor versions of Python 3 that *requires_python* admits, each as far as one of its releases is; None if it is none."""
    specifiers = _specifiers(requires_python)
    if specifiers is None:
        return None
    beside = {release[2] if len(release) > 2 else 0 for release in _releases([requires_python])} | {0, 999}
    return tuple(
        f"3.{minor}"
        for minor in range(_NEWEST + 1)
        if any(specifiers.contains(f"3.{minor}.{micro}") for number in beside for micro in (max(0, number - 1), number, number + 1))
    )


@lru_cache(maxsize=1 << 12)
def _tried(one: str, other: str, requires_python: str, *, together: bool) -> bool | None:
    try:
        markers = [Marker(text) if text else None for text in (one, other)]
        for world in _worlds(f"{one} and {other}", requires_python):
            holds = [marker is None or marker.evaluate(world) for marker in markers]
            if together and all(holds):
                return True
            if not together and holds[0] is not holds[1]:
                return False
    except (InvalidMarker, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # what packaging makes of odd ones
        return None
    return not together


@lru_cache(maxsize=1 << 12)
def _choices(text: str, requires_python: str) -> tuple[tuple[Any, ...], ...]:
    """What each variable, or set of variables that go together, may be, so that the markers in *text* tell them apart."""
    named: dict[str, set[str]] = {}
    for match in _TEST.finditer(text):
        variable = match[1] or match[6]
        named.setdefault(variable, set()).add(next(value for value in match.group(2, 3, 4, 5) if value is not None))
    found: list[list[Any]] = [_systems(named), _kinds(named), _pythons(named, requires_python)]
    found.append([*sorted(named.get("extra", ())), ""])
    found += [_subsets(named.get(variable)) for variable in ("extras", "dependency_groups")]
    found += [[*sorted(named.get(variable, ())), "none of them"] for variable in ("platform_machine", "platform_version")]
    found.append(["0", *sorted(named.get("platform_release", ()))] if "platform_release" in named else ["0"])
    return tuple(map(tuple, found))


def _cost(text: str, requires_python: str) -> int:
    """How many environments the markers in *text* can tell apart."""
    return prod(map(len, _choices(text, requires_python)))


def _worlds(text: str, requires_python: str) -> Iterator[Mapping[str, Any]]:
    """Every environment that the markers in *text* can tell apart.

    Raises:
        ValueError: there are more of them than are tried.
    """
    if _cost(text, requires_python) > _MOST:
        raise ValueError("too many environments")
    choices = _choices(text, requires_python)
    for system, kind, python, extra, active, groups, machine, version, release in product(*choices):
        yield {
            "sys_platform": system[0],
            "platform_system": system[1],
            "os_name": system[2],
            "implementation_name": kind[0],
            "platform_python_implementation": kind[1],
            "python_version": ".".join(python.split(".")[:2]),
            "python_full_version": python,
            "implementation_version": python,
            "extra": extra,
            "extras": active,
            "dependency_groups": groups,
            "platform_machine": machine,
            "platform_version": version,
            "platform_release": release,
        }


def _subsets(literals: set[str] | None) -> list[frozenset[str]]:
    """None of the names, each alone, and all at once: with a list of a few dozen extras all subsets would be too many."""
    names = sorted(literals or ())
    return list(dict.fromkeys([frozenset[str](), *(frozenset({name}) for name in names), frozenset(names)]))


def _systems(named: Mapping[str, set[str]]) -> list[tuple[str, str, str]]:
    variables = ("sys_platform", "platform_system", "os_name")
    if not any(variable in named for variable in variables):
        return [_SYSTEMS[0]]
    known = [{row[index] for row in _SYSTEMS} for index in range(3)]
    found = list(_SYSTEMS)
    for index, variable in enumerate(variables):
        for literal in sorted(named.get(variable, set()) - known[index]):
            row = ["other", "Other", "posix"]
            row[index] = literal
            found.append((row[0], row[1], row[2]))
    return found


def _kinds(named: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    variables = ("implementation_name", "platform_python_implementation")
    return list(_PYTHONS) if any(variable in named for variable in variables) else [_PYTHONS[0]]


def _pythons(named: Mapping[str, set[str]], requires_python: str) -> list[str]:
    """Releases of Python on both sides of each version that is written, of those that *requires_python* admits."""
    asked = [*named.get("python_version", ()), *named.get("python_full_version", ()), *named.get("implementation_version", ())]
    if not asked:
        return ["3.11.4"]
    releases: set[tuple[int, int, int]] = set()
    for written in _releases([*asked, requires_python]):
        major, minor, micro = (*written, 0, 0)[:3]
        releases.update((major, minor, micro + step) for step in (-1, 0, 1) if micro + step >= 0)
        releases.update((major, minor + step, 0) for step in (-1, 0, 1) if minor + step >= 0)
        releases.update({(major, minor, 999), (max(0, major - 1), 999, 0)})
    specifiers = _specifiers(requires_python) if requires_python else None
    found = [".".join(map(str, release)) for release in sorted(releases)]
    return [text for text in found if specifiers is None or specifiers.contains(text, prereleases=True)]


def _releases(texts: Iterable[str]) -> list[tuple[int, ...]]:
    return [tuple(int(part) for part in written.split(".")) for text in texts for written in _VERSION.findall(text)]


@lru_cache(maxsize=1 << 10)
def _specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return None


def parsed(version: str) -> Version | None:
    """*version*, or None where it is none."""
    try:
        return Version(version)
    except (InvalidVersion, ValueError):
        return None
