"""What is known and was let be: a committed file of findings, so that an old project can begin with new ones alone.

A finding is known by its code and weight, its file, package and place, and by what it is about: a known one never covers another.
No index or line counts, which move with each edit, nor the package's own version: an upgrade does not make a known finding a new
one. What speaks of several things is known where each of them is. Of several that are alike, as many are known as the file says.
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

__all__ = ["SCHEMA", "Key", "format_baseline", "is_baseline", "keys_of", "parse_baseline", "settle"]

SCHEMA: Final = "sanctity.lint-baseline/1"
_HINT: Final = "write it again: sanctity lint --write-baseline"
_INDEX: Final = re.compile(r"\[\d+\]")
_MARK: Final = b"sanctity.lint-baseline/"
_LINE: Final = re.compile(r"(?:^|: )line \d+(?: column \d+)?$")


class Key(NamedTuple):
    """What a finding is known by; *path* is relative to the baseline's own folder."""

    code: str
    severity: str
    path: str
    package: str
    where: str
    about: str


def keys_of(finding: Finding, path: str = "") -> tuple[Key, ...]:
    """What *finding* is known by, in the file *path* if that is given: a key for each thing that it is about."""
    where = _LINE.sub("", _INDEX.sub("[]", finding.where))
    about = finding.about or (_without_version(finding.message, finding.version),)
    key = Key(finding.code, str(finding.severity), path or finding.path, finding.package, where, "")
    return tuple(key._replace(about=each) for each in about)


def _without_version(message: str, version: str) -> str:
    """*message* without the *version* that an upgrade moves."""
    return re.sub(rf" ?(?<![\w.]){re.escape(version)}(?![\w.])", "", message) if version else message


def settle(
    findings: Iterable[Finding], known: Counter[Key], place: Callable[[str], str]
) -> tuple[tuple[Finding, ...], tuple[Key, ...]]:
    """*findings*, each marked where it is *known*, and what is known and was not found; *place* makes a shown path a baseline's."""
    left = known.copy()
    told = []
    for finding in findings:
        keys = keys_of(finding, place(finding.path))
        wanted = Counter(keys)
        if all(left[key] >= number for key, number in wanted.items()):
            left.subtract(wanted)
            finding = replace(finding, known=True)  # noqa: PLW2901 - the same finding, marked
        told.append(finding)
    # Of what a finding that is new by one more thing is about, the rest was found all the same.
    news = {key for finding in told if not finding.known for key in keys_of(finding, place(finding.path))}
    return tuple(told), tuple(sorted((+left).keys() - news))


def format_baseline(findings: Iterable[Finding], place: Callable[[str], str]) -> str:
    """The document that makes all of *findings* known: sorted, one line a finding, so that it reads well in a pull request."""
    counted = Counter(key for finding in findings for key in keys_of(finding, place(finding.path)))
    rows = []
    for key, number in sorted(counted.items()):
        entry: dict[str, Any] = {name: value for name, value in key._asdict().items() if value}
        if number > 1:
            entry["count"] = number
        rows.append("    " + json.dumps(entry))
    body = ",\n".join(rows)
    return f'{{\n  "schema": "{SCHEMA}",\n  "findings": [' + (f"\n{body}\n  " if rows else "") + "]\n}\n"


def is_baseline(data: bytes) -> bool:
    """Whether *data* is, or once was, a file of what is known: one in an unfinished merge too, and nothing of another kind."""
    return _MARK in data or not data.strip()


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
        for name in ("code", "severity"):
            reader.need(row, name, str, "", where)
        key = Key(*(reader.get(row, name, str, "", where) for name in Key._fields))
        found[key] += max(1, reader.get(row, "count", int, 1, where))
    reader.finish()
    return found
