"""What the controls of determinism cost a command: pairs of its runs with and without each, and what follows from them.

Costs are ratios of wall time, with a control to without it: 1.1 is 10 % more. What was not measured says why, and never counts as
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ControlCost", "Costs", "Estimate", "Pair", "Status"]


class Status(StrEnum):
    """What became of a control: measured; not reached by the command; not in our hands; or the command fails with it."""

    MEASURED = "measured"
    NOT_REACHED = "not-reached"
    NOT_SWITCHED = "not-switched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs, one right after the other: wall time in seconds of the one *with* the control and of the one *without*.

    *first* says whether the one with it came first.
    """

    with_control: float
    without: float
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The ratio that the median of pairs has, and the interval *low* to *high* that holds it with at least the *confidence*.

    *needed* is about how many pairs would find a cost of 10 %, if there is one, nine times in ten; 0 where this one already tells:
    it shows a difference, or leaves no room for 10 %.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    needed: int = 0

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves 1 out: there is a cost, or the control saves time."""
        return self.low > 1.0 or self.high < 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlCost:
    """One control: its *name*, what is switched in *words*, and its *status*, with the *reason* where it is not measured.

    *tail* is the end of what the command said where it failed. *relaxable* says that a program can switch it off in a block, by a
    waiver.
    """

    name: str
    words: str
    status: Status
    reason: str = ""
    tail: str = ""
    pairs: tuple[Pair, ...] = ()
    estimate: Estimate | None = None
    relaxable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """All that was measured of *command*: *pairs* for each control, and a *confidence* for all intervals together.

    *each* is that of one interval: Bonferroni's share, by which all hold together. *seconds* is how long the command took without
    any control, in the run that looked what it reaches; *runs* are all runs that were made of it, those too that are not measured.
    *asked* are the names of the controls that somebody asked for, none for those that the call sets.
    """

    command: tuple[str, ...]
    pairs: int
    confidence: float
    each: float
    seconds: float
    runs: int
    controls: tuple[ControlCost, ...]
    asked: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[ControlCost, ...]:
        """The controls whose cost was measured."""
        return tuple(control for control in self.controls if control.status is Status.MEASURED)

    @property
    def paired(self) -> int:
        """How many of its runs stand in the pairs of what was measured."""
        return sum(2 * len(control.pairs) for control in self.measured)

    @property
    def answered(self) -> bool:
        """Whether something was measured, the command failed with nothing, and all that was asked for was measured."""
        wanting = {control.name for control in self.controls if control.status is not Status.MEASURED}
        failed = any(control.status is Status.FAILED for control in self.controls)
        return bool(self.measured) and not failed and wanting.isdisjoint(self.asked)
