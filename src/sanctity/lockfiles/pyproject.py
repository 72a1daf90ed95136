"""A ``pyproject.toml``: what a project wishes for. It decides nothing, so it is no lock, but it can be looked at like one.

Read are ``[project]``, its optional dependencies, ``[dependency-groups]`` (PEP 735), and what Poetry, PDM and uv have of their own
in ``[tool]``. What builds the project (``[build-system]``) is never installed beside it, and is not read.

A wish becomes a pin that keeps its specifier and has no version, unless ``==`` gives one. Wishes that say the same are one pin with
several edges. Two that contradict each other are two pins: an extra may well ask for what another one rules out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from packaging.requirements import Requirement

from sanctity.lockfiles import toml
from sanctity.lockfiles.poetry import alternatives, wishes_of
from sanctity.lockfiles.requirements import ARCHIVE, EXACT, Reading, Row
from sanctity.lockfiles.summary import count_markers, tally
from sanctity.model.lock import Dependency, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.digest import Digest

__all__ = ["FORMAT", "Project", "parse", "read_project", "wants"]

FORMAT: Final = LockFormat.PYPROJECT
_HINT: Final = "mend pyproject.toml"
_LONGEST: Final = 65536
#: How often groups may include others: what each comes to is written out, so that a long chain would be its square.
_MOST_INCLUDES: Final = 1000
_INDEX: Final = Source(kind=SourceKind.REGISTRY)


@dataclass(slots=True)
class Project:
    """What a ``pyproject.toml`` asks for, row by row: of the project, of each extra, and of each group for itself.

    *main* has Poetry's optional dependencies too, whose names *optional* has: those are of extras alone, as *extras_of_main* names
    them. *includes* are the groups that each group includes, *quiet* the groups that are not installed unless asked for, and
    *indexes* where the project looks first.
    """

    name: str = ""
    requires_python: str = ""
    main: list[Row] = field(default_factory=list)
    extras: dict[str, list[Row]] = field(default_factory=dict)
    groups: dict[str, list[Row]] = field(default_factory=dict)
    includes: dict[str, list[str]] = field(default_factory=dict)
    extras_of_main: dict[str, set[str]] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)
    dynamic: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Every row as written, in its place and once."""
        yield from self.main
        for rows in (*self.extras.values(), *self.groups.values()):
            yield from rows

    def all_extras(self) -> Iterator[tuple[str, tuple[Row, ...]]]:
        """Each extra and its rows."""
        for name in dict.fromkeys((*self.extras, *self.extras_of_main)):
            named = self.extras_of_main.get(name, set())
            yield name, (*self.extras.get(name, ()), *(row for row in self.main if row.name in named))

    def group(self, name: str) -> tuple[Row, ...]:
        """The rows of the group *name* and of all that it includes, each group once."""
        seen = {name: None}
        waiting = [name]
        for each in waiting:  # which grows meanwhile
            more = [other for other in dict.fromkeys(self.includes.get(each, ())) if other not in seen]
            seen.update(dict.fromkeys(more))
            waiting += more
        return tuple(row for each in seen for row in self.groups.get(each, ()))


class _Rows:
    """The rows of one document, read into a `Project`."""

    __slots__ = ("desk", "project", "reading")

    def __init__(self, path: str) -> None:
        self.reading = Reading(path, {})
        self.desk = self.reading.desk
        self.desk.hint = _HINT
        self.project = Project()

    def requirement(self, text: str, where: str) -> Iterator[Row]:
        """A dependency as PEP 508 has it, or as PDM has an editable one."""
        if text.startswith(("-e ", "--editable ")):
            row = self.reading.requirement(text.partition(" ")[2].strip(), where, (), editable=True)
        else:
            if not EXACT.fullmatch(text):
                try:
                    Requirement(text if len(text) <= _LONGEST else "")
                except (ValueError, RecursionError):
                    self.desk.fault("lock-bad-requirement", where, f"{toml.shown(text)} is not a requirement")
                    return
            row = self.reading.requirement(text.strip(), where, ())
        if row is not None:
            yield row

    def requirements(self, table: dict[str, object], key: str, where: str) -> list[Row]:
        """The array of dependencies ``table[key]``."""
        place = f"{where}.{key}"
        texts = self.desk.strings(table, key, where)
        return [row for index, text in enumerate(texts) for row in self.requirement(text, f"{place}[{index}]")]

    def poetry(self, table: dict[str, object], where: str) -> list[Row]:
        """A table of dependencies as Poetry has it."""
        return [
            row for raw, value in table.items() if raw.lower() != "python" for row in self._poetry(raw, value, f"{where}.{raw}")
        ]

    def _poetry(self, raw: str, value: object, where: str) -> Iterator[Row]:
        tables = cast("list[object]", value) if isinstance(value, list) else [value]
        for index, each in enumerate(tables):
            place = f"{where}[{index}]" if isinstance(value, list) else where
            for wish in wishes_of(self.desk, raw, each, place):
                source = self._source(cast("dict[str, object]", each), place) if isinstance(each, dict) else _INDEX
                try:
                    specifier = " || ".join(alternatives(wish.constraint)) if source.kind is SourceKind.REGISTRY else ""
                except (ValueError, IndexError):
                    self.desk.fault("lock-bad-specifier", place, f"{toml.shown(wish.constraint)} is not a version constraint")
                    continue
                exact = specifier.startswith("==") and not specifier.startswith("===") and not {",", "|", "*"} & set(specifier)
                if wish.optional:
                    self.project.optional.add(wish.name)
                yield Row(
                    name=wish.name,
                    version=specifier[2:].strip() if exact else "",
                    specifier="" if exact else specifier,
                    extras=wish.extras,
                    marker=wish.marker,
                    source=source,
                    where=place,
                )

    def _source(self, table: dict[str, object], where: str) -> Source:
        """Where one of Poetry's tables says that a dependency comes from."""
        keys = [key for key in ("git", "url", "path", "file") if key in table]
        if not keys:
            return _INDEX
        text = self.desk.get(table, keys[0], str, "", where)
        location = self.desk.place(text, f"{where}.{keys[0]}")
        subdirectory = self.desk.get(table, "subdirectory", str, "", where)
        develop = self.desk.get(table, "develop", bool, False, where)
        kind = SourceKind.EDITABLE if develop else SourceKind.DIRECTORY
        if keys[0] in {"git", "url"}:
            kind = SourceKind.GIT if keys[0] == "git" else SourceKind.URL
        elif ARCHIVE.search(location):
            kind = SourceKind.FILE
        return Source(kind=kind, location=location, subdirectory=subdirectory)

    def groups(self, table: dict[str, object], where: str) -> None:
        """A table of groups, each an array of dependencies, and of groups that are included."""
        for raw, items in table.items():
            place = f"{where}.{raw}"
            name = self.desk.name(raw, place)
            rows = self.project.groups.setdefault(name, [])
            if not isinstance(items, list):
                self.desk.fault("lock-bad-type", place, f"expected an array, found {toml.shown(items)}")
                continue
            for index, item in enumerate(cast("list[object]", items)):
                if isinstance(item, str):
                    rows += self.requirement(item, f"{place}[{index}]")
                elif isinstance(item, dict):
                    other = self.desk.need(cast("dict[str, object]", item), "include-group", str, "x", f"{place}[{index}]")
                    self.project.includes.setdefault(name, []).append(self.desk.name(other, f"{place}[{index}].include-group"))
                else:
                    self.desk.fault("lock-bad-type", f"{place}[{index}]", "expected a string or a table")


def read_project(text: str, *, path: str) -> tuple[Project, toml.Desk]:
    """What *text*, the ``pyproject.toml`` called *path*, asks for, and the desk with what was noted.

    Raises:
        DocumentError: it is no TOML, or what it says of dependencies is not what the specifications and tools have it be.
    """
    document = toml.load(text, path=path, hint=_HINT)
    rows = _Rows(path)
    desk, found = rows.desk, rows.project
    project = _table(desk, document, "project", "")
    tools = _table(desk, document, "tool", "")
    poetry, pdm, uv = (_table(desk, tools, name, "tool") for name in ("poetry", "pdm", "uv"))
    found.name = desk.name(name, "project.name") if (name := desk.get(project, "name", str, "", "project")) else ""
    found.requires_python = desk.requires_python(project, "project")
    found.dynamic = desk.strings(project, "dynamic", "project")
    found.main = rows.requirements(project, "dependencies", "project")
    optional = _table(desk, project, "optional-dependencies", "project")
    for raw in optional:
        extra = desk.name(raw, f"project.optional-dependencies.{raw}")
        found.extras.setdefault(extra, []).extend(rows.requirements(optional, raw, "project.optional-dependencies"))
    rows.groups(_table(desk, document, "dependency-groups", ""), "dependency-groups")
    rows.groups(_table(desk, pdm, "dev-dependencies", "tool.pdm"), "tool.pdm.dev-dependencies")
    if "dev-dependencies" in uv:
        found.groups.setdefault("dev", []).extend(rows.requirements(uv, "dev-dependencies", "tool.uv"))
    _read_poetry(rows, poetry)
    for name, others in found.includes.items():
        for other in others:
            if other and other not in found.groups:
                desk.note("lock-stale", f"dependency-groups.{name}", f"it includes {other}, which is no group")
    if sum(map(len, found.includes.values())) > _MOST_INCLUDES:
        desk.fault("lock-too-large", "dependency-groups", f"groups include others more than {_MOST_INCLUDES:,} times")
    for name in _circular(found.includes):
        desk.note(
            "lock-include-cycle", f"dependency-groups.{name}", f"the group {name} includes itself, by way of what it includes"
        )
    sources = [(f"tool.uv.index[{at}]", each) for at, (_, each) in enumerate(desk.tables(uv, "index", "tool.uv"))]
    sources += [*desk.tables(poetry, "source", "tool.poetry"), *desk.tables(pdm, "source", "tool.pdm")]
    urls = [desk.place(url, f"{where}.url") for where, each in sources if (url := desk.get(each, "url", str, "", where))]
    found.indexes = tuple(dict.fromkeys(filter(None, urls)))
    desk.finish()
    return found, desk


def _circular(includes: Mapping[str, list[str]]) -> Iterator[str]:
    """A group of each circle that *includes* go in."""
    done: set[str] = set()
    for start in includes:
        path: dict[str, Iterator[str]] = {} if start in done else {start: iter(includes[start])}
        while path:
            here = next(reversed(path))
            for other in path[here]:
                if other in path:
                    yield other
                elif other not in done and other in includes:
                    path[other] = iter(includes[other])
                    break
            else:
                done.add(here)
                del path[here]


def _table(desk: toml.Desk, table: dict[str, object], key: str, where: str) -> dict[str, object]:
    return desk.get(table, key, dict, {}, where)


def _read_poetry(rows: _Rows, poetry: dict[str, object]) -> None:
    """What ``[tool.poetry]`` adds; where ``[project]`` has a name already, it only says where to get it."""
    desk, found = rows.desk, rows.project
    known = {row.name for row in (*found.main, *(row for rows in found.extras.values() for row in rows))}
    table = _table(desk, poetry, "dependencies", "tool.poetry")
    found.main += [row for row in rows.poetry(table, "tool.poetry.dependencies") if row.name not in known]
    python = table.get("python")
    if isinstance(python, str) and not found.requires_python:
        try:
            found.requires_python = " || ".join(alternatives(python))
        except (ValueError, IndexError):
            desk.fault("lock-bad-specifier", "tool.poetry.dependencies.python", f"{toml.shown(python)} is not a version constraint")
    extras = _table(desk, poetry, "extras", "tool.poetry")
    for raw in extras:
        names = {desk.name(text, f"tool.poetry.extras.{raw}") for text in desk.strings(extras, raw, "tool.poetry.extras")}
        found.extras_of_main[desk.name(raw, f"tool.poetry.extras.{raw}")] = names
    dev = _table(desk, poetry, "dev-dependencies", "tool.poetry")
    if dev:
        found.groups.setdefault("dev", []).extend(rows.poetry(dev, "tool.poetry.dev-dependencies"))
    groups = _table(desk, poetry, "group", "tool.poetry")
    for raw in groups:
        place = f"tool.poetry.group.{raw}"
        name = desk.name(raw, place)
        group = _table(desk, groups, raw, "tool.poetry.group")
        own = found.groups.setdefault(name, [])
        known = {row.name for row in own}
        dependencies = _table(desk, group, "dependencies", place)
        own += [row for row in rows.poetry(dependencies, f"{place}.dependencies") if row.name not in known]
        found.includes.setdefault(name, []).extend(desk.names(group, "include-groups", place))
        if desk.get(group, "optional", bool, False, place):
            found.quiet.add(name)


# --- As a lock ---------------------------------------------------------------------------------------------------------------


def wants(text: str) -> tuple[str, ...]:
    """Nothing: what is wished for is all in it."""
    del text
    return ()


def parse(text: str, *, path: str, digest: Digest, beside: Mapping[str, str]) -> Lock:
    """The wishes that *text* is.

    Raises:
        DocumentError: with every fault found.
    """
    del beside
    project, desk = read_project(text, path=path)
    rows = list(project.rows())
    pins: dict[tuple[str, str, str, Source], Pin] = {}
    for row in rows:
        key = (row.name, row.version, row.specifier, row.source)
        if key not in pins:
            pins[key] = Pin(
                name=row.name,
                version=row.version,
                specifier=row.specifier,
                source=row.source,
                artifacts=row.artifacts,
                where=row.where,
            )
    several = {name for name, count in Counter(key[0] for key in pins).items() if count > 1}
    return Lock(
        format=FORMAT,
        path=path,
        digest=digest,
        requires_python=project.requires_python,
        pins=tuple(pins.values()),
        roots=tuple(_roots(project, several)),
        notes=tuple(desk.notes),
        indexes=project.indexes,
        facts={
            **tally((row.name, (row.version, row.specifier, row.source, row.marker), row.source, row.artifacts) for row in rows),
            **count_markers(row.marker for row in rows),
            "dynamic": list(project.dynamic),
            "group_includes": sum(map(len, project.includes.values())),
            "requires_python": project.requires_python or None,
        },
    )


def _roots(project: Project, several: set[str]) -> Iterator[Root]:
    """The project itself, its extras, and its groups with what they include."""

    def edges(rows: Iterable[Row]) -> tuple[Dependency, ...]:
        return tuple(
            Dependency(
                name=row.name,
                marker=row.marker,
                extras=row.extras,
                version=row.version if row.name in several else "",
                source=row.source if row.name in several and row.source.kind is not SourceKind.REGISTRY else None,
            )
            for row in rows
        )

    main = [row for row in project.main if row.name not in project.optional]
    yield Root(kind=RootKind.PROJECT, member=project.name, dependencies=edges(main), default=True)
    for name, rows in project.all_extras():
        yield Root(kind=RootKind.EXTRA, name=name, member=project.name, dependencies=edges(rows), extras=(name,))
    for name in project.groups:
        rows = project.group(name)
        yield Root(kind=RootKind.GROUP, name=name, member=project.name, dependencies=edges(rows), default=name not in project.quiet)
