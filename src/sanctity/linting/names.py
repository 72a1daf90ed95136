"""Names that look like other names: one letter dropped, doubled, swapped or taken for its twin.

Only names with a popular name, or another one of the same lock, right beside them are told, and none that is known to be real. A
digit that differs tells editions apart (``psycopg2``) and is no slip of a finger, and short names lie too close together to tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sanctity.linting.popular import POPULAR, REAL
from sanctity.linting.subject import finding
from sanctity.model.lock import Ecosystem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding

__all__ = ["is_beside", "name_lookalike"]

#: The shortest name that is told to look like another one: with any one edit, and with one that hardly shows.
_LONG: Final = 8
_SHORT: Final = 5
#: A longer one is nobody's slip of a finger.
_LONGEST: Final = 64
#: No project has so many packages that nobody knows: more of them are held against the popular names alone, and not each other.
_MANY: Final = 3000
#: What looks alike in many fonts.
_TWINS: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s"})
_LETTER: Final = re.compile("[a-z]")


def name_lookalike(subject: Subject) -> Iterator[Finding]:
    """Names right beside a popular one, or beside another one of the same lock."""
    pins = {pin.name: pin for pin in subject.lock.pins if pin.ecosystem is Ecosystem.PYPI and 0 < len(pin.name) <= _LONGEST}
    strange = {name: None for name in pins if len(name) >= _SHORT and name not in POPULAR and name not in REAL}
    index = _Index((*POPULAR, *(strange if len(strange) <= _MANY else ())))
    for name in strange:
        others = index.near(name)
        popular = next((other for other in others if other in POPULAR and is_beside(name, other)), "")
        twin = next((other for other in others if other < name and other in strange and _hardly_shows(name, other)), "")
        if popular:
            message = f"it is called almost as {popular} is, which is installed far more often"
        elif twin:
            message = f"it is called almost as {twin} is, which is in the same lock"
        else:
            continue
        hint = f"see that {name} is what you want; then let it be known: --write-baseline"
        yield finding("name-lookalike", message, pin=pins[name], hint=hint)


class _Index:
    """Names by what is left of them without one letter, so that those one edit away are found at once."""

    __slots__ = ("_by_rest",)

    def __init__(self, names: Iterable[str]) -> None:
        self._by_rest: dict[str, set[str]] = {}
        for name in names:
            for rest in _rests(name):
                self._by_rest.setdefault(rest, set()).add(name)

    def near(self, name: str) -> list[str]:
        """The names that may be one edit away from *name*, sorted."""
        return sorted({other for rest in _rests(name) for other in self._by_rest.get(rest, ()) if other != name})


def _rests(name: str) -> set[str]:
    plain = _skeleton(name)
    return {plain, *(plain[:index] + plain[index + 1 :] for index in range(len(plain)))}


def _skeleton(name: str) -> str:
    """*name* as a quick look sees it."""
    return name.replace("python3", "python").replace("-", "").translate(_TWINS).replace("rn", "m").replace("vv", "w")


def is_beside(name: str, other: str) -> bool:
    """Whether *name* is one slip away from *other*."""
    if name == other or min(len(name), len(other)) < _SHORT - 1:
        return False
    if _hardly_shows(name, other):
        return True
    short, long, start = _first_difference(name, other)
    if len(long) - len(short) == 1:  # one more
        at_end = start in (0, len(short))  # an s, or a prefix, makes another word
        slip = short[start:] == long[start + 1 :] and _LETTER.fullmatch(long[start]) is not None
        return slip and (len(long) >= _LONG or (not at_end and len(short) >= _SHORT))
    one = len(short) == len(long) and short[start + 1 :] == long[start + 1 :] and len(short) >= _LONG
    return one and all(map(_LETTER.fullmatch, (short[start], long[start])))


def _hardly_shows(name: str, other: str) -> bool:
    """Whether *name* is *other* but for a hyphen, a twin, or a letter that is doubled, or two that are swapped."""
    if _skeleton(name) == _skeleton(other):
        return True
    short, long, start = _first_difference(name, other)
    if len(long) - len(short) == 1:
        more = long[start]
        doubled = more in (long[start - 1 : start], long[start + 1 : start + 2]) and _LETTER.fullmatch(more) is not None
        return doubled and short[start:] == long[start + 1 :] and len(short) >= _SHORT
    swapped = long[start : start + 2]
    return len(short) == len(long) and short[start:] == swapped[::-1] + long[start + 2 :] and swapped.isalpha()


def _first_difference(name: str, other: str) -> tuple[str, str, int]:
    """The shorter and the longer of the two, and the index of the first letter that differs."""
    short, long = sorted((name, other), key=len)
    return short, long, next((index for index, letter in enumerate(short) if letter != long[index]), len(short))
