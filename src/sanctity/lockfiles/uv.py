"""``uv.lock``, version 1 in its revisions 0 to 5, and the locks of scripts (``NAME.py.lock``).

The format has no specification: these are the rules of uv's own reader and writer, as real locks and uv 0.13.9 show them.
A lock is a graph. Its members (the projects it was made for) are the packages that ``manifest.members`` names, or else the
one whose folder is ``.``. A workspace whose root is no project, and a script, keep their own requirements in ``manifest``.

``uv sync`` beside the lock installs the project in ``.`` and its default groups, or every member where there is no such
project: that is what a root's `default` says here. Revision 5 tells the default groups itself; before, pyproject.toml does.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs, urlsplit

from sanctity.errors import DocumentError
from sanctity.lockfiles.settings import settings_of
from sanctity.lockfiles.summary import count_markers
from sanctity.lockfiles.toml import Desk, load, plain_artifact, plain_rows, shown
from sanctity.model.lock import Artifact, Dependency, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.model.digest import Digest

__all__ = ["FORMAT", "parse", "wants"]

FORMAT: Final = LockFormat.UV
_HINT: Final = "lock again with uv"
_NEWEST_REVISION: Final = 5
_PYPROJECT: Final = "pyproject.toml"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY})

#: What becomes pins, roots, or fields of the lock; all else is a setting.
_PINS: Final = frozenset({"version", "revision", "requires-python", "package"})

#: The key of a ``source`` table, and what it says.
_SOURCES: Final = {
    "registry": SourceKind.REGISTRY,
    "git": SourceKind.GIT,
    "url": SourceKind.URL,
    "path": SourceKind.FILE,
    "directory": SourceKind.DIRECTORY,
    "editable": SourceKind.EDITABLE,
    "virtual": SourceKind.VIRTUAL,
}


def wants(text: str) -> tuple[str, ...]:
    """The project beside the lock: it names the default groups where the lock's revision does not."""
    del text
    return (_PYPROJECT,)


def parse(text: str, *, path: str, digest: Digest, beside: Mapping[str, str]) -> Lock:
    """The lock that *text* is.

    Raises:
        DocumentError: with every fault found.
    """
    document = load(text, path=path, hint=_HINT)
    desk = _UvDesk(path, hint=_HINT)
    revision = _check_version(document, desk)
    if "distribution" in document:
        raise DocumentError(
            "lock-version-unsupported", "a lock of uv before 0.3, which can not be read", where=f"{path}: distribution", hint=_HINT
        )
    forks = desk.strings(document, "resolution-markers", "")
    for index, marker in enumerate(forks):
        desk.marker(marker, f"resolution-markers[{index}]")
    environments = desk.strings(document, "supported-markers", "")
    for index, marker in enumerate(environments):
        desk.marker(marker, f"supported-markers[{index}]")
    requires_python = desk.requires_python(document, "")
    rows = desk.tables(document, "package", "")
    pins = tuple([_pin(desk, row, place) for place, row in rows])
    desk.distinct(pins)
    roots = tuple(_roots(desk, document, rows, pins, beside.get(_PYPROJECT, "")))
    if pins and not roots and not desk.issues:
        desk.fault("lock-no-root", "", "no project, script or workspace in it says what these packages are for")
    indexes = tuple({source.location: None for source in desk.sources.values() if source.kind is SourceKind.REGISTRY})
    facts = {
        **_facts(desk, document, pins, roots),
        "registries": len(indexes),
        "resolution_markers": len(forks),
        "supported_markers": len(environments),
    }
    desk.finish()
    return Lock(
        format=FORMAT,
        format_version=f"1 revision {revision}" if revision else "1",
        path=path,
        digest=digest,
        requires_python=requires_python,
        pins=pins,
        roots=roots,
        generator="uv",
        notes=tuple(desk.notes),
        indexes=indexes,
        environments=environments,
        settings=settings_of(document, besides=_PINS),
        facts=facts,
    )


def _facts(desk: _UvDesk, document: dict[str, object], pins: tuple[Pin, ...], roots: tuple[Root, ...]) -> dict[str, object]:
    """What only uv's format has; and its conditions: of edges, of dependency groups, and of each package for itself."""
    manifest = cast("dict[str, object]", desk.get(document, "manifest", dict, {}, ""))
    edges = [edge.marker for pin in pins for edge in pin.dependencies]
    edges += [edge.marker for pin in pins for _, optional in pin.optional for edge in optional]
    edges += [edge.marker for root in roots if root.kind is RootKind.GROUP and root.member for edge in root.dependencies]
    return {
        **count_markers(edges + desk.forks),
        "conflicts": len(desk.get(document, "conflicts", list, [], "")),
        "overrides": len(desk.get(manifest, "overrides", list, [], "manifest")),
        "workspace_members": len(desk.get(manifest, "members", list, [], "manifest")),
    }


def _check_version(document: dict[str, object], desk: Desk) -> int:
    """The lock's revision, having checked that its version is one that is read."""
    version = document.get("version")
    if type(version) is not int or version != 1:
        what = f"version {version}" if type(version) is int and abs(version) < 1000 else "a lock without a known version"
        where = f"{desk.path}: version"
        raise DocumentError("lock-version-unsupported", f"{what} is not supported: version 1 is", where=where, hint=_HINT)
    revision = desk.get(document, "revision", int, 0, "")
    if not 0 <= revision < 1000:
        desk.fault("lock-bad-revision", "revision", "this is not a revision number")
    elif revision > _NEWEST_REVISION:
        desk.note("lock-version-newer", "revision", f"revision {revision} is newer than {_NEWEST_REVISION}, the newest one known")
    return revision


class _UvDesk(Desk):
    """A `Desk` that remembers this lock's sources and plain edges, and all the markers that packages have for themselves."""

    __slots__ = ("edges", "forks", "sources")

    def __init__(self, path: str, *, hint: str) -> None:
        super().__init__(path, hint=hint)
        self.edges: dict[str, Dependency] = {}
        self.forks: list[str] = []
        self.sources: dict[tuple[tuple[str, object], ...], Source] = {}


def _source(desk: _UvDesk, table: Any, where: str) -> Source:
    """The ``source`` table as a value; a fault and a virtual source where it is none."""
    try:
        key = tuple(table.items())
        known = desk.sources.get(key)
    except (AttributeError, TypeError):
        known = key = None
    if known is not None:
        return known
    source = Source(kind=SourceKind.VIRTUAL)
    kinds = [name for name in _SOURCES if name in table] if isinstance(table, dict) else []
    if len(kinds) != 1 or not isinstance(table[kinds[0]], str):
        desk.fault("lock-bad-source", where, f"a source is a table with one of {', '.join(_SOURCES)}")
        return source
    place = f"{where}.{kinds[0]}"
    kind = _SOURCES[kinds[0]]
    text = table[kinds[0]]
    subdirectory = desk.get(table, "subdirectory", str, "", where)
    if kind is SourceKind.GIT:
        source = _git(desk, text, place)
    elif kind in {SourceKind.REGISTRY, SourceKind.URL}:
        source = Source(kind=kind, location=desk.place(text, place), subdirectory=subdirectory)
    else:
        source = Source(kind=kind, location=desk.place(text, place), subdirectory=subdirectory)
    if key is not None:
        desk.sources[key] = source
    return source


def _git(desk: Desk, text: str, where: str) -> Source:
    """A repository's URL, with ``?subdirectory=`` and the full commit as its fragment."""
    try:
        parts = urlsplit(text)
        query = parse_qs(parts.query, max_num_fields=16)
    except ValueError:
        desk.fault("lock-bad-url", where, "this is not a URL")
        return Source(kind=SourceKind.GIT)
    if not _COMMIT.fullmatch(parts.fragment):
        desk.fault("lock-bad-source", where, f"{shown(parts.fragment)} is not a full commit")
    # What was asked for (rev, tag, branch) is no secret, so it asks for no note.
    location = desk.url(text.partition("#")[0].partition("?")[0], where)
    subdirectory = query.get("subdirectory", [""])[0]
    return Source(kind=SourceKind.GIT, location=location, revision=parts.fragment, subdirectory=subdirectory)


def _pin(desk: _UvDesk, row: dict[str, object], where: str) -> Pin:
    """One ``[[package]]``."""
    if "source" not in row:
        desk.fault("lock-missing-key", where, "'source' is missing")
    source = _source(desk, row.get("source", {"virtual": ""}), f"{where}.source")
    version = desk.get(row, "version", str, "", where)
    if version:
        desk.version(version, f"{where}.version")
    elif source.kind is SourceKind.REGISTRY:
        desk.fault("lock-missing-key", where, "'version' is missing")
    markers = desk.strings(row, "resolution-markers", where) if "resolution-markers" in row else ()
    for index, marker in enumerate(markers):
        desk.marker(marker, f"{where}.resolution-markers[{index}]")
    desk.forks += markers
    return Pin(
        name=desk.name(row.get("name"), f"{where}.name"),
        version=version,
        source=source,
        artifacts=_artifacts(desk, row, source, where),
        dependencies=_edges(desk, row["dependencies"], f"{where}.dependencies") if "dependencies" in row else (),
        optional=tuple(_sets(desk, row, "optional-dependencies", where)) if "optional-dependencies" in row else (),
        marker=markers[0] if len(markers) == 1 else " or ".join(f"({marker})" for marker in markers),
        where=where,
    )


def _artifacts(desk: Desk, row: dict[str, object], source: Source, where: str) -> tuple[Artifact, ...]:
    """The sdist and the wheels of a package, the sdist first as in the document."""
    found: list[Artifact] = []
    if "sdist" in row:
        found.append(_artifact(desk, row["sdist"], source, f"{where}.sdist"))
    if "wheels" in row:
        wheels = row["wheels"]
        if isinstance(wheels, list):
            prefix = f"{where}.wheels["
            plain = plain_rows(wheels, prefix)
            if plain is None:
                plain = [_artifact(desk, wheel, source, f"{prefix}{index}]") for index, wheel in enumerate(wheels)]
            found += plain
        else:
            desk.get(row, "wheels", list, [], where)
    if len({artifact.filename for artifact in found}) < len(found):
        desk.agree(found, where)
    return tuple(found)


def _artifact(desk: Desk, row: Any, source: Source, place: str) -> Artifact:
    """One wheel or sdist: a ``url``, a ``path``, a bare ``filename``, or only a ``hash`` of what the source names."""
    try:
        digest = row["hash"]
        plain = plain_artifact(row, digest[7:], place) if digest[:7] == "sha256:" else None
    except (KeyError, TypeError):
        plain = None
    if plain is not None:
        return plain
    if not isinstance(row, dict):
        desk.fault("lock-bad-type", place, f"expected a table, found {shown(row)}")
        return Artifact(where=place)
    table = cast("dict[str, object]", row)
    url = desk.get(table, "url", str, "", place)
    path = desk.get(table, "path", str, "", place)
    filename = desk.get(table, "filename", str, "", place)
    if url:
        location = desk.place(url, f"{place}.url")
    elif path:  # as the index in a folder has it: relative to that folder
        location = posixpath.join(source.location, path) if "://" not in source.location else path
    else:
        location = "" if source.kind is SourceKind.REGISTRY else source.location
    if filename:
        desk.filename(filename, f"{place}.filename")
    elif location:
        filename = desk.last_part(location, f"{place}.url" if url else f"{place}.path" if path else place)
    else:
        desk.fault("lock-missing-key", place, "none of 'url', 'path' and 'filename' is there")
    text = desk.get(table, "hash", str, None, place)
    digests: tuple[Digest | None, ...] = ()
    if text is not None:
        algorithm, colon, value = text.partition(":")
        digests = (desk.digest(algorithm if colon else "sha256", value if colon else text, f"{place}.hash"),)
    return Artifact(
        filename=filename,
        digests=tuple(digest for digest in digests if digest is not None),
        location=location,
        size=desk.size(table, place),
        upload_time=desk.get(table, "upload-time", str, "", place),
        where=place,
    )


def _edges(desk: _UvDesk, rows: Any, where: str, *, extras: str = "extra") -> tuple[Dependency, ...]:
    """The edges of an array; *extras* is the key of their extras, which ``manifest`` spells ``extras``."""
    if not isinstance(rows, list):
        desk.fault("lock-bad-type", where, f"expected an array, found {shown(rows)}")
        return ()
    found: list[Dependency] = []
    for index, row in enumerate(rows):
        name = row.get("name") if isinstance(row, dict) else None
        if name is None:
            desk.fault("lock-bad-type", f"{where}[{index}]", "expected a table with a name")
            continue
        bare = len(row) == 1
        if bare and type(name) is str and name in desk.edges:
            found.append(desk.edges[name])
            continue
        edge = _edge(desk, row, f"{where}[{index}]", extras)
        if bare and edge.name:
            desk.edges[name] = edge
        found.append(edge)
    return tuple(found)


def _edge(desk: _UvDesk, row: dict[str, object], where: str, extras: str) -> Dependency:
    version = desk.get(row, "version", str, "", where)
    return Dependency(
        name=desk.name(row["name"], f"{where}.name"),
        marker=desk.marker(row["marker"], f"{where}.marker") if "marker" in row else "",
        extras=desk.names(row, extras, where) if extras in row else (),
        version=desk.version(version, f"{where}.version") if version else "",
        source=_source(desk, row["source"], f"{where}.source") if "source" in row else None,
    )


def _sets(
    desk: _UvDesk, table: dict[str, object], key: str, where: str, *, extras: str = "extra"
) -> Iterator[tuple[str, tuple[Dependency, ...]]]:
    """The edge sets of a table from names (of extras or groups) to arrays."""
    place = f"{where}.{key}"
    for name, rows in cast("dict[str, object]", desk.get(table, key, dict, {}, where)).items():
        normal = desk.name(name, place)
        if normal:
            yield normal, _edges(desk, rows, f"{place}.{normal}", extras=extras)


def _roots(
    desk: _UvDesk, document: dict[str, object], rows: list[tuple[str, dict[str, object]]], pins: tuple[Pin, ...], pyproject: str
) -> Iterator[Root]:
    """What can be asked for: each member with its extras and groups, then what the manifest itself requires."""
    manifest = cast("dict[str, object]", desk.get(document, "manifest", dict, {}, ""))
    members = desk.names(manifest, "members", "manifest")
    local = {index: pin for index, pin in enumerate(pins) if pin.source.kind in _LOCAL}
    main = next((index for index, pin in local.items() if pin.source.location == "."), None)
    if members:
        named = {pin.name: index for index, pin in local.items() if pin.name in members}
        for name in members:
            if name and name not in named:
                desk.fault("lock-missing-member", "manifest.members", f"no package of this lock is the member {name}")
        chosen = [named[name] for name in dict.fromkeys(members) if name in named]
        main = main if main in chosen else None
    else:
        chosen = [] if main is None else [main]
    conflicts = bool(desk.get(document, "conflicts", list, [], ""))
    groups = _default_groups(desk, manifest if main is None else rows[main][1], pyproject)
    for index in chosen:
        yield from _member(desk, pins[index], *rows[index], groups=groups, installed=main in {None, index}, conflicts=conflicts)
    if "requirements" in manifest:
        requirements = _edges(desk, manifest["requirements"], "manifest.requirements", extras="extras")
        yield Root(kind=RootKind.PROJECT, dependencies=requirements, default=True)
    if "dependency-groups" in manifest:
        for name, edges in _sets(desk, manifest, "dependency-groups", "manifest", extras="extras"):
            yield Root(kind=RootKind.GROUP, name=name, dependencies=edges, default=groups is None or name in groups)


def _member(
    desk: _UvDesk,
    pin: Pin,
    where: str,
    row: dict[str, object],
    *,
    groups: frozenset[str] | None,
    installed: bool,
    conflicts: bool,
) -> Iterator[Root]:
    """The roots of the member *pin*. *groups* are the default ones, None for all of them.

    Where the lock declares *conflicts*, its markers see what is asked for as an extra of their own: ``extra-4-name-cpu``,
    with the length of the member's name.
    """

    def active(kind: str, name: str) -> tuple[str, ...]:
        return ("-".join(filter(None, (kind, str(len(pin.name)), pin.name, name))),) if conflicts else ()

    itself = () if pin.source.kind is SourceKind.VIRTUAL else (Dependency(name=pin.name, source=pin.source),)
    yield Root(
        kind=RootKind.PROJECT,
        member=pin.name,
        dependencies=(*itself, *pin.dependencies),
        default=installed,
        extras=active("project", ""),
    )
    for name, edges in pin.optional:
        yield Root(kind=RootKind.EXTRA, name=name, member=pin.name, dependencies=edges, extras=active("extra", name))
    if "dev-dependencies" in row:
        for name, edges in _sets(desk, row, "dev-dependencies", where):
            default = installed and (groups is None or name in groups)
            extras = active("group", name)
            yield Root(kind=RootKind.GROUP, name=name, member=pin.name, dependencies=edges, default=default, extras=extras)


def _default_groups(desk: Desk, table: dict[str, object], pyproject: str) -> frozenset[str] | None:
    """The groups installed unless told otherwise: as *table* of the lock says, or pyproject.toml, or uv's own ``dev``.

    None means all groups.
    """
    said: object = table.get("default-groups")
    if said is None and pyproject:
        try:
            project: Any = load(pyproject, path=_PYPROJECT, hint="")
            said = project["tool"]["uv"]["default-groups"]
        except DocumentError:
            desk.note("lock-neighbour-unreadable", "", "pyproject.toml is not TOML, so the default groups are taken to be dev")
        except (KeyError, TypeError):
            pass
    if said == "all":
        return None
    if isinstance(said, list) and all(isinstance(name, str) for name in said):
        return frozenset(desk.name(name, "default-groups") for name in said)
    if said is not None:
        desk.fault("lock-bad-type", "default-groups", "expected an array of names, or 'all'")
    return frozenset({"dev"})
