"""A command that was run again and again: what was varied between the runs, what each gave, and who is guilty of a difference.

A *variation* is something that a run's result should not depend on, with the values that it takes here; the first is what unchanged
runs have. A *source* is one that moves by itself in every process (the clock, entropy, the order of threads): it can not be varied
on purpose but held, so it is found guilty where the runs agree once it is. A claim is of a *level*: what was varied together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from sanctity.model.result import Sameness

if TYPE_CHECKING:
    from sanctity.model.result import ResultComparison

__all__ = [
    "CONFIDENCE",
    "Claim",
    "Control",
    "Guilty",
    "Level",
    "Numerics",
    "Phase",
    "Repeats",
    "Run",
    "Setting",
    "Variation",
    "rate_bound",
]

#: How sure the bound of a divergence rate is.
CONFIDENCE: Final = 0.95

#: What one run had: pairs of a variation's name and its value, in the order of the variations.
Setting: TypeAlias = tuple[tuple[str, str], ...]


class Level(StrEnum):
    """What is varied, each level with all before it: what every process has of its own, the machine's surroundings, numerics."""

    PROCESS = "process"
    MACHINE = "machine"
    NUMERICS = "numerics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Something that runs may differ in, by *name* (``hash-seed``) and in *words* (``hash seed``), of a *level*.

    *values* are what it can be here, as text, that of unchanged runs first. *impossible* says why it can not be varied here, *held*
    why it was not. *source* says that it moves by itself: its values are then ``free`` and ``held``.
    """

    name: str
    words: str
    level: Level
    values: tuple[str, ...] = ()
    impossible: str = ""
    held: str = ""
    source: bool = False

    @property
    def varies(self) -> bool:
        """Whether runs are given other values of it."""
        return not (self.source or self.impossible or self.held) and len(self.values) > 1


class Phase(StrEnum):
    """What a run was made for."""

    REPEAT = "repeat"  # nothing was changed
    VARIED = "varied"  # all variations together
    SEARCH = "search"  # some of them, to find the guilty one
    HELD = "held"  # nothing was changed, and sources were held


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: its *number* from 1, what it had (*setting*, of what is not as in unchanged runs), and what it gave.

    *code* is its exit status, negative for a signal, None where it took too long. *files* is how many it wrote, *size* their bytes,
    *digest* over their paths and bytes (``sha256:…``). *sameness* is how they compare to those of the first run, and where sources
    were held to those of the first run with the same ones held; *comparison* has the details where they are not identical. *tail*
    is the end of what it said, where it failed; *outside* are paths that it wrote out of its own place; *handed* are files
    there that it read and that were written while it was proved, by an earlier run or by whoever; *unseen* are variations
    that it was given and that did not reach it: no interpreter loaded their hook.
    """

    number: int
    phase: Phase
    setting: Setting = ()
    code: int | None
    seconds: float
    files: int = 0
    size: int = 0
    digest: str = ""
    sameness: Sameness = Sameness.IDENTICAL
    comparison: ResultComparison | None = None
    tail: str = ""
    outside: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether it gave what the first run gave, whatever the container around the values."""
        return self.sameness in {Sameness.IDENTICAL, Sameness.EQUAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guilty:
    """Variations that make the result differ, one or, where only together, several; with a *value* of each that does.

    *alone* says that nothing but them was changed in a run that differed; *without* that with all others changed and these not,
    runs agreed. For sources: that the runs agreed with them held, and not without.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    alone: bool = False
    without: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A program that is known not to repeat, put through the same harness: *seen* says that it was found to differ."""

    name: str
    words: str
    seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """What decides how numbers are computed and was held, or was varied around: *threads*, *cpus*, *isa* (``avx2``)."""

    threads: int
    cpus: int
    isa: str


class Claim(StrEnum):
    """What was found: the results are the same, or differ, or nothing can be said."""

    SAME = "same"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Everything that `prove` found about *command*.

    *outputs* are the patterns that name its results, none for all that it writes; with *stdout* what it prints is one too.
    With *function* the command is the name of a function that was called, and what it returned is a result.
    *variations* are all there are, sources too.
    *reason* is a code and *message* says it in words where the claim is undecided; *advice* is what to do next.
    """

    command: tuple[str, ...]
    level: Level
    outputs: tuple[str, ...]
    claim: Claim
    variations: tuple[Variation, ...]
    runs: tuple[Run, ...]
    controls: tuple[Control, ...]
    numerics: Numerics
    guilty: tuple[Guilty, ...] = ()
    reason: str = ""
    message: str = ""
    advice: tuple[str, ...] = ()
    stdout: bool = False
    function: bool = False

    def phase(self, phase: Phase) -> tuple[Run, ...]:
        """The runs that were made for *phase*."""
        return tuple(run for run in self.runs if run.phase is phase)

    @property
    def distinct(self) -> int:
        """How many different results the unchanged and varied runs gave."""
        return len({run.digest for run in self.runs if run.phase in {Phase.REPEAT, Phase.VARIED} and run.digest})

    @property
    def bound(self) -> float:
        """The greatest rate of divergence that the varied runs, all alike, do not exclude: ``1 - 0.05 ** (1 / n)``.

        The exact one-sided bound of Clopper and Pearson (1934) for none of n; 1 where there were none.
        """
        return rate_bound(len(self.phase(Phase.VARIED)))


def rate_bound(runs: int) -> float:
    """The greatest rate of divergence that *runs* runs without one do not exclude, see `Repeats.bound`."""
    return 1.0 - (1.0 - CONFIDENCE) ** (1.0 / runs) if runs else 1.0
