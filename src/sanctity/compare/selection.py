"""What a lock expects in an environment: the closure of the roots that are installed there, or were asked for.

Nothing in an environment says which groups and extras were asked for when it was made, so that is read off what is there
(section 3 of the contract). A group or extra counts as selected if something exclusive to it is present: something that no
other root brings, but for roots that contain all of this one (``all`` contains ``test``). What is present, allowed, and
exclusive to none is then explained by the roots that are completely there; an environment that an installer left has such
an explanation always, and where there is none the answer is undecided.

A walk follows edges whose markers hold, and keeps apart what is reached for certain from what hangs on a marker that is
unknown. The names that markers see as active are those of all walked roots together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from sanctity.compare.markers import all_of, evaluate, names_in
from sanctity.errors import UsageError
from sanctity.model.drift import Selection
from sanctity.model.lock import LockFormat, Pin, RootKind, Source, SourceKind
from sanctity.model.names import SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.compare.markers import MarkerEnvironment
    from sanctity.model.lock import Dependency, Lock, Root

__all__ = ["Selected", "Undecided", "fits", "select"]

_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL})

_NOTHING: Final = frozenset[str]()
_MARKER: Final = "marker-unknown"
_MEMBERSHIP: Final = "membership-unknown"


class Undecided(NamedTuple):
    """A *pin* of which it can not be known whether it belongs there, the *reason* in words, and its `Unchecked` *code*."""

    pin: Pin
    reason: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a lock says of one environment.

    *expected* pins must be there; *allowed* ones are reachable from any root under the environment's markers, whatever is
    selected; *undecided* are those whose presence or absence can not be judged. *projects_absent* are members of the
    workspace that the selection includes but nothing installed needs: ``uv sync --no-install-project`` leaves them out.
    All are sorted by name and version.
    """

    selection: Selection
    expected: tuple[Pin, ...]
    allowed: tuple[Pin, ...]
    undecided: tuple[Undecided, ...] = ()
    projects_absent: tuple[Pin, ...] = ()


@lru_cache(maxsize=1 << 14)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # not one, or a number with more digits than Python reads
        return None


@lru_cache(maxsize=1 << 12)
def _specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except ValueError:  # not one, or a number with more digits than Python reads
        return None


def fits(pin: Pin, version: str) -> bool:
    """Whether *version* is what *pin* asks for, as pip's ``==`` has it: a pin without a local part takes any local part.

    A pin without a version takes any version that its specifier, if it has one, holds for.
    """
    if pin.version == version:
        return True
    if not pin.version:
        specifier = _specifiers(pin.specifier)
        found = _version(version)
        return not pin.specifier or (specifier is not None and found is not None and specifier.contains(found, prereleases=True))
    wanted, found = _version(pin.version), _version(version)
    if wanted is None or found is None:
        return False
    return wanted == found or (wanted.local is None and wanted == _version(found.public))


class _Active(NamedTuple):
    """The names that markers see as active."""

    extras: frozenset[str]
    groups: frozenset[str]


class _Step(NamedTuple):
    """An edge that may be followed to *node*; *doubt* is empty where it must be, else the code and reason of the doubt."""

    node: int
    doubt: tuple[str, str] | tuple[()] = ()


class _Reach(NamedTuple):
    """The nodes reached: *certain*, and *doubtful* ones with their doubt; *active* is what was active in the end."""

    certain: set[int]
    doubtful: dict[int, tuple[str, str]]
    active: _Active


class _Graph:
    """A lock as nodes: each pin, each extra of a pin (as it is reached), each root.

    *pins* are the lock's, followed by stand-ins for what it asks for without pinning it. *pin_of* is a node's pin, -1 for
    a root's.
    """

    def __init__(self, lock: Lock, environment: MarkerEnvironment) -> None:
        # uv evaluates its own locks with pre-releases of Python counted as releases, and its resolution markers only tell
        # pins of one name apart. In the flat formats a pin's marker is its own condition.
        self._uv = lock.format is LockFormat.UV
        self._environment = environment.released() if self._uv else environment
        self.pins: list[Pin] = list(lock.pins)
        self.pin_of: list[int] = list(range(len(self.pins)))
        self._edges: list[tuple[Dependency, ...]] = [pin.dependencies for pin in self.pins]
        self._by_name: dict[str, list[int]] = {}
        for index, pin in enumerate(self.pins):
            self._by_name.setdefault(pin.name, []).append(index)
        self._extras: dict[tuple[int, str], int] = {}
        self._encoded: dict[int, str] = {}
        self._plain: dict[int, tuple[_Step, ...]] = {}
        self._steps: dict[tuple[int, frozenset[str], frozenset[str]], tuple[_Step, ...]] = {}
        self._relevant: dict[int, frozenset[str]] = {}
        self._stand_ins: dict[tuple[str, str], int] = {}
        self._answers: dict[tuple[str, frozenset[str], frozenset[str]], bool | None] = {}
        self._names: dict[str, frozenset[str]] = {}
        edges_of: dict[tuple[str, str, str], tuple[Dependency, ...]] = {}
        for root in lock.roots:
            edges_of[_order(root)] = edges_of.get(_order(root), ()) + root.dependencies
        self._roots = {key: self._add(-1, edges) for key, edges in edges_of.items()}
        markers = {pin.marker for pin in self.pins}
        for edges in self._edges:
            markers.update(edge.marker for edge in edges)
        for pin in self.pins:
            for _, edges in pin.optional:
                markers.update(edge.marker for edge in edges)
        self._mentioned = _NOTHING.union(*map(names_in, markers))

    def _add(self, pin: int, edges: tuple[Dependency, ...]) -> int:
        self.pin_of.append(pin)
        self._edges.append(edges)
        return len(self.pin_of) - 1

    def nodes(self, roots: Iterable[Root]) -> list[int]:
        """The nodes of *roots*."""
        return [self._roots[_order(root)] for root in roots]

    def active(self, roots: Iterable[Root]) -> _Active:
        """The names that *roots* make active, less those that no marker of this lock asks for."""
        extras: set[str] = set()
        groups: set[str] = set()
        if self._mentioned:
            for root in roots:
                extras.update(map(canonicalize_name, root.extras))
                groups.update(map(canonicalize_name, root.groups))
                extras.add(encoded(root.kind, root.member, root.name))
                if root.kind is RootKind.EXTRA:
                    extras.add(root.name)
                elif root.kind is RootKind.GROUP:
                    groups.add(root.name)
        return _Active(self._mentioned.intersection(extras), self._mentioned.intersection(groups))

    def walk(self, starts: Iterable[int], active: _Active, *, beyond: frozenset[int] | set[int] = frozenset()) -> _Reach:
        """What is reached from the nodes *starts*, going no further at nodes *beyond*, which are left out.

        Extras that the walk itself switches on become active for uv's conflict markers, and the walk begins again.
        """
        starts = tuple(starts)
        while True:
            reach = self._walk(starts, active, beyond)
            more = self._mentioned.intersection(self._encoded[node] for node in reach.certain if node in self._encoded)
            if more <= active.extras:
                return reach
            active = _Active(active.extras | more, active.groups)

    def _walk(self, starts: tuple[int, ...], active: _Active, beyond: frozenset[int] | set[int]) -> _Reach:
        certain = set(starts)
        stack = list(certain)
        doubts: list[_Step] = []
        while stack:
            for step in self._steps_of(stack.pop(), active):
                if step.doubt:
                    doubts.append(step)
                elif step.node not in certain and step.node not in beyond:
                    certain.add(step.node)
                    stack.append(step.node)
        doubtful: dict[int, tuple[str, str]] = {}
        inherited = (_MARKER, "what asks for it may not belong here itself")
        while doubts:
            node, doubt = doubts.pop()
            if node in certain or node in beyond:
                continue
            known = doubtful.get(node)
            if known is None:
                doubts.extend(step if step.doubt else _Step(step.node, inherited) for step in self._steps_of(node, active))
            # The least of several reasons, and a reason of its own rather than an inherited one: no order may matter.
            if known is None or (doubt == inherited, doubt) < (known == inherited, known):
                doubtful[node] = doubt or inherited
        return _Reach(certain, doubtful, active)

    def _steps_of(self, node: int, active: _Active) -> tuple[_Step, ...]:
        """The edges that may be followed from *node*, which depend on *active* only where their markers ask for its names."""
        steps = self._plain.get(node)
        if steps is not None:
            return steps
        relevant = self._relevant.get(node)
        if relevant is None:
            relevant = _NOTHING.union(*map(names_in, self._markers_at(node))) if self._mentioned else _NOTHING
            self._relevant[node] = relevant
        key = (node, active.extras & relevant, active.groups & relevant)
        steps = self._steps.get(key)
        if steps is None:
            found: list[_Step] = []
            for edge in self._edges[node]:
                found.extend(self._follow(edge, active))
            steps = self._steps[key] = tuple(found)
            if not relevant:
                self._plain[node] = steps
        return steps

    def _markers_at(self, node: int) -> Iterator[str]:
        for edge in self._edges[node]:
            yield edge.marker
            yield from (self.pins[index].marker for index in self._by_name.get(edge.name, ()))

    def _follow(self, edge: Dependency, active: _Active) -> Iterator[_Step]:
        extras = active.extras
        if edge.extras and self._mentioned:
            extras |= {encoded(RootKind.EXTRA, edge.name, extra) for extra in edge.extras}
        holds = self._holds(edge.marker, extras, active.groups)
        if holds is False:
            return
        named = bool(edge.version or edge.build) or edge.source is not None
        indices = self._by_name.get(edge.name, [])
        if named:
            indices = [index for index in indices if self._is_meant(edge, self.pins[index])]
        if not indices:
            yield from self._stand_in(edge)
            return
        look = not self._uv or (len(indices) > 1 and not named)
        for index in indices:
            pin = self.pins[index]
            both: bool | None = holds
            if look and pin.marker:
                both = all_of((holds, self._holds(pin.marker, extras, active.groups)))
            if both is False:
                continue
            doubt: tuple[str, str] | tuple[()] = ()
            if both is None:
                marker = edge.marker if holds is None else pin.marker
                doubt = (_MARKER, f"it is wanted where {marker}, which can not be known without running the environment")
            yield _Step(index, doubt)
            for extra in edge.extras:
                node = self._extra(index, str(canonicalize_name(extra)))
                if node is not None:
                    yield _Step(node, doubt)

    def _holds(self, marker: str, extras: frozenset[str], groups: frozenset[str]) -> bool | None:
        if not marker:
            return True
        names = self._names.get(marker)
        if names is None:
            names = self._names[marker] = names_in(marker)
        key = (marker, extras & names, groups & names) if names else (marker, _NOTHING, _NOTHING)
        if key not in self._answers:
            self._answers[key] = evaluate(marker, self._environment, extras=key[1], groups=key[2])
        return self._answers[key]

    def _is_meant(self, edge: Dependency, pin: Pin) -> bool:
        return (
            (not edge.version or edge.version == pin.version)
            and (not edge.build or edge.build == pin.build)
            and (edge.source is None or edge.source == pin.source)
        )

    def _extra(self, index: int, extra: str) -> int | None:
        """The node of a pin's extra; None where the pin has no such extra."""
        node = self._extras.get((index, extra))
        if node is None:
            pin = self.pins[index]
            edges = next((edges for name, edges in pin.optional if canonicalize_name(name) == extra), None)
            if edges is None:
                return None
            node = self._extras[index, extra] = self._add(index, edges)
            self._encoded[node] = encoded(RootKind.EXTRA, pin.name, extra)
        return node

    def _stand_in(self, edge: Dependency) -> Iterator[_Step]:
        """A lock that asks for what it does not pin can not be met for certain. Old Poetry left the seeds out on purpose."""
        if edge.name in SEEDS:
            return
        node = self._stand_ins.get((edge.name, edge.version))
        if node is None:
            self.pins.append(Pin(name=edge.name, version=edge.version, source=edge.source or Source(kind=SourceKind.REGISTRY)))
            node = self._stand_ins[edge.name, edge.version] = self._add(len(self.pins) - 1, ())
        yield _Step(node, (_MEMBERSHIP, "the lock asks for it, but has no entry that says which one to install"))

    def pins_in(self, nodes: Iterable[int]) -> set[int]:
        """The pins of *nodes*, less the virtual ones, which are never installed."""
        found = {self.pin_of[node] for node in nodes} - {-1}
        return {index for index in found if self.pins[index].source.kind is not SourceKind.VIRTUAL}


def encoded(kind: RootKind, member: str, name: str) -> str:
    """The name by which uv's conflict markers know an extra, a group or a project: ``extra-3-foo-cpu``."""
    return "-".join(filter(None, (kind.value, str(len(member)), member, "" if kind is RootKind.PROJECT else name)))


class _Candidate(NamedTuple):
    """A root that may be selected, and what it brings beyond the base, as sets of bits: *sure*, and *all* it may bring."""

    root: Root
    reach: _Reach
    sure: int
    all: int


def select(
    lock: Lock,
    environment: MarkerEnvironment,
    installed: Mapping[str, frozenset[str]],
    *,
    members_installed: frozenset[str] = frozenset(),
    groups: tuple[str, ...] | None = None,
    extras: tuple[str, ...] | None = None,
) -> Selected:
    """What *lock* expects of an *environment* where *installed* is there (normalised name to versions).

    *members_installed* are the workspace members among the installed. *groups* and *extras* are asked for: they are required
    even where nothing of them is present, besides what is found to be selected. They are names, or ``member:name``.

    Raises:
        UsageError: ``unknown-group`` or ``unknown-extra``, the lock has none of that name.
        DocumentError: ``lock-bad-marker``.
    """
    graph = _Graph(lock, environment)
    main = next((pin.name for pin in lock.pins if pin.source.kind in _LOCAL and pin.source.location in {".", "./"}), "")
    chosen = _base(lock, main, members_installed)
    chosen += [root for root in _requested(lock, chosen, RootKind.GROUP, groups) if root not in chosen]
    chosen += [root for root in _requested(lock, chosen, RootKind.EXTRA, extras) if root not in chosen]
    chosen += _projects_of(lock, chosen)
    base = graph.walk(graph.nodes(chosen), graph.active(chosen))
    reaches = [(root, _solo(lock, graph, root, chosen, base)) for root in lock.roots if root not in chosen]
    bits = _Bits(lock, graph, installed)
    based = bits.of(base.certain) | bits.of(base.doubtful)
    candidates = [
        _Candidate(root, reach, bits.of(reach.certain) & ~based, (bits.of(reach.certain) | bits.of(reach.doubtful)) & ~based)
        for root, reach in reaches
    ]
    present = bits.present()
    found, unexplained = _infer(candidates, present)
    chosen += [candidate.root for candidate in found]
    chosen += _projects_of(lock, chosen)
    owners = {bit: [candidate.root for candidate in candidates if candidate.all >> bit & 1] for bit in _each(unexplained)}
    ambiguous: dict[int, str] = {}
    for bit, roots in owners.items():
        names = _listed(_label(lock, main, root) for root in roots)
        for index in bits.pins(bit):
            ambiguous[index] = f"it belongs to {names}, and none of them is completely installed"
    return _conclude(lock, graph, chosen, [base, *(reach for _, reach in reaches)], ambiguous, installed, members_installed, main)


def _base(lock: Lock, main: str, members_installed: frozenset[str]) -> list[Root]:
    """The project roots that are selected whatever else is: of installed members, else what the tool installs by itself."""
    projects = [root for root in lock.roots if root.kind is RootKind.PROJECT]
    nameless = [root for root in projects if not root.member]
    named = [root for root in projects if root.member]
    return nameless + (
        [root for root in named if root.member in members_installed]
        or [root for root in named if root.member == main]
        or [root for root in named if root.default]
        or named
    )


def _requested(lock: Lock, base: list[Root], kind: RootKind, names: tuple[str, ...] | None) -> Iterator[Root]:
    members = {root.member for root in base if root.kind is RootKind.PROJECT}
    of_kind = [root for root in lock.roots if root.kind is kind]
    for text in names or ():
        member, _, name = text.rpartition(":")
        wanted = [root for root in of_kind if root.name == canonicalize_name(name)]
        if member:
            wanted = [root for root in wanted if root.member == canonicalize_name(member)]
        if not wanted:
            known = ", ".join(sorted({root.name for root in of_kind})) or "none at all"
            raise UsageError(
                f"unknown-{kind.value}", f"the lock has no {kind.value} {text!r}", where=lock.path, hint=f"it has {known}"
            )
        yield from [root for root in wanted if root.member in members] or wanted


def _projects_of(lock: Lock, chosen: list[Root]) -> list[Root]:
    """The project roots, not chosen yet, of the members whose groups or extras are."""
    members = {root.member for root in chosen if root.member}
    return [root for root in lock.roots if root.kind is RootKind.PROJECT and root.member in members and root not in chosen]


def _solo(lock: Lock, graph: _Graph, root: Root, base: list[Root], reached: _Reach) -> _Reach:
    """What *root* alone brings to the *base*: itself and its project, with its own names active."""
    roots = [*base, root]
    companions = _projects_of(lock, roots)
    active = graph.active(roots + companions)
    if active.extras <= reached.active.extras and active.groups <= reached.active.groups:
        reach = graph.walk(graph.nodes((root, *companions)), reached.active, beyond=reached.certain)
        if reach.active == reached.active:
            return reach
    return graph.walk(graph.nodes((*roots, *companions)), active)


class _Bits:
    """Sets of (name, version) as integers: what an environment can tell apart without looking at origins.

    Members of the workspace and seeds are in no set: neither is evidence of what was asked for.
    """

    def __init__(self, lock: Lock, graph: _Graph, installed: Mapping[str, frozenset[str]]) -> None:
        self._graph = graph
        self._installed = installed
        self._members = _members(lock)
        self._bits: dict[tuple[str, str], int] = {}
        self._pins: list[list[int]] = []
        self._of_pin: dict[int, int] = {}

    def of(self, nodes: Iterable[int]) -> int:
        """The set of what *nodes* bring."""
        found = 0
        for index in self._graph.pins_in(nodes):
            found |= 1 << bit if (bit := self._bit(index)) >= 0 else 0
        return found

    def _bit(self, index: int) -> int:
        known = self._of_pin.get(index)
        if known is not None:
            return known
        pin = self._graph.pins[index]
        bit = -1
        if pin.name not in SEEDS and not (pin.name in self._members and pin.source.kind in _LOCAL):
            bit = self._bits.setdefault((pin.name, pin.version), len(self._bits))
            if bit == len(self._pins):
                self._pins.append([])
            self._pins[bit].append(index)
        self._of_pin[index] = bit
        return bit

    def pins(self, bit: int) -> list[int]:
        """The pins that *bit* stands for."""
        return self._pins[bit]

    def present(self) -> int:
        """The set of what is installed: exactly that version, else one that fits, else the name if it is the only pin of it."""
        by_name: dict[str, list[tuple[int, Pin]]] = {}
        for (name, _), bit in self._bits.items():
            by_name.setdefault(name, []).append((bit, self._graph.pins[self._pins[bit][0]]))
        found = 0
        for name, rows in by_name.items():
            versions = self._installed.get(name)
            if not versions:
                continue
            parsed = {_version(version) for version in versions} - {None}
            exact = [bit for bit, pin in rows if pin.version in versions or _version(pin.version) in parsed]
            near = exact or [bit for bit, pin in rows if any(fits(pin, version) for version in versions)]
            for bit in near or ([rows[0][0]] if len(rows) == 1 else ()):
                found |= 1 << bit
        return found


def _infer(candidates: list[_Candidate], present: int) -> tuple[list[_Candidate], int]:
    """The candidates that are selected, by what is *present*; and what of it they leave unexplained."""
    found: list[_Candidate] = []
    for candidate in candidates:
        others = 0
        for other in candidates:
            if other is not candidate and candidate.all & ~other.all:
                others |= other.all
        if candidate.all & ~others & present:
            found.append(candidate)
    left = present
    everything = 0
    for candidate in candidates:
        everything |= candidate.all
    left &= everything
    for candidate in found:
        left &= ~candidate.all
    while left:
        complete = [candidate for candidate in candidates if candidate.all & left and not candidate.sure & ~present]
        if not complete:
            break
        best = min(complete, key=lambda each: (-(each.all & left).bit_count(), each.all.bit_count(), _order(each.root)))
        found.append(best)
        left &= ~best.all
    return found, left


def _conclude(
    lock: Lock,
    graph: _Graph,
    chosen: list[Root],
    reaches: list[_Reach],
    ambiguous: dict[int, str],
    installed: Mapping[str, frozenset[str]],
    members_installed: frozenset[str],
    main: str,
) -> Selected:
    """The result, once *chosen* is known; *reaches* are what each root brings, *ambiguous* the pins no root explains."""
    active = graph.active(chosen)
    full = graph.walk(graph.nodes(root for root in chosen if root.complete), active)
    partial = graph.walk(graph.nodes(root for root in chosen if not root.complete), active)
    needing = graph.walk(graph.nodes(root for root in chosen if root.complete and root.member in members_installed), active)
    members = _members(lock)
    expected = graph.pins_in(full.certain)
    needed = graph.pins_in(needing.certain)

    def is_left_out(index: int) -> bool:
        pin = graph.pins[index]
        return pin.name in members and pin.source.kind in _LOCAL and pin.name not in members_installed and index not in needed

    absent = {index for index in expected | graph.pins_in(partial.certain) if is_left_out(index)}
    expected -= absent
    every = [full, partial, *reaches]
    allowed = set[int]().union(*(graph.pins_in(reach.certain) for reach in every))
    expected_names = {graph.pins[index].name for index in expected}

    def is_settled(index: int) -> bool:
        """Whether something certain accounts for this name, be it present or absent."""
        name = graph.pins[index].name
        if name not in installed:
            return name in expected_names
        same = [graph.pins[other] for other in allowed if graph.pins[other].name == name]
        return any(fits(pin, version) for pin in same for version in installed[name])

    undecided: dict[int, tuple[str, str]] = {}
    for index, reason in ambiguous.items():
        undecided[index] = (reason, _MEMBERSHIP)
    for reach in every:
        for node, (code, reason) in reach.doubtful.items():
            index = graph.pin_of[node]
            if index < 0 or is_left_out(index) or graph.pins[index].source.kind is SourceKind.VIRTUAL or index in expected:
                continue
            is_selected = reach is full or reach is partial
            if (is_selected or graph.pins[index].name in installed) and not is_settled(index):
                undecided[index] = min(undecided.get(index, (reason, code)), (reason, code))
    reason = "the lock alone does not say which group it belongs to"
    for index in graph.pins_in(partial.certain) - expected - absent:
        if graph.pins[index].name not in installed and graph.pins[index].name not in expected_names:
            undecided[index] = (reason, _MEMBERSHIP)

    def ordered(indices: Iterable[int]) -> tuple[Pin, ...]:
        return tuple(sorted((graph.pins[index] for index in indices), key=_pin_order))

    def labels(kind: RootKind) -> tuple[str, ...]:
        return tuple(sorted(_label(lock, main, root) for root in chosen if root.kind is kind))

    return Selected(
        selection=Selection(
            groups=labels(RootKind.GROUP),
            extras=labels(RootKind.EXTRA),
            members=tuple(sorted({root.member for root in chosen if root.kind is RootKind.PROJECT and root.member})),
        ),
        expected=ordered(expected),
        allowed=ordered(allowed),
        undecided=tuple(
            sorted((Undecided(graph.pins[index], *why) for index, why in undecided.items()), key=lambda each: _pin_order(each.pin))
        ),
        projects_absent=ordered(absent),
    )


def _members(lock: Lock) -> frozenset[str]:
    return frozenset(root.member for root in lock.roots if root.member)


def _label(lock: Lock, main: str, root: Root) -> str:
    """A root's name, led by its member's where another member that is not the *main* one could be meant."""
    alike = sum(other.kind is root.kind and other.name == root.name for other in lock.roots)
    return f"{root.member}:{root.name}" if alike > 1 and root.member not in {"", main} else root.name or root.member


def _listed(words: Iterable[str]) -> str:
    *most, last = sorted(words)
    return f"{', '.join(most)} and {last}" if most else last


def _each(bits: int) -> Iterator[int]:
    """The positions of the bits that are set."""
    while bits:
        yield (bits & -bits).bit_length() - 1
        bits &= bits - 1


def _order(root: Root) -> tuple[str, str, str]:
    return (root.kind.value, root.member, root.name)


def _pin_order(pin: Pin) -> tuple[str, str, str, str, str]:
    return (pin.name, pin.version, pin.source.kind.value, pin.source.location, pin.where)
