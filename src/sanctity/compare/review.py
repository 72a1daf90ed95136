"""Two locks as a reviewer of a pull request reads them: why each package is there, and what deserves a look.

`review` takes what two locks differ in, and fills in for each package the way that leads to it and the reasons to look at it. A
reason is told where the locks themselves show it. What a lock does not hold (what an index says now, what is in a wheel) comes in
as an argument, and where it was not asked for nothing is guessed and nothing said. The day comes in too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.compare.inventory import name_of
from sanctity.compare.reach import BY_DEFAULT, WITH_EXTRA
from sanctity.compare.tags import wheel_tags
from sanctity.model.difference import Change, Look, LookCode, Step, Why
from sanctity.model.environment import HookKind
from sanctity.model.lock import Ecosystem, RootKind, SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from sanctity.model.difference import Difference, PackageChange
    from sanctity.model.index import Offer
    from sanctity.model.inventory import Package
    from sanctity.model.lock import Artifact, Dependency, Lock, Pin, Root
    from sanctity.model.wheel import WheelFacts

__all__ = ["MIN_AGE", "Knowledge", "Pins", "review", "ways"]

#: How many days old a release should be before it is taken, unless told otherwise.
MIN_AGE: Final = 7
#: A first number of a version from here on is a year, or a day written as one number.
_FIRST_YEAR: Final = 1900
#: What asks for packages, in the order in which a way to one is looked for: of what the project itself needs, that is said.
_ORDER: Final = (RootKind.PROJECT, RootKind.ENVIRONMENT, RootKind.EXTRA, RootKind.GROUP)
_MOST_NAMES: Final = 3
#: How many packages of a way are kept; no real one has half as many.
_LONGEST_WAY: Final = 64
#: Sources that are files, so that a hash can hold them.
_OF_FILES: Final = frozenset({SourceKind.REGISTRY, SourceKind.URL, SourceKind.FILE})
#: Kinds of hooks that run nothing; and how long a hook's own words may be to be told with it.
_FOLDERS_ONLY: Final = frozenset({HookKind.PTH_PATH, HookKind.PATH_FILE})
_LONGEST_EFFECT: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known beside two locks.

    *offers* are all files that the index of a lock offers of a project, by its name and the index's URL as locked; a project that
    is not there was not asked for. *opened_before* and *opened_after* are what wheels of either side brought, by name and version;
    *contradicted* says of those of the new lock what lies in the place of the locked bytes. *parents_before* and *parents_after*
    say for packages of a lock that is a flat list which others need them, by name; an empty name is the project itself.
    """

    offers: Mapping[tuple[str, str], tuple[Offer, ...]] = field(default_factory=dict)
    opened_before: Mapping[tuple[str, str], WheelFacts] = field(default_factory=dict)
    opened_after: Mapping[tuple[str, str], WheelFacts] = field(default_factory=dict)
    contradicted: Mapping[tuple[str, str], str] = field(default_factory=dict)
    parents_before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parents_after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def review(
    found: Difference, before: Lock, after: Lock, *, today: date, min_age: int = MIN_AGE, knowledge: Knowledge | None = None
) -> Difference:
    """*found*, what the locks *before* and *after* differ in, with the way to each package, and the reasons to look at it.

    A release is recent where it is less than *min_age* days old on the day *today*; 0 asks nothing of its age.
    """
    known = knowledge or Knowledge()
    why_before, why_after = ways(before, known.parents_before), ways(after, known.parents_after)
    view = _View(before, after, today, min_age, known, Pins(before), Pins(after))
    return replace(
        found,
        packages=tuple(_reviewed(change, view, why_before, why_after) for change in found.packages),
        reviewed=today.isoformat(),
    )


class _View(NamedTuple):
    """What all looks take."""

    before: Lock
    after: Lock
    today: date
    min_age: int
    known: Knowledge
    pins_before: Pins
    pins_after: Pins

    @property
    def alike(self) -> bool:
        """Whether both locks say as much of artifacts: of one format, by one tool."""
        return self.before.format is self.after.format


def _reviewed(change: PackageChange, view: _View, why_before: Mapping[int, Why], why_after: Mapping[int, Why]) -> PackageChange:
    older, newer = view.pins_before.of(change.before), view.pins_after.of(change.after)
    why = why_after.get(id(newer)) if newer is not None else why_before.get(id(older))
    case = _Case(change=change, older=older, newer=newer, why=why, view=view)
    looks = sorted(case.looks(), key=lambda look: _RANK[look.code])
    return replace(change, why=why, looks=tuple(looks), age_days=case.age)


_RANK: Final = {code: rank for rank, code in enumerate(LookCode)}


def _host(location: str) -> str:
    """The host that a URL asks, with its port; empty for what is no URL."""
    _, mark, rest = location.partition("://")
    return rest.partition("/")[0].lower() if mark else ""


class Pins:
    """The pins of a lock, found by the packages of its inventory; *hosts* are all that serve anything of it."""

    def __init__(self, lock: Lock) -> None:
        places = (place for pin in lock.pins for place in (pin.source.location, *(each.location for each in pin.artifacts)))
        self.hosts = frozenset(host for place in places if (host := _host(place)))
        self._found: dict[tuple[str, str], list[Pin]] = {}
        self._indexes: dict[Ecosystem, set[str]] = {}
        for pin in lock.pins:
            self._found.setdefault((name_of(pin), pin.version), []).append(pin)
            if pin.source.kind is SourceKind.REGISTRY and pin.source.location:
                self._indexes.setdefault(pin.ecosystem, set()).add(pin.source.location.rstrip("/"))

    def indexes(self, ecosystem: Ecosystem) -> set[str]:
        """The URLs of the indexes that anything of *ecosystem* is locked from."""
        return self._indexes.get(ecosystem, set())

    def of(self, package: Package | None) -> Pin | None:
        """The pin that *package* is; None where it is none, or not there."""
        if package is None:
            return None
        alike = self._found.get((package.name, package.version), [])
        place = package.place.partition("#")[0]
        same = (pin for pin in alike if (pin.marker or ", ".join(pin.platforms), pin.source.location) == (package.marker, place))
        return next(same, alike[0] if alike else None)


# -- why --------------------------------------------------------------------------------------------------------------------------


def ways(lock: Lock, parents: Mapping[str, tuple[str, ...]] | None = None) -> dict[int, Why]:
    """The shortest way to each pin of *lock* (by its identity) from what is asked for; none for one that nothing leads to.

    What the project itself needs counts before extras, and those before groups. Of several ways of one length, the first in the
    order of their names is taken. Of a flat list it is only known what *parents* say.
    """
    if any(pin.dependencies or pin.optional for pin in lock.pins):
        return _ways_of_graph(lock)
    return _ways_of_list(lock, parents) if parents else {}


class _Node(NamedTuple):
    """A pin, or one of its extras, as a walk comes to it."""

    pin: int
    extra: str = ""


class _Way(NamedTuple):
    """The pins on a way, and the root that it begins at."""

    path: tuple[int, ...]
    root: Root


def _ways_of_graph(lock: Lock) -> dict[int, Why]:
    by_name: dict[tuple[Ecosystem, str], list[int]] = {}
    for index, pin in enumerate(lock.pins):
        by_name.setdefault((pin.ecosystem, pin.name), []).append(index)
    members = {root.member for root in lock.roots if root.member}
    # conda's roots list all that they bring: there only what nothing else needs is asked for, for certain.
    edges_of_pins = (edge for pin in lock.pins for edge in pin.dependencies if edge.name != pin.name)
    needed = {(edge.ecosystem, edge.name) for edge in edges_of_pins} if lock.format.is_of_conda else set()

    def ends(edge: Dependency) -> Iterator[_Node]:
        for index in by_name.get((edge.ecosystem, edge.name), ()):
            pin = lock.pins[index]
            if (
                (not edge.version or edge.version == pin.version)
                and (edge.source is None or edge.source == pin.source)
                and (not edge.build or edge.build == pin.build)
                and (not edge.platforms or not pin.platforms or not set(edge.platforms).isdisjoint(pin.platforms))
            ):
                yield _Node(index)
                yield from (_Node(index, extra) for extra in edge.extras)

    def edges(node: _Node) -> Iterable[Dependency]:
        pin = lock.pins[node.pin]
        if not node.extra:
            return pin.dependencies
        if node.pin not in optional:
            optional[node.pin] = dict(pin.optional)
        return optional[node.pin].get(node.extra, ())

    optional: dict[int, dict[str, tuple[Dependency, ...]]] = {}
    found: dict[int, Why] = {}
    for kind in _ORDER:
        roots = sorted((root for root in lock.roots if root.kind is kind), key=lambda root: (root.name, root.member))
        starts: dict[_Node, _Way] = {}
        for root in roots:
            for edge in root.dependencies:
                if edge.name not in members and (edge.ecosystem, edge.name) not in needed:
                    for node in ends(edge):
                        starts.setdefault(node, _Way((node.pin,), root))
        for index, (path, root) in _walk(starts, edges, ends, lock).items():
            steps = tuple(Step(lock.pins[each].name, lock.pins[each].version) for each in path)
            found.setdefault(index, Why(steps=steps, root=_root_words(root), member=root.member if len(members) > 1 else ""))
    return {id(lock.pins[index]): why for index, why in found.items()}


def _walk(
    starts: dict[_Node, _Way],
    edges: Callable[[_Node], Iterable[Dependency]],
    ends: Callable[[Dependency], Iterable[_Node]],
    lock: Lock,
) -> dict[int, _Way]:
    """The shortest way to each pin, of those of one length the first by the names on it."""

    def order(path: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
        return tuple((lock.pins[each].name, lock.pins[each].version) for each in path)

    best: dict[int, _Way] = {}
    seen: set[_Node] = set(starts)
    level = starts
    while level:
        following: dict[_Node, _Way] = {}
        for node, (path, root) in sorted(level.items(), key=lambda item: (order(item[1].path), item[0].extra)):
            best.setdefault(node.pin, _Way(path, root))
            for edge in edges(node):
                for end in ends(edge):
                    if end not in seen:
                        onward = path if end.pin == node.pin else (*_shortened(path), end.pin)
                        following.setdefault(end, _Way(onward, root))
        seen.update(following)
        level = following
    return best


def _shortened(path: tuple[int, ...]) -> tuple[int, ...]:
    """*path* without its middle where it is longer than anybody reads: a long chain must not cost the square of its length."""
    return path if len(path) < _LONGEST_WAY else path[: _LONGEST_WAY // 2] + path[1 - _LONGEST_WAY // 2 :]


def _root_words(root: Root) -> str:
    return "" if root.kind is RootKind.PROJECT else f"{root.kind} {root.name}".rstrip()


def _ways_of_list(lock: Lock, parents: Mapping[str, tuple[str, ...]]) -> dict[int, Why]:
    """What *parents* say of a flat list; which root a pin is of, its membership says."""
    versions: dict[str, set[str]] = {}
    for pin in lock.pins:
        versions.setdefault(pin.name, set()).add(pin.version)
    children: dict[str, list[str]] = {}
    for name, needing in parents.items():
        for parent in needing:
            children.setdefault(parent, []).append(name)
    paths: dict[str, tuple[str, ...]] = {}
    level: dict[str, tuple[str, ...]] = {name: (name,) for name in children.get("", ()) if name in versions}
    while level:
        paths.update(level)
        following: dict[str, tuple[str, ...]] = {}
        for path in sorted(level.values()):
            for child in children.get(path[-1], ()):
                if child not in paths and child in versions:
                    following.setdefault(child, (*path, child))
        level = following
    roots: dict[str, str] = {}
    for kind in _ORDER:
        for root in sorted((root for root in lock.roots if root.kind is kind), key=lambda root: root.name):
            for edge in root.dependencies:
                roots.setdefault(edge.name, _root_words(root))
    return {
        id(pin): Why(
            steps=tuple(
                Step(name, pin.version if name == pin.name else next(iter(versions[name])) if len(versions[name]) == 1 else "")
                for name in paths[pin.name]
            ),
            root=roots.get(pin.name, ""),
        )
        for pin in lock.pins
        if pin.name in paths
    }


# -- looks ------------------------------------------------------------------------------------------------------------------------


def _version(text: str) -> Version | None:
    from packaging.version import Version

    try:
        return Version(text)
    except ValueError:  # none, or a number with more digits than Python reads
        return None


def _moment(text: str) -> date | None:
    """The day of an RFC 3339 time, in UTC."""
    from datetime import UTC

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC).date() if moment.tzinfo else moment.date()


def _first_day(times: Iterable[str]) -> date | None:
    return min((day for text in times if (day := _moment(text)) is not None), default=None)


def _ago(days: int, day: date) -> str:
    """How long ago *day* is, in words."""
    if days < 0:
        return f"on {day}, after the day of this report"
    return f"today, on {day}" if not days else f"{days} day{'' if days == 1 else 's'} ago, on {day}"


class _Wheels(NamedTuple):
    """What the artifacts of a pin are by name: *platforms* that have wheels of their own, whether one is for *any*, how many."""

    platforms: frozenset[str]
    any: bool
    files: int


#: How the platforms of wheel tags begin, and what a reader calls them.
_FAMILIES: Final = {"manylinux": "Linux", "linux": "Linux", "musllinux": "musl Linux", "macosx": "macOS"}
_WINDOWS: Final = {"win32": "Windows 32-bit", "win_amd64": "Windows", "win_arm64": "Windows ARM"}
_MACHINES: Final = ("x86_64", "aarch64", "arm64", "universal2", "intel", "i686", "armv7l", "ppc64le", "s390x", "riscv64")


def _family(platform: str) -> tuple[str, ...]:
    """What a reader calls the platforms of a tag: ``manylinux_2_17_x86_64`` is ``Linux x86_64``."""
    name = _FAMILIES.get(next((start for start in _FAMILIES if platform.startswith(start)), ""))
    if name is None:
        return (_WINDOWS.get(platform, platform),)
    machine = next((each for each in _MACHINES if platform.endswith(each)), "")
    if machine == "universal2":
        return (f"{name} x86_64", f"{name} arm64")
    return (f"{name} {'x86_64' if machine == 'intel' else machine}".rstrip(),)


def _wheels(pin: Pin) -> _Wheels | None:
    """What the artifacts of *pin* are; None where a name is missing, so that it is not known, and for what is not from an index."""
    if pin.ecosystem is not Ecosystem.PYPI or not pin.artifacts or not all(artifact.filename for artifact in pin.artifacts):
        return None
    tags = [wheel_tags(artifact.filename) for artifact in pin.artifacts if artifact.filename.endswith(".whl")]
    platforms = {tag.platform for each in tags for tag in each or ()}
    return _Wheels(
        platforms=frozenset(family for platform in platforms - {"any"} for family in _family(platform)),
        any="any" in platforms,
        files=len(tags),
    )


def _names(names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - _MOST_NAMES:,} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more


def _version_in(filename: str) -> Version | None:
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
    from packaging.version import InvalidVersion

    try:
        return parse_wheel_filename(filename)[1] if filename.endswith(".whl") else parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def _hashes(pin: Pin) -> bool:
    return any(artifact.digests for artifact in pin.artifacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One change as it is looked at, with the pins on either side."""

    change: PackageChange
    older: Pin | None
    newer: Pin | None
    why: Why | None
    view: _View

    @property
    def is_new(self) -> bool:
        """Whether there is a release that was not locked before."""
        return not {Change.ADDED, Change.UP, Change.DOWN, Change.SIDEWAYS}.isdisjoint(self.change.changes)

    @property
    def offers(self) -> tuple[Offer, ...] | None:
        """What the index offers of the project; None where it was not asked."""
        if self.newer is None or self.newer.source.kind is not SourceKind.REGISTRY:
            return None
        return self.view.known.offers.get((self.newer.name, self.newer.source.location))

    def of_release(self) -> list[Offer]:
        """What the index offers of the new release."""
        assert self.newer is not None
        version = _version(self.newer.version)
        return [offer for offer in self.offers or () if version is not None and _version_in(offer.filename) == version]

    @property
    def released(self) -> date | None:
        """The day of the new release: by the index where it was asked, else by the new lock."""
        if self.newer is None:
            return None
        asked = _first_day(offer.upload_time for offer in self.of_release())
        return asked or _first_day(artifact.upload_time for artifact in self.newer.artifacts)

    @property
    def age(self) -> int | None:
        """How many days ago that was, where it is new."""
        day = self.released if self.is_new else None
        return (self.view.today - day).days if day is not None else None

    def looks(self) -> Iterator[Look]:
        """All reasons to look."""
        if Change.HASHES in self.change.changes:
            names = {item.filename for item in self.change.gone} & {item.filename for item in self.change.new} - {""}
            words = f"other bytes for {_names(names)}" if names else "no hash that was allowed is allowed now"
            yield Look(LookCode.HASH_CHANGED, f"the same version, and {words}")
        if self.newer is None:
            return
        yield from self._by_reach()
        yield from self._by_source(self.newer)
        yield from self._by_version(self.newer)
        late = list(self._by_time(self.newer))
        yield from late
        yield from self._by_artifacts(self.newer)
        if self.is_new or not late:  # else the file that came late is told already
            yield from self._by_files()
        yield from self._by_index(self.newer)
        yield from self._by_wheel(self.newer)
        if Change.ADDED in self.change.changes and self.why is not None and len(self.why.steps) > 1:
            yield Look(LookCode.NEW_TRANSITIVE, "new, and only another package asks for it")

    def _by_reach(self) -> Iterator[Look]:
        if Change.REACH in self.change.changes:
            before, after = self.change.reach
            more = after - before
            default = {each.removeprefix(BY_DEFAULT).strip() for each in more if each.startswith(BY_DEFAULT)}
            extras = {each.removeprefix(WITH_EXTRA).strip() for each in more if each.startswith(WITH_EXTRA)}
            if default:
                # Of what was there for nobody, the environments are all.
                told = f": {_names(default)}" if any(each.startswith(BY_DEFAULT) for each in before) else ""
                yield Look(LookCode.WIDER, f"installed by default where it was not before{told}")
            if extras:
                yield Look(LookCode.WIDER, f"taken with its extra {_names(extras)}, which it was not before")

    def _by_source(self, newer: Pin) -> Iterator[Look]:
        local = {SourceKind.EDITABLE, SourceKind.VIRTUAL}
        if Change.SOURCE in self.change.changes:
            yield Look(LookCode.SOURCE_CHANGED, "taken from another source")
        elif Change.ADDED in self.change.changes and newer.source.kind not in local | {SourceKind.REGISTRY}:
            words = {SourceKind.GIT: "a repository", SourceKind.DIRECTORY: "a folder"}.get(newer.source.kind, "a single file")
            yield Look(LookCode.NOT_FROM_INDEX, f"taken from {words}, and from no index")
        elif Change.ADDED in self.change.changes and newer.source.kind is SourceKind.REGISTRY and newer.source.location:
            places = self.view.pins_before.indexes(newer.ecosystem)
            if places and newer.source.location.rstrip("/") not in places:
                yield Look(LookCode.NEW_INDEX, "from an index that nothing was locked from before")
                return
        known = self.view.pins_before.hosts
        strange = sorted({host for artifact in newer.artifacts if (host := _host(artifact.location)) and host not in known})
        if strange and known and Change.SOURCE not in self.change.changes:
            yield Look(LookCode.NEW_INDEX, f"fetched from {_names(strange)}, where nothing was locked from before")
        if Change.PLACE in self.change.changes and self.change.before is not None:
            was = dict(self.change.before.locations)
            held = {artifact.filename for artifact in newer.artifacts if artifact.digests}
            loose = [
                a.filename for a in newer.artifacts if a.filename not in held and was.get(a.filename, a.location) != a.location
            ]
            if loose:
                yield Look(LookCode.UNHELD, f"{_names(loose)} is fetched from elsewhere, and no hash holds it")

    def _by_version(self, newer: Pin) -> Iterator[Look]:
        new = _version(newer.version)
        old = _version(self.older.version) if self.older is not None else None
        if Change.DOWN in self.change.changes:
            yield Look(LookCode.DOWNGRADE, "an earlier version than before")
        if new is None or newer.ecosystem is not Ecosystem.PYPI:
            return
        if self.is_new and new.is_prerelease and not (old is not None and old.is_prerelease):
            yield Look(LookCode.PRE_RELEASE, "a pre-release")
        if Change.UP in self.change.changes and old is not None and not self._is_calendar(old, new):
            if (old.epoch, old.major) != (new.epoch, new.major):
                yield Look(LookCode.MAJOR, f"major version {old.major} to {new.major}")
            elif not new.major and old.minor != new.minor:
                yield Look(LookCode.MAJOR, f"0.{old.minor} to 0.{new.minor}: before 1.0 any minor version may break")

    def _is_calendar(self, old: Version, new: Version) -> bool:
        """Whether the first number is a year: as it is written, or by when both were released."""
        if min(old.major, new.major) >= _FIRST_YEAR:
            return True
        assert self.older is not None
        days = (_first_day(artifact.upload_time for artifact in self.older.artifacts), self.released)
        return all(day is not None and version.major == day.year % 100 for version, day in zip((old, new), days, strict=True))

    def _by_time(self, newer: Pin) -> Iterator[Look]:
        if self.age is not None and self.released is not None:
            if self.age < self.view.min_age:
                yield Look(LookCode.RECENT, f"released {_ago(self.age, self.released)}")
        elif self.older is not None and not self.is_new:
            known = {artifact.filename for artifact in self.older.artifacts}
            fresh = [
                (day, artifact.filename)
                for artifact in newer.artifacts
                if artifact.filename and artifact.filename not in known and (day := _moment(artifact.upload_time)) is not None
            ]
            if fresh:
                day, filename = max(fresh)
                age = (self.view.today - day).days
                if age < self.view.min_age:
                    yield Look(LookCode.RECENT, f"{filename} was uploaded {_ago(age, day)}")

    def _by_artifacts(self, newer: Pin) -> Iterator[Look]:
        older = self.older
        if older is not None and _hashes(older) and newer.source.kind in _OF_FILES:
            bare = sorted({artifact.filename for artifact in newer.artifacts if not artifact.digests})
            if not _hashes(newer):
                yield Look(LookCode.HASH_LOST, "it is not locked by hash any more")
            elif bare and all(artifact.digests for artifact in older.artifacts):
                yield Look(LookCode.HASH_LOST, f"{_names(bare)} is not locked by hash, as all of its files were before")
        now = _wheels(newer)
        was = _wheels(older) if older is not None else None
        if now is None or (older is not None and was is None):
            return
        if not now.files and (was is None or was.files):
            words = "only as source: it is built where it is installed, and its build runs code"
            yield Look(LookCode.SDIST_ONLY, words if was is None else f"{words}; there was a wheel before")
        if now.platforms and self.is_new and (was is None or not was.platforms):
            before = "" if was is None else ", which it was not before" if was.any else ", and there was no wheel before"
            yield Look(LookCode.NATIVE_CODE, f"machine code, in wheels for single platforms{before}")
        if was is not None and now.files and self.view.alike and not now.any:
            lost = was.platforms - now.platforms
            if lost:
                yield Look(LookCode.WHEELS_LOST, f"no wheel any more for {_names(lost)}")
            elif was.any and not was.platforms <= now.platforms:
                yield Look(LookCode.WHEELS_LOST, "no wheel for any platform any more")

    def _by_files(self) -> Iterator[Look]:
        """What else may be installed under a version that stayed the same."""
        if Change.ARTIFACTS not in self.change.changes or not self.change.new:
            return
        named = {item.filename for item in self.change.new} - {item.filename for item in self.change.gone}
        number = sum(bool(item.digest) for item in self.change.new)
        if number and self.change.gone and not any(item.filename for item in (*self.change.new, *self.change.gone)):
            yield Look(LookCode.HASH_SWAPPED, "the same version, and a hash in the place of another one")
        elif number and ({""} == named or named):
            files = f"{number:,} more file{'' if number == 1 else 's'}"
            yield Look(LookCode.MORE_FILES, f"{files} may be installed under the same version")

    def _by_index(self, newer: Pin) -> Iterator[Look]:
        offers = self.offers
        if offers is None:
            return
        release = self.of_release()
        if not release:
            yield Look(LookCode.GONE, "its index does not have this release")
            return
        by_name = {offer.filename: offer for offer in release}
        wrong = [artifact.filename for artifact in newer.artifacts if _contradicts(artifact, by_name.get(artifact.filename))]
        if wrong:
            yield Look(LookCode.HASH_CONTRADICTED, f"its index states another hash for {_names(wrong)}")
        locked = {artifact.filename for artifact in newer.artifacts} & by_name.keys()
        relevant = [by_name[name] for name in locked] or release
        yanked = [offer for offer in relevant if offer.yanked is not None]
        if yanked:
            reason = next((text for offer in yanked if (text := (offer.yanked or "").strip())), "")
            which = "yanked" if len(yanked) == len(relevant) else f"{len(yanked):,} of {len(relevant):,} files yanked"
            yield Look(LookCode.YANKED, f"{which} by its publisher" + (f": {' '.join(reason.split())[:160]}" if reason else ""))
        if self.is_new and self._is_first(offers, release):
            yield Look(LookCode.FIRST_RELEASE, "the first release of its project")

    @staticmethod
    def _is_first(offers: Sequence[Offer], release: Sequence[Offer]) -> bool:
        """Whether nothing else was there when *release* came; where an index states no times, whether there is nothing else."""
        own = {offer.filename for offer in release}
        others = [offer for offer in offers if offer.filename not in own and _version_in(offer.filename) is not None]
        if not others:
            return True
        first = _first_day(offer.upload_time for offer in release)
        days = [_moment(offer.upload_time) for offer in others]
        return first is not None and all(day is not None and day > first for day in days)

    def _by_wheel(self, newer: Pin) -> Iterator[Look]:
        known = self.view.known
        wrong = known.contradicted.get((newer.name, newer.version))
        if wrong:
            yield Look(LookCode.HASH_CONTRADICTED, wrong)
        now = known.opened_after.get((newer.name, newer.version))
        was = known.opened_before.get((self.older.name, self.older.version)) if self.older is not None else None
        if now is None:
            return
        blind = self.older is not None and was is None
        aside = " (the old wheel was not opened)" if blind else ""
        hooks = [hook for hook in now.hooks if was is None or hook not in was.hooks]
        if hooks:
            paths = {hook.path for hook in was.hooks} if was is not None else set()
            verb = "changes" if all(hook.path in paths for hook in hooks) else "brings"
            names = _names(hook.path.partition("/")[2] for hook in hooks)
            runs = any(hook.kind not in _FOLDERS_ONLY for hook in hooks)
            does = "code that every start of Python runs" if runs else "which adds folders to where imports look"
            effect = hooks[0].effect if len(hooks) == 1 and len(hooks[0].effect) <= _LONGEST_EFFECT else ""
            yield Look(LookCode.START_UP_HOOK, f"{verb} {names}, {does}" + (f": {effect}" if effect else "") + aside)
        places = {place for _, place in now.runpaths} - ({place for _, place in was.runpaths} if was is not None else set())
        if places:
            yield Look(LookCode.RUNPATH, f"looks for libraries in {_names(places)}, a folder of where it was built{aside}")
        told = _wheels(newer)
        if now.native and told is not None and not told.platforms and self.is_new and (was is None or not was.native):
            yield Look(LookCode.NATIVE_CODE, f"machine code in a wheel for any platform: {_names(now.native)}{aside}")


def _contradicts(artifact: Artifact, offer: Offer | None) -> bool:
    """Whether an *offer* of the same name has another digest than *artifact* by an algorithm that both have."""
    if offer is None:
        return False
    stated = {digest.algorithm: digest for digest in offer.digests}
    return any(digest.algorithm in stated and stated[digest.algorithm] != digest for digest in artifact.digests)
