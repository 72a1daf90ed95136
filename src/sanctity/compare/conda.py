"""What conda, mamba or pixi installed, against a lock of conda packages: names, versions, builds and the artifacts they came from.

Such a lock holds two ecosystems, each platform on its own, and pixi's several whole environments. `narrow` takes what is for one
platform and one environment, and calls conda's packages ``conda:NAME``: what is left is a lock like any other, of which
`compare.selection` computes what belongs there. Conda's packages are then held to the documents in ``conda-meta``, which are the
environment's own word, and what pip or uv installed is held to the lock's other pins as ever. A distribution that a conda package
brought is that package's, and judged by it alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from sanctity.compare.copies import compare_distributions_alone
from sanctity.compare.distributions import compare_distributions
from sanctity.compare.markers import environment_of
from sanctity.compare.selection import select
from sanctity.errors import UsageError
from sanctity.model.drift import Code, Drift, Selection, Unchecked
from sanctity.model.lock import Dependency, Ecosystem, Lock, RootKind, SourceKind
from sanctity.model.names import CONDA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sanctity.compare.selection import Selected
    from sanctity.model.environment import CondaPackage, Distribution, Environment, Interpreter
    from sanctity.model.lock import Pin, Root

__all__ = [
    "Judged",
    "choose_environment",
    "compare_packages",
    "conda_key",
    "covers",
    "narrow",
    "platform_word",
    "platforms_of",
    "seen_by",
]

_DEFAULT: Final = "default"
#: What conda calls the machines of Linux otherwise than their ELF files do.
_MACHINES: Final = {"x86_64": "64", "i686": "32"}
_FOLDERS: Final = frozenset({SourceKind.DIRECTORY, SourceKind.EDITABLE, SourceKind.GIT})
_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL})


class Judged(NamedTuple):
    """What came of a comparison: the *lock* as the environment sees it, what was *selected*, the *drifts*, and what is open."""

    lock: Lock
    selection: Selection
    drifts: tuple[Drift, ...]
    unchecked: tuple[Unchecked, ...]


# -- the lock as one environment sees it ------------------------------------------------------------------------------------------


def conda_key(name: str) -> str:
    """How the conda package *name* is called beside projects of an index."""
    return f"{CONDA}{name}"


def _is_virtual(name: str) -> bool:
    """Whether *name* is one of a virtual package (``__glibc``): a fact about the machine, that nobody installs."""
    return name.startswith("__")


def platform_word(interpreter: Interpreter, packages: Iterable[CondaPackage] = ()) -> str:
    """Conda's word for a platform (``linux-64``): by the *interpreter*'s own bytes, else what most of its *packages* are for.

    Only an ELF interpreter is read for its machine, and that is one of Linux. Empty where nothing tells.
    """
    if interpreter.machine:
        return f"linux-{_MACHINES.get(interpreter.machine, interpreter.machine)}"
    found = Counter(package.subdir for package in packages if package.subdir not in {"", "noarch"})
    return max(sorted(found), key=found.__getitem__, default="")


def platforms_of(lock: Lock, environment: str = "") -> tuple[str, ...]:
    """The platforms that *lock* is for, or its *environment* where it is for several; empty where it is for all."""
    rows: Sequence[Pin | Dependency] = lock.pins
    if environment:
        rows = [edge for root in _environments(lock) if root.name == environment for edge in root.dependencies]
    elif lock.platforms:
        return lock.platforms
    if not rows or not all(row.platforms for row in rows):
        return lock.platforms
    return tuple(sorted({platform for row in rows for platform in row.platforms}))


def covers(lock: Lock, platform: str, environment: str = "") -> bool:
    """Whether *lock*, or one *environment* of it, says anything of *platform*."""
    platforms = platforms_of(lock, environment)
    return not platforms or platform in platforms


def _environments(lock: Lock) -> tuple[Root, ...]:
    return tuple(root for root in lock.roots if root.kind is RootKind.ENVIRONMENT)


def choose_environment(
    lock: Lock, platform: str, *, place: str = "", installed: Iterable[CondaPackage] = (), asked: tuple[str, ...] | None = None
) -> str:
    """Which of the whole environments that *lock* is for is meant; empty where it is for none by name.

    The one that was *asked* for; the one that its *place* names (``.pixi/envs/test``); one whose packages are just those that are
    *installed*; the one called ``default``; the one that the fewest packages differ from.

    Raises:
        UsageError: ``unknown-group``, one was asked for that the lock does not have; several were asked for.
    """
    roots = {root.name: root for root in _environments(lock)}
    if not roots:
        return ""
    for name in asked or ():
        if name not in roots:
            raise UsageError(
                "unknown-group", f"the lock has no environment {name!r}", where=lock.path, hint=f"it has {', '.join(sorted(roots))}"
            )
    if asked:
        if len(set(asked)) > 1:
            hint = "look at one after the other, each with its own --env"
            raise UsageError("usage", "one environment was made from one of the lock's, and several were asked for", hint=hint)
        return asked[0]
    folder, _, name = place.rstrip("/").rpartition("/")
    if name in roots and folder.endswith("/envs"):
        return name
    there = {(package.name, package.version, package.build) for package in installed}
    pins: dict[str, list[Pin]] = {}
    for pin in lock.pins:
        if pin.ecosystem is Ecosystem.CONDA and _is_for(pin.platforms, platform):
            pins.setdefault(pin.name, []).append(pin)

    def differing(root: Root) -> int:
        edges = [edge for edge in root.dependencies if _is_for(edge.platforms, platform)]
        meant = {
            (pin.name, pin.version, pin.build)
            for edge in edges
            if edge.ecosystem is Ecosystem.CONDA
            for pin in pins.get(edge.name, ())
            if edge.version in {"", pin.version} and edge.build in {"", pin.build}
        }
        return len(meant ^ there)

    counted = {name: differing(root) for name, root in sorted(roots.items())}
    if _DEFAULT in counted and 0 not in {count for name, count in counted.items() if name != _DEFAULT}:
        return _DEFAULT
    return min(counted, key=lambda name: (counted[name], name != _DEFAULT))


def _is_for(platforms: tuple[str, ...], platform: str) -> bool:
    return not platforms or platform in platforms


def narrow(lock: Lock, platform: str, environment: str = "") -> Lock:
    """What *lock* says of *platform*, and of the one *environment* where it is for several: one project, or one with groups.

    Conda's pins and the edges to them are called ``conda:NAME``. Where the roots name every pin themselves, the pins' own edges
    are left out: they say why a pin is there, and in another environment another package may be meant by the name.
    """
    pins = [pin for pin in lock.pins if _is_for(pin.platforms, platform) and not _is_virtual_pin(pin)]
    pinned = {(pin.ecosystem, pin.name) for pin in pins}

    def is_of_the_machine(edge: Dependency) -> bool:
        return _is_virtual(edge.name) and (edge.ecosystem, edge.name) not in pinned

    roots: list[Root] = []
    for root in lock.roots:
        edges = tuple(
            _keyed(edge) for edge in root.dependencies if _is_for(edge.platforms, platform) and not is_of_the_machine(edge)
        )
        if root.kind is not RootKind.ENVIRONMENT:
            roots.append(replace(root, dependencies=edges))
        elif root.name == environment:
            roots.append(replace(root, kind=RootKind.PROJECT, name="", member="", dependencies=edges, default=True))
    asked = {(edge.ecosystem, edge.name.removeprefix(CONDA)) for root in roots for edge in root.dependencies}
    flat = bool(environment) or pinned <= asked

    def kept(edges: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
        """The edges that lead to a pin; others lead to what the other ecosystem may bring, or to the machine itself."""
        if flat:
            return ()
        return tuple(_keyed(edge) for edge in edges if (edge.ecosystem, edge.name) in pinned and _is_for(edge.platforms, platform))

    found = tuple(
        replace(
            pin,
            name=conda_key(pin.name) if pin.ecosystem is Ecosystem.CONDA else pin.name,
            dependencies=kept(pin.dependencies),
            optional=tuple((extra, kept(edges)) for extra, edges in pin.optional) if not flat else (),
        )
        for pin in pins
    )
    return replace(lock, pins=found, roots=tuple(roots))


def _is_virtual_pin(pin: Pin) -> bool:
    """Whether *pin* is a fact about the machine: what has an archive is a package, whatever it is called."""
    return pin.ecosystem is Ecosystem.CONDA and _is_virtual(pin.name) and not pin.artifacts


def _keyed(edge: Dependency) -> Dependency:
    return replace(edge, name=conda_key(edge.name)) if edge.ecosystem is Ecosystem.CONDA else edge


def seen_by(lock: Lock, environment: Environment, asked: tuple[str, ...] | None = None, *, known: str = "") -> tuple[Lock, str]:
    """*lock* narrowed to *environment*, and which of its several environments that is taken for: the *known* one, if it has that.

    Raises:
        UsageError: an environment was *asked* for that the lock does not have.
    """
    platform = platform_word(environment.interpreter, environment.conda)
    if known and any(root.name == known for root in _environments(lock)):
        asked = (known,)
    chosen = choose_environment(lock, platform, place=environment.prefix, installed=environment.conda, asked=asked)
    return narrow(lock, platform, chosen), chosen


# -- the comparison ---------------------------------------------------------------------------------------------------------------


def compare_packages(
    lock: Lock,
    environment: Environment,
    *,
    lock_folder: str,
    project_name: str = "",
    groups: tuple[str, ...] | None = None,
    extras: tuple[str, ...] | None = None,
) -> Judged:
    """Compare the packages of both ecosystems in *environment* with *lock*. *groups* name categories, or pixi's environment.

    Raises:
        UsageError: a group, an extra or an environment was asked for that the lock does not have.
    """
    seen, chosen = seen_by(lock, environment, groups)
    platform = platform_word(environment.interpreter, environment.conda)
    if not covers(lock, platform, chosen):
        return Judged(seen, Selection(environment=chosen), (), (_not_for(lock, platform, chosen),))
    conda_pins = [pin for pin in seen.pins if pin.ecosystem is Ecosystem.CONDA]
    if conda_pins and environment.manager != "conda":
        return Judged(seen, Selection(environment=chosen), (_no_conda(conda_pins),), ())
    others = _judged_by_index(environment, seen)
    installed: dict[str, set[str]] = {}
    for package in environment.conda:
        installed.setdefault(conda_key(package.name), set()).add(package.version)
    for item in others:
        installed.setdefault(item.key, set()).add(item.version)
    members = frozenset(pin.name for pin in seen.pins if pin.source.kind in _LOCAL and pin.name in installed)
    selected = select(
        seen,
        environment_of(environment.interpreter),
        {name: frozenset(versions) for name, versions in installed.items()},
        members_installed=members,
        groups=None if chosen else groups,
        extras=extras,
    )
    ours, theirs = _part(selected, conda=True), _part(selected, conda=False)
    found = _Packages(seen, environment, ours)
    found.compare()
    without_conda = replace(seen, pins=tuple(pin for pin in seen.pins if pin.ecosystem is not Ecosystem.CONDA))
    drifts, unchecked = compare_distributions(
        without_conda, replace(environment, distributions=others), theirs, lock_folder=lock_folder, project_name=project_name
    )
    doubled = tuple(drift for drift in compare_distributions_alone(environment) if drift not in drifts)
    return Judged(
        seen,
        replace(selected.selection, environment=chosen),
        (*found.drifts, *doubled, *drifts),
        (*found.unchecked, *unchecked),
    )


def _not_for(lock: Lock, platform: str, chosen: str) -> Unchecked:
    here = f"this is {platform}" if platform else "what this is can not be told"
    it = f"its environment {chosen}" if chosen else "it"
    return Unchecked(
        code="lock-not-for-this-platform",
        what=lock.path,
        reason=f"{it} is for {', '.join(platforms_of(lock, chosen))}, and {here}",
        in_scope=True,
    )


def _no_conda(pins: list[Pin]) -> Drift:
    """One drift in the place of one for each package: what conda did not make has none of them."""
    return Drift(
        code=Code.DISTRIBUTION_MISSING,
        path="conda-meta",
        count=len(pins),
        message=f"no conda package is installed here, for there is no conda-meta; the lock has {len(pins):,}",
    )


def _judged_by_index(environment: Environment, lock: Lock) -> tuple[Distribution, ...]:
    """The distributions that are held to the pins from indexes: all that no conda package brought.

    One that a conda package did bring stands in for a pin of its name, unless the lock has that conda package as well: then what
    is there is the package's, and the pin's own is not there.
    """
    own = {item.key for item in environment.distributions if not item.keeper}
    packages = {pin.name for pin in lock.pins if pin.ecosystem is Ecosystem.CONDA}
    wanted = {pin.name for pin in lock.pins if pin.ecosystem is not Ecosystem.CONDA} - own
    return tuple(
        item
        for item in environment.distributions
        if not item.keeper or (item.key in wanted and conda_key(item.keeper) not in packages)
    )


def _part(selected: Selected, *, conda: bool) -> Selected:
    """*selected* for one of the two ecosystems."""

    def of(pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
        return tuple(pin for pin in pins if pin.name.startswith(CONDA) is conda)

    return replace(
        selected,
        expected=of(selected.expected),
        allowed=of(selected.allowed),
        undecided=tuple(each for each in selected.undecided if each.pin.name.startswith(CONDA) is conda),
        projects_absent=of(selected.projects_absent),
    )


class _Packages:
    """The comparison of conda's packages as it goes, in order of name."""

    def __init__(self, lock: Lock, environment: Environment, selected: Selected) -> None:
        self._selected = selected
        self._named = {pin.name for pin in lock.pins}
        self._installed: dict[str, list[CondaPackage]] = {}
        for package in environment.conda:
            self._installed.setdefault(conda_key(package.name), []).append(package)
        self._expected = _by_name(selected.expected)
        self._known = _by_name((*selected.expected, *selected.allowed, *(each.pin for each in selected.undecided)))
        self.drifts: list[Drift] = []
        self.unchecked: list[Unchecked] = []

    def compare(self) -> None:
        """Compare both ways: what must be there, and what is there."""
        for name, copies in sorted(self._installed.items()):
            if len(copies) > 1:
                self._doubled(copies)
            elif name in self._known:
                self._compare(copies[0], self._known[name])
            else:
                self._extra(copies[0], is_named=name in self._named)
        for name, pins in sorted(self._expected.items()):
            if name not in self._installed:
                self._missing(pins)
        self.unchecked.extend(
            Unchecked(
                code=each.code,
                what=f"conda package {_plain(each.pin.name)} {each.pin.version}".rstrip(),
                reason=each.reason,
                in_scope=True,
            )
            for each in self._selected.undecided
        )

    def _missing(self, pins: list[Pin]) -> None:
        pin = pins[0]
        wanted = _or(_wanted(pin) for pin in pins)
        name = _plain(pin.name)
        self.drifts.append(
            Drift(
                code=Code.DISTRIBUTION_MISSING,
                distribution=name,
                version=pin.version,
                path=f"conda-meta/{name}-{pin.version}-{pin.build}.json" if pin.version and pin.build else "conda-meta",
                expected=wanted,
                message=f"the conda package {name} is not installed; the lock has {wanted}",
            )
        )

    def _extra(self, package: CondaPackage, *, is_named: bool) -> None:
        why = "the lock has it for other environments only, not for this one" if is_named else "the lock does not name it"
        self._drift(
            Code.DISTRIBUTION_EXTRA,
            package,
            message=f"the conda package {package.name} {package.version} is installed, and {why}",
            actual=package.version,
        )

    def _doubled(self, copies: list[CondaPackage]) -> None:
        places = " and ".join(f"{each.version} {each.build} by {each.path}" for each in copies)
        self._drift(
            Code.DISTRIBUTION_DUPLICATE,
            copies[1],
            message=f"the conda package {copies[0].name} is installed {len(copies)} times: {places}",
            expected="one package",
            actual=places,
        )

    def _compare(self, package: CondaPackage, pins: list[Pin]) -> None:
        """A package with the pins, one of which it must be: exactly that version, that build, and that artifact."""
        name = package.name
        same_version = [pin for pin in pins if not pin.version or pin.version == package.version]
        if not same_version:
            versions, there = _or(pin.version for pin in pins), package.version or "of no known version"
            self._drift(
                Code.VERSION_MISMATCH,
                package,
                message=f"the conda package {name} {there} is installed; the lock has {versions}",
                expected=versions,
                actual=package.version,
            )
            return
        same_build = [pin for pin in same_version if not pin.build or pin.build == package.build]
        if not same_build:
            builds = _or(pin.build for pin in same_version)
            self._drift(
                Code.BUILD_MISMATCH,
                package,
                message=f"the conda package {name} {package.version} is installed as build {package.build or 'unknown'}; "
                f"the lock has {builds}",
                expected=builds,
                actual=package.build,
            )
            return
        faults = [_origin_fault(pin, package) for pin in same_build]
        if None in faults:
            if same_build[faults.index(None)].source.kind in _FOLDERS:
                reason = "it was built from a folder that the lock points at, whose source is governed by git"
                self.unchecked.append(Unchecked(code="built-here", what=f"conda package {name}", reason=reason))
            return
        fault = faults[0]
        assert fault is not None
        if fault.is_unknown:
            self.unchecked.append(
                Unchecked(code="unverifiable", what=f"conda package {name} {package.version}", reason=fault.words, in_scope=True)
            )
            return
        self._drift(
            Code.ORIGIN_MISMATCH,
            package,
            message=f"the conda package {name} {package.version} {fault.words}",
            expected=fault.expected,
            actual=fault.actual,
        )

    def _drift(self, code: Code, package: CondaPackage, *, message: str, expected: str = "", actual: str = "") -> None:
        self.drifts.append(
            Drift(
                code=code,
                distribution=package.name,
                version=package.version,
                path=package.path,
                expected=expected,
                actual=actual,
                message=message,
            )
        )


class _Fault(NamedTuple):
    """Why an installed package is not the artifact that a pin names; *is_unknown* where that can not be told at all."""

    words: str
    expected: str = ""
    actual: str = ""
    is_unknown: bool = False


def _origin_fault(pin: Pin, package: CondaPackage) -> _Fault | None:
    """What is wrong with where *package* came from; None where nothing is.

    The same SHA-256 is the same archive, wherever it was fetched from. By MD5 alone the place counts too, since two archives of
    one MD5 can be made, and where none is stated that is open; where no hash can be compared, the place is all there is.
    """
    if pin.source.kind in _FOLDERS:
        return None
    locked = [digest for artifact in pin.artifacts for digest in artifact.digests]
    compared = False
    for algorithm in ("sha256", "md5"):
        wanted = {digest for digest in locked if digest.algorithm == algorithm}
        found = {digest for digest in package.digests if digest.algorithm == algorithm}
        if not wanted or not found:
            continue
        if wanted.isdisjoint(found):
            expected, actual = _or(sorted(map(str, wanted))), str(next(iter(found)))
            return _Fault(f"is another archive than the lock names: {_from(package)}{actual}", expected, actual)
        if algorithm == "sha256":
            return None
        compared = True
    places = [artifact.location for artifact in pin.artifacts if "://" in artifact.location]
    if places and package.url:
        if _place(package.url) in set(map(_place, places)):
            return None
        return _Fault(f"was installed from {package.url}, and the lock takes it from {places[0]}", places[0], package.url)
    if compared:
        return _Fault("has the MD5 that the lock has, as others can be made to have, and nothing says from where", is_unknown=True)
    return _Fault("its document states neither a hash nor a URL that the lock has too", is_unknown=True)


def _from(package: CondaPackage) -> str:
    return f"it came from {package.url}, with " if package.url else ""


def _place(url: str) -> str:
    """A URL without what does not say where."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}{unquote(parts.path)}"


def _by_name(pins: Iterable[Pin]) -> dict[str, list[Pin]]:
    found: dict[str, list[Pin]] = {}
    for pin in sorted(dict.fromkeys(pins), key=lambda each: (each.name, each.version, each.build, each.where)):
        found.setdefault(pin.name, []).append(pin)
    return found


def _plain(key: str) -> str:
    return key.removeprefix(CONDA)


def _wanted(pin: Pin) -> str:
    return f"{pin.version or 'any version'} {pin.build}".rstrip()


def _or(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))
