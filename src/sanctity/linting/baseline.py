"""What is known and was let be: a committed file of findings, so that an old project can begin with new ones alone.

A finding is known by its code, file, package and place, and by no index or line, which move with each edit. Nor by its version or
message: an upgrade does not make a known finding a new one. Of several that are alike, as many are known as the file says.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sanctity.errors import DocumentError
from sanctity.model.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sanctity.model.finding import Finding

__all__ = ["SCHEMA", "Key", "format_baseline", "key_of", "parse_baseline", "settle"]

SCHEMA: Final = "sanctity.lint-baseline/1"
_HINT: Final = "write it again: sanctity lint --write-baseline"
_INDEX: Final = re.compile(r"\[\d+\]")
_LINE: Final = re.compile(r"(?:^|: )line \d+(?: column \d+)?$")


class Key(NamedTuple):
    """What a finding is known by; *path* is relative to the baseline's own folder."""

    code: str
    path: str
    package: str
    where: str


def key_of(finding: Finding, path: str = "") -> Key:
    """What *finding* is known by, in the file *path* if that is given."""
    where = _LINE.sub("", _INDEX.sub("[]", finding.where))
    return Key(finding.code, path or finding.path, finding.package, where)


def settle(
    findings: Iterable[Finding], known: Counter[Key], place: Callable[[str], str]
) -> tuple[tuple[Finding, ...], tuple[Key, ...]]:
    """*findings*, each marked where it is *known*, and what is known and was not found; *place* makes a shown path a baseline's."""
    left = known.copy()
    told = []
    for finding in findings:
        key = key_of(finding, place(finding.path))
        if left[key] > 0:
            left[key] -= 1
            finding = replace(finding, known=True)  # noqa: PLW2901 - the same finding, marked
        told.append(finding)
    return tuple(told), tuple(sorted((+left).keys()))


def format_baseline(findings: Iterable[Finding], place: Callable[[str], str]) -> str:
    """The document that makes all of *findings* known: sorted, one line a finding, so that it reads well in a pull request."""
    counted = Counter(key_of(finding, place(finding.path)) for finding in findings)
    rows = []
    for key, number in sorted(counted.items()):
        entry: dict[str, Any] = {name: value for name, value in key._asdict().items() if value}
        if number > 1:
            entry["count"] = number
        rows.append("    " + json.dumps(entry))
    body = ",\n".join(rows)
    return f'{{\n  "schema": "{SCHEMA}",\n  "findings": [' + (f"\n{body}\n  " if rows else "") + "]\n}\n"


def parse_baseline(data: bytes, path: str) -> Counter[Key]:
    """What the baseline *data*, shown as *path*, says is known.

    Raises:
        DocumentError: it is none, with every fault found.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentError("baseline-syntax", "it is no JSON document", where=path, hint=_HINT) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DocumentError("baseline-syntax", f"it does not say that it is {SCHEMA}", where=path, hint=_HINT)
    reader = Reader(path, hint=_HINT, noun="baseline")
    reader.only(document, {"schema", "findings"}, "")
    found: Counter[Key] = Counter()
    for where, row in reader.tables(cast("dict[str, object]", document), "findings", ""):
        reader.only(row, {*Key._fields, "count"}, where)
        reader.need(row, "code", str, "", where)
        key = Key(*(reader.get(row, name, str, "", where) for name in Key._fields))
        found[key] += max(1, reader.get(row, "count", int, 1, where))
    reader.finish()
    return found
