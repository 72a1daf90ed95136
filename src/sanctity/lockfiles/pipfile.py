"""``Pipfile.lock``, pipfile-spec 1 to 6: pipenv's JSON.

The format is a flat list in sections: ``default``, ``develop``, and the project's own categories. Each section is a root that
points at its rows, and the pins point nowhere: nothing says what a package needs. A name that two sections lock alike is one pin.
Hashes have no file names. ``pipenv sync`` installs ``default`` alone.

The file is read as strictly as JSON allows: a key that is there twice means two things, so it is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from sanctity.errors import DocumentError
from sanctity.lockfiles import toml
from sanctity.lockfiles.requirements import ARCHIVE
from sanctity.lockfiles.settings import settings_of
from sanctity.lockfiles.summary import count_markers, tally
from sanctity.model.lock import Artifact, Dependency, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.model.digest import Digest

__all__ = ["FORMAT", "parse", "wants"]

FORMAT: Final = LockFormat.PIPFILE
_HINT: Final = "lock again with pipenv"
_META: Final = "_meta"
_NEWEST: Final = 6
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_EXACT: Final = re.compile(r"={2,3} ?([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_PYTHON: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}")
_SURROGATE: Final = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_SYSTEMS: Final = ("git", "hg", "svn", "bzr")
#: What else than ``markers`` older locks may say of when a row holds: ``"sys_platform": "== 'win32'"``.
_VARIABLES: Final = (
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
)


def wants(text: str) -> tuple[str, ...]:
    """Nothing: the document stands alone."""
    del text
    return ()


class _TwiceError(ValueError):
    """A key that one object has twice."""


class _NumberError(ValueError):
    """``NaN`` or ``Infinity``, which Python reads and JSON does not have."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return found


def _no_number(text: str) -> NoReturn:
    raise _NumberError(text)


def _load(text: str, path: str) -> dict[str, object]:
    """*text* as a JSON object.

    Raises:
        DocumentError: ``lock-syntax``, with the line and column where the parser names them.
    """
    where = path
    cause: Exception | None = None
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
        if isinstance(document, dict):
            return cast("dict[str, object]", document)
        message = f"expected an object, found {toml.shown(document)}"
    except json.JSONDecodeError as error:
        where, message, cause = f"{path}: line {error.lineno} column {error.colno}", f"not JSON: {error.msg}", error
    except _TwiceError as error:
        message, cause = f"the key {toml.shown(error.args[0])} is twice in one object", error
    except _NumberError as error:
        message, cause = f"not JSON: {error} is no number", error
    except RecursionError as error:
        message, cause = "nested too deeply", error
    except UnicodeEncodeError as error:
        message, cause = "it holds half of a character (a lone surrogate)", error
    except ValueError as error:  # an integer of more digits than Python reads
        message, cause = "not JSON: a number is too long", error
    raise DocumentError("lock-syntax", message, where=where, hint=_HINT) from cause


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row of a section."""

    name: str
    version: str
    specifier: str
    source: Source
    artifacts: tuple[Artifact, ...]
    marker: str
    extras: tuple[str, ...]
    where: str


def parse(text: str, *, path: str, digest: Digest, beside: Mapping[str, str]) -> Lock:
    """The lock that *text* is.

    Raises:
        DocumentError: with every fault found.
    """
    del beside
    document = _load(text, path)
    desk = toml.Desk(path, hint=_HINT)
    meta = cast("dict[str, object]", desk.need(document, _META, dict, {}, ""))
    desk.finish()
    spec = _check_version(meta, desk)
    sources = _sources(desk, meta)
    sections: dict[str, list[_Row]] = {}
    editable: set[str] = set()
    for section in document:
        if section != _META:
            name = desk.name(section, toml.shown(section)) if section not in {"default", "develop"} else section
            table = cast("dict[str, object]", desk.get(document, section, dict, {}, ""))
            sections[name] = [_row(desk, raw, table[raw], name, sources) for raw in table]
            for twice, count in Counter(row.name for row in sections[name]).items():
                if count > 1 and twice:
                    desk.fault("lock-duplicate-package", f"{name}.{twice}", f"{twice} is here {count} times, spelt differently")
            editable |= {
                desk.name(raw, name) for raw, row in table.items() if isinstance(row, dict) and row.get("editable") is True
            }
    rows = [row for each in sections.values() for row in each]
    pins = _pins(rows)
    requires_python = _requires_python(desk, meta)
    desk.finish()
    counted = tally((row.name, row.version or row.specifier, row.source, row.artifacts) for row in rows)
    return Lock(
        format=FORMAT,
        format_version=f"pipfile-spec {spec}",
        path=path,
        digest=digest,
        requires_python=requires_python,
        pins=pins,
        roots=tuple(_roots(sections, pins)),
        generator="pipenv",
        notes=tuple(desk.notes),
        indexes=tuple(dict.fromkeys(filter(None, sources.values()))),
        settings=settings_of(meta, besides={"hash", "pipfile-spec", "host-environment-markers"}, prefix=f"{_META}."),
        facts={
            **counted,
            **count_markers(row.marker for row in rows),
            "vcs_url_path_packages": sorted({_kind(row, editable) for row in rows if row.source.kind is not SourceKind.REGISTRY}),
            "index_sources": len(sources),
            "sections": {name: len(each) for name, each in sections.items()},
        },
    )


def _check_version(meta: dict[str, object], desk: toml.Desk) -> int:
    """The ``pipfile-spec``, having checked that it is one that is read."""
    spec = meta.get("pipfile-spec")
    if type(spec) is not int or not 1 <= spec <= _NEWEST:
        what = "no pipfile-spec is here"
        if spec is not None:
            what = f"pipfile-spec {toml.shown(spec) if type(spec) is not int else spec} is not supported: 1 to {_NEWEST} are"
        raise DocumentError("lock-version-unsupported", what, where=f"{desk.path}: {_META}.pipfile-spec", hint=_HINT)
    return spec


def _sources(desk: toml.Desk, meta: dict[str, object]) -> dict[str, str]:
    """The URL of each index by its name; one without a name is called by its place."""
    found: dict[str, str] = {}
    for where, source in desk.tables(meta, "sources", _META):
        name = desk.get(source, "name", str, where, where)
        url = desk.need(source, "url", str, "", where)
        found[name] = desk.place(url, f"{where}.url")
    return found


def _requires_python(desk: toml.Desk, meta: dict[str, object]) -> str:
    """The Python that the Pipfile asks for, as a specifier."""
    requires = cast("dict[str, object]", desk.get(meta, "requires", dict, {}, _META))
    for key, form in (("python_full_version", "=={}"), ("python_version", "=={}.*")):
        text = desk.get(requires, key, str, "", f"{_META}.requires")
        if text not in {"", "*"}:
            return form.format(text) if _PYTHON.fullmatch(text) else desk.specifiers(text, f"{_META}.requires.{key}")
    return ""


def _row(desk: toml.Desk, raw: str, value: object, section: str, sources: dict[str, str]) -> _Row:
    """One row: what the section *section* says of *raw*."""
    name = desk.name(raw, section)
    where = f"{section}.{name}"
    row: dict[str, object] = {}
    if isinstance(value, dict):
        row = cast("dict[str, object]", value)
    else:
        desk.fault("lock-bad-type", where, f"expected an object, found {toml.shown(value)}")
    source = _source(desk, row, where, sources)
    written = desk.get(row, "version", str, "", where).strip()
    version = specifier = ""
    if exact := _EXACT.fullmatch(written):
        version = exact[1] if written.startswith("===") else desk.version(exact[1], f"{where}.version")
    elif written not in {"", "*"}:
        specifier = desk.specifiers(written, f"{where}.version")
    elif not written and source.kind is SourceKind.REGISTRY:
        desk.fault("lock-missing-key", where, "'version' is missing")
    artifacts = _artifacts(desk, row, where)
    if not artifacts and source.kind in {SourceKind.URL, SourceKind.FILE}:
        artifacts = (Artifact(filename=desk.last_part(source.location, where), location=source.location, where=where),)
    return _Row(
        name=name,
        version=version,
        specifier=specifier,
        source=source,
        artifacts=artifacts,
        marker=_marker(desk, row, where),
        extras=desk.names(row, "extras", where) if "extras" in row else (),
        where=where,
    )


def _marker(desk: toml.Desk, row: dict[str, object], where: str) -> str:
    """When a row holds: ``markers``, and what stands under the names of marker variables."""
    parts = [desk.marker(row["markers"], f"{where}.markers")] if row.get("markers") is not None else []
    parts += [
        desk.marker(f"{variable} {desk.get(row, variable, str, '', where)}", f"{where}.{variable}")
        for variable in _VARIABLES
        if variable in row
    ]
    parts = [part for part in parts if part]
    return parts[0] if len(parts) == 1 else " and ".join(f"({part})" if " or " in part else part for part in parts)


def _source(desk: toml.Desk, row: dict[str, object], where: str, sources: dict[str, str]) -> Source:
    """Where a row comes from."""
    subdirectory = desk.get(row, "subdirectory", str, "", where)
    system = next((each for each in _SYSTEMS if each in row), "")
    if system:
        if system != "git":
            desk.fault("lock-unsupported-vcs", f"{where}.{system}", f"{system} is not supported: git is")
        ref = desk.get(row, "ref", str, "", where)
        location = desk.place(desk.get(row, system, str, "", where), f"{where}.{system}")
        return Source(
            kind=SourceKind.GIT, location=location, revision=ref if _COMMIT.fullmatch(ref) else "", subdirectory=subdirectory
        )
    key = next((each for each in ("file", "path") if each in row), "")  # pipenv's own order
    if key:
        location = desk.place(desk.get(row, key, str, "", where), f"{where}.{key}")
        if desk.get(row, "editable", bool, False, where):
            kind = SourceKind.EDITABLE
        elif "://" in location and not location.startswith("file:"):
            kind = SourceKind.URL
        else:
            kind = SourceKind.FILE if ARCHIVE.search(location) else SourceKind.DIRECTORY
        return Source(kind=kind, location=location, subdirectory=subdirectory)
    index = desk.get(row, "index", str, "", where)
    if index and index not in sources:
        desk.fault("lock-bad-source", f"{where}.index", f"no source is called {toml.shown(index)}")
    return Source(
        kind=SourceKind.REGISTRY, location=sources.get(index, "") if index or len(sources) != 1 else next(iter(sources.values()))
    )


def _artifacts(desk: toml.Desk, row: dict[str, object], where: str) -> tuple[Artifact, ...]:
    """An artifact without a name for each hash."""
    hashes = row.get("hashes")
    plain = toml.plain_hashes(hashes)
    if plain is not None:
        return tuple(plain)
    found: dict[Digest, None] = {}
    for index, text in enumerate(desk.strings(row, "hashes", where)):
        algorithm, colon, value = text.partition(":")
        digest = desk.digest(algorithm if colon else "sha256", value if colon else text, f"{where}.hashes[{index}]")
        if digest is not None:
            found[digest] = None
    return tuple([Artifact(digests=(digest,)) for digest in found])


def _kind(row: _Row, editable: set[str]) -> str:
    """``NAME:KIND`` of a row that is from no index; pipenv has editable checkouts too."""
    kind = {SourceKind.FILE: "path", SourceKind.DIRECTORY: "path"}.get(row.source.kind, row.source.kind.value)
    return f"{row.name}:editable-git" if kind == "git" and row.name in editable else f"{row.name}:{kind}"


def _key(row: _Row) -> tuple[Any, ...]:
    """What rows of one pin have in common; the index is none of it, since only one section may name it."""
    return (row.name, row.version, row.specifier, None if row.source.kind is SourceKind.REGISTRY else row.source)


def _pins(rows: list[_Row]) -> tuple[Pin, ...]:
    """The pins of all *rows*, those that say the same in several sections once."""
    alike: dict[tuple[Any, ...], list[_Row]] = {}
    for row in rows:
        alike.setdefault(_key(row), []).append(row)
    found: list[Pin] = []
    for first, *others in alike.values():
        sources = (row.source for row in (first, *others))
        markers = dict.fromkeys(row.marker for row in (first, *others))
        found.append(
            Pin(
                name=first.name,
                version=first.version,
                specifier=first.specifier,
                source=next((source for source in sources if source.location), first.source),
                artifacts=tuple(dict.fromkeys(one for row in (first, *others) for one in row.artifacts))
                if others
                else first.artifacts,
                marker="" if "" in markers else " or ".join(f"({each})" if len(markers) > 1 else each for each in markers),
                where=first.where,
            )
        )
    return tuple(found)


def _roots(sections: dict[str, list[_Row]], pins: tuple[Pin, ...]) -> Iterator[Root]:
    """A root a section; what is not ``default`` is installed where it is asked for."""
    several = {name for name, count in Counter(pin.name for pin in pins).items() if count > 1}
    for name, rows in {"default": [], **sections}.items():
        edges = tuple(
            Dependency(
                name=row.name,
                marker=row.marker,
                extras=row.extras,
                version=row.version if row.name in several else "",
                source=row.source if row.name in several and row.source.kind is not SourceKind.REGISTRY else None,
            )
            for row in rows
        )
        if name == "default":
            yield Root(kind=RootKind.PROJECT, name=name, dependencies=edges, default=True)
        else:
            yield Root(kind=RootKind.GROUP, name=name, dependencies=edges)
