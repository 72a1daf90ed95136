"""JSON, tables and text: what is written, cell by cell and line by line.

Source: RFC 8259 (JSON), RFC 4180 (CSV). How a number or a key's place is written is the container's; what it is, is the value.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Final

from sanctity.model.result import Cells, Leaf, Result, Scalar
from sanctity.results.errors import Budget, invalid, too_large

__all__ = ["read_json", "read_json_lines", "read_table", "read_text"]

#: Bytes of one text, and cells of one table, that are looked at.
_MOST_BYTES: Final = 1 << 30
_MOST_CELLS: Final = 50_000_000
#: What stands for a cell that a short row lacks: no text that can be read holds it.
_ABSENT: Final = "\ud800absent"
_LONGEST_CELL: Final = 64 << 20


class _Number(float):
    """A number, and how it was written."""

    text: str


def _number(text: str) -> _Number:
    value = _Number(text)
    value.text = text
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return dict(pairs)


def _text(data: memoryview) -> tuple[str, str]:
    """The text and its encoding: UTF-8, or UTF-16 where a mark says so."""
    if len(data) > _MOST_BYTES:
        raise too_large(f"it is a text of {len(data):,} bytes")
    start = bytes(data[:3])
    encoding = "utf-8-sig" if start == b"\xef\xbb\xbf" else "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    try:
        return bytes(data).decode(encoding), encoding
    except UnicodeDecodeError as error:
        raise invalid(f"it is no {encoding} text: {error.reason} at byte {error.start:,}") from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_float=_number)
    except RecursionError as error:
        raise invalid("it is nested too deeply", where) from error
    except ValueError as error:
        raise invalid(f"it is no JSON: {error}"[:200], where) from error


def _walk(path: str, value: Any, leaves: list[Leaf], keys: list[str], budget: Budget) -> None:
    budget.take(path)
    if isinstance(value, dict):
        leaves.append(Leaf(path=path, value=Scalar(kind="object", value=len(value))))
        keys.append(", ".join(value))
        for key, item in value.items():
            below = f"{path}.{key}" if key.isidentifier() and path else key if key.isidentifier() else f"{path}[{key!r}]"
            _walk(below, item, leaves, keys, budget)
    elif isinstance(value, list):
        leaves.append(Leaf(path=path, value=Scalar(kind="array", value=len(value))))
        for number, item in enumerate(value):
            _walk(f"{path}[{number}]", item, leaves, keys, budget)
    else:
        kind = "null" if value is None else {"bool": "boolean", "str": "string"}.get(type(value).__name__, "number")
        kind = "integer" if type(value) is int else kind
        written = value.text if isinstance(value, _Number) else ""
        leaves.append(Leaf(path=path, value=Scalar(kind=kind, value=float(value) if written else value, text=written)))


def read_json(data: memoryview) -> Result:
    """Each value of a JSON text at its path."""
    text, encoding = _text(data)
    leaves: list[Leaf] = []
    keys: list[str] = []
    _walk("", _parse(text, ""), leaves, keys, Budget())
    return Result(format="json", leaves=tuple(leaves), container=(("encoding", encoding), ("order of keys", "\n".join(keys))))


def read_json_lines(data: memoryview) -> Result:
    """Each value of a file of JSON texts, one a line."""
    text, encoding = _text(data)
    leaves: list[Leaf] = []
    keys: list[str] = []
    lines = [line for line in text.split("\n") if line.strip()]
    leaves.append(Leaf(path="lines", value=Scalar(kind="lines", value=len(lines))))
    budget = Budget()
    for number, line in enumerate(lines):
        _walk(f"[{number}]", _parse(line, f"line {number + 1}"), leaves, keys, budget)
    return Result(format="jsonl", leaves=tuple(leaves), container=(("encoding", encoding), ("order of keys", "\n".join(keys))))


def read_table(data: memoryview, delimiter: str) -> Result:
    """The columns of a table by the names of its first row. Rows may be of other lengths: their cells are told by number."""
    text, encoding = _text(data)
    format_ = "tsv" if delimiter == "\t" else "csv"
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise invalid(f"it is no {format_}: {error}") from error
    finally:
        csv.field_size_limit(limit)
    rows = [row for row in rows if row]
    leaves = [Leaf(path="rows", value=Scalar(kind="rows", value=max(0, len(rows) - 1)))]
    width = max(map(len, rows), default=0)
    if width * len(rows) > _MOST_CELLS:
        raise too_large(f"it is a table of {len(rows):,} rows and {width:,} columns")
    leaves.append(Leaf(path="header", value=Cells(cells=tuple(rows[0]) if rows else ())))
    taken = {"rows", "header"}
    for number in range(width):
        name = rows[0][number] if number < len(rows[0]) else ""
        name = name if name and name not in taken else f"{name or 'column'} ({number + 1})"
        taken.add(name)
        cells = tuple(row[number] if number < len(row) else _ABSENT for row in rows[1:])
        leaves.append(Leaf(path=name, value=Cells(cells=cells, numeric=True)))
    ends = "CR LF" if "\r\n" in text else "LF"
    return Result(format=format_, leaves=tuple(leaves), container=(("encoding", encoding), ("line ends", ends)))


def read_text(data: memoryview) -> Result:
    """The lines of a text."""
    text, encoding = _text(data)
    lines = text.split("\n")
    ends = "CR LF" if lines and lines[0].endswith("\r") else "LF"
    whole = tuple(line.removesuffix("\r") if ends == "CR LF" else line for line in lines)
    return Result(
        format="text", leaves=(Leaf(path="", value=Cells(cells=whole)),), container=(("encoding", encoding), ("line ends", ends))
    )
