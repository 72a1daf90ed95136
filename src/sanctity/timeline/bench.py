"""The bench of a bisect: it resolves, builds, runs and writes down, and does nothing twice.

No run sees what another one did to its environment: one that a run left as it was, file by file, may be used for a repetition, and
any other is thrown away. Every step is in the log before the next one begins: a bisect that was ended takes from there what it had.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError
from sanctity.model.bisecting import Counts, Outcome, Run, Trial, day
from sanctity.processes import end_group, end_strays, find_program, run_command
from sanctity.report.words import count
from sanctity.scratch import remove
from sanctity.timeline.building import Unbuildable
from sanctity.timeline.running import NOT_FOUND, digest_of, environ_of, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sanctity.model.bisecting import Pinned, Question, Withdrawn
    from sanctity.model.digest import Digest
    from sanctity.model.timeline import Resolution
    from sanctity.timeline.building import Builder
    from sanctity.timeline.logbook import Logbook
    from sanctity.timeline.requirements import Requirements
    from sanctity.timeline.resolver import Resolver
    from sanctity.timeline.workplace import Workplace

__all__ = ["RealBench", "Runner", "verdict"]

#: What a command ends with to say that it can not be judged here, as with ``git bisect run``.
_SKIP: Final = 125
#: So many environments are left standing, in case that they are needed again soon.
_MOST_STANDING: Final = 2


_VERBS: Final = {
    Outcome.PASS: "passes",
    Outcome.FAIL: "fails",
    Outcome.SKIPPED: "no verdict",
    Outcome.FLAKY: "flaky",
    Outcome.UNBUILDABLE: "can not be built",
    Outcome.UNRESOLVABLE: "can not be resolved",
}


def verdict(run: Run, *, compare: str, reference: Digest | None) -> tuple[Outcome, str]:
    """What one run says, and in what words; where results are *compare*d, *reference* is good's."""
    if run.code == _SKIP:
        return Outcome.SKIPPED, "ended with 125, which says: skip this one"
    if not compare:
        return (Outcome.PASS if run.code == 0 else Outcome.FAIL), run.how
    if run.code != 0:
        return Outcome.SKIPPED, f"{run.how}, and has to end with 0 where results are compared"
    if run.result is None:
        return Outcome.SKIPPED, f"wrote no {compare}"
    if run.result == reference:
        return Outcome.PASS, f"wrote the same {compare}"
    return Outcome.FAIL, f"wrote another {compare}"


class Runner:
    """Runs the command of *question* in the folder *cwd*, with *environ*, in environments that *builder* makes in *workplace*."""

    def __init__(self, question: Question, builder: Builder, workplace: Workplace, *, cwd: str, environ: Mapping[str, str]) -> None:
        self.question = question
        self.builder = builder
        self.workplace = workplace
        self.cwd = cwd
        self.environ = environ
        self.builds = self.runs = 0
        self._standing: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._groups: dict[int, int] = {}
        self._over = False

    def run(self, key: str, rows: Sequence[Pinned], at: str, *, doing: Callable[[str], None] = lambda _text: None) -> Run:
        """One run in the environment of *rows* with the digest *key*, which is as it was built; *doing* is told what is begun.

        Raises:
            Unbuildable: there is no such environment.
            SanctityError: ``command-not-found``, ``command-not-executable``; or as `Builder.build`.
        """
        with self._lock:
            place, built = self._standing.pop(key, ("", ""))
        result = os.path.join(self.cwd, self.question.compare) if self.question.compare else ""
        try:
            if not place:
                place = self.workplace.folder()
                doing(f"building {count(len(rows), 'package')}")
                self.builder.build(place, rows, at)
                with self._lock:
                    self.builds += 1
                built = signature_of(place)
            environ = environ_of(place, self.environ)
            doing("running the command")
            program = find_program(self.question.command[0], environ, self.cwd)
            done = run_command(
                self.question.command,
                program=program,
                environ=environ,
                cwd=self.cwd,
                timeout=self.question.timeout,
                started=self._started,
            )
            with self._lock:
                self.runs += 1
                if self._over:
                    raise Ended
            found = digest_of(result) if result else None
            return Run(code=done.code, seconds=done.seconds, tail=done.tail, result=found)
        finally:
            with self._lock:
                self._groups.pop(threading.get_ident(), None)
            if place:
                end_strays("VIRTUAL_ENV", place)  # a daemon of this run must answer none of the next
            if result:
                remove(result)
            if built and signature_of(place) == built:
                place = self._leave_standing(key, place, built)
            if place:
                remove(place)

    def stop(self) -> None:
        """End every command that runs now; none counts that ends from now on."""
        with self._lock:
            self._over = True
            groups = tuple(self._groups.values())
        for number in groups:
            end_group(number, 0.0)

    def _started(self, number: int) -> None:
        self.workplace.note(number)
        with self._lock:
            self._groups[threading.get_ident()] = number

    def _leave_standing(self, key: str, place: str, built: str) -> str:
        """Leave the environment *place* where it is; the place of another that has to go for it, else an empty text."""
        with self._lock:
            if key in self._standing:
                return place
            self._standing[key] = place, built
            if len(self._standing) <= _MOST_STANDING:
                return ""
            return self._standing.pop(next(iter(self._standing)))[0]


class Ended(Exception):  # noqa: N818 - it says what became of a run, and never reaches a caller
    """A command was ended because the bisect is over."""


class RealBench:
    """The bench of one bisect; *repeat* is how often a decisive trial is run, *find_withdrawn* asks the indexes.

    With more than one of *workers*, trials that are going to be asked for are made at the same time.
    """

    def __init__(
        self,
        runner: Runner,
        resolver: Resolver,
        requirements: Requirements,
        log: Logbook,
        *,
        repeat: int,
        workers: int = 1,
        narrate: Callable[[str], None],
        doing: Callable[[str], None],
        find_withdrawn: Callable[[Resolution], tuple[Withdrawn, ...]],
    ) -> None:
        self.runner = runner
        self.resolver = resolver
        self.requirements = requirements
        self.log = log
        self.repeat = repeat
        self.width = workers
        self.resolutions = 0
        self._lock = threading.RLock()
        self._narrate = narrate
        self._doing = doing
        self._find_withdrawn = find_withdrawn
        self._reference: Digest | None = None
        self._told: set[str | tuple[str, str]] = set()
        self._more = 0
        self._last = 0.0

    @property
    def counts(self) -> Counts:
        """What it took so far."""
        return Counts(resolutions=self.resolutions, builds=self.runner.builds, runs=self.runner.runs)

    def tell(self, text: str) -> None:
        """Narrate a step, and write it down."""
        with self._lock:
            self._narrate(text)
            self.log.step(text)

    def prepare(self, trials: Sequence[tuple[Resolution, str]], *, repeat: bool = False) -> None:
        """As `Bench.prepare`."""
        wanted = self.repeat if repeat else 1
        open_: dict[Digest, tuple[Resolution, str]] = {}
        for resolution, why in trials:
            known = self._trial(str(resolution.digest))
            if known is None or (known.outcome is not Outcome.UNBUILDABLE and len(known.runs) < wanted):
                open_.setdefault(resolution.digest, (resolution, why))
        if self.width < 2 or len(open_) < 2:
            return
        pool = ThreadPoolExecutor(self.width, thread_name_prefix="trial")
        try:
            futures = [pool.submit(self.judge, resolution, why, repeat=repeat) for resolution, why in open_.values()]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in sorted(futures, key=lambda future: not future.done()):
                future.result()  # raises what a trial raised, before those are waited for that go on
        except BaseException:
            self.runner.stop()
            self.runner.builder.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def withdrawn(self, resolution: Resolution) -> tuple[Withdrawn, ...]:
        """As `Bench.withdrawn`."""
        self._doing("asking for releases that were yanked since")
        return self._find_withdrawn(resolution)

    def resolve(self, at: str, constraints: tuple[str, ...] = ()) -> Resolution:
        """As `Bench.resolve`."""
        constraints = tuple(sorted(set(constraints)))
        found = self.log.resolution(at, constraints)
        if found is None:
            self._doing(f"resolving as of {day(at)}" + (f" under {count(len(constraints), 'constraint')}" if constraints else ""))
            question = self.runner.question
            found = self.resolver.resolve(self.requirements, at, constraints=constraints, undated=question.undated)
            self.resolutions += 1
            self.log.keep_resolution(constraints, found)
        return found

    def judge(self, resolution: Resolution, why: str, *, repeat: bool = False) -> Trial:
        """As `Bench.judge`.

        Raises:
            SanctityError: the command is not there, in the first environment; or as `Runner.run`.
        """
        key = str(resolution.digest)
        wanted = self.repeat if repeat else 1
        trial = self._trial(key)
        before = len(trial.runs) if trial is not None else 0
        began = time.monotonic()
        while trial is None or (trial.outcome is not Outcome.UNBUILDABLE and len(trial.runs) < wanted):
            again = f", run {len(trial.runs) + 1}" if trial is not None and trial.runs else ""
            self._run(key, resolution, why, again)
            trial = self._trial(key)
        with self._lock:
            if len(trial.runs) > before:
                self._last = time.monotonic() - began
            if len(trial.runs) > before or key not in self._told:
                remembered = ", remembered" if before == len(trial.runs) > 0 else ""
                self.tell(f"{why}: {_words(trial)}{remembered}")
            elif (key, why) not in self._told:
                self.tell(f"{why}: {_VERBS[trial.outcome]}: an environment that was tried before")
            self._told |= {key, (key, why)}
        return trial

    def expect(self, trials: int) -> None:
        """As `Bench.expect`."""
        self._more = trials

    def _left(self) -> str:
        """About what is to come, as far as the last trial tells how long one takes."""
        if not self._more or not self._last:
            return ""
        return f" (about {count(self._more, 'more trial')} of dates, {self._more * self._last:,.0f} s)"

    def _trial(self, key: str) -> Trial | None:
        """What is known of an environment."""
        entry = self.log.entry(key)
        if entry is None:
            return None
        if entry.failure:
            return Trial(outcome=Outcome.UNBUILDABLE, reason=entry.failure)
        if not entry.runs:
            return None
        if self.runner.question.compare and self._reference is None:
            self._reference = next(
                (run.result for run in entry.runs if run.code == 0), None
            )  # the first that is looked at is good's
        said = [verdict(run, compare=self.runner.question.compare, reference=self._reference) for run in entry.runs]
        outcomes = {outcome for outcome, _ in said}
        runs = tuple(entry.runs)
        if len(outcomes) > 1:
            parts = {reason: sum(1 for _, other in said if other == reason) for _, reason in said}
            words = ", ".join(f"{number} of {len(said)} runs {reason}" for reason, number in parts.items())
            return Trial(outcome=Outcome.FLAKY, reason=words, runs=runs)
        return Trial(outcome=said[0][0], reason=said[-1][1], runs=runs)

    def _run(self, key: str, resolution: Resolution, why: str, again: str = "") -> None:
        """Run the command once in a new environment, and write down what became of it."""
        first = not self.log.has_runs
        try:
            rows = self.log.pinned(key)
            if rows is None:
                self._doing(f"{why}: asking for the hashes of {count(len(resolution.releases), 'package')}")
                rows = self.runner.builder.pinned(resolution)
                with self._lock:
                    self.log.keep_pinned(key, rows)
            run = self.runner.run(key, rows, resolution.at, doing=lambda text: self._doing(f"{why}{again}: {text}{self._left()}"))
        except Unbuildable as error:
            with self._lock:
                self.log.keep_failure(key, why, str(error))
            return
        except SanctityError as error:
            # A program that good's environment has and this one has not is what a release took away, and no slip of the pen.
            if first or error.code not in {"command-not-found", "command-not-executable"}:
                raise
            run = Run(code=NOT_FOUND[1] if error.code == "command-not-found" else NOT_FOUND[0], tail=f"{error.message}\n")
        if first and run.code in NOT_FOUND:
            word = self.runner.question.command[0]
            tail = run.tail.strip().splitlines()
            message = f"it {run.how}, as what can not be run or found does" + (f": {tail[-1]}" if tail else "")
            raise SanctityError("command-not-found", message, where=word, hint="see that the command works at good, by hand")
        with self._lock:
            self.log.keep_run(key, why, run)


def _words(trial: Trial) -> str:
    """A trial in a line of the narration."""
    seconds = sum(run.seconds for run in trial.runs)
    runs = f", {len(trial.runs)} runs" if len(trial.runs) > 1 else ""
    took = f" ({seconds:.1f} s{runs})" if trial.runs else ""
    return f"{_VERBS[trial.outcome]}: {trial.reason}{took}"
