"""`cost`: what each control of determinism costs a command, in pairs of its runs with and without it.

First one run with nothing changed says what the command reaches. Then every kind of run is made once, unmeasured: that warms
caches, and shows that each control can be switched and that the command stands it. Then come the pairs, as many as were asked for,
whatever they show on the way. The command is run in the user's own folder, as it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError
from sanctity.model.cost import ControlCost, Costs, Pair, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sanctity.plan.costing import Arm, Costed, Seen
    from sanctity.processes import Done
    from sanctity.verbs.world import World

__all__ = ["cost"]

#: The seed that the call has where nobody chooses one.
_SEED: Final = 42
#: So many lines are told of what a command said that failed.
_MOST_LINES: Final = 20


def _silent(_: str) -> None:
    return


@dataclass(slots=True, kw_only=True)
class _Control:
    """A control that is measured, its two kinds of runs, and its pairs so far; *failed* is a run of it that did not end well."""

    control: Costed
    with_control: Arm
    without: Arm
    pairs: list[Pair]
    failed: tuple[str, Done] | None = None


class _Bench:
    """Runs of one command, each started as an arm says; *runs* counts them."""

    def __init__(self, command: Sequence[str], world: World, scratch: str, timeout: int) -> None:
        from sanctity.apply.run import inherited
        from sanctity.apply.timing import place_cost_hook
        from sanctity.processes import find_program

        self.command = list(command)
        self.world, self.scratch, self.timeout = world, scratch, timeout
        self.environ = inherited(world.environ)
        self.program = find_program(command[0], self.environ, world.cwd)
        self.hook = place_cost_hook(world.environ).path
        self.runs = 0

    def run(self, arm: Arm, marks: str = "") -> Done:
        """One run; its Pythons leave their marks in the folder *marks*, unless it is empty."""
        from sanctity.apply.inject import place_hook, with_hook
        from sanctity.apply.timing import time_command
        from sanctity.plan.costing import MARKS

        environ = {name: value for name, value in self.environ.items() if name not in arm.without}
        environ.update(arm.variables)
        if arm.hook:
            environ = with_hook(self.hook if arm.hook == "cost" else place_hook(self.world.environ).path, environ)
        if marks:
            environ[MARKS] = marks
        self.runs += 1
        return time_command(
            self.command,
            program=self.program,
            environ=environ,
            cwd=self.world.cwd,
            output=f"{self.scratch}/output",
            timeout=self.timeout,
        )

    def look(self, arm: Arm) -> tuple[Done, Seen]:
        """One run that is not measured, and what was seen in it."""
        from sanctity.apply.timing import read_marks
        from sanctity.plan.costing import seen_from

        marks = f"{self.scratch}/marks-{self.runs}"
        os.mkdir(marks)
        done = self.run(arm, marks)
        return done, seen_from(read_marks(marks))


def cost(
    command: tuple[str, ...],
    world: World,
    *,
    pairs: int = 10,
    controls: tuple[str, ...] = (),
    confidence: float = 0.95,
    timeout: int = 0,
    narrate: Callable[[str], None] = _silent,
    doing: Callable[[str], None] = _silent,
) -> Costs:
    """Measure what *controls* cost *command*, by default each that the call sets and the command reaches.

    *pairs* runs are made with each and as many without; all intervals together have the *confidence* (below 1). A run that takes
    longer than *timeout* seconds fails (0: none does). *narrate* is told what is settled, *doing* what is begun.

    Raises:
        UsageError: ``cost-control-unknown``; ``cost-too-few-pairs``, no interval of this confidence has so few pairs;
            ``seed-conflict``, the environment holds a seed that is none.
        SanctityError: ``command-not-found``, ``command-not-executable``; ``cost-command-failed``, it fails with nothing changed;
            ``inject-failed``; ``output-failed``.
    """
    from sanctity.plan.costing import choose

    chosen = choose(controls)
    _need_pairs(pairs, confidence, 1)
    with _scratch() as scratch:
        return _measure(chosen, _Bench(command, world, scratch, timeout), pairs, confidence, controls, narrate, doing)


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    try:
        folder = tempfile.mkdtemp(prefix="sanctity-cost-")
    except OSError as error:
        words, hint = error.strerror or "it can not be made", "let TMPDIR name a folder that can be written to"
        raise SanctityError("output-failed", words, where="a folder for temporary files", hint=hint) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _need_pairs(pairs: int, confidence: float, intervals: int) -> None:
    from sanctity.plan.cost import fewest_pairs, share

    fewest = fewest_pairs(share(confidence, intervals))
    if pairs < fewest:
        among = f"for {intervals} controls " if intervals > 1 else ""
        raise UsageError(
            "cost-too-few-pairs",
            f"{pairs} pairs have no interval of {100 * confidence:g} % {among}at all, whatever they show",
            where=f"-n {pairs}",
            hint=f"give -n {fewest} or more; 10 and more say something, too",
        )


def _measure(
    chosen: tuple[Costed, ...],
    bench: _Bench,
    pairs: int,
    confidence: float,
    asked: tuple[str, ...],
    narrate: Callable[[str], None],
    doing: Callable[[str], None],
) -> Costs:
    from sanctity.plan.costing import made_anyway, not_reached, plain_arm

    doing("one run with nothing changed, to see what the command reaches")
    plain, seen = bench.look(plain_arm())
    if plain.code != 0:
        said = plain.tail.rstrip().splitlines()[-_MOST_LINES:]
        for line in said:
            narrate(line)
        raise SanctityError(
            "cost-command-failed",
            f"the command {_ended(plain)} with nothing changed, so there is no time to compare",
            where=bench.command[0],
            hint="make it end with 0 first" + ("; what it said last stands above" if said else "; it said nothing"),
        )
    results: dict[str, ControlCost] = {}
    ready: list[_Control] = []
    warm: dict[Arm, tuple[Done, Seen]] = {}
    for control in chosen:
        reason = not_reached(control, seen)
        if reason:
            results[control.name] = _without_figure(control, Status.NOT_REACHED, reason)
            continue
        reason = made_anyway(control, seen)
        if reason:
            results[control.name] = _without_figure(control, Status.NOT_SWITCHED, reason)
            continue
        entry = _prepared(control, bench)
        outcome = _tried(entry, bench, warm, seen, doing)
        if outcome is None:
            ready.append(entry)
        else:
            results[control.name] = outcome
    if ready:
        _need_pairs(pairs, confidence, len(ready))
        narrate(_announced(ready, pairs, plain.seconds, bench.runs))
        _run_pairs(ready, bench, pairs, doing)
    return _settled(chosen, ready, results, bench, pairs, confidence, plain.seconds, asked)


def _prepared(control: Costed, bench: _Bench) -> _Control:
    from sanctity.determinism.scheme import hash_seed
    from sanctity.plan.costing import arms, root_of

    root = root_of(bench.environ)
    root = _SEED if root is None else root
    with_control, without = arms(control, bench.environ, root=root, hash_seed=hash_seed(root))
    return _Control(control=control, with_control=with_control, without=without, pairs=[])


def _tried(
    entry: _Control, bench: _Bench, warm: dict[Arm, tuple[Done, Seen]], plain: Seen, doing: Callable[[str], None]
) -> ControlCost | None:
    """Run both kinds once, unmeasured, where that was not done yet; why the control can not be measured, None where it can."""
    from sanctity.plan.costing import held

    for arm, words in ((entry.with_control, "with"), (entry.without, "without")):
        if arm not in warm:
            doing(f"one run {words} {entry.control.name}, unmeasured")
            warm[arm] = bench.look(arm)
        done = warm[arm][0]
        if done.code != 0:
            return _without_figure(entry.control, Status.FAILED, f"the command {_ended(done)} {words} it", done.tail)
    seen = (warm[entry.with_control][1], warm[entry.without][1] if entry.without.hook else plain)
    reason = held(entry.control, *seen)
    return _without_figure(entry.control, Status.NOT_SWITCHED, reason) if reason else None


def _run_pairs(ready: list[_Control], bench: _Bench, pairs: int, doing: Callable[[str], None]) -> None:
    from sanctity.plan.cost import schedule

    for number, (place, first) in enumerate(schedule(pairs, len(ready))):
        entry = ready[place]
        if entry.failed is not None:
            continue
        doing(f"pair {number // len(ready) + 1} of {pairs}: {entry.control.name}")
        seconds = {}
        for with_control in (first, not first):
            done = bench.run(entry.with_control if with_control else entry.without)
            if done.code != 0:
                entry.failed = ("with" if with_control else "without", done)
                break
            seconds[with_control] = done.seconds
        else:
            entry.pairs.append(Pair(with_control=seconds[True], without=seconds[False], first=first))


def _settled(
    chosen: tuple[Costed, ...],
    ready: list[_Control],
    results: dict[str, ControlCost],
    bench: _Bench,
    pairs: int,
    confidence: float,
    seconds: float,
    asked: tuple[str, ...],
) -> Costs:
    from sanctity.determinism.relaxing import RELAXABLE
    from sanctity.plan.cost import estimate, share

    # All that were to be measured have their share, those that failed on the way too: it was fixed before the first pair.
    each = share(confidence, len(ready))
    for entry in ready:
        if entry.failed is not None:
            words, done = entry.failed
            reason = f"the command {_ended(done)} {words} it, after {len(entry.pairs)} pairs"
            results[entry.control.name] = _without_figure(entry.control, Status.FAILED, reason, done.tail)
        else:
            results[entry.control.name] = ControlCost(
                name=entry.control.name,
                words=entry.control.words,
                status=Status.MEASURED,
                pairs=tuple(entry.pairs),
                estimate=estimate(entry.pairs, each),
                relaxable=entry.control.name in RELAXABLE,
            )
    return Costs(
        command=tuple(bench.command),
        pairs=pairs,
        confidence=confidence,
        each=each,
        seconds=seconds,
        runs=bench.runs,
        controls=tuple(results[control.name] for control in chosen),
        asked=asked,
    )


def _without_figure(control: Costed, status: Status, reason: str, tail: str = "") -> ControlCost:
    return ControlCost(name=control.name, words=control.words, status=status, reason=reason, tail=tail)


def _ended(done: Done) -> str:
    if done.code is None:
        return f"took longer than {done.seconds:g} s"
    return f"ended by signal {-done.code}" if done.code < 0 else f"ended with {done.code}"


def _announced(ready: list[_Control], pairs: int, seconds: float, before: int) -> str:
    """What is to be measured, after so many runs *before* that are not."""
    runs = 2 * pairs * len(ready)
    names = ", ".join(entry.control.name for entry in ready)
    total = runs * seconds
    length = (
        "less than a second"
        if total < 1
        else f"{total:.0f} s"
        if total < 100
        else f"{total / 60:.0f} min"
        if total < 5400
        else f"{total / 3600:.1f} h"
    )
    return f"measuring {names}: {runs:,} runs of about {seconds:.2g} s, {length} in all; the {before:,} before are not measured"
