"""A lock as a flat list: each package with the marker under which anything asks for it, as ``pylock.toml`` has it (PEP 751).

A lock is a graph, and what an environment holds is the closure of what was chosen. In a flat list there is nothing to follow: the
marker of a package is every path to it, from what is always wanted, from an extra (``'docs' in extras``) or from a dependency
group (``'dev' in dependency_groups``). Whoever evaluates the markers installs what whoever walks the graph would.

What is exported is what the tool installs when it is told nothing: a workspace's main project, or all of its members where it has
none, and what can be chosen with them. A lock that does not say all that the format must know is refused, with each reason; what
is merely left out is noted.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from sanctity.compare.conditions import FALSE, TRUE, Space
from sanctity.compare.markers import evaluate, names_in
from sanctity.compare.selection import encoded
from sanctity.compare.usual import environments_of
from sanctity.errors import DocumentError
from sanctity.model.lock import Ecosystem, LockFormat, RootKind, SourceKind
from sanctity.model.names import SEEDS
from sanctity.model.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.compare.conditions import Condition
    from sanctity.model.lock import Artifact, Dependency, Lock, Pin, Root

__all__ = ["Flat", "flatten"]

_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL})
_CODE: Final = "export-impossible"

#: A pin by its place in the lock, or one of its extras.
_Node: TypeAlias = "int | tuple[int, str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """A flat lock. *pins* have no edges, one ``marker`` that says it all, and only such artifacts as the format can name.

    They are sorted, and so are the *extras* and *groups* that can be chosen; *defaults* are the groups chosen by default.
    *environments* are the markers of those that it is for, any of which may hold. *notes* say what the lock states and this does
    not.
    """

    requires_python: str = ""
    environments: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    pins: tuple[Pin, ...] = ()
    notes: tuple[str, ...] = ()


def flatten(lock: Lock, *, project: bool = True) -> Flat:
    """*lock* as a flat list. Without *project* its own projects are left out, and what they need is not.

    Raises:
        DocumentError: ``export-impossible``, with everything that stands in the way.
    """
    desk = _Desk(lock.path, hint="lock again with a tool that keeps file names, addresses and hashes: uv, pip or PDM")
    desk.ask = f"ask the index for them: {shlex.join(('sanctity', 'export', '--online', lock.path))}"
    _check_format(desk, lock)
    roots = _exported(lock)
    extras, groups, defaults = _choices(roots)
    pins = lock.pins
    if lock.format is not LockFormat.PYLOCK:
        try:
            pins = tuple(_reached(desk, lock, roots, extras, groups))
        except (RecursionError, OverflowError) as error:
            message = "its extras, groups and markers are too many to be told apart"
            raise DocumentError(_CODE, message, where=lock.path, hint="export fewer: lock a smaller project") from error
        _leave_out(desk, lock, roots, pins)
    members = {root.member for root in lock.roots if root.member}
    if not project:
        pins = tuple(pin for pin in pins if pin.name not in members or pin.source.kind not in _LOCAL)
    kept = [_fitted(desk, pin) for pin in pins if pin.source.kind is not SourceKind.VIRTUAL]
    _check_overlaps(desk, lock, kept, frozenset(defaults))
    desk.finish()
    return Flat(
        requires_python=_specifier(desk, lock.requires_python, "the lock's requires-python"),
        environments=lock.environments,
        extras=extras,
        groups=groups,
        defaults=tuple(sorted(defaults)),
        pins=tuple(sorted((replace(pin, requires_python=_python_of(desk, pin)) for pin in kept), key=_order)),
        notes=tuple(desk.told()),
    )


class _Desk(Reader):
    """Faults and notes; packages of which the same is to be said are gathered, and named together."""

    __slots__ = ("_gathered", "_left", "_notes", "ask")

    def __init__(self, path: str, *, hint: str) -> None:
        super().__init__(path, hint=hint)
        self._gathered: dict[tuple[str, str], list[Pin]] = {}
        self._left: dict[str, list[str]] = {}
        self._notes: list[str] = []
        self.ask = ""

    def refuse(self, pin: Pin, why: str, hint: str) -> None:
        """Gather that *pin* can not be written, and *why*."""
        self._gathered.setdefault((why, hint), []).append(pin)

    def tell(self, text: str) -> None:
        """Note *text* once."""
        if text not in self._notes:
            self._notes.append(text)

    def leave(self, what: str, why: str) -> None:
        """Gather that *what* is left out, and *why*."""
        self._left.setdefault(why, []).append(what)

    def finish(self) -> None:
        for (why, hint), pins in self._gathered.items():
            names = [f"{pin.name} {pin.version}".strip() for pin in pins]
            self.fault(_CODE, pins[0].where, f"{why}: {_listed(names)}", hint)
        super().finish()

    def told(self) -> Iterator[str]:
        """All notes."""
        yield from self._notes
        for why, names in self._left.items():
            yield f"left out, {why}: {_listed(names)}"


def _check_format(desk: _Desk, lock: Lock) -> None:
    """Refuse what can not be exported whatever it holds."""
    if not lock.format.is_lock:
        message = "it says what is wished for, and locks nothing"
        raise DocumentError(_CODE, message, where=lock.path, hint="lock the project first, and export its lock")
    conda = [pin for pin in lock.pins if pin.ecosystem is Ecosystem.CONDA]
    for pin in conda:
        hint = "install it by the tool that locked it: no other format has conda's packages"
        desk.refuse(pin, "pylock.toml has no conda packages", hint)
    if conda:
        desk.finish()
    unknown = next((root for root in lock.roots if not root.complete), None)
    if unknown is not None:
        message = "the lock alone does not say what the project asks for, nor under which markers"
        hint = "keep pyproject.toml beside it, or lock again with Poetry 2.1 or newer"
        raise DocumentError(_CODE, message, where=lock.path, hint=hint)
    for pin in lock.pins:
        if pin.platforms:
            desk.refuse(pin, "it is locked for conda's platforms", "lock it with a tool that writes markers")


def _exported(lock: Lock) -> list[Root]:
    """The roots of what is installed without a word more, and of what can be chosen with it."""
    projects = [root for root in lock.roots if root.kind is RootKind.PROJECT]
    main = next((pin.name for pin in lock.pins if pin.source.kind in _LOCAL and pin.source.location in {".", "./"}), "")
    named = [root for root in projects if root.member]
    base = [root for root in named if root.member == main] or [root for root in named if root.default] or named if named else []
    members = {root.member for root in base} | {""}
    return [root for root in lock.roots if root.member in members]


def _choices(roots: Iterable[Root]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The extras, the groups, and the default groups of *roots*."""
    extras = {root.name for root in roots if root.kind is RootKind.EXTRA}
    groups = {root.name for root in roots if root.kind is RootKind.GROUP}
    defaults = {root.name for root in roots if root.kind is RootKind.GROUP and root.default}
    return tuple(sorted(extras)), tuple(sorted(groups)), tuple(sorted(defaults))


def _leave_out(desk: _Desk, lock: Lock, roots: list[Root], pins: Iterable[Pin]) -> None:
    """Say which members and packages are not exported."""
    for member in sorted({root.member for root in lock.roots} - {root.member for root in roots}):
        desk.leave(member, "a member of the workspace that is not installed with its main project")
    kept = {pin.where for pin in pins}
    for pin in lock.pins:
        if pin.where not in kept and pin.source.kind is not SourceKind.VIRTUAL:
            desk.leave(f"{pin.name} {pin.version}".strip(), "as nothing that is exported asks for it")


# --- The walk ----------------------------------------------------------------------------------------------------------------


def _reached(desk: _Desk, lock: Lock, roots: list[Root], extras: Iterable[str], groups: Iterable[str]) -> list[Pin]:
    """The pins that are reached, each with its condition as its marker."""
    markers = {pin.marker for pin in lock.pins}
    for edges in _edge_sets(lock, roots):
        markers.update(edge.marker for edge in edges)
    space = Space(markers, extras=extras, groups=groups)
    walk = _Walk(lock, roots, space, frozenset[str]().union(*map(names_in, markers)))
    try:
        conditions = walk.conditions()
    except ValueError as error:
        raise DocumentError(_CODE, f"a marker has no meaning in pylock.toml: {error}", where=lock.path, hint=desk.hint) from error
    for edge in walk.dangling:
        message = f"{edge.name} is asked for, and the lock has no entry that says which one to install"
        desk.fault(_CODE, "", message, "lock again with the tool that wrote this file")
    wanted = [(lock.pins[index], conditions[index]) for index in range(len(lock.pins)) if index in conditions]
    if walk.has_conflicts:
        together = sorted(_together(space, wanted))
        if together:
            desk.tell(f"extras or groups exclude each other, which pylock.toml can not say: both ask for {_listed(together)}")
    return [replace(pin, marker=space.written(condition), dependencies=(), optional=()) for pin, condition in wanted]


def _edge_sets(lock: Lock, roots: Iterable[Root]) -> Iterator[tuple[Dependency, ...]]:
    for root in roots:
        yield root.dependencies
    for pin in lock.pins:
        yield pin.dependencies
        for _, edges in pin.optional:
            yield edges


def _together(space: Space, wanted: list[tuple[Pin, Condition]]) -> Iterator[str]:
    """The names of which two pins may be wanted at once."""
    seen: dict[str, Condition] = {}
    for pin, condition in wanted:
        before = seen.get(pin.name, FALSE)
        if space.both(before, condition) != FALSE:
            yield pin.name
        seen[pin.name] = space.either(before, condition)


class _Walk:
    """The closure of *roots* as conditions, by the rules of `compare.selection`, for all environments and choices at once."""

    def __init__(self, lock: Lock, roots: list[Root], space: Space, mentioned: frozenset[str]) -> None:
        self._lock = lock
        self._space = space
        self._roots = roots
        self._mentioned = mentioned
        # uv's resolution markers only tell pins of one name apart; elsewhere a pin's marker is its own condition.
        self._uv = lock.format is LockFormat.UV
        self._by_name: dict[str, list[int]] = {}
        for index, pin in enumerate(lock.pins):
            self._by_name.setdefault(pin.name, []).append(index)
        self._extras: dict[str, Condition] = {}
        self._groups: dict[str, Condition] = {}
        for root in roots:
            for name in {*root.extras, encoded(root.kind, root.member, root.name)}:
                self._activate(self._extras, str(canonicalize_name(name)), self._chosen(root))
            for name in root.groups:
                self._activate(self._groups, str(canonicalize_name(name)), self._chosen(root))
            if root.kind is RootKind.EXTRA:
                self._activate(self._extras, root.name, self._chosen(root))
            elif root.kind is RootKind.GROUP:
                self._activate(self._groups, root.name, self._chosen(root))
        self.has_conflicts = any(encoded(root.kind, root.member, root.name) in root.extras for root in roots)
        self.dangling: list[Dependency] = []

    def _chosen(self, root: Root) -> Condition:
        """When *root* is chosen."""
        if root.kind is RootKind.EXTRA:
            return self._space.extra_chosen(root.name)
        return self._space.group_chosen(root.name) if root.kind is RootKind.GROUP else TRUE

    def _activate(self, names: dict[str, Condition], name: str, condition: Condition) -> bool:
        """Let *name* be active where *condition* holds, too; whether that is news."""
        before = names.get(name, FALSE)
        names[name] = self._space.either(before, condition)
        return names[name] != before

    def conditions(self) -> dict[_Node, Condition]:
        """When each node is reached; what never is, is not there.

        Extras that the walk itself switches on become active for uv's conflict markers, and the walk begins again.
        """
        while True:
            found = self._walk()
            news = False
            for node, condition in found.items():
                if isinstance(node, tuple):
                    name = encoded(RootKind.EXTRA, self._lock.pins[node[0]].name, node[1])
                    if name in self._mentioned:
                        news |= self._activate(self._extras, name, condition)
            if not news:
                return found

    def _walk(self) -> dict[_Node, Condition]:
        self.dangling = []
        steps: dict[_Node, list[tuple[_Node, Condition]]] = {}
        found: dict[_Node, Condition] = {}
        waiting: list[_Node] = []

        def reach(node: _Node, condition: Condition) -> None:
            before = found.get(node, FALSE)
            after = self._space.either(before, condition)
            if after != before:
                found[node] = after
                waiting.append(node)

        for root in self._roots:
            for edge in root.dependencies:
                for node, condition in self._follow(edge):
                    reach(node, self._space.both(self._chosen(root), condition))
        while waiting:
            node = waiting.pop()
            if node not in steps:
                steps[node] = [step for edge in self._edges(node) for step in self._follow(edge)]
            condition = found[node]
            for target, step in steps[node]:
                reach(target, self._space.both(condition, step))
        return found

    def _edges(self, node: _Node) -> tuple[Dependency, ...]:
        if isinstance(node, int):
            return self._lock.pins[node].dependencies
        return next(edges for name, edges in self._lock.pins[node[0]].optional if canonicalize_name(name) == node[1])

    def _follow(self, edge: Dependency) -> Iterator[tuple[_Node, Condition]]:
        """Where *edge* leads, and when."""
        own = {encoded(RootKind.EXTRA, edge.name, extra) for extra in edge.extras}

        def holds(marker: str) -> Condition:
            def active(variable: str, name: str) -> Condition:
                if variable == "dependency_groups":
                    return self._groups.get(name, FALSE)
                return TRUE if name in own else self._extras.get(name, FALSE)

            return self._space.of(marker, active)

        condition = holds(edge.marker)
        if condition == FALSE:
            return
        named = bool(edge.version) or edge.source is not None
        indices = self._by_name.get(edge.name, [])
        if named:
            indices = [index for index in indices if _is_meant(edge, self._lock.pins[index])]
        if not indices and edge.name not in SEEDS:
            self.dangling.append(edge)
        for index in indices:
            pin = self._lock.pins[index]
            look = pin.marker and (not self._uv or (len(indices) > 1 and not named))
            both = self._space.both(condition, holds(pin.marker)) if look else condition
            if both == FALSE:
                continue
            yield index, both
            offered = {str(canonicalize_name(name)) for name, _ in pin.optional}
            for extra in sorted({str(canonicalize_name(extra)) for extra in edge.extras} & offered):
                yield (index, extra), both


def _is_meant(edge: Dependency, pin: Pin) -> bool:
    return (not edge.version or edge.version == pin.version) and (edge.source is None or edge.source == pin.source)


def _check_overlaps(desk: _Desk, lock: Lock, pins: list[Pin], defaults: frozenset[str]) -> None:
    """Refuse two pins of one name that are both wanted in one usual environment, with nothing chosen: installers take one."""
    by_name: dict[str, list[Pin]] = {}
    for pin in pins:
        by_name.setdefault(pin.name, []).append(pin)
    for name, alike in by_name.items():
        if len(alike) < 2 or not name:
            continue
        for environment in environments_of(lock.requires_python):
            if lock.environments and not any(evaluate(each, environment) for each in lock.environments):
                continue
            both = [pin for pin in alike if not pin.marker or evaluate(pin.marker, environment, groups=defaults)]
            if len(both) > 1:
                versions = " and ".join(dict.fromkeys(pin.version or pin.source.location for pin in both))
                known = dict(environment.known)
                where = f"for Python {known['python_version']} on {known['sys_platform']}"
                desk.fault(_CODE, both[1].where, f"{name} is wanted twice {where}: {versions}", "lock again, so that one is left")
                break


# --- What the format can name ------------------------------------------------------------------------------------------------


def _fitted(desk: _Desk, pin: Pin) -> Pin:
    """*pin* with the artifacts that the format can name, the sdist first; what it must know and does not is refused."""
    kind = pin.source.kind
    if not pin.name:
        desk.refuse(replace(pin, name=pin.source.location), "the lock does not name it", "write its name before it: NAME @ ADDRESS")
        return pin
    if kind in _LOCAL:
        return replace(pin, artifacts=())
    if kind is SourceKind.GIT:
        if not pin.source.revision:
            desk.refuse(pin, "a repository without a commit is not locked", "lock again with a tool that writes the commit")
        return replace(pin, artifacts=())
    if kind is SourceKind.REGISTRY and not pin.version:
        desk.refuse(pin, "no version is locked", "pin it: lock with a tool that writes versions, file names and hashes")
        return pin
    if kind is SourceKind.REGISTRY and not pin.artifacts:
        hint = "lock for the platforms that you use alone (`environments` under [tool.uv]), or lock again"
        desk.refuse(pin, "the lock names no file of it", hint)
        return pin
    if not pin.artifacts or any(not artifact.digests for artifact in pin.artifacts):
        desk.refuse(
            pin, "the lock has no hash, which pylock.toml asks for", "lock again with a tool that writes hashes: uv, pip or PDM"
        )
        return pin
    if kind is not SourceKind.REGISTRY:
        one = next((artifact for artifact in pin.artifacts if artifact.location == pin.source.location), pin.artifacts[0])
        return replace(pin, artifacts=(replace(one, location=one.location or pin.source.location),))
    if any(not artifact.filename for artifact in pin.artifacts):
        desk.refuse(pin, "the lock has hashes without file names", desk.ask)
        return pin
    if any(not artifact.location for artifact in pin.artifacts):
        desk.refuse(pin, "the lock does not say where the files are, which pylock.toml asks for", desk.ask)
        return pin
    return replace(pin, artifacts=_named(desk, pin))


def _named(desk: _Desk, pin: Pin) -> tuple[Artifact, ...]:
    """The artifacts of an index: one sdist at most, then the wheels by name."""
    wheels: list[Artifact] = []
    sdists: list[Artifact] = []
    for artifact in pin.artifacts:
        try:
            if artifact.filename.endswith(".whl"):
                name, version, _, _ = parse_wheel_filename(artifact.filename)
                wheels.append(artifact)
            else:
                name, version = parse_sdist_filename(artifact.filename)
                sdists.append(artifact)
        except (InvalidWheelFilename, InvalidSdistFilename, ValueError):
            desk.leave(artifact.filename, "neither a wheel nor an sdist by its name")
            continue
        if name != pin.name or not _same(version, pin.version):
            desk.refuse(pin, f"{artifact.filename} is not a file of", "lock again with the tool that wrote this file")
            return ()
    sdists.sort(key=lambda artifact: (not artifact.filename.endswith(".tar.gz"), artifact.filename))
    for artifact in sdists[1:]:
        desk.leave(artifact.filename, "as pylock.toml has one sdist a package")
    if not wheels and not sdists:
        desk.refuse(pin, "none of the files is a wheel or an sdist", "lock again with a tool of this decade")
    return (*sdists[:1], *sorted(wheels, key=lambda artifact: (artifact.filename, artifact.location)))


def _same(version: Version, text: str) -> bool:
    try:
        return version == Version(text)
    except InvalidVersion:
        return False


def _python_of(desk: _Desk, pin: Pin) -> str:
    return _specifier(desk, pin.requires_python, f"the requires-python of {pin.name}") if pin.requires_python else ""


def _specifier(desk: _Desk, text: str, what: str) -> str:
    """*text* where it is a specifier of PEP 440, else nothing, which is noted: Poetry's alternatives are none."""
    try:
        return str(text and SpecifierSet(text) and text)
    except InvalidSpecifier:
        desk.leave(what, "as it is no plain version specifier")
        return ""


def _order(pin: Pin) -> tuple[object, ...]:
    try:
        version = (1, Version(pin.version or "0"))
    except InvalidVersion:
        version = (0, Version("0"))
    return (pin.name, *version, pin.version, pin.source.kind.value, pin.source.location, pin.source.subdirectory, pin.marker)


def _listed(names: list[str]) -> str:
    """*names* as a reader can bear them: ten, and how many more."""
    rest = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + rest
