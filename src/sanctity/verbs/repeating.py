"""`prove`: a command, run again and again and compared bit for bit, with all varied that must not matter to its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError
from sanctity.model.repeats import Level, Phase, Repeats
from sanctity.plan.repeats import BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sanctity.model.repeats import Run, Setting, Variation
    from sanctity.model.result import ResultComparison
    from sanctity.variation.harness import Harness
    from sanctity.verbs.world import World

__all__ = ["Asked", "NotKeptError", "prove"]

#: Why most are not varied where some are named, as the catalogue has it.
_UNNAMED: Final = "not named by --vary"
#: What stands for the level in a list of variations.
_NUMERIC: Final = frozenset({"numeric", "numerics"})


def _say_nothing(_text: str) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a proof; each is what the option of its name says. *timeout* is in seconds, 0 for none.

    *search* is how many runs it may take to find out why some differ. *level* is None for the usual one. *vary* names what alone is
    varied; ``numeric`` is that level, or all of it.
    """

    runs: int = 5
    search: int = BUDGET
    outputs: tuple[str, ...] = ()
    level: Level | None = None
    vary: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    stdout: bool = False
    timeout: int = 0
    keep: str = ""


def prove(command: Sequence[str], asked: Asked, world: World, *, doing: Callable[[str], None] = _say_nothing) -> Repeats:
    """Run *command* in the working folder of *world* until it is known whether its result repeats, and else who is guilty.

    *doing* is told what is being done. A signal or an error in between leaves nothing behind.

    Raises:
        UsageError: ``nothing-varied``; what the `Harness` does.
        SanctityError: it can not be run here, as the `Harness` says.
        NotKeptError: ``output-failed``, what was to be kept could not be.
    """
    from sanctity.processes import waiting_for_children
    from sanctity.variation.harness import Harness

    if asked.runs < 1:
        raise UsageError("usage", "there is at least one varied run", where=f"-n {asked.runs}", hint="5 is usual")
    if not command:
        raise UsageError("usage", "there is no command", hint="sanctity prove -- python train.py")
    names = tuple(name for name in asked.vary if name not in _NUMERIC)
    numeric = len(names) < len(asked.vary)
    level = Level.NUMERICS if numeric else asked.level or Level.MACHINE

    def compare(before: str, after: str) -> ResultComparison:
        from sanctity.verbs.comparing import compare as compare_two

        return compare_two(before, after, replace(world, tick=lambda _done, _found: None))

    def made(vary: tuple[str, ...]) -> Harness:
        return Harness(
            command,
            cwd=world.cwd,
            environ=world.environ,
            compare=compare,
            outputs=asked.outputs,
            level=level,
            vary=vary,
            hold=asked.hold,
            timeout=asked.timeout,
            stdout=asked.stdout,
            keep=asked.keep,
        )

    harness = made(names)
    if names and numeric:
        harness = made((*names, *(each.name for each in harness.variations if each.level is Level.NUMERICS and not each.source)))
    if names:
        level = max((each.level for each in harness.variations if each.varies), key=list(Level).index, default=level)
    _check(harness.variations)
    found: Repeats | None = None
    try:
        with waiting_for_children(), harness:
            found = _proof(harness, command, asked, level, doing)
    except SanctityError as error:
        if found is None:
            raise
        raise NotKeptError(error, found) from error
    return found


class NotKeptError(SanctityError):
    """What was to be kept could not be, at the end of a proof; *found* is what it came to."""

    def __init__(self, error: SanctityError, found: Repeats) -> None:
        super().__init__(error.code, error.message, where=error.where, hint=error.hint)
        self.found = found


def _proof(harness: Harness, command: Sequence[str], asked: Asked, level: Level, doing: Callable[[str], None]) -> Repeats:
    from sanctity.plan.repeats import prove as search

    doing("looking whether a race can be seen here")
    controls = harness.controls()
    found = search(
        _Telling(harness, asked.runs, doing),
        harness.variations,
        runs=asked.runs,
        controls=controls,
        budget=asked.search,
        deaf=harness.deaf,
    )
    return Repeats(
        command=tuple(command),
        level=level,
        outputs=asked.outputs,
        claim=found.claim,
        variations=harness.variations,
        runs=found.runs,
        controls=controls,
        numerics=harness.numerics,
        guilty=found.guilty,
        reason=found.reason,
        message=found.message,
        advice=found.advice,
        stdout=asked.stdout,
    )


def _check(variations: Sequence[Variation]) -> None:
    """Refuse to prove nothing: something has to be varied."""
    asked = [each for each in variations if not each.source]
    if not any(each.varies for each in asked):
        reasons: dict[str, list[str]] = {}
        for each in asked:
            reasons.setdefault(each.impossible or each.held or "it has one value here", []).append(each.words)
        why = "; ".join(f"{', '.join(words)} ({reason})" for reason, words in reasons.items() if reason != _UNNAMED)
        if _UNNAMED in reasons:
            why += f"; all others ({_UNNAMED})"
        raise UsageError("nothing-varied", f"nothing is left that could be varied here: {why}", hint="vary more, or hold less")


class _Telling:
    """A harness that says which run it makes."""

    def __init__(self, harness: Harness, runs: int, doing: Callable[[str], None]) -> None:
        self.harness, self.wanted, self.doing = harness, runs + 2, doing
        self.made = 0

    @property
    def outside(self) -> tuple[str, ...]:
        return self.harness.outside

    def run(self, phase: Phase, setting: Setting) -> Run:
        self.made += 1
        words = {
            Phase.REPEAT: "unchanged",
            Phase.VARIED: "everything varied",
            Phase.SEARCH: f"looking for who makes the difference, with {_named(setting)} changed",
            Phase.HELD: f"looking for what moves, with {_named(setting)} held",
        }[phase]
        of = f" of {self.wanted}" if self.made <= self.wanted and phase in {Phase.REPEAT, Phase.VARIED} else ""
        self.doing(f"run {self.made}{of}: {words}")
        return self.harness.run(phase, setting)


def _named(setting: Setting) -> str:
    names = [name for name, _ in setting]
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} of them"
