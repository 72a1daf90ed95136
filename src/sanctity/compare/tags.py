"""Compatibility tags: which wheels an interpreter installs, which of them first, and which one a distribution was.

Evaluated for the interpreter looked at, or for one that is only named, and never for our own. Source: PyPA, *Platform compatibility
tags*; PEP 425, PEP 600 (manylinux), PEP 656 (musllinux), PEP 703 (free-threaded). The order of preference is `packaging`'s.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.environment import Interpreter

__all__ = ["rank_of", "tags_in", "tags_of", "wheel_tags"]

#: A named platform without a libc version takes every wheel up to these, which no libc has reached.
_NEWEST: Final = {"glibc": (2, 60), "musl": (1, 9)}
#: The oldest glibc that any wheel was built for, by architecture (PEP 600).
_OLDEST: Final = {"x86_64": (2, 5), "i686": (2, 5)}
_LEGACY: Final = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
#: What a 64-bit ELF architecture is called in tags, where that is another name.
_ARCHITECTURES: Final = {"x86-64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}


@lru_cache(maxsize=8)
def tags_of(interpreter: Interpreter) -> Mapping[Tag, int]:
    """The tags that *interpreter* installs, each with its rank: 0 is taken before all others.

    Empty where its version or architecture is not known, and for what is neither CPython nor on Linux.
    """
    match = re.match(r"(\d+)\.(\d+)", interpreter.version)
    machine = interpreter.machine.rpartition("linux-")[2].lower()
    machine = _ARCHITECTURES.get(machine, machine)
    if match is None or not machine or interpreter.implementation != "cpython":
        return {}
    version = (int(match[1]), int(match[2]))
    threaded = "t" if interpreter.abi.rpartition("-")[2].endswith("t") else ""
    abi = f"cp{version[0]}{version[1]}{threaded}" + ("m" if version < (3, 8) else "")
    platforms = list(_platforms(machine, interpreter.libc))
    name = f"cp{version[0]}{version[1]}"
    ordered = [
        *cpython_tags(python_version=version, abis=[abi], platforms=platforms),
        *compatible_tags(python_version=version, interpreter=name, platforms=platforms),
    ]
    ranks: dict[Tag, int] = {}
    for tag in ordered:
        ranks.setdefault(tag, len(ranks))
    return ranks


def _platforms(machine: str, libc: str) -> Iterator[str]:
    """The platform tags of *machine* with *libc* (``glibc 2.36``, or ``musl``), the most special first."""
    yield f"linux_{machine}"
    name, _, stated = libc.partition(" ")
    name = name or "glibc"
    numbers = re.match(r"(\d+)\.(\d+)", stated)
    newest = (int(numbers[1]), int(numbers[2])) if numbers else _NEWEST.get(name, (0, 0))
    if name == "musl":
        for minor in range(newest[1], -1, -1):
            yield f"musllinux_{newest[0]}_{minor}_{machine}"
    elif name == "glibc":
        oldest = _OLDEST.get(machine, (2, 17))
        for minor in range(newest[1], oldest[1] - 1, -1):
            yield f"manylinux_{newest[0]}_{minor}_{machine}"
            if (newest[0], minor) in _LEGACY:
                yield f"{_LEGACY[newest[0], minor]}_{machine}"


@lru_cache(maxsize=4096)
def wheel_tags(filename: str) -> frozenset[Tag] | None:
    """The tag set in a wheel's *filename* (``six-1.16.0-py2.py3-none-any.whl``), or None where it is no wheel's."""
    try:
        return parse_wheel_filename(filename)[3]
    except (InvalidWheelFilename, ValueError):
        return None


def tags_in(lines: Iterable[str]) -> frozenset[Tag]:
    """The tag set of the ``Tag:`` *lines* of a WHEEL file, such as ``py2-none-any``; what is no tag is left out."""
    found: set[Tag] = set()
    for line in lines:
        if line.count("-") == 2:
            found.update(parse_tag(line))
    return frozenset(found)


def rank_of(filename: str, tags: Mapping[Tag, int]) -> int | None:
    """How soon the wheel *filename* is taken among *tags* (see `tags_of`), 0 before all others; None where it is not at all."""
    own = wheel_tags(filename)
    return min((tags[tag] for tag in own if tag in tags), default=None) if own else None
