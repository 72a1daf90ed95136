"""What a wheel brings that its name does not tell: start-up hooks, native code, and where that looks for libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Unchecked

__all__ = ["Opened", "WheelFacts", "WheelHook"]


class WheelHook(NamedTuple):
    """A file that Python reads at each start: its *path* in the wheel's content, its *kind* as in `HookKind`, and what it does."""

    path: str
    kind: str
    effect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """What was seen in the opened wheel *filename*; paths are keys of its content (``lib/six.py``), sorted.

    *native* are its machine code files: ELF, Mach-O or PE. *runpaths* are (path, folder) of each absolute folder that an ELF file
    has its libraries looked for in (DT_RUNPATH, DT_RPATH), which is a place of the machine that it was built on.
    """

    filename: str
    hooks: tuple[WheelHook, ...] = ()
    native: tuple[str, ...] = ()
    runpaths: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What opening the wheels of some pins came to: *facts* by (name, version), and *unchecked*: whose were not opened, and why.

    *contradicted* says by (name, version) where other bytes lie than the lock's hash is of, in words.
    """

    facts: Mapping[tuple[str, str], WheelFacts]
    contradicted: Mapping[tuple[str, str], str]
    unchecked: tuple[Unchecked, ...] = ()
