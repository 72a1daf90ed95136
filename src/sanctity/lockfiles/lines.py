"""On which line of a lock, or of a seal, a package's entry begins: where a reviewer is pointed to.

The text is one that its reader took, so nothing is judged here. One pass gives all lines. What an entry's own words do not plainly
say gets no line, for a wrong line misleads and a missing one does not. Lines count from 1, as editors count them.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import TYPE_CHECKING, Final, cast

from sanctity.errors import DocumentError
from sanctity.model.lock import LockFormat
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["line_of", "lines", "nearest", "seal_lines"]

#: What may hold a newline or a bracket that is none: strings (TOML 1.0) and comments. An unfinished one goes on to the end.
_TOKEN: Final = re.compile(
    r'"""(?:[^\\"]++|\\.|"{1,2}(?!"))*+(?:"{3,5}|\Z|\\\Z)'
    r"|'''(?:[^']++|'{1,2}(?!'))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]++|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+"
    r"|[\[\]{}\n]",
    re.DOTALL,
)
_TABLE: Final = re.compile(r"\[\[[ \t]*(?:(packages?)|\"(packages?)\"|'(packages?)')[ \t]*\]\][ \t\r]*(?:#.*)?", re.DOTALL)
_KEY: Final = re.compile(
    r"(?:(name|version)|\"(name|version)\"|'(name|version)')[ \t]*=[ \t]*(\"\"\".*|'''.*|\"(?:[^\"\\]|\\.)*\"|'[^']*')", re.DOTALL
)
_PART: Final = r"[A-Za-z0-9_-]+|\"[^\"\\\n]*\"|'[^'\n]*'"
_PARTS: Final = re.compile(_PART)
_ASSIGNED: Final = re.compile(rf"\s*((?:{_PART})(?:[ \t]*\.[ \t]*(?:{_PART}))*)[ \t]*=[ \t]*")
_JSON: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]:\n]', re.DOTALL)
_NAME: Final = r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*+(?:\[[^\]]*\])?\s*+"
_ROW: Final = re.compile(rf"{_NAME}(?:\(?\s*(===?)\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)(\s*[*,])?|(?=[@(<>!~;,\s-])|\Z)")
_EGG: Final = re.compile(r"[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
#: A file's name is looked for where a word begins and within the length that it may have, so that no row takes long.
_FILE: Final = re.compile(
    r"(?<![A-Za-z0-9_.])[_.]*+([A-Za-z0-9][A-Za-z0-9_.]*+)-(\d[A-Za-z0-9.!+_]*)"
    r"(?:-[^/]{1,255}\.whl|\.(?:tar\.\w+|tgz|zip))(?=[\s#?;]|\Z)"
)


def lines(text: str, format: LockFormat) -> dict[tuple[str, str], int]:  # noqa: A002
    """The line of each entry of the lock *text*, by normalised name and version; the version is empty where the entry has none.

    Of two entries with one name and version (Poetry and uv fork by marker) the first one counts.
    """
    match format:
        case LockFormat.UV | LockFormat.POETRY | LockFormat.PDM:
            entries = _toml(text, "package")
        case LockFormat.PYLOCK:
            entries = _toml(text, "packages")
        case LockFormat.REQUIREMENTS:
            entries = _requirements(text)
        case LockFormat.PYPROJECT:
            entries = _pyproject(text)
        case LockFormat.PIPFILE:
            entries = _pipfile(text)
        case _:  # YAML and lists of URLs, whose readers know
            module = importlib.import_module(f"sanctity.lockfiles.{format.value.replace('-', '_')}")
            entries = cast("Iterator[tuple[str, str, int]]", module.lines(text))
    found: dict[tuple[str, str], int] = {}
    for name, version, line in entries:
        found.setdefault((normalise_name(name), version), line)
    return found


def line_of(text: str, format: LockFormat, name: str, version: str) -> int | None:  # noqa: A002
    """The line of the entry of *name* in the lock *text*, as `nearest` chooses it; None where there is none."""
    return nearest(lines(text, format), name, version)


def nearest(found: Mapping[tuple[str, str], int], name: str, *versions: str) -> int | None:
    """The line of *name* in the first of *versions* that is there, else of its first entry; None where *name* has none.

    An installed version that the lock does not have still belongs to the lock's entry of that name.
    """
    name = normalise_name(name)
    for version in versions:
        if (name, version) in found:
            return found[name, version]
    return min((line for (other, _), line in found.items() if other == name), default=None)


def seal_lines(text: str, environment: int | None = None) -> dict[tuple[str, str], int]:
    """The line of each distribution of the seal *text*, whose format has one a line under ``"distributions": [``.

    *environment* is the place, from 0, of the environment that is meant; without it the first that has a distribution counts.
    """
    found: dict[tuple[str, str], int] = {}
    number = -1
    inside = False
    for line, row in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        row = row.strip()  # noqa: PLW2901 - what the line says
        if row.startswith('"distributions": ['):
            number += 1
            inside = not row.rstrip(",").endswith("]")
        elif row.startswith("]"):
            inside = False
        elif inside and row.startswith("{") and environment in {None, number}:
            try:
                entry = json.loads(row.rstrip(","))
            except ValueError:
                continue
            name, version = entry.get("name"), entry.get("version", "")
            if isinstance(name, str) and isinstance(version, str):
                found.setdefault((normalise_name(name), version), line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement of a TOML document, a table's header or a key and its value, with the line that it begins on."""
    depth = 0
    line = first = 1
    start = 1 if text.startswith("\ufeff") else 0
    for token in _TOKEN.finditer(text, start):
        match text[token.start()]:
            case "\n":
                line += 1
                if depth == 0:
                    yield first, text[start : token.start()]
                    start = token.end()
                    first = line
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth = max(0, depth - 1)
            case _:
                line += token[0].count("\n")
    yield first, text[start:]


def _toml(text: str, table: str) -> Iterator[tuple[str, str, int]]:
    """The name, version and line of each ``[[table]]``."""
    line = 0
    entry: dict[str, str] = {}
    for number, statement in _statements(text):
        statement = statement.strip(" \t\r")  # noqa: PLW2901 - the same statement, without the blanks around it
        if statement.startswith("["):
            if line and "name" in entry:
                yield entry["name"], entry.get("version", ""), line
            header = _TABLE.fullmatch(statement)
            line = number if header and table in header.groups() else 0
            entry = {}
        elif line and (key := _KEY.match(statement)):
            entry.setdefault(key[1] or key[2] or key[3], _string(key[4]))
    if line and "name" in entry:
        yield entry["name"], entry.get("version", ""), line


def _string(value: str) -> str:
    """The text of a TOML string."""
    if "\\" not in value and not value.startswith(('"""', "'''")):
        return value[1:-1]
    import tomllib  # which hardly any lock needs

    try:
        return str(tomllib.loads(f"value = {value}")["value"])
    except ValueError:
        return ""


def _path(key: str) -> str:
    """A dotted key as a place: its parts without their quotes."""
    return ".".join(part.strip("\"'") for part in _PARTS.findall(key))


def _places(text: str) -> dict[str, int]:
    """The line of each key of a TOML document, and of each string and table of an array, by its place (``project.x[2]``)."""
    found: dict[str, int] = {}
    table = ""
    for first, statement in _statements(text):
        if statement.lstrip().startswith("["):
            table = _path(statement.partition("#")[0]) + "."
        elif match := _ASSIGNED.match(statement):
            place = table + _path(match[1])
            found.setdefault(place, first)
            if statement.startswith("[", match.end()):
                found.update((f"{place}[{index}]", first + after) for index, after in enumerate(_elements(statement, match.end())))
    return found


def _elements(statement: str, start: int) -> Iterator[int]:
    """How many lines after its statement's own each string and table of the array begins that *statement* has at *start*."""
    depth = line = 0
    for token in _TOKEN.finditer(statement, start):
        kind = statement[token.start()]
        if depth == 1 and kind in "\"'{[":
            yield line
        if kind in "[{":
            depth += 1
        elif kind in "]}":
            depth -= 1
        line += token[0].count("\n")


def _pyproject(text: str) -> Iterator[tuple[str, str, int]]:
    """The name, version and line of each requirement."""
    from sanctity.lockfiles.pyproject import read_project

    try:
        project, _ = read_project(text.removeprefix("\ufeff"), path="")
    except DocumentError:
        return
    places = _places(text)
    for row in project.rows():
        if row.where in places:
            yield row.name, row.version, places[row.where]


def _pipfile(text: str) -> Iterator[tuple[str, str, int]]:
    """The name, version and line of each row of each section of a Pipfile.lock: of its key."""
    depth = 0
    line = 1
    keys = ["", "", "", ""]
    lines = [0, 0, 0, 0]
    last = ""
    version = ""
    for token in _JSON.finditer(text):
        match token[0]:
            case "\n":
                line += 1
            case "{" | "[":
                depth += 1
                if depth == 3:
                    version = ""
            case "}" | "]":
                if depth == 3 and keys[1] != "_meta":
                    yield keys[2], version, lines[2]
                depth -= 1
            case ":":
                if 0 <= depth < 4:
                    keys[depth], lines[depth] = last, line
            case string:
                last = _json_string(string)
                if depth == 3 and keys[3] == "version":
                    version = last.removeprefix("==").removeprefix("=").strip() if last.startswith("==") and "*" not in last else ""
                    keys[3] = ""


def _json_string(text: str) -> str:
    """What a JSON string says."""
    if "\\" not in text:
        return text[1:-1]
    try:
        return str(json.loads(text))
    except ValueError:
        return ""


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """The rows of a requirements file as pip joins them, with the line that each begins on."""
    line = first = 1
    joined = ""
    going = False
    for physical in text.removeprefix("\ufeff").splitlines(keepends=True):
        row = physical.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
        if not going:
            first = line
        comment = row.lstrip().startswith("#")
        going = row.endswith("\\") and not comment
        joined += "" if comment else row.strip("\\") if going else row
        if not going:
            yield first, joined.strip()
            joined = ""
        if physical.endswith(("\n", "\r")):
            line += 1
    yield first, joined.strip()


def _requirements(text: str) -> Iterator[tuple[str, str, int]]:
    """The name, version and line of each row that names a package."""
    for line, row in _rows(text):
        if not row or row.startswith("#"):
            continue
        file = _FILE.search(row) if "://" in row or row.startswith((".", "/", "file:")) else None
        if row.startswith("-"):
            egg = _EGG.search(row) if row.startswith(("-e", "--editable")) else None
            if egg:
                yield egg[1], "", line
        elif "://" not in row.partition("@")[0].partition(";")[0] and (match := _ROW.match(row)):
            exact = match[2] and not match[4]
            yield match[1], match[3] if exact else file[2].lower() if file and "@" in row else "", line
        elif egg := _EGG.search(row):
            yield egg[1], "", line
        elif file:
            yield file[1], file[2].lower(), line
