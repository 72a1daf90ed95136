"""Canonical bytes out, typed values in.

`canonical` is the only way a document of ours becomes bytes that are hashed: sorted keys, no blanks, UTF-8, over ASCII
keys, without floats and with integers below 2**53. Under those limits it equals RFC 8785 (JCS).

`Reader` walks a parsed document and knows where it stands, so that every complaint carries the document's own path
(``package[3].wheels[0].hash``). Faults are gathered; `Reader.finish` raises them all at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar, cast

from sanctity.errors import DocumentError, Issue

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["MAX_SAFE_INTEGER", "Json", "Reader", "canonical"]

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
T = TypeVar("T")

MAX_SAFE_INTEGER: Final = 2**53 - 1


def _refuse(value: object, path: str) -> None:
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise ValueError(f"{path}: {value} is not below 2**53")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError(f"{path}: the key {key!r} is not ASCII text")
            _refuse(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _refuse(item, f"{path}[{index}]")
    else:
        raise ValueError(f"{path}: {type(value).__name__} has no canonical form")


def canonical(value: object) -> bytes:
    """*value* as canonical JSON bytes (RFC 8785 under the limits above).

    Raises:
        ValueError: a float, a non-ASCII key, an integer of 2**53 or more, a lone surrogate, or another type.
    """
    _refuse(value, "$")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not UTF-8 text: {error.object[error.start : error.end]!r}") from None


_KINDS: Final[dict[type, str]] = {str: "a string", int: "an integer", bool: "a boolean", list: "an array", dict: "a table"}


#: A document with so many faults is read no further: nobody reads more of them, and a hostile one has millions.
_MOST_FAULTS: Final = 1000


class Reader:
    """A cursor over the parsed document *path*, gathering faults as `Issue` values; their codes begin with *noun*."""

    __slots__ = ("hint", "issues", "noun", "path")

    def __init__(self, path: str, *, hint: str = "", noun: str = "lock") -> None:
        self.path = path
        self.noun = noun
        self.hint = hint
        self.issues: list[Issue] = []

    def fault(self, code: str, where: str, message: str, hint: str = "") -> None:
        """Note that *where* is wrong. Raises `DocumentError`, as `finish`, where that is one fault too many."""
        self.issues.append(Issue(code, where, message, hint or self.hint))
        if len(self.issues) >= _MOST_FAULTS:
            self.finish()

    def get(self, table: dict[str, object], key: str, kind: type[T], default: T, where: str) -> T:
        """``table[key]`` as *kind*; *default* where it is absent, or wrong (which is noted)."""
        value = table.get(key)
        if value is None:
            return default
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        name = f"{where}.{key}" if where else key
        self.fault(f"{self.noun}-bad-type", name, f"expected {_KINDS[kind]}, found {_KINDS.get(type(value), type(value).__name__)}")
        return default

    def need(self, table: dict[str, object], key: str, kind: type[T], default: T, where: str) -> T:
        """As `get`, but absence is a fault too."""
        if key not in table:
            self.fault(f"{self.noun}-missing-key", where, f"{key!r} is missing")
            return default
        return self.get(table, key, kind, default, where)

    def tables(self, table: dict[str, object], key: str, where: str) -> list[tuple[str, dict[str, object]]]:
        """The tables of the array ``table[key]``, each with its place; what is not a table is a fault."""
        found: list[tuple[str, dict[str, object]]] = []
        prefix = f"{where}.{key}" if where else key
        for index, item in enumerate(cast("list[object]", self.get(table, key, list, [], where))):
            place = f"{prefix}[{index}]"
            if isinstance(item, dict):
                found.append((place, cast("dict[str, object]", item)))
            else:
                self.fault(f"{self.noun}-bad-type", place, f"expected a table, found {_KINDS.get(type(item), type(item).__name__)}")
        return found

    def strings(self, table: dict[str, object], key: str, where: str) -> tuple[str, ...]:
        """The strings of the array ``table[key]``."""
        found: list[str] = []
        prefix = f"{where}.{key}" if where else key
        for index, item in enumerate(cast("list[object]", self.get(table, key, list, [], where))):
            if isinstance(item, str):
                found.append(item)
            else:
                self.fault(f"{self.noun}-bad-type", f"{prefix}[{index}]", "expected a string")
        return tuple(found)

    def only(self, table: dict[str, object], keys: AbstractSet[str], where: str) -> None:
        """Note every key of *table* that is not one of *keys*: what is not understood must not be passed over."""
        for key in (key for key in table if key not in keys):
            name = f"{where}.{key}" if where else key
            self.fault(
                f"{self.noun}-unknown-key", name, "this key is not known", f"one of {', '.join(sorted(keys))}, or a newer tool"
            )

    def finish(self) -> None:
        """Raise `DocumentError` with every fault gathered, the first one leading."""
        if not self.issues:
            return
        first = self.issues[0]
        more = f" (and {len(self.issues) - 1} more)" if len(self.issues) > 1 else ""
        where = f"{self.path}: {first.where}" if first.where else self.path
        raise DocumentError(first.code, first.message + more, where=where, hint=first.hint, issues=tuple(self.issues))
