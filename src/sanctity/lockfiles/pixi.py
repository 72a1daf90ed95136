"""``pixi.lock``, versions 3 to 7.

From version 4 on, a document has environments and packages. A package's row is one pin; an environment says for each platform which
rows it takes, by their URLs or paths, and is a root. So what a pin is for, and from which index, follows from the environments that
name it. Version 3 is older than environments: it is conda-lock's document with one row for each platform, and one environment.

What a row of PyPI's requires is its metadata, with markers for all platforms and extras that nobody asked for; it becomes the pin's
edges, which may lead to a package of conda's: either tool's package does.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.lockfiles import conda, yaml
from sanctity.lockfiles.settings import settings_of
from sanctity.lockfiles.toml import shown
from sanctity.model.lock import Artifact, Dependency, Ecosystem, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.digest import Digest

__all__ = ["FORMAT", "lines", "parse", "wants"]

FORMAT: Final = LockFormat.PIXI
_HINT: Final = "lock again with pixi"
_KNOWN: Final = range(3, 8)
_DEFAULT: Final = "default"
#: The keys that a row and a reference to it may be known by, and whose package it is.
_KINDS: Final = {
    "conda": Ecosystem.CONDA,
    "pypi": Ecosystem.PYPI,
    "conda_source": Ecosystem.CONDA,
    "source": Ecosystem.CONDA,
}
_IDENTIFIER: Final = re.compile(r"([A-Za-z0-9_.-]+)(?:\[([^\]]*)\])?\s+@\s+(\S.*)")
_REQUIREMENT: Final = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*([^;]*?)\s*(?:;\s*(.+))?", re.DOTALL
)
_EXTRA_ALONE: Final = re.compile(r"extra == (?:'([^']+)'|\"([^\"]+)\")")
_EXTRA_LAST: Final = re.compile(r"(.+) and extra == (?:'([^']+)'|\"([^\"]+)\")")
_PURL: Final = re.compile(r"pkg:pypi/([A-Za-z0-9._-]+)")
_TAGS: Final = re.compile(r"[^-]+-[^-]+-(.+)\.whl")


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
    document = yaml.load(text, path=path, hint=_HINT)
    sheet = yaml.Sheet(path, hint=_HINT)
    version = sheet.format_version(document, _KNOWN)
    reading = _Old(sheet) if version.partition(".")[0] == "3" else _New(sheet)
    reading.read(document)
    sheet.finish()
    return Lock(
        format=FORMAT,
        format_version=version,
        path=path,
        digest=digest,
        pins=tuple(reading.pins),
        roots=tuple(reading.roots),
        generator="pixi",
        notes=tuple(sheet.notes),
        indexes=tuple(reading.indexes),
        platforms=tuple(reading.platforms),
        settings=tuple(_settings(sheet.table(document, "environments", ""))),
        facts={
            **reading.facts,
            "by_kind": dict(Counter([_KIND_NAMES[pin.ecosystem] for pin in reading.pins])),
            "ill_formed_hashes": 0,
            "unique_name_versions": len(reading.pins),
            "vcs_url_path_packages": sorted(
                {_elsewhere(pin) for pin in reading.pins if pin.source.kind is not SourceKind.REGISTRY}
            ),
            # What a row requires is for whoever may want it, and not the lock's own condition.
            "platform_markers": 0,
            "python_markers": 0,
        },
    )


def _settings(environments: dict[str, object]) -> Iterator[tuple[str, str]]:
    """What each environment states beside its packages: channels and indexes in their order, and how it was solved."""
    for name, table in environments.items():
        if isinstance(table, dict):
            yield from settings_of(table, besides={"packages"}, prefix=f"{name}.")


def lines(text: str) -> Iterator[tuple[str, str, int]]:
    """The name, version and line of each row."""
    for key in ("packages", "package"):
        for row in yaml.rows(text, key):
            said = [row.get(word) for word in ("name", "version")]
            name, version = (word if isinstance(word, str) else "" for word in said)
            location = next((place for word in ("conda", "url") if isinstance(place := row.get(word), str)), "")
            if not (name and version) and (file := conda.file_of(location.rpartition("/")[2])):
                name, version = name or file.name, version or file.version
            if not name and (match := _IDENTIFIER.fullmatch(str(row.get("conda_source", row.get("source"))))):
                name = match[1]
            if name:
                yield name, version, row.line


def _elsewhere(pin: Pin) -> str:
    """A package that is from no channel and no index, and what it is instead: a folder is what pixi calls a path."""
    kind = "path" if pin.source.kind in {SourceKind.DIRECTORY, SourceKind.FILE} else pin.source.kind.value
    return f"{'conda:' if pin.ecosystem is Ecosystem.CONDA else ''}{pin.name}:{kind}"


_KIND_NAMES: Final = {Ecosystem.CONDA: "conda", Ecosystem.PYPI: "pypi"}


class _Row(NamedTuple):
    """A row of the packages: whose it is, and its *location* as written, by which environments know it."""

    where: str
    table: dict[str, object]
    ecosystem: Ecosystem
    location: str
    place: str  # of the location in the document


class _Reading:
    """What was read so far, in either layout."""

    __slots__ = ("_depot", "_edges", "_names", "_purls", "_sheet", "facts", "indexes", "pins", "platforms", "roots")

    def __init__(self, sheet: yaml.Sheet) -> None:
        self._sheet = sheet
        self._depot = conda.Depot(sheet)
        self._edges: dict[str, tuple[str, Dependency] | None] = {}
        self._names: dict[Ecosystem, set[str]] = {ecosystem: set() for ecosystem in Ecosystem}
        self._purls: dict[str, str] = {}
        self.facts: dict[str, object] = {}
        self.indexes: dict[str, None] = {}
        self.pins: list[Pin] = []
        self.platforms: dict[str, None] = {}
        self.roots: list[Root] = []

    def _channels(self, table: dict[str, object], where: str) -> None:
        for place, row in self._sheet.tables(table, "channels", where):
            channel = self._depot.channel(self._sheet.need(row, "url", str, "", place), f"{place}.url")
            if channel:
                self.indexes[channel] = None

    def _digests(self, table: dict[str, object], where: str) -> tuple[Digest, ...]:
        """The digests of a table that may have other keys too, the strongest first."""
        found = [
            self._sheet.digest(algorithm, value, f"{where}.{algorithm}")
            for algorithm in ("sha256", "md5")
            if (value := table.get(algorithm)) is not None
        ]
        return tuple([digest for digest in found if digest is not None])

    def _conda(self, row: _Row, digests: tuple[Digest, ...], depends: str, platforms: tuple[str, ...]) -> Pin:
        """A package of conda's: what its row does not say, the name of its file does."""
        sheet, depot, table, where = self._sheet, self._depot, row.table, row.where
        name = sheet.get(table, "name", str, "", where)
        version = sheet.get(table, "version", str, "", where)
        build = sheet.get(table, "build", str, "", where)
        place = depot.place(row.location, row.place)
        file = conda.file_of(place.filename)
        artifacts: tuple[Artifact, ...] = ()
        if file is not None:
            name, version, build = name or file.name, version or file.version, build or file.build
            size = sheet.size_of(table, "size", where)
            artifacts = (Artifact(filename=file.filename, digests=digests, location=place.location, size=size, where=where),)
            source = depot.source_of(place)
            if channel := sheet.get(table, "channel", str, "", where):
                source = depot.source(depot.channel(channel, f"{where}.channel"))
        else:
            # What pixi builds itself: a folder, an archive or a repository with a recipe.
            location = row.location
            if match := _IDENTIFIER.fullmatch(location):
                name, location = name or match[1], match[3]
            if location.endswith((".conda", ".tar.bz2")):
                depot.file(place.filename, row.place)
            source, _ = conda.pypi_place(sheet, location, row.place, direct=True)
        if not name:
            sheet.fault("lock-missing-key", where, "'name' is missing")
        edges = [depot.edge(text, f"{where}.{depends}") for text in sheet.strings(table, depends, where)]
        return Pin(
            name=depot.name(name, f"{where}.name") if name else "",
            version=depot.version(version, f"{where}.version") if version else "",
            source=source,
            artifacts=artifacts,
            dependencies=tuple([edge for edge in edges if edge is not None]),
            where=where,
            ecosystem=Ecosystem.CONDA,
            build=depot.build(build, f"{where}.build") if build else "",
            platforms=platforms,
        )

    def _pypi(self, row: _Row, digests: tuple[Digest, ...], platforms: tuple[str, ...], index: str) -> Pin:
        sheet, table, where = self._sheet, row.table, row.where
        name = sheet.need(table, "name", str, "", where)
        version = sheet.get(table, "version", str, "", where)
        source, found = conda.pypi_place(sheet, row.location, row.place, editable=sheet.flag(table, "editable", where))
        if source.kind is SourceKind.REGISTRY:
            own = sheet.get(table, "index_url", str, "", where)
            source = Source(kind=source.kind, location=conda.clean_location(sheet, own, f"{where}.index_url")[0] if own else index)
        requires = sheet.get(table, "requires_python", str, "", where)
        return Pin(
            name=sheet.name(name, f"{where}.name") if name else "",
            version=sheet.version(version, f"{where}.version") if version else "",
            source=source,
            artifacts=(replace(found, digests=digests or found.digests, where=where),) if found else (),
            requires_python=sheet.specifiers(requires, f"{where}.requires_python") if requires else "",
            where=where,
            platforms=platforms,
        )

    def _know(self, rows: Iterable[_Row]) -> None:
        """Learn the names of all packages, and which of conda's stand for which of PyPI's, for the edges that lead to them."""
        for row, pin in zip(rows, self.pins, strict=True):
            self._names[pin.ecosystem].add(pin.name)
            for purl in self._sheet.strings(row.table, "purls", row.where):
                if match := _PURL.match(purl):
                    self._purls[self._sheet.name(match[1], f"{row.where}.purls")] = pin.name

    def _led(self, rows: Iterable[_Row]) -> None:
        """Give the pins of PyPI's packages their edges."""
        for number, row in enumerate(rows):
            if row.ecosystem is Ecosystem.PYPI and row.table.get("requires_dist") is not None:
                self.pins[number] = self._requiring(self.pins[number], row)

    def _requiring(self, pin: Pin, row: _Row) -> Pin:
        plain: list[Dependency] = []
        optional: dict[str, list[Dependency]] = {}
        for number, text in enumerate(self._sheet.strings(row.table, "requires_dist", row.where)):
            if text not in self._edges:
                self._edges[text] = self._requirement(text, f"{row.where}.requires_dist[{number}]")
            found = self._edges[text]
            if found is not None:
                (optional.setdefault(found[0], []) if found[0] else plain).append(found[1])
        return replace(pin, dependencies=tuple(plain), optional=tuple((extra, tuple(edges)) for extra, edges in optional.items()))

    def _requirement(self, text: str, where: str) -> tuple[str, Dependency] | None:
        """A requirement as an edge, and the extra that it is for, if it is for one."""
        match = _REQUIREMENT.fullmatch(text) if len(text) <= 4096 else None
        if match is None:
            self._sheet.fault("lock-bad-requirement", where, f"{shown(text)} is not a requirement")
            return None
        marker = self._sheet.marker(match[4].strip(), where) if match[4] else ""
        extra = ""
        if alone := _EXTRA_ALONE.fullmatch(marker):
            extra, marker = alone[1] or alone[2], ""
        elif (last := _EXTRA_LAST.fullmatch(marker)) and " or " not in last[1]:
            extra, marker = last[2] or last[3], last[1]
        name = self._sheet.name(match[1], where)
        ecosystem = Ecosystem.PYPI
        if name not in self._names[Ecosystem.PYPI]:
            other = self._purls.get(name, name)
            if other in self._names[Ecosystem.CONDA]:
                name, ecosystem = other, Ecosystem.CONDA
        extras = tuple(self._sheet.name(word.strip(), where) for word in match[2].split(",") if word.strip()) if match[2] else ()
        return extra and self._sheet.name(extra, where), Dependency(name=name, marker=marker, extras=extras, ecosystem=ecosystem)


class _New(_Reading):
    """Versions 4 to 7: environments, which name packages."""

    __slots__ = ()

    def read(self, document: dict[str, object]) -> None:
        """Read the whole *document*."""
        sheet = self._sheet
        for key in ("environments", "packages"):
            if document.get(key) is None:
                sheet.fault("lock-missing-key", "", f"{key!r} is missing")
        named = self._named(document)
        words = self._words(named)
        kinds = {words[name]: kind for name, kind in named.items()}
        rows = [row for where, table in sheet.tables(document, "packages", "") if (row := self._row(table, where)) is not None]
        users = _Users(sheet, rows)
        for name, value in sheet.table(document, "environments", "").items():
            if not sheet.name(name, "environments"):
                continue
            where = f"environments.{name}"
            if not isinstance(value, dict):
                sheet.fault("lock-bad-type", where, f"expected a table, found {shown(value)}")
                continue
            self._channels(value, where)
            urls = sheet.strings(value, "indexes", where)
            indexes = [conda.clean_location(sheet, url, f"{where}.indexes[{number}]")[0] for number, url in enumerate(urls)]
            self.indexes.update(dict.fromkeys(indexes))
            users.environments[name] = {}
            for platform, references in sheet.table(value, "packages", where).items():
                word = words.get(platform) or self._depot.platform(platform, f"{where}.packages")
                if not word:
                    continue
                self.platforms[word] = None
                users.read(name, word, platform, references, indexes)
        for row, places, used in zip(rows, users.platforms, users.indexes, strict=True):
            platforms = tuple(places) or self._unused(row)
            if row.ecosystem is Ecosystem.CONDA:
                self.pins.append(self._conda(row, self._digests(row.table, row.where), "depends", platforms))
                self._fit(row, [kinds.get(word, word) for word in places])
            else:
                index = next(iter(used)) if len(used) == 1 else ""
                self.pins.append(self._pypi(row, self._digests(row.table, row.where), platforms, index))
        self._know(rows)
        self._led(rows)
        self._tell_apart()
        self._twice(rows)
        users.contradictions(self.pins)
        self.roots.extend(users.roots(self.pins))
        self.facts = users.facts()

    def _named(self, document: dict[str, object]) -> dict[str, str]:
        """Conda's word for each platform of version 7, which may bear a name of its own."""
        named: dict[str, str] = {}
        for where, table in self._sheet.tables(document, "platforms", ""):
            name = self._sheet.need(table, "name", str, "", where)
            subdir = self._sheet.get(table, "subdir", str, name, where)
            if name in named:
                self._sheet.fault("lock-contradictory", f"{where}.name", f"the platform {shown(name)} is here twice")
            named[self._depot.platform(name, f"{where}.name")] = self._depot.platform(subdir, f"{where}.subdir")
        return named

    def _words(self, named: dict[str, str]) -> dict[str, str]:
        """What pins call each of the *named* platforms: conda's word, or its name where two of them are of one kind."""
        count = Counter(named.values())
        words = {name: subdir if count[subdir] == 1 else name for name, subdir in named.items()}
        self.platforms.update(dict.fromkeys(words.values()))
        return words

    def _fit(self, row: _Row, platforms: list[str]) -> None:
        """Tell of a file for one platform that an environment has on another one."""
        there = self._depot.place(row.location, row.place).platform
        if there not in {"", "noarch"} and any(platform != there for platform in platforms):
            others = ", ".join(platform for platform in platforms if platform != there)
            self._sheet.fault("lock-contradictory", row.place, f"a package for {there} is named for {others}")

    def _row(self, table: dict[str, object], where: str) -> _Row | None:
        """Whose package a row is, and where; None where that can not be told."""
        sheet = self._sheet
        kind = sheet.get(table, "kind", str, "", where)
        if kind:
            if kind not in {"conda", "pypi"}:
                sheet.fault("lock-bad-source", f"{where}.kind", f"{shown(kind)} is not supported: conda and pypi are")
                return None
            key = "url" if table.get("url") is not None else "path"
            location = sheet.need(table, key, str, "", where)
            return _Row(where, table, _KINDS[kind], location, f"{where}.{key}") if location else None
        keys = [key for key in _KINDS if isinstance(table.get(key), str)]
        if not keys:
            sheet.fault("lock-bad-source", where, f"a package has one of {', '.join(_KINDS)}")
            return None
        return _Row(where, table, _KINDS[keys[0]], str(table[keys[0]]), f"{where}.{keys[0]}")

    def _unused(self, row: _Row) -> tuple[str, ...]:
        """The platforms of a row that no environment names."""
        platform = self._depot.place(row.location, row.place).platform if row.ecosystem is Ecosystem.CONDA else ""
        return (platform,) if platform in self.platforms else tuple(self.platforms)

    def _tell_apart(self) -> None:
        """Give wheels of one version that one platform has in several environments their tags as a build."""
        alike: dict[tuple[conda.Key, Source], list[int]] = {}
        for number, pin in enumerate(self.pins):
            if pin.ecosystem is Ecosystem.PYPI and pin.artifacts:
                alike.setdefault((conda.key_of(pin), pin.source), []).append(number)
        for numbers in alike.values():
            platforms = [platform for number in numbers for platform in self.pins[number].platforms]
            if len(set(platforms)) < len(platforms):
                for number in numbers:
                    filename = self.pins[number].artifacts[0].filename
                    match = _TAGS.fullmatch(filename)
                    self.pins[number] = replace(self.pins[number], build=match[1] if match else filename)

    def _twice(self, rows: list[_Row]) -> None:
        """Tell of rows that are for one file."""
        seen: dict[tuple[Ecosystem, str, str, str], Pin] = {}
        for row, pin in zip(rows, self.pins, strict=True):
            known = seen.setdefault((row.ecosystem, row.location, pin.name, pin.build), pin)
            if known is pin:
                continue
            if [each.digests for each in known.artifacts] != [each.digests for each in pin.artifacts]:
                self._sheet.fault("lock-contradictory", pin.where, f"{pin.name} has another digest here than at {known.where}")
            elif pin.artifacts:
                self._sheet.fault("lock-duplicate-package", pin.where, f"{pin.name} {pin.version} is here twice")


class _Users:
    """Which environment takes which row on which platform."""

    __slots__ = ("_rows", "_sheet", "counts", "environments", "indexes", "platforms", "rows")

    def __init__(self, sheet: yaml.Sheet, rows: list[_Row]) -> None:
        self._sheet = sheet
        self._rows = rows
        self.rows: dict[tuple[Ecosystem, str], list[int]] = {}
        for number, row in enumerate(rows):
            self.rows.setdefault((row.ecosystem, row.location), []).append(number)
        self.platforms: list[dict[str, None]] = [{} for _ in rows]
        self.indexes: list[dict[str, None]] = [{} for _ in rows]
        #: For each environment and row its platforms, the extras asked for there, and the place of the reference.
        self.environments: dict[str, dict[int, dict[str, tuple[tuple[str, ...], str]]]] = {}
        self.counts: Counter[str] = Counter()

    def read(self, environment: str, word: str, platform: str, references: object, indexes: list[str]) -> None:
        """Read the *references* of an *environment* for a *platform*, conda's *word* for which it is."""
        sheet = self._sheet
        place = f"environments.{environment}.packages.{platform}"
        if not isinstance(references, list):
            if references is not None:
                sheet.fault("lock-bad-type", place, f"expected an array, found {shown(references)}")
            return
        self.counts[platform] += len(references)
        taken = self.environments[environment]
        for number, reference in enumerate(references):
            where = f"{place}[{number}]"
            found = self._row(reference, where)
            if found is None:
                continue
            extras = tuple(sheet.names(reference, "extras", where)) if "extras" in reference else ()
            if word in taken.setdefault(found, {}):
                sheet.fault("lock-duplicate-package", where, "this package is here twice")
            taken[found][word] = (extras, where)
            self.platforms[found][word] = None
            self.indexes[found].update(dict.fromkeys(indexes))

    def _row(self, reference: object, where: str) -> int | None:
        """The number of the row that *reference* names."""
        if not isinstance(reference, dict):
            self._sheet.fault("lock-bad-type", where, f"expected a table, found {shown(reference)}")
            return None
        for key, ecosystem in _KINDS.items():
            location = reference.get(key)
            if isinstance(location, str):
                rows = self.rows.get((ecosystem, location), [])
                said = [key for key in ("name", "version", "build", "subdir") if len(rows) > 1 and key in reference]
                for row in rows:
                    if all(self._rows[row].table.get(key, reference[key]) == reference[key] for key in said):
                        return row
                self._sheet.fault("lock-missing-key", where, "what is named here is not among the packages")
                return None
        self._sheet.fault("lock-bad-source", where, f"a package has one of {', '.join(_KINDS)}")
        return None

    def contradictions(self, pins: list[Pin]) -> None:
        """Tell of environments that have one package in two versions on one platform."""
        for taken in self.environments.values():
            seen: dict[tuple[Ecosystem, str, str], Pin] = {}
            for number, platforms in taken.items():
                pin = pins[number]
                for platform, (_, where) in platforms.items() if pin.name else ():
                    known = seen.setdefault((pin.ecosystem, pin.name, platform), pin)
                    if known is not pin:
                        message = f"{pin.name} {pin.version} here, and {known.version} at {known.where}".replace("  ", " ")
                        self._sheet.fault("lock-contradictory", where, message)

    def roots(self, pins: list[Pin]) -> Iterator[Root]:
        """A root for each environment."""
        several = conda.several_sources(pins)
        for name, taken in self.environments.items():
            plain = []
            with_extras = []
            for number, platforms in taken.items():
                for extras in dict.fromkeys(extras for extras, _ in platforms.values()):
                    there = tuple([platform for platform, (other, _) in platforms.items() if other == extras])
                    if extras:
                        edges = conda.edges_to([(pins[number], there)], several)
                        with_extras += [replace(edge, extras=extras) for edge in edges]
                    else:
                        plain.append((pins[number], there))
            edges = (*conda.edges_to(plain, several), *with_extras)
            yield Root(kind=RootKind.ENVIRONMENT, name=name, dependencies=edges, default=name == _DEFAULT)

    def facts(self) -> dict[str, object]:
        """What the environments come to."""
        return {
            "by_platform": dict(self.counts),
            "env_platform_refs": self.counts.total(),
            "environments": len(self.environments),
        }


class _Old(_Reading):
    """Version 3: a row for each platform, and one environment."""

    __slots__ = ()

    def read(self, document: dict[str, object]) -> None:
        """Read the whole *document*."""
        sheet = self._sheet
        if document.get("package") is None:
            sheet.fault("lock-missing-key", "", "'package' is missing")
        metadata = sheet.table(document, "metadata", "")
        self._channels(metadata, "metadata")
        for number, word in enumerate(sheet.strings(metadata, "platforms", "metadata")):
            self.platforms[self._depot.platform(word, f"metadata.platforms[{number}]")] = None
        rows: list[_Row] = []
        for where, table in sheet.tables(document, "package", ""):
            manager = sheet.need(table, "manager", str, "", where)
            location = sheet.need(table, "url", str, "", where)
            platform = self._depot.platform(sheet.need(table, "platform", str, "", where), f"{where}.platform")
            if manager not in {"conda", "pypi"}:
                if manager:
                    sheet.fault("lock-bad-source", f"{where}.manager", f"{shown(manager)} is not supported: conda and pypi are")
                continue
            row = _Row(where, table, _KINDS[manager], location, f"{where}.url")
            digests = self._digests(sheet.table(table, "hash", where), f"{where}.hash")
            rows.append(row)
            if row.ecosystem is Ecosystem.CONDA:
                self.pins.append(self._conda(row, digests, "dependencies", (platform,)))
            else:
                self.pins.append(self._pypi(row, digests, (platform,), ""))
        self._know(rows)
        self._led(rows)
        seen: dict[tuple[Ecosystem, str, tuple[str, ...]], Pin] = {}
        edges: dict[tuple[str, ...], list[tuple[Pin, tuple[str, ...]]]] = {}
        for row, pin in zip(rows, self.pins, strict=True):
            known = seen.setdefault((pin.ecosystem, pin.name, pin.platforms), pin)
            if known is not pin and pin.name:
                message = f"{pin.name} {pin.version} here, and {known.version} at {known.where}".replace("  ", " ")
                sheet.fault("lock-contradictory", pin.where, message)
            edges.setdefault(tuple(sheet.names(row.table, "extras", row.where)), []).append((pin, pin.platforms))
        several = conda.several_sources(self.pins)
        found = [replace(edge, extras=extras) for extras, some in edges.items() for edge in conda.edges_to(some, several)]
        self.roots.append(Root(kind=RootKind.ENVIRONMENT, name=_DEFAULT, dependencies=tuple(found), default=True))
        by_platform = Counter([pin.platforms[0] for pin in self.pins])
        self.facts = {"by_platform": dict(by_platform), "env_platform_refs": 0, "environments": 0}
