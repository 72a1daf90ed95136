"""Which package of a flat lock needs which: what pip-compile and uv say in comments, and what Poetry lists beside its flat closure.

A reader needs none of it, since such a lock says of each row by itself that it is wanted. Who reviews a change wants to know why.
The text is one that its reader took, so nothing is judged here, and what is not plainly said is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError
from sanctity.lockfiles import toml
from sanctity.model.lock import LockFormat
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["parents"]

_ROW: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:[=<>!~@;]|$)")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
#: A file that asks: ``-r requirements.in``, or ``demo (pyproject.toml)``.
_FILE: Final = re.compile(r"^-r |\(.+\)$")
_VIA: Final = re.compile(r"(?:^|\s)#\s*via(?:\s+(.*))?$")


def parents(text: str, format: LockFormat) -> Mapping[str, tuple[str, ...]]:  # noqa: A002
    """For each package of the lock *text* that is said to be needed, by whom; the empty name is the project itself."""
    match format:
        case LockFormat.REQUIREMENTS:
            found = _requirements(text)
        case LockFormat.POETRY:
            found = _poetry(text)
        case _:
            found = {}
    return {name: tuple(sorted(needing)) for name, needing in found.items() if needing}


def _requirements(text: str) -> dict[str, set[str]]:
    """The comments below, or behind, each row: ``# via pandas``, or ``# via`` and a name a line."""
    said: dict[str, list[str]] = {}
    row = ""
    listing = False
    for line in text.splitlines():
        bare = line.strip()
        via = _VIA.search(line)
        if not bare.startswith("#") and (match := _ROW.match(bare)):
            row = normalise_name(match[1])
            said.setdefault(row, [])
            listing = False
        if via is not None and row:
            listing = via[1] is None
            said[row] += [each.strip() for each in (via[1] or "").split(",") if each.strip()]
        elif listing and bare.startswith("#"):
            said[row].append(bare[1:].strip())
    every = {each for needing in said.values() for each in needing}
    # uv's export names the project itself, which is none of the rows, where the others name a file.
    exported = not any(_FILE.search(each) for each in every)
    found: dict[str, set[str]] = {}
    for name, needing in said.items():
        for each in needing:
            parent = normalise_name(each) if _NAME.fullmatch(each) else ""
            if parent in said:
                found.setdefault(name, set()).add(parent)
            elif _FILE.search(each) or (parent and exported):
                found.setdefault(name, set()).add("")
    return found


def _poetry(text: str) -> dict[str, set[str]]:
    """The dependencies that Poetry lists of each package; what no other needs, the project asks for."""
    try:
        rows = toml.load(text, path="", hint="").get("package")
    except DocumentError:
        return {}
    found: dict[str, set[str]] = {}
    needed: set[str] = set()
    names: list[str] = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            continue
        name = normalise_name(row["name"])
        names.append(name)
        listed = row.get("dependencies")
        for raw, value in (listed if isinstance(listed, dict) else {}).items():
            child = normalise_name(raw)
            needed.add(child)
            wishes = value if isinstance(value, list) else [value]
            # What only an extra needs may be there for another reason.
            if not all(isinstance(wish, dict) and (wish.get("optional") or "extra" in str(wish.get("markers"))) for wish in wishes):
                found.setdefault(child, set()).add(name)
    for name in names:
        if name not in needed:
            found.setdefault(name, set()).add("")
    return found
