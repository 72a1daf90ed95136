"""What decides beside the facts: which parts gate, and the exceptions that somebody answers for.

A policy changes a verdict and never a digest of an environment. Whoever is judged does not own it: a seal carries the policy and
the waivers that it was made under, and what is judged by a seal is judged by those.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date

__all__ = ["GATES", "NUMERIC", "Bytecode", "Policy", "Profile", "Variables", "Waiver"]

#: The parts that gate only where the policy says so; all else always gates.
GATES: Final = ("interpreter", "native", "cpu", "accelerators", "settings", "activate")
#: The numeric class: the same wheels on another of these give other bits.
NUMERIC: Final = ("native", "cpu", "accelerators", "settings")


class Profile(StrEnum):
    """``production`` gates every part, takes signed waivers only, and refuses a tool that looks from inside."""

    DEFAULT = "default"
    PRODUCTION = "production"


class Bytecode(StrEnum):
    """What is thought of bytecode: judged by its header, forbidden altogether, or ignored (unchecked-hash headers too)."""

    HEADER = "header"
    FORBID = "forbid"
    IGNORE = "ignore"


class Variables(StrEnum):
    """What `run` does about variables that load code: refuse to start, or drop them and say so."""

    REFUSE = "refuse"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """An exception that somebody answers for: the file ``waivers/ID.toml``.

    It names a drift *code* or, for determinism, a *control*; its scope by *distribution* (normalised), *path* as a report shows
    it, and *sha256* of the bytes that are let pass, of which at least one is given and all given must hold. *approver* is not
    *owner*; *until* is the last day that it counts. *signed* says that a signature over it was verified. One of a control counts
    only with *cost*, what the control was measured to cost, and *tolerance*, what difference of the result is accepted without it.
    """

    id: str
    code: str = ""
    control: str = ""
    distribution: str = ""
    path: str = ""
    sha256: str = ""
    reason: str
    owner: str
    approver: str
    until: date
    cost: str = ""
    tolerance: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What ``[tool.sanctity]`` says. *gate* is sorted, a subset of `GATES`."""

    profile: Profile = Profile.DEFAULT
    gate: tuple[str, ...] = ()
    bytecode: Bytecode = Bytecode.HEADER
    variables: Variables = Variables.REFUSE

    def gates(self, part: str) -> bool:
        """Whether a drift of *part* gates."""
        return self.profile is Profile.PRODUCTION or part in self.gate
