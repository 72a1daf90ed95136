"""What the YAML formats share: YAML text in, plain tables, arrays and strings out.

A lock needs little of YAML, and what it does not need is refused with its line: tags, merge keys, several documents, keys that are
no text or stand twice, and aliases, but for the few that a file written by hand may have. So nothing in a file can grow beyond its
own size. Every scalar is the text that stands there: ``1.10`` stays ``1.10``, ``no`` is no boolean, and only an empty or ``null``
value is None.

libyaml parses, and its events are put together here without recursion: that takes a third of the time of its own loader.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar, cast

from yaml import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from sanctity.errors import DocumentError
from sanctity.lockfiles.toml import Desk, shown
from sanctity.model.wire import MAX_SAFE_INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    class CParser:
        """libyaml's parser, as far as it is used here; the real one has no types."""

        def __init__(self, stream: str) -> None: ...
        def get_event(self) -> Any: ...
        def dispose(self) -> None: ...
else:
    from yaml._yaml import CParser

__all__ = ["Line", "Sheet", "Table", "load", "rows"]

T = TypeVar("T")

#: No lock goes deeper than this.
_DEEPEST: Final = 64
#: More scalars, tables and arrays than any real lock has; the largest one known has 100,000.
_MOST: Final = 1_000_000
#: How many values all aliases of a document may stand for together.
_MOST_ALIASED: Final = 10_000

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS: Final = frozenset({None, "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_FLAGS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Line(str):
    """A text that knows its *line*, which counts from 1."""

    __slots__ = ("line",)
    line: int


class Table(dict[str, object]):
    """A table that knows the *line* it begins on, which counts from 1."""

    __slots__ = ("line",)
    line: int


class _Fault(Exception):  # noqa: N818 - not an error of its own: it says where one is
    """Something that is not read, at an event."""

    def __init__(self, message: str, event: Any, code: str = "lock-syntax") -> None:
        super().__init__(message)
        self.message, self.event, self.code = message, event, code


def load(text: str, *, path: str, hint: str, aliases: bool = False, marked: bool = False) -> dict[str, object]:
    """*text* as a YAML document that is a table.

    With *aliases*, a few of them are allowed; with *marked*, texts and tables know their lines.

    Raises:
        DocumentError: ``lock-syntax`` with the line and column, or ``lock-too-large``.
    """
    try:
        found = _build(CParser(text), aliases=aliases, marked=marked)
    except _Fault as fault:
        mark = fault.event.start_mark
        where = f"{path}: line {mark.line + 1} column {mark.column + 1}"
        if fault.code == "":
            where, fault.message = _key_fault(text, path)
        raise DocumentError(fault.code or "lock-syntax", fault.message, where=where, hint=hint) from fault
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}: line {mark.line + 1} column {mark.column + 1}" if mark else path
        message = " ".join(filter(None, (error.context, error.problem)))
        raise DocumentError("lock-syntax", f"not YAML: {message[:200]}", where=where, hint=hint) from error
    except ReaderError as error:
        # Its position counts the bytes of UTF-8.
        before = text.encode(errors="replace")[: error.position]
        where = f"{path}: line {1 + before.count(10)}"
        raise DocumentError("lock-syntax", f"not YAML: {error.reason}", where=where, hint=hint) from error
    except (YAMLError, UnicodeEncodeError) as error:
        raise DocumentError("lock-syntax", "not YAML", where=path, hint=hint) from error
    if not isinstance(found, dict):
        raise DocumentError("lock-syntax", f"a table was expected, and this is {_kind(found)}", where=path, hint=hint)
    return cast("dict[str, object]", found)


def _kind(value: object) -> str:
    return "an array" if isinstance(value, list) else "nothing" if value is None else "a text"


def _build(parser: CParser, *, aliases: bool, marked: bool) -> object:
    """The one document that *parser* gives."""
    get = parser.get_event
    documents = aliased = 0
    anchors: dict[str, object] = {}
    stack: list[tuple[list[Any], Any]] = []
    items: list[Any] = []  # of the collection that is open: the keys and values of a table alternate
    for _ in range(_MOST):
        event = get()
        kind = type(event)
        if kind is ScalarEvent:
            if event.tag is not None and event.tag not in _TAGS:
                raise _Fault("a YAML tag, which nothing here has", event)
            value = event.value
            if value in _NULLS and not event.style and event.tag is None:
                value = None
            elif marked:
                value = Line(value)
                value.line = event.start_mark.line + 1
            if event.anchor is not None:
                _anchor(anchors, event, value, aliases=aliases)
            items.append(value)
        elif kind is MappingEndEvent:
            keys = items[::2]
            try:
                table = dict(zip(keys, items[1::2], strict=True))
            except TypeError:  # a key that is a table or an array
                raise _Fault("", event, "") from None
            if len(table) != len(keys) or None in table or "<<" in table:
                raise _Fault("", event, "")
            items, start = stack.pop()
            if marked:
                table = Table(table)
                table.line = start.start_mark.line + 1
            if start.anchor is not None:
                _anchor(anchors, start, table, aliases=aliases)
            items.append(table)
        elif kind is SequenceEndEvent:
            array = items
            items, start = stack.pop()
            if start.anchor is not None:
                _anchor(anchors, start, array, aliases=aliases)
            items.append(array)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if event.tag not in _TAGS:
                raise _Fault("a YAML tag, which nothing here has", event)
            if len(stack) >= _DEEPEST:
                raise _Fault("nested too deeply", event)
            stack.append((items, event))
            items = []
        elif kind is AliasEvent:
            if not aliases:
                raise _Fault("a YAML alias, which no tool writes into a lock", event)
            if event.anchor not in anchors:
                raise _Fault("a YAML alias of what does not stand before it", event)
            aliased += _size(anchors[event.anchor])
            if aliased > _MOST_ALIASED:
                raise _Fault("the YAML aliases stand for more than anybody wrote", event)
            items.append(anchors[event.anchor])
        elif kind is DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise _Fault("a second document begins", event)
            if event.tags:
                raise _Fault("a YAML tag, which nothing here has", event)
        elif kind is StreamEndEvent:
            return items[0] if items else None
    raise _Fault("more values than any real lock has", event, "lock-too-large")


def _anchor(anchors: dict[str, object], event: Any, value: object, *, aliases: bool) -> None:
    if not aliases:
        raise _Fault("a YAML anchor, which no tool writes into a lock", event)
    anchors[event.anchor] = value


def _size(value: object) -> int:
    """How many values *value* consists of, as far as anybody needs to count."""
    count, left = 0, [value]
    while left and count <= _MOST_ALIASED:
        one = left.pop()
        count += 1
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one[: _MOST_ALIASED + 1])
    return count


def _key_fault(text: str, path: str) -> tuple[str, str]:
    """The place of the first key that is not allowed, and what is wrong with it. Only a fault asks for it."""
    parser = CParser(text)
    tables: list[set[str] | None] = []  # the keys so far of each collection that is open, None for an array
    is_key = [False]
    while not isinstance(event := parser.get_event(), StreamEndEvent):
        where = f"{path}: line {event.start_mark.line + 1} column {event.start_mark.column + 1}"
        if isinstance(event, (ScalarEvent, AliasEvent, MappingStartEvent, SequenceStartEvent)):
            if is_key[-1]:
                value = _key(event)
                if value is None:
                    return where, "a key that is no text"
                if value == "<<":
                    return where, "a merge key, which is not read: write out what it stands for"
                keys = tables[-1]
                if keys is not None and value in keys:
                    return where, f"the key {shown(value)} is here twice"
                if keys is not None:
                    keys.add(value)
            if tables and tables[-1] is not None:
                is_key[-1] = not is_key[-1]
            if isinstance(event, MappingStartEvent):
                tables.append(set())
                is_key.append(True)
            elif isinstance(event, SequenceStartEvent):
                tables.append(None)
                is_key.append(False)
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            tables.pop()
            is_key.pop()
    return path, "a key that is no text"


def _key(event: Any) -> str | None:
    """The text of a key, None where it is none."""
    if isinstance(event, ScalarEvent) and (event.style or event.value not in _NULLS):
        return str(event.value)
    return None


def rows(text: str, key: str) -> Iterator[Table]:
    """The tables of the array *key* of the document *text*, each with its line; none where it can not be read."""
    try:
        document = load(text, path="", hint="", aliases=True, marked=True)
    except DocumentError:
        return
    found = document.get(key)
    for row in found if isinstance(found, list) else ():
        if isinstance(row, Table):
            yield row


class Sheet(Desk):
    """A `Desk` for documents whose scalars are all texts, and where a key without a value is as good as absent."""

    __slots__ = ()

    def need(self, table: dict[str, object], key: str, kind: type[T], default: T, where: str) -> T:
        """As `Desk.need`, of a key that has a value."""
        if table.get(key) is None:
            self.fault("lock-missing-key", where, f"{key!r} is missing")
            return default
        return self.get(table, key, kind, default, where)

    def table(self, table: dict[str, object], key: str, where: str) -> dict[str, object]:
        """The table ``table[key]``, empty where it is absent."""
        return cast("dict[str, object]", self.get(table, key, dict, {}, where))

    def size_of(self, table: dict[str, object], key: str, where: str) -> int | None:
        """``table[key]`` in bytes, None where it is absent."""
        value = table.get(key)
        if value is None:
            return None
        if isinstance(value, str) and _WHOLE.fullmatch(value) and (size := int(value)) <= MAX_SAFE_INTEGER:
            return size
        self.fault("lock-bad-size", f"{where}.{key}", "this is not the size of a file in bytes")
        return None

    def flag(self, table: dict[str, object], key: str, where: str) -> bool:
        """Whether ``table[key]`` is true; it is false where it is absent."""
        value = table.get(key)
        if value is None:
            return False
        if isinstance(value, str) and value in _FLAGS:
            return _FLAGS[value]
        self.fault("lock-bad-type", f"{where}.{key}", f"expected a boolean, found {shown(value)}")
        return False

    def format_version(self, document: dict[str, object], known: range) -> str:
        """The document's ``version``, having checked that its major number is one of *known*.

        Raises:
            DocumentError: ``lock-version-unsupported``.
        """
        version = document.get("version")
        match = re.fullmatch(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?", version) if isinstance(version, str) else None
        if match is None or int(match[1]) not in known:
            first, last = known[0], known[-1]
            supported = f"{first} is" if first == last else f"{first} to {last} are"
            what = "no version is here" if version is None else f"version {shown(version)} is not supported: {supported}"
            raise DocumentError("lock-version-unsupported", what, where=f"{self.path}: version", hint=self.hint)
        if match[2]:
            self.note(
                "lock-version-newer", "version", f"version {match[0]} is newer than {match[1]}, the newest one known of its kind"
            )
        return match[0]
