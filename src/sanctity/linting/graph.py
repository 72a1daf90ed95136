"""Whether a lock is whole: each edge leads somewhere, no name is pinned twice for one environment, and it says for which Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.compare.markers import evaluate
from sanctity.compare.usual import environments_of
from sanctity.errors import DocumentError
from sanctity.linting.subject import finding, some
from sanctity.model.lock import Ecosystem, LockFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.compare.markers import MarkerEnvironment
    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Dependency, Lock, Pin

__all__ = ["closure_incomplete", "pins_overlap", "requires_python_missing"]

#: Formats whose pins carry their own markers, so that two of one name must exclude each other.
_MARKED: Final = frozenset({LockFormat.PYLOCK, LockFormat.REQUIREMENTS})
#: So many names that are missing say that this is no lock; the rest is not looked for.
_ENOUGH: Final = 1000
#: Formats that have a place for the Python that they are for.
_FOR_PYTHON: Final = frozenset({LockFormat.UV, LockFormat.POETRY, LockFormat.PDM, LockFormat.PYLOCK, LockFormat.PIPFILE})


def closure_incomplete(subject: Subject) -> Iterator[Finding]:
    """Names that something needs, in an environment that the lock is for, and that are not locked."""
    lock = subject.lock
    asked = {(edge.name, extra) for edge in _edges(lock) for extra in edge.extras}
    pinned: dict[tuple[str, Ecosystem], list[Pin]] = {}
    for pin in lock.pins:
        pinned.setdefault((pin.name, pin.ecosystem), []).append(pin)
    mixed = any(pin.ecosystem is Ecosystem.CONDA for pin in lock.pins)
    environments = environments_of(lock.requires_python)
    lacking: dict[str, list[tuple[str, str]]] = {}
    absent: dict[str, tuple[str, ...]] = {}

    def see(edge: Dependency, owner: Pin | None, *, extra: str = "") -> None:
        if len(lacking) > _ENOUGH:
            return
        if mixed and (edge.ecosystem is Ecosystem.PYPI or edge.name.startswith("__")):
            return  # conda's own package may be what a name of the index is
        found = [pin for pin in pinned.get((edge.name, edge.ecosystem), ()) if edge.version in {"", pin.version}]
        wanted = set(edge.platforms or (owner.platforms if owner is not None else ()))
        left: set[str] = set()
        if (
            found
            and (all(pin.platforms for pin in found) and wanted)
            and (left := wanted.difference(*(p.platforms for p in found)))
        ):
            on = f" on {some(sorted(left))}"
        elif found:
            return
        else:
            on = ""
        conditions = [edge.marker, owner.marker if owner is not None else ""]
        active = frozenset({extra}) if extra else frozenset()
        if edge.ecosystem is Ecosystem.PYPI and not any(_hold(conditions, each, active) for each in environments):
            return
        what = f"{edge.name} {edge.version}".strip() + on
        absent[what] = tuple(sorted(left))
        lacking.setdefault(what, []).append(
            (owner.name if owner is not None else "the project", owner.where if owner is not None else "")
        )

    for root in lock.roots:
        for edge in root.dependencies:
            see(edge, None)
    for pin in lock.pins:
        for edge in pin.dependencies:
            see(edge, pin)
        for extra, edges in pin.optional:
            if (pin.name, extra) in asked:
                for edge in edges:
                    see(edge, pin, extra=extra)
    for what, owners in lacking.items():
        names = list(dict.fromkeys(name for name, _ in owners))
        message = f"{what} is needed by {some(names)}, and is not locked"
        hint = subject.remedy
        if lock.format is LockFormat.UV:
            hint = "uv does not read it so: take it from git as it was before, then uv lock"
        # Which version is missing, and who else needs it, is the same gap; another platform is another one.
        package, about = what.partition(" ")[0], absent[what] or ("",)
        yield finding("closure-incomplete", message, package=package, where=owners[0][1], hint=hint, about=about)


def _edges(lock: Lock) -> Iterator[Dependency]:
    for root in lock.roots:
        yield from root.dependencies
    for pin in lock.pins:
        yield from pin.dependencies
        for _, edges in pin.optional:
            yield from edges


def _hold(conditions: list[str], environment: MarkerEnvironment, extras: frozenset[str]) -> bool:
    """Whether all *conditions* hold for certain."""
    try:
        return all(evaluate(marker, environment, extras=extras) is True for marker in conditions)
    except DocumentError:
        return False


def pins_overlap(subject: Subject) -> Iterator[Finding]:
    """One name pinned twice for one environment: which of them is installed, the installer decides."""
    lock = subject.lock
    if lock.format is LockFormat.UV:
        yield from _ambiguous(lock)
    if lock.format not in _MARKED:
        return
    by_name: dict[str, list[Pin]] = {}
    for pin in lock.pins:
        if pin.name and pin.version:
            by_name.setdefault(pin.name, []).append(pin)
    for name, pins in by_name.items():
        if len(pins) < 2:
            continue
        for environment in environments_of(lock.requires_python):
            both = [pin for pin in pins if _hold([pin.marker], environment, frozenset())]
            if len({(pin.version, pin.source) for pin in both}) > 1:
                known = dict(environment.known)
                versions = " and ".join(dict.fromkeys(pin.version for pin in both))
                message = f"{versions} are both locked for Python {known['python_version']} on {known['sys_platform']}"
                yield finding("pins-overlap", message, package=name, where=both[1].where, hint=subject.remedy, about=("",))
                break


def _ambiguous(lock: Lock) -> Iterator[Finding]:
    """Names that uv.lock has several entries of, and that something needs without saying which: uv refuses such a lock."""
    by_name: dict[str, list[Pin]] = {}
    for pin in lock.pins:
        by_name.setdefault(pin.name, []).append(pin)
    told: set[str] = set()
    for edge in _edges(lock):
        pins = by_name.get(edge.name, [])
        if len(pins) > 1 and not edge.version and edge.source is None and edge.name not in told:
            told.add(edge.name)
            versions = " and ".join(dict.fromkeys(pin.version or pin.source.location for pin in pins))
            message = f"{versions} are both locked, and what needs it does not say which"
            hint = "uv does not read it so: take it from git as it was before, then uv lock"
            yield finding("pins-overlap", message, package=edge.name, where=pins[1].where, hint=hint, about=("",))


def requires_python_missing(subject: Subject) -> Iterator[Finding]:
    """A lock that does not say for which Python it was made."""
    if subject.lock.format in _FOR_PYTHON and not subject.lock.requires_python and subject.lock.pins:
        hint = "state requires-python in pyproject.toml, then lock again"
        if subject.lock.format is LockFormat.PYLOCK and subject.lock.generator in {"pip", "pip-tools"}:
            hint = f"{subject.lock.generator} writes none: lock with a tool that does (uv export --format pylock.toml)"
        if subject.lock.format is LockFormat.PIPFILE:
            hint = "state python_version under [requires] in the Pipfile, then `pipenv lock`"
        yield finding("requires-python-missing", "it does not say which Pythons it is for", hint=hint)
