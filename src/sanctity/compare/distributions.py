"""Installed distributions against what a lock expects: names, versions, origins, and the interpreter they ask for.

This is depth ``version``. An origin is what ``direct_url.json`` says (PEP 610): a claim that an installer wrote, compared
with the lock's source as text; no path is looked at.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from sanctity.compare.copies import by_key, compare_distributions_alone, shown_home
from sanctity.compare.markers import environment_of, satisfies
from sanctity.compare.selection import fits
from sanctity.model.drift import Code, Drift, Unchecked
from sanctity.model.lock import LockFormat, SourceKind
from sanctity.model.names import SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.compare.selection import Selected
    from sanctity.model.environment import Distribution, Environment, Origin
    from sanctity.model.lock import Dependency, Lock, Pin, Source

__all__ = ["compare_distributions", "installed_in", "members_in", "with_names_of_places"]

_REVISION: Final = re.compile(r"[0-9a-fA-F]{7,64}")
_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY})
_KINDS: Final = {
    SourceKind.GIT: "vcs",
    SourceKind.URL: "archive",
    SourceKind.FILE: "archive",
    SourceKind.EDITABLE: "directory",
    SourceKind.DIRECTORY: "directory",
}
_DRIVE: Final = re.compile(r"/?([A-Za-z]):/")


def installed_in(environment: Environment) -> dict[str, frozenset[str]]:
    """The versions that are installed of each normalised name."""
    found: dict[str, set[str]] = {}
    for distribution in environment.distributions:
        found.setdefault(distribution.key, set()).add(distribution.version)
    return {key: frozenset(versions) for key, versions in found.items()}


def members_in(lock: Lock, environment: Environment) -> frozenset[str]:
    """The members of *lock* that are installed in *environment*, wherever they point."""
    members = {root.member for root in lock.roots} - {""}
    return frozenset(members.intersection(distribution.key for distribution in environment.distributions))


def with_names_of_places(lock: Lock, environment: Environment | None = None, *, lock_folder: str, project_name: str = "") -> Lock:
    """*lock* with a name for each pin that has only a place (``-e .``), as far as *environment* tells.

    It is that of the distribution which says that it was installed from there, or *project_name* where the place is the folder of
    the project, which is the lock's own; whether the rest agrees is judged as for any named pin. A place that nothing is from
    stands for its own name: no distribution is called that.
    """
    nameless = [pin for pin in lock.pins if not pin.name]
    if not nameless:
        return lock
    folder = _path(lock_folder, "/")
    named = lock.names()
    copies = [copy for copy in environment.distributions if copy.origin is not None] if environment is not None else []
    copies.sort(key=lambda copy: (copy.key in named, copy.key))
    names: dict[Source, str] = {}
    for pin in nameless:
        there = next((copy.key for at in _bases(lock, pin, folder) for copy in copies if _is_from(pin, copy.origin, at)), "")
        if not there and project_name and pin.source.kind in _LOCAL and _path(pin.source.location, folder) == folder:
            there = str(canonicalize_name(project_name))
        names[pin.source] = there or _place_words(pin.source)

    def called(edge: Dependency) -> Dependency:
        source = edge.source or nameless[0].source  # an edge names its source where there are two pins that it could mean
        return edge if edge.name else replace(edge, name=names[source], source=source)

    return replace(
        lock,
        pins=tuple(pin if pin.name else replace(pin, name=names[pin.source]) for pin in lock.pins),
        roots=tuple(replace(root, dependencies=tuple(map(called, root.dependencies))) for root in lock.roots),
    )


def _bases(lock: Lock, pin: Pin, folder: str) -> Iterator[str]:
    """The folders that a relative path of *pin* may start from: pip takes it from where it was started, mostly above the file."""
    yield folder
    if lock.format is LockFormat.REQUIREMENTS and pin.source.kind in _LOCAL:
        while len(folder) > 1 and posixpath.dirname(folder) != "/":
            folder = posixpath.dirname(folder)
            yield folder


def _is_from(pin: Pin, origin: Origin | None, folder: str) -> bool:
    """Whether *origin* is the place of *pin*, be it another commit or a copy where it ought to be editable."""
    if origin is None or origin.kind != _KINDS.get(pin.source.kind):
        return False
    if origin.kind == "vcs":
        inside = origin.subdirectory.strip("/") == pin.source.subdirectory.strip("/")
        return inside and _repository(origin.url) == _repository(pin.source.location)
    if origin.kind == "archive":
        return _is_locked_archive(pin, origin, folder)
    return _is_at(origin, pin.source.location, folder)


def compare_distributions(
    lock: Lock, environment: Environment, selected: Selected, *, lock_folder: str, project_name: str = ""
) -> tuple[tuple[Drift, ...], tuple[Unchecked, ...]]:
    """The drifts between what *selected* says of *lock* and what is in *environment*, and what could not be compared.

    *lock_folder* is the absolute path of the lock's own folder, links resolved, where its relative paths begin. *project_name* is
    the project beside the lock, which Poetry, requirements and pylock.toml do not name: it may be installed, and need not be.
    """
    comparison = _Comparison(lock, environment, selected, lock_folder, canonicalize_name(project_name) if project_name else "")
    comparison.interpreter()
    comparison.expected()
    comparison.others()
    comparison.unknown()
    return (*compare_distributions_alone(environment), *comparison.drifts), tuple(comparison.unchecked)


class _Comparison:
    """One comparison as it goes; *drifts* and *unchecked* are in order of name within each step."""

    def __init__(self, lock: Lock, environment: Environment, selected: Selected, folder: str, project: str) -> None:
        self._lock = lock
        self._python = environment_of(environment.interpreter).python
        self._selected = selected
        self._folder = _path(folder, "/")
        self._project = project
        self._installed = by_key(environment)
        self._expected = _by_name(selected.expected)
        # A virtual project is never installed by the tool that locked it; installed by hand, it is still the lock's own.
        virtual = [pin for pin in lock.pins if pin.source.kind is SourceKind.VIRTUAL]
        undecided = [each.pin for each in selected.undecided]
        self._known = _by_name((*selected.expected, *selected.allowed, *undecided, *virtual))
        self.drifts: list[Drift] = []
        self.unchecked: list[Unchecked] = []

    def interpreter(self) -> None:
        """The interpreter against what the lock, and each pin of it that is expected, requires."""
        version = self._python
        answer = satisfies(self._lock.requires_python, version)
        if answer is False:
            self._wrong_interpreter(self._lock.requires_python, f"the lock is for Python {self._lock.requires_python}")
            return
        unknown = ["the lock"] if answer is None else []
        for pin in self._selected.expected:
            answer = satisfies(pin.requires_python, version)
            if answer is False:
                self._wrong_interpreter(pin.requires_python, f"{pin.name} {pin.version} is for Python {pin.requires_python}", pin)
            elif answer is None:
                unknown.append(pin.name)
        if unknown:
            known = f"is {version}, as far as is known" if version else "could not be told"
            self.unchecked.append(
                Unchecked(
                    code="interpreter-unknown",
                    what=", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""),
                    reason=f"the interpreter {known}, so whether it meets requires-python is open",
                    count=len(unknown),
                    in_scope=True,
                )
            )

    def _wrong_interpreter(self, wanted: str, who: str, pin: Pin | None = None) -> None:
        version = self._python
        self.drifts.append(
            Drift(
                code=Code.INTERPRETER_MISMATCH,
                distribution=pin.name if pin else "",
                version=pin.version if pin else "",
                expected=wanted,
                actual=version,
                message=f"{who}, and this environment runs Python {version}",
            )
        )

    def expected(self) -> None:
        """What must be there."""
        for name, pins in self._expected.items():
            if name in self._installed:
                self._compare(self._installed[name], pins)
                continue
            versions = _or(map(_wanted, pins))
            self.drifts.append(
                Drift(
                    code=Code.DISTRIBUTION_MISSING,
                    distribution=name,
                    version=pins[0].version,
                    expected=versions,
                    message=f"{name} is not installed; the lock has {versions}",
                )
            )
        for pin in self._selected.projects_absent:
            self._not_installed(pin.name)

    def others(self) -> None:
        """What is there without having to be."""
        named = self._lock.names()
        if self._project and self._project not in named and self._project not in self._installed:
            self._not_installed(self._project)
        for key, copies in sorted(self._installed.items()):
            if key in self._expected:
                continue
            if key in self._known:
                if key not in SEEDS:
                    self._compare(copies, self._known[key])
            elif key not in named and any(self._is_project(copy) for copy in copies):
                for copy in copies:
                    self._compare_project(copy)
            elif key not in SEEDS:
                self._extra(copies[0], is_named=key in named)

    def unknown(self) -> None:
        """What the selection could not decide, and what the lock does not: which version it is to be."""
        self.unchecked.extend(
            Unchecked(code="unpinned", what=pin.name, reason="the lock has it here, and gives no exact version", in_scope=True)
            for pin in self._selected.expected
            if not pin.version and pin.source.kind is SourceKind.REGISTRY and pin.name in self._installed
        )
        self.unchecked.extend(
            Unchecked(code=each.code, what=f"{each.pin.name} {each.pin.version}".rstrip(), reason=each.reason, in_scope=True)
            for each in self._selected.undecided
        )

    def _compare(self, copies: list[Distribution], pins: list[Pin]) -> None:
        """The copies of one name with the pins, one of which it must be."""
        for copy in copies:
            fitting = [pin for pin in pins if fits(pin, copy.version)]
            if fitting:
                break
        else:
            copy = copies[0]
            versions = _or(map(_wanted, pins))
            self.drifts.append(
                Drift(
                    code=Code.VERSION_MISMATCH,
                    distribution=copy.name,
                    version=copy.version,
                    path=shown_home(copy),
                    expected=versions,
                    actual=copy.version,
                    message=f"{copy.name} {copy.version or 'of no known version'} is installed; the lock has {versions}",
                )
            )
            return
        faults = [self._origin_fault(pin, copy) for pin in fitting]
        if not all(faults):
            self._note_local(fitting[faults.index("")], copy)
            return
        pin = fitting[0]
        self.drifts.append(
            Drift(
                code=Code.ORIGIN_MISMATCH,
                distribution=copy.name,
                version=copy.version,
                path=shown_home(copy),
                expected=_source_words(pin),
                actual=_origin_words(copy.origin),
                message=faults[0],
            )
        )

    def _note_local(self, pin: Pin, copy: Distribution) -> None:
        """An editable's source is not ours to judge; nor is what was copied from a folder that the lock points at."""
        if pin.source.kind is SourceKind.GIT and self._is_clone(copy):
            reason = "it is an editable clone of pip's, which does not record of what repository and commit"
            self.unchecked.append(Unchecked(code="editable-source", what=copy.name, reason=reason, in_scope=True))
        elif copy.origin is not None and copy.origin.editable:
            self._editable(copy)
        elif pin.source.kind in {SourceKind.EDITABLE, SourceKind.VIRTUAL}:
            self._built_here(copy)

    def _is_clone(self, copy: Distribution) -> bool:
        """Whether *copy* lies where pip clones ``-e git+…`` to: it records the folder ``src/NAME``, and not the repository."""
        origin = copy.origin
        if self._lock.format is not LockFormat.REQUIREMENTS or origin is None or not origin.editable:
            return False
        parent, name = posixpath.split(_path(origin.url, "/"))
        return posixpath.basename(parent) == "src" and canonicalize_name(name) == copy.key

    def _editable(self, copy: Distribution) -> None:
        self.unchecked.append(Unchecked(code="editable-source", what=copy.name, reason="its source is governed by git"))

    def _built_here(self, copy: Distribution) -> None:
        reason = "it was built from the project's own folder, whose source is governed by git"
        self.unchecked.append(Unchecked(code="built-here", what=copy.name, reason=reason))

    def _not_installed(self, name: str) -> None:
        reason = "the project itself is not installed here, only what it depends on"
        self.unchecked.append(Unchecked(code="project-not-installed", what=name, reason=reason))

    def _is_project(self, copy: Distribution) -> bool:
        """Whether *copy* is the project beside the lock, by its name or, where that is not known, by its folder."""
        if self._project:
            return copy.key == self._project
        return copy.origin is not None and copy.origin.kind == "directory" and _is_at(copy.origin, ".", self._folder)

    def _compare_project(self, copy: Distribution) -> None:
        origin = copy.origin
        if origin is not None and origin.kind == "directory" and _is_at(origin, ".", self._folder):
            if origin.editable:
                self._editable(copy)
            else:
                self._built_here(copy)
            return
        self.drifts.append(
            Drift(
                code=Code.ORIGIN_MISMATCH,
                distribution=copy.name,
                version=copy.version,
                path=shown_home(copy),
                expected=f"the folder {self._folder}",
                actual=_origin_words(origin),
                message=f"{copy.name} {copy.version} has the project's own name, but was installed from {_origin_words(origin)}",
            )
        )

    def _extra(self, copy: Distribution, *, is_named: bool) -> None:
        why = "the lock has it for other environments only, not for this one" if is_named else "the lock does not name it"
        self.drifts.append(
            Drift(
                code=Code.DISTRIBUTION_EXTRA,
                distribution=copy.name,
                version=copy.version,
                path=shown_home(copy),
                actual=copy.version,
                message=f"{copy.name} {copy.version} is installed, and {why}",
            )
        )

    def _origin_fault(self, pin: Pin, copy: Distribution) -> str:
        """What is wrong with where *copy* came from, in words; empty where nothing is."""
        source, origin = pin.source, copy.origin
        if copy.installer.strip().lower() == "conda" and (origin is None or _is_path(origin.url)):
            return ""  # a conda package may carry the direct_url.json of the host that built it, and its folder
        came = f"it was installed from {_origin_words(origin)}"
        match source.kind:
            case SourceKind.REGISTRY:
                if origin is None or (origin.kind == "archive" and _is_locked_archive(pin, origin, self._folder)):
                    return ""
                return f"{came}, and the lock takes it from an index"
            case SourceKind.GIT:
                if self._is_clone(copy):
                    return ""
                if origin is None or origin.kind != "vcs":
                    return f"{came}, and the lock takes it from git"
                return self._git_fault(pin, origin)
            case SourceKind.URL | SourceKind.FILE:
                if origin is not None and origin.kind == "archive" and _is_locked_archive(pin, origin, self._folder):
                    return ""
                return f"{came}, and the lock takes it from {_source_words(pin)}"
        bases = _bases(self._lock, pin, self._folder)
        if origin is None or origin.kind != "directory" or not any(_is_at(origin, source.location, at) for at in bases):
            return f"{came}, and the lock takes it from {_source_words(pin)}"
        if origin.editable and source.kind is SourceKind.DIRECTORY:
            return f"it is editable, and the lock has a copy of {source.location}"
        return ""

    def _git_fault(self, pin: Pin, origin: Origin) -> str:
        """A commit names its content, so where both are known nothing else counts; else the repository must be the same."""
        wanted = pin.source.revision
        if _REVISION.fullmatch(wanted) and origin.commit:
            if origin.commit.lower().startswith(wanted.lower()):
                return ""
            return f"it was installed from commit {origin.commit[:12]}, and the lock has commit {wanted[:12]}"
        if _repository(origin.url) == _repository(pin.source.location):
            return ""
        return f"it was installed from {_origin_words(origin)}, and the lock takes it from {_source_words(pin)}"


def _is_locked_archive(pin: Pin, origin: Origin, folder: str) -> bool:
    """Whether an archive is one that the lock names: by its digest, or by its place where one of the two has no digest."""
    locked = {digest for artifact in pin.artifacts for digest in artifact.digests}
    if not locked.isdisjoint(origin.digests):
        return True
    if {digest.algorithm for digest in locked} & {digest.algorithm for digest in origin.digests}:
        return False
    places = {artifact.location for artifact in pin.artifacts} | {pin.source.location}
    if pin.source.kind is SourceKind.REGISTRY:
        places.discard(pin.source.location)
    return any(_is_at(origin, place, folder) for place in places if place)


def _is_at(origin: Origin, location: str, folder: str) -> bool:
    """Whether an *origin* and *location* of a lock in *folder* are one place."""
    if _is_path(origin.url) and _is_path(location):
        return _path(location, folder) in {_path(origin.url, folder), origin.resolved}
    return _place(origin.url) == _place(location)


def _by_name(pins: Iterable[Pin]) -> dict[str, list[Pin]]:
    found: dict[str, list[Pin]] = {}
    for pin in sorted(dict.fromkeys(pins), key=lambda each: (each.name, each.version, each.where)):
        found.setdefault(pin.name, []).append(pin)
    return found


def _wanted(pin: Pin) -> str:
    anything = "any version" if pin.source.kind is SourceKind.REGISTRY else f"it from {_source_words(pin)}"
    return pin.version or pin.specifier or anything


def _is_path(location: str) -> bool:
    return location.startswith("file:") or "://" not in location


def _path(location: str, folder: str) -> str:
    """The absolute path that a ``file:`` URL or a path means, in *folder* where it is relative; as text, with ``/``."""
    if location.startswith("file:"):
        location = unquote(urlsplit(location).path)
    location = location.replace("\\", "/") if _DRIVE.match(location.replace("\\", "/")) else location
    if drive := _DRIVE.match(location):
        location = f"/{drive[1].lower()}:/{location[drive.end() :]}"
    path = posixpath.normpath(posixpath.join(folder, location))
    return "/" + path.lstrip("/") if path.startswith("/") else path


def _place(url: str) -> str:
    """A URL without what does not say where: user, query, fragment, a closing slash."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}{unquote(parts.path).rstrip('/')}"


def _repository(url: str) -> str:
    """A repository's place, alike however it is reached: ``git+ssh://git@host/a/b.git`` and ``https://host/a/b``."""
    url = url.removeprefix("git+")
    if url.startswith("file:"):
        return _path(url, "/").removesuffix(".git")
    scp = re.fullmatch(r"(?:[^@/:]+@)?([^/:]+):(?!//)(.*)", url)
    host, path = (scp[1], scp[2]) if scp else ("", url)
    if not scp:
        parts = urlsplit(url)
        host, path = parts.netloc.rpartition("@")[2], parts.path
    return f"{host.lower()}/{unquote(path).strip('/').removesuffix('.git')}"


def _source_words(pin: Pin) -> str:
    source = pin.source
    match source.kind:
        case SourceKind.REGISTRY:
            return "an index"
        case SourceKind.GIT:
            return f"git {source.location}" + (f" at {source.revision[:12]}" if source.revision else "")
        case SourceKind.DIRECTORY:
            return f"the folder {source.location}"
        case SourceKind.EDITABLE | SourceKind.VIRTUAL:
            return f"the folder {source.location}, editable"
        case SourceKind.URL | SourceKind.FILE:
            return source.location or "an archive"


def _place_words(source: Source) -> str:
    """A *source* as a row of requirements without a name has it."""
    lead = {SourceKind.EDITABLE: "-e ", SourceKind.GIT: "git+"}.get(source.kind, "")
    inside = f"#subdirectory={source.subdirectory}" if source.subdirectory else ""
    return f"{lead}{source.location}" + (f"@{source.revision}" if source.revision else "") + inside


def _origin_words(origin: Origin | None) -> str:
    if origin is None:
        return "an index"
    match origin.kind:
        case "vcs":
            return f"git {origin.url}" + (f" at {origin.commit[:12]}" if origin.commit else "")
        case "directory":
            return f"the folder {_path(origin.url, '/')}" + (", editable" if origin.editable else "")
        case _:
            return origin.url or "an archive"


def _or(words: Iterable[str]) -> str:
    return " or ".join(_distinct(words))


def _distinct(words: Iterable[str]) -> Iterator[str]:
    yield from dict.fromkeys(words)
