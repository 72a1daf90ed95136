"""``environment.yml``, in which people write what they wish for: match specs of conda's, and under ``pip:`` rows of pip's.

A row becomes a pin: with a version where conda would take no other one, else with what it says of versions, in conda's own words.
The rows under ``pip:`` are read as the requirements file that conda makes of them. ``sel(linux): spec``, as mamba has it, and a
comment ``# [linux]``, as conda-lock does, say for which platforms a row is.

People write such a file by hand, so a few aliases are allowed. And tools fill it in: in the text of a template ``{{ … }}`` is kept
as it is, and lines of statements (``{% … %}``) are passed over.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.errors import DocumentError
from sanctity.lockfiles import conda, requirements, yaml
from sanctity.lockfiles.toml import shown
from sanctity.model.lock import Artifact, Dependency, Ecosystem, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.model.digest import Digest

__all__ = ["FORMAT", "lines", "parse", "wants"]

FORMAT: Final = LockFormat.ENVIRONMENT_YML
_HINT: Final = "write it as conda's documentation has it"

_STATEMENT: Final = re.compile(r"^[ \t]*\{[%#].*?[%#]\}[ \t]*$", re.MULTILINE)
_EXPRESSION: Final = re.compile(r"\{\{[^\n]*?\}\}")
_BLANKS: Final = re.compile(r"(?<=\{\{)\s+|\s+(?=\}\})")
#: What stands for an expression while YAML is parsed: characters that no text has any use for.
_STAND_IN: Final = re.compile("\ue000([0-9]+)\ue001")
_RESERVED: Final = re.compile("[\ue000\ue001]")
_PIP_ROW: Final = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:===?\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)(?=\s|;|$))?"
)
_PIP_LINE: Final = re.compile(r"line ([0-9]{1,7})")

_SELECTOR: Final = re.compile(r"sel\(([A-Za-z0-9_-]+)\)")
_INCLUDE: Final = re.compile(r"(?<![\w-])(?:-r|-c|--requirement|--constraint)")
_SELECTED: Final = re.compile(r"#\s*\[")
_COMMENT: Final = re.compile(r"#\s*\[([A-Za-z0-9_-]+)\]\s*$")
#: conda-lock's words for platforms, by how conda's own begin.
_SELECTORS: Final = {
    "linux": ("linux-",),
    "linux64": ("linux-64",),
    "linux-64": ("linux-64",),
    "aarch64": ("linux-aarch64",),
    "ppc64le": ("linux-ppc64le",),
    "osx": ("osx-",),
    "osx64": ("osx-64",),
    "arm64": ("osx-arm64",),
    "unix": ("linux-", "osx-"),
    "win": ("win-",),
    "win64": ("win-64",),
}
#: The platforms that a file is for that names none, when a selector takes some of them.
_ALL: Final = ("linux-64", "linux-aarch64", "linux-ppc64le", "osx-64", "osx-arm64", "win-64")


def wants(text: str) -> tuple[str, ...]:
    """The requirements files that rows under ``pip:`` include."""
    if _INCLUDE.search(text) is None:
        return ()
    reading = _look(text)
    if reading is None:
        return ()
    return requirements.wants("\n".join([row.text for row in reading.pip]))


def parse(text: str, *, path: str, digest: Digest, beside: Mapping[str, str]) -> Lock:
    """What *text* says; *beside* holds the requirements files that it includes.

    Raises:
        DocumentError: with every fault found.
    """
    template = _Template(text)
    document = template.load(path=path, marked=_SELECTED.search(text) is not None)
    sheet = yaml.Sheet(path, hint=_HINT)
    if template.line:
        message = "a template's {{ }} is kept as text: what it stands for is not part of the lock"
        sheet.note("lock-variable", f"line {template.line}", message)
    reading = _Reading(sheet, text, document)
    reading.read()
    pip = reading.requirements(digest, beside)
    sheet.finish()
    pins = (*reading.pins, *pip.pins)
    edges = [
        Dependency(name=pin.name, version=pin.version, ecosystem=pin.ecosystem, build=pin.build, platforms=pin.platforms)
        for pin in reading.pins
    ]
    direct = sum(bool(pin.version) or pin.source.kind is not SourceKind.REGISTRY for pin in pip.pins)
    pinned = reading.pinned + direct
    return Lock(
        format=FORMAT,
        path=path,
        digest=digest,
        pins=pins,
        roots=(
            Root(
                kind=RootKind.PROJECT,
                dependencies=(*edges, *[edge for root in pip.roots for edge in root.dependencies]),
                default=True,
            ),
        ),
        notes=tuple(sheet.notes),
        files=pip.files,
        indexes=tuple(dict.fromkeys([*filter(None, reading.channels), *reading.pip_indexes, *pip.indexes])),
        platforms=reading.platforms,
        facts={
            "channels": len(reading.channels),
            "conda": len(reading.pins),
            "ill_formed_hashes": 0,
            "jinja_template": bool(template.line),
            "pinned": pinned,
            "pip": len(pip.pins),
            "unpinned": len(pins) - pinned,
        },
    )


def lines(text: str) -> Iterator[tuple[str, str, int]]:
    """The name, version and line of each row; a loose one has no version."""
    reading = _look(text)
    if reading is None:
        return
    yield from [(pin.name, pin.version, line) for pin, line in zip(reading.pins, reading.lines, strict=True)]
    for row in reading.pip:
        if match := _PIP_ROW.match(row.text):
            yield match[1], match[2] or "", row.line


def _look(text: str) -> _Reading | None:
    """The rows of *text* with their lines, where it can be read."""
    try:
        reading = _Reading(yaml.Sheet(""), text, _Template(text).load(path="", marked=True))
        reading.read()
    except DocumentError:
        return None
    return reading


class _Template:
    """The text of a file that may be a template's: YAML does not see its expressions, which are put back into what was read."""

    __slots__ = ("_expressions", "_text", "line")

    def __init__(self, text: str) -> None:
        self._expressions: list[str] = []
        self.line = 0  # of the first expression or statement
        self._text = text
        if ("{{" in text or "{%" in text or "{#" in text) and not _RESERVED.search(text):
            found = min((match.start() for match in (_EXPRESSION.search(text), _STATEMENT.search(text)) if match), default=-1)
            self.line = 1 + text.count("\n", 0, found) if found >= 0 else 0
            self._text = _EXPRESSION.sub(self._take, _STATEMENT.sub("", text))

    def _take(self, match: re.Match[str]) -> str:
        self._expressions.append(match[0])
        return f"\ue000{len(self._expressions) - 1}\ue001"

    def load(self, *, path: str, marked: bool) -> dict[str, object]:
        """The document, in which texts know their lines if *marked*. Raises `DocumentError`."""
        document = yaml.load(self._text, path=path, hint=_HINT, aliases=True, marked=marked)
        return self._restored(document) if self._expressions else document

    def _restored(self, table: dict[str, object]) -> dict[str, object]:
        """*table*, and what it is made of, with all expressions in their places."""
        return {self._put(key): self._value(value) for key, value in table.items()}

    def _value(self, value: object) -> object:
        # No deeper than YAML's own bound.
        if isinstance(value, str):
            return self._put(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return self._restored(value) if isinstance(value, dict) else value

    def _put(self, text: str) -> str:
        if "\ue000" not in text:
            return text
        found = yaml.Line(_STAND_IN.sub(lambda match: self._expressions[int(match[1])], text))
        found.line = getattr(text, "line", 0)
        return found


_ANYWHERE: Final = Source(kind=SourceKind.REGISTRY)


class _PipRow(NamedTuple):
    """A row under ``pip:``."""

    where: str
    text: str
    line: int


class _Reading:
    """What a document says, row by row."""

    __slots__ = ("_depot", "_document", "_sheet", "_text", "channels", "lines", "pinned", "pins", "pip", "pip_indexes", "platforms")

    def __init__(self, sheet: yaml.Sheet, text: str, document: dict[str, object]) -> None:
        self._sheet = sheet
        self._depot = conda.Depot(sheet)
        self._document = document
        self._text = text.split("\n")
        self.channels: list[str] = []
        self.lines: list[int] = []
        self.pins: list[Pin] = []
        self.pinned = 0
        self.pip: list[_PipRow] = []
        self.pip_indexes: list[str] = []
        self.platforms: tuple[str, ...] = ()

    def read(self) -> None:
        """Read the whole document, but for what pip's rows say."""
        sheet, document = self._sheet, self._document
        self.channels = [
            self._depot.channel(text, f"channels[{number}]") for number, text in enumerate(sheet.strings(document, "channels", ""))
        ]
        words = [
            self._depot.platform(word, f"platforms[{number}]")
            for number, word in enumerate(sheet.strings(document, "platforms", ""))
        ]
        self.platforms = tuple(dict.fromkeys(filter(None, words)))
        self.pip_indexes = [
            conda.clean_location(sheet, text, f"pip-repositories[{number}]")[0]
            for number, text in enumerate(sheet.strings(document, "pip-repositories", ""))
        ]
        for key in ("name", "prefix"):
            sheet.get(document, key, str, "", "")
        if "dependencies" not in document:
            sheet.fault("lock-missing-key", "", "'dependencies' is missing")
        for number, row in enumerate(sheet.get(document, "dependencies", list, [], "")):
            where = f"dependencies[{number}]"
            if isinstance(row, str):
                self._spec(row, where, "")
            elif isinstance(row, dict) and len(row) == 1:
                self._keyed(row, where)
            elif row is not None:
                sheet.fault("lock-bad-type", where, f"expected a match spec or 'pip:', found {shown(row)}")
        self._agree()

    def _keyed(self, row: dict[str, object], where: str) -> None:
        """A row that is a table of one key."""
        key, value = next(iter(row.items()))
        match = _SELECTOR.fullmatch(key)
        if key == "pip":
            rows = [value] if isinstance(value, str) else value
            for number, text in enumerate(self._sheet.strings({"pip": rows}, "pip", where)):
                place = f"{where}.pip[{number}]"
                if "\n" in text.strip() or "\r" in text:
                    self._sheet.fault("lock-bad-requirement", place, "a row of pip's is one line")
                else:
                    self.pip.append(_PipRow(place, text.strip(), _line(text)))
        elif match is None:
            self._sheet.fault("lock-bad-source", where, f"{shown(key)} is not supported: pip is, and sel(PLATFORM)")
        elif match[1] not in _SELECTORS:
            self._sheet.fault("lock-bad-name", f"{where}.{key}", f"{shown(match[1])} is not a platform")
        elif isinstance(value, str):
            self._spec(value, f"{where}.{key}", match[1])
        else:
            self._sheet.fault("lock-bad-type", f"{where}.{key}", f"expected a match spec, found {shown(value)}")

    def _spec(self, text: str, where: str, selector: str) -> None:
        """A match spec, or a package by its URL."""
        line = _line(text)
        if not selector and 0 < line <= len(self._text) and (comment := _COMMENT.search(self._text[line - 1])):
            selector = comment[1] if comment[1] in _SELECTORS else ""
        platforms = self._selected(selector)
        pin: Pin | None
        if conda.is_plain(text):
            pin = Pin(name=text, source=_ANYWHERE, where=where, ecosystem=Ecosystem.CONDA, platforms=platforms)
        elif "://" in text or text.startswith(("file:", "./", "../", "/")):
            pin = self._package(text, where, platforms)
        elif text.startswith("{{"):
            self._sheet.note("lock-variable", where, "a template's {{ }} stands for a package that can not be told")
            return
        else:
            pin = self._match(text, where, platforms)
        if pin is not None and pin.name:
            self.pins.append(pin)
            self.lines.append(line)

    def _match(self, text: str, where: str, platforms: tuple[str, ...]) -> Pin | None:
        spec = conda.match_spec(_BLANKS.sub("", text) if "{{" in text else text)
        if spec is None:
            self._sheet.fault("lock-bad-requirement", where, f"{shown(text)} is not a match spec")
            return None
        self.pinned += spec.pinned
        return Pin(
            name=self._depot.name(spec.name, where),
            version=spec.exact,
            source=Source(kind=SourceKind.REGISTRY, location=self._depot.channel(spec.channel, where) if spec.channel else ""),
            where=where,
            specifier="" if spec.exact else f"{spec.version} {spec.build}".strip(),
            ecosystem=Ecosystem.CONDA,
            build=spec.build if spec.exact and "*" not in spec.build else "",
            platforms=platforms,
        )

    def _package(self, text: str, where: str, platforms: tuple[str, ...]) -> Pin | None:
        url, _, fragment = text.partition("#")
        place = self._depot.place(url, where)
        file = self._depot.file(place.filename, where)
        digest = self._depot.digest(fragment, where) if fragment else None
        if file is None:
            return None
        self.pinned += 1
        found = Artifact(filename=file.filename, digests=(digest,) if digest else (), location=place.location, where=where)
        return Pin(
            name=file.name,
            version=file.version,
            source=self._depot.source_of(place),
            artifacts=(found,),
            where=where,
            ecosystem=Ecosystem.CONDA,
            build=file.build,
            platforms=platforms,
        )

    def _selected(self, selector: str) -> tuple[str, ...]:
        """The platforms that *selector* leaves, none where it is empty: the row is for all."""
        if not selector:
            return ()
        begins = _SELECTORS[selector]
        return tuple([word for word in self.platforms or _ALL if word.startswith(begins)]) or tuple(
            [word for word in _ALL if word.startswith(begins)]
        )

    def _agree(self) -> None:
        """Tell of packages that are asked for in two versions at once."""
        seen: dict[tuple[str, str], Pin] = {}
        for pin in self.pins:
            for platform in (pin.platforms or self.platforms or _ALL) if pin.version else ():
                known = seen.setdefault((pin.name, platform), pin)
                if known.version != pin.version:
                    message = f"{pin.name} is {pin.version} here and {known.version} at {known.where}"
                    self._sheet.fault("lock-contradictory", pin.where, message)
                    break

    def requirements(self, digest: Digest, beside: Mapping[str, str]) -> Lock:
        """The rows under ``pip:`` as the requirements file that conda makes of them; faults and notes go to this reading's own."""
        text = "\n".join([row.text for row in self.pip])
        try:
            lock = requirements.parse(text, path=self._sheet.path, digest=digest, beside=beside)
        except DocumentError as error:
            for issue in error.issues:
                self._sheet.fault(issue.code, self._place(issue.where), issue.message, issue.hint)
            self._sheet.finish()
            raise
        for note in lock.notes:
            self._sheet.note(note.code, self._place(note.where), note.message)
        return replace(lock, pins=tuple([replace(pin, where=self._place(pin.where)) for pin in lock.pins]))

    def _place(self, where: str) -> str:
        """The place of a row of pip's, of which *where* says the line in the file that conda would make."""
        match = _PIP_LINE.fullmatch(where)
        return self.pip[int(match[1]) - 1].where if match and int(match[1]) <= len(self.pip) else where


def _line(text: str) -> int:
    """The line of *text*, 0 where nobody asked for it."""
    return getattr(text, "line", 0)
