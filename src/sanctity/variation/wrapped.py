"""A command that is started by ``sanctity run … -- CMD``, which is proved as it stands: what `prove` leaves alone for it.

`run` refuses whatever loads code, so nothing of that kind is put before it: neither the hook that varies the order of files, holds
sources and sees what is read, nor a library before the C library. With ``--seed`` the hash seed is its own.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sanctity.model.repeats import Variation
    from sanctity.variation.launch import Start

__all__ = ["FLAGS", "REFUSED", "Wrapped", "wrapped"]

#: What `run` ends with where it starts nothing.
REFUSED: Final = 125
#: Options of `run` that take no value.
FLAGS: Final = frozenset({"--drop-variables", "--fast", "--fresh-bytecode", "--inject", "--otel", "-h", "--help"})
#: What is varied or held by code that is put before a program.
_LOADED: Final = frozenset({"file-order", "clock", "entropy", "time", "pid"})
_PYTHON: Final = re.compile(r"(?:python|pypy)[0-9.]*\Z").match
_HASH: Final = "PYTHONHASHSEED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A command of `run`; *seeded* says that it sets a seed itself."""

    seeded: bool

    def limit(self, variations: Iterable[Variation]) -> tuple[Variation, ...]:
        """*variations* with those that can not get past `run`, and the hash seed where it sets it, marked with the reason."""
        return tuple(self._limited(each) for each in variations)

    def _limited(self, variation: Variation) -> Variation:
        if variation.name in _LOADED and not variation.impossible:
            return replace(variation, impossible="`sanctity run` lets nothing in that loads code")
        if variation.name == "hash-seed" and self.seeded:
            return replace(variation, held="by sanctity run --seed")
        return variation

    def leave(self, start: Start, given: str | None) -> None:
        """Take out of *start* what `run` would refuse; *given* is the caller's own hash seed, None where there is none."""
        start.hook.clear()
        if self.seeded:
            start.environ.pop(_HASH, None)
            if given is not None:
                start.environ[_HASH] = given


def wrapped(command: Sequence[str]) -> Wrapped | None:
    """What `run` makes of *command*; None where it is none of its.

    It is one that begins with a program called ``sanctity`` and ``run``, or with a Python, options of it, ``-m sanctity run``.
    """
    words = list(command)
    if not words:
        return None
    name = os.path.basename(words.pop(0))
    if _PYTHON(name):
        while words and words[0].startswith("-") and words[0] != "-m":
            words.pop(0)
        if words[:2] != ["-m", "sanctity"]:
            return None
        del words[:2]
    elif name != "sanctity":
        return None
    if words[:1] != ["run"]:
        return None
    seeded, rest = False, iter(words[1:])
    for word in rest:
        if word == "--" or not word.startswith("-"):
            break
        option, equals, _ = word.partition("=")
        seeded = seeded or option == "--seed"
        if not equals and word not in FLAGS:
            next(rest, "")
    return Wrapped(seeded=seeded)
