"""``pylock.toml`` and ``pylock.NAME.toml`` (PEP 751, lock-version 1.0).

The format is a flat list. Each package says by its marker when it is installed, and the marker may ask which extras and
dependency groups were chosen (``'docs' in dependency_groups``). So every root points at every package, under the package's
own marker, and says which names are active while it is walked. The packages' ``dependencies`` are information for people:
PEP 751 forbids an installer to follow them, and a pin here points nowhere.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from sanctity.errors import DocumentError
from sanctity.lockfiles.settings import plain_setting, settings_of
from sanctity.lockfiles.toml import Desk, load, plain_artifact, shown
from sanctity.model.lock import Artifact, Dependency, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.model.digest import Digest

__all__ = ["FORMAT", "parse", "wants"]

FORMAT: Final = LockFormat.PYLOCK
_HINT: Final = "lock again with the tool that wrote this file"
_LOCK_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

#: What a package is made of: one of the first three alone, or any of the last two.
_TREES: Final = ("vcs", "directory", "archive")
_FILES: Final = ("sdist", "wheels")

#: What becomes pins, roots, or fields of the lock; all else is a setting.
_PINS: Final = frozenset({"lock-version", "created-by", "requires-python", "packages"})


def wants(text: str) -> tuple[str, ...]:
    """Nothing: the document stands alone."""
    del text
    return ()


def parse(text: str, *, path: str, digest: Digest, beside: Mapping[str, str]) -> Lock:
    """The lock that *text* is.

    Raises:
        DocumentError: with every fault found.
    """
    del beside
    document = load(text, path=path, hint=_HINT)
    desk = Desk(path, hint=_HINT)
    version = _check_version(document, desk)
    environments = desk.strings(document, "environments", "")
    for index, marker in enumerate(environments):
        desk.marker(marker, f"environments[{index}]")
    if "packages" not in document:
        desk.fault("lock-missing-key", "", "'packages' is missing")
    pins = tuple([_pin(desk, row, where) for where, row in desk.tables(document, "packages", "")])
    desk.distinct(pins, by_marker=True)
    roots = tuple(_roots(desk, document, pins))
    created_by = plain_setting(desk.get(document, "created-by", str, "", ""))
    requires_python = desk.requires_python(document, "")
    desk.finish()
    return Lock(
        format=FORMAT,
        format_version=version,
        path=path,
        digest=digest,
        requires_python=requires_python,
        pins=pins,
        roots=roots,
        generator=created_by,
        notes=tuple(desk.notes),
        indexes=tuple(
            {pin.source.location: None for pin in pins if pin.source.kind is SourceKind.REGISTRY and pin.source.location}
        ),
        environments=environments,
        settings=settings_of(document, besides=_PINS),
        facts={
            "created_by": created_by,
            "environments": len(environments),
            "extras": sum(root.kind is RootKind.EXTRA for root in roots),
            "groups": len(desk.strings(document, "dependency-groups", "")),
            "same_filename_twice": _twice(pins),
        },
    )


def _twice(pins: tuple[Pin, ...]) -> int:
    """How many file names more than one row has."""
    names = [artifact.filename for pin in pins for artifact in pin.artifacts if artifact.filename]
    return 0 if len(set(names)) == len(names) else sum(count > 1 for count in Counter(names).values())


def _check_version(document: dict[str, object], desk: Desk) -> str:
    """The ``lock-version``, having checked that its major one is read."""
    version = document.get("lock-version")
    match = _LOCK_VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None or int(match[1]) != 1:
        what = "no lock-version is here" if version is None else f"lock-version {shown(version)} is not supported: 1.0 is"
        raise DocumentError("lock-version-unsupported", what, where=f"{desk.path}: lock-version", hint=_HINT)
    if int(match[2]) > 0:
        desk.note("lock-version-newer", "lock-version", f"lock-version {match[0]} is newer than 1.0, the newest one known")
    return match[0]


def _pin(desk: Desk, row: dict[str, object], where: str) -> Pin:
    """One ``[[packages]]``."""
    version = desk.get(row, "version", str, "", where)
    source, artifacts = _origin(desk, row, where)
    if len({artifact.filename for artifact in artifacts}) < len(artifacts):
        desk.agree(artifacts, where)
    return Pin(
        name=desk.name(row.get("name"), f"{where}.name"),
        version=desk.version(version, f"{where}.version") if version else "",
        source=source,
        artifacts=artifacts,
        marker=desk.marker(row["marker"], f"{where}.marker") if "marker" in row else "",
        requires_python=desk.requires_python(row, where) if "requires-python" in row else "",
        where=where,
    )


def _origin(desk: Desk, row: dict[str, object], where: str) -> tuple[Source, tuple[Artifact, ...]]:
    """Where a package comes from, and its artifacts."""
    trees = [key for key in _TREES if key in row]
    files = [key for key in _FILES if key in row]
    if len(trees) > 1 or bool(trees) == bool(files):
        message = f"a package has one of {', '.join(_TREES)}, or else {' and '.join(_FILES)}"
        desk.fault("lock-bad-source", where, message)
        return Source(kind=SourceKind.VIRTUAL), ()
    if files:
        index = desk.get(row, "index", str, "", where)
        location = desk.url(index, f"{where}.index") if index else ""
        found: list[Artifact] = []
        if "sdist" in row:
            found.append(_artifact(desk, row["sdist"], f"{where}.sdist"))
        for number, wheel in enumerate(cast("list[object]", desk.get(row, "wheels", list, [], where))):
            found.append(_artifact(desk, wheel, f"{where}.wheels[{number}]"))
        return Source(kind=SourceKind.REGISTRY, location=location), tuple(found)
    key = trees[0]
    place = f"{where}.{key}"
    table = cast("dict[str, object]", desk.get(row, key, dict, {}, where))
    subdirectory = desk.get(table, "subdirectory", str, "", place)
    if key == "directory":
        path = desk.place(desk.need(table, "path", str, "", place), f"{place}.path")
        kind = SourceKind.EDITABLE if desk.get(table, "editable", bool, False, place) else SourceKind.DIRECTORY
        return Source(kind=kind, location=path, subdirectory=subdirectory), ()
    url = desk.get(table, "url", str, "", place)
    path = desk.place(desk.get(table, "path", str, "", place), f"{place}.path")
    if not url and not path:
        desk.fault("lock-missing-key", place, "neither 'url' nor 'path' is there")
    if key == "vcs":
        return _vcs(desk, table, desk.url(url, f"{place}.url") if url else path, subdirectory, place), ()
    artifact = _artifact(desk, table, place)
    kind = SourceKind.URL if url else SourceKind.FILE
    return Source(kind=kind, location=artifact.location, subdirectory=subdirectory), (artifact,)


def _vcs(desk: Desk, table: dict[str, object], location: str, subdirectory: str, where: str) -> Source:
    """A repository at a commit. Only git's are read: no installer of the day has another one to compare with."""
    system = desk.need(table, "type", str, "git", where)
    if system != "git":
        desk.fault("lock-unsupported-vcs", f"{where}.type", f"{shown(system)} is not supported: git is")
    commit = desk.need(table, "commit-id", str, "", where)
    if commit and not _COMMIT.fullmatch(commit):
        desk.fault("lock-bad-source", f"{where}.commit-id", f"{shown(commit)} is not a full commit")
    return Source(kind=SourceKind.GIT, location=location, revision=commit, subdirectory=subdirectory)


def _uploaded(row: Any) -> Any:
    """The ``upload-time`` of a row as RFC 3339 text, where it is the date and time that PEP 751 asks for."""
    time = row.get("upload-time")
    if time is None:
        return ""
    return time.isoformat().replace("+00:00", "Z") if type(time) is datetime else time


def _artifact(desk: Desk, row: Any, place: str) -> Artifact:
    """One wheel, sdist or archive: a ``url`` or a ``path``, a ``name`` unless that is their last part, and ``hashes``."""
    if not isinstance(row, dict):
        desk.fault("lock-bad-type", place, f"expected a table, found {shown(row)}")
        return Artifact(where=place)
    uploaded = _uploaded(row)
    hashes = row.get("hashes")
    if type(hashes) is dict and len(hashes) == 1:
        plain = plain_artifact(row, hashes.get("sha256"), place, uploaded, row.get("name"))
        if plain is not None:
            return plain
    table = cast("dict[str, object]", row)
    url = desk.get(table, "url", str, "", place)
    path = desk.place(desk.get(table, "path", str, "", place), f"{place}.path")
    name = desk.get(table, "name", str, "", place)
    location = desk.url(url, f"{place}.url") if url else path
    if name:
        desk.filename(name, f"{place}.name")
    elif location:
        name = desk.last_part(location, f"{place}.url" if url else f"{place}.path")
    else:
        desk.fault("lock-missing-key", place, "none of 'url', 'path' and 'name' is there")
    if not isinstance(uploaded, str):
        desk.fault("lock-bad-type", f"{place}.upload-time", "expected a date and time")
        uploaded = ""
    return Artifact(
        filename=name,
        digests=tuple(_digests(desk, table, place)),
        location=location,
        size=desk.size(table, place),
        upload_time=uploaded,
        where=place,
    )


def _digests(desk: Desk, table: dict[str, object], place: str) -> Iterator[Digest]:
    """The digests of a ``hashes`` table, in the document's order."""
    where = f"{place}.hashes"
    for algorithm, value in cast("dict[str, object]", desk.get(table, "hashes", dict, {}, place)).items():
        digest = desk.digest(algorithm, value, where)
        if digest is not None:
            yield digest


def _roots(desk: Desk, document: dict[str, object], pins: tuple[Pin, ...]) -> Iterator[Root]:
    """What is installed by default, and what each extra and each group asks for.

    An extra comes on top of the default groups (PEP 751, "Installation"), a group stands for itself.
    """
    edges = tuple([Dependency(name=pin.name, marker=pin.marker, version=pin.version, source=pin.source) for pin in pins])
    default = desk.names(document, "default-groups", "")
    yield Root(kind=RootKind.PROJECT, dependencies=edges, default=True, groups=default)
    for name in desk.names(document, "extras", ""):
        yield Root(kind=RootKind.EXTRA, name=name, dependencies=edges, extras=(name,), groups=default)
    for name in dict.fromkeys((*desk.names(document, "dependency-groups", ""), *default)):
        yield Root(kind=RootKind.GROUP, name=name, dependencies=edges, default=name in default, groups=(name,))
