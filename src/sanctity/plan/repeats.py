"""What to vary in which run, and who is guilty where runs differ: the thinking of a proof by repeating, which never runs anything.

It drives a `Bench`, which does. A run may take minutes, so none is made whose outcome is known: a search halves what was changed in
one run that differed, takes a difference that is not in one half to be in the other, and makes up for that by verifying what it
found. It is named guilty only if it was seen to make the result differ alone, again with the same result or at least while
unchanged runs went on to agree; more than one is named together only if none of them does it alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from sanctity.model.repeats import Claim, Guilty, Phase
from sanctity.model.result import Sameness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sanctity.model.repeats import Control, Run, Setting, Variation

__all__ = ["BUDGET", "FREE", "HELD", "Bench", "Doubt", "Findings", "prove", "settings"]

#: The values of a source: it moves by itself, or is held.
FREE: Final = "free"
HELD: Final = "held"

#: Where runs with one setting are seen to differ: so often what is left is tried, so often one is tried at most, and so often it is
#: compared with unchanged runs.
_TRIES: Final = 3
_MOST_TRIES: Final = 5
_MOST_AGAIN: Final = 8
#: So often the sources are gone through.
_ROUNDS: Final = 2
#: So many unchanged runs there are at most where they differ, and so many of one setting before they are taken to agree.
_MOST_REPEATS: Final = 5
_MOST_HELD: Final = 5
#: So many runs there are at most with one source free, and beside them with all held, until it is told whether they differ.
_MOST_BESIDE: Final = 12
#: The chance that is left to runs that would differ to agree nevertheless.
_CHANCE: Final = 0.05
#: The chance that is left to runs that were chosen by what they gave, as those of a search are, to look as if one were guilty.
_ACCIDENT: Final = 0.01
#: So many runs a search has, unless it is given another number.
BUDGET: Final = 80
#: Where one of these is guilty nothing else can be told apart: whatever a process is started with moves its addresses.
_COVERING: Final = frozenset({"aslr"})
#: Variations that can hide a difference as well as show it: only every other run has them.
_ALTERNATING: Final = frozenset({"load"})


class Bench(Protocol):
    """Who runs the command."""

    @property
    def outside(self) -> Sequence[str]:
        """What was changed where no run should write, since the first."""
        ...

    def run(self, phase: Phase, setting: Setting) -> Run:
        """One run for *phase* under *setting*, in a place of its own, compared to the first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of it, as `Repeats` has it."""

    runs: tuple[Run, ...]
    claim: Claim
    guilty: tuple[Guilty, ...] = ()
    reason: str = ""
    message: str = ""
    advice: tuple[str, ...] = ()


class Doubt(Exception):  # noqa: N818 - it becomes a verdict, and is no error
    """Nothing can be said: *code* and *message* say why, and *advice* what to do."""

    def __init__(self, code: str, message: str, *advice: str) -> None:
        self.code = code
        self.message = message
        self.advice = advice
        super().__init__(message)


class _SpentError(Exception):
    """The search has had all its runs."""


# -- what is varied ----------------------------------------------------------------------------------------------------------------


def settings(variations: Iterable[Variation], runs: int) -> tuple[Setting, ...]:
    """The settings of *runs* runs: in each all that varies has another value than unchanged runs have, others from run to run."""
    varying = [each for each in variations if each.varies]
    found = []
    for run in range(runs):
        row = []
        for column, each in enumerate(varying):
            if each.name in _ALTERNATING and run % 2 and len(varying) > 1:
                continue
            others = each.values[1:]
            turn = run // 2 if each.name in _ALTERNATING and len(varying) > 1 else run
            # Each time that all values were had, two variations meet in other pairs.
            row.append((each.name, others[(turn + turn // len(others) * column) % len(others)]))
        found.append(tuple(row))
    return tuple(found)


# -- the proof ---------------------------------------------------------------------------------------------------------------------


def prove(
    bench: Bench,
    variations: Sequence[Variation],
    *,
    runs: int = 5,
    controls: Sequence[Control] = (),
    budget: int = BUDGET,
    deaf: str = "",
) -> Findings:
    """Two unchanged runs, then *runs* with everything varied; where some differ no more than it takes to find the guilty.

    *controls* were run before; where one was not seen to differ, agreement proves nothing. A search ends after *budget* runs.
    *deaf* is the option with which the command's Python takes no variables.
    """
    proof = _Proof(bench, variations, budget, deaf)
    try:
        found = proof.prove(runs)
    except Doubt as doubt:
        return _undecided(proof.runs, doubt)
    blind = [control.words for control in controls if not control.seen]
    if found.claim is Claim.SAME and blind:
        words = f"no run differed, but {' and '.join(blind)} was not seen to differ either, which never repeats"
        advice = "run it on more than one processor, and where fewer other programs run"
        return _undecided(proof.runs, Doubt("harness-blind", words, advice))
    return found


def _undecided(runs: Iterable[Run], doubt: Doubt, guilty: tuple[Guilty, ...] = ()) -> Findings:
    return Findings(
        runs=tuple(runs),
        claim=Claim.UNDECIDED,
        guilty=guilty,
        reason=doubt.code,
        message=doubt.message,
        advice=doubt.advice,
    )


class _Proof:
    """One proof: its *bench*, and all the runs that were made."""

    def __init__(self, bench: Bench, variations: Sequence[Variation], budget: int, deaf: str = "") -> None:
        self.bench = bench
        self.deaf = deaf
        self.variations = tuple(variations)
        self.order = {each.name: number for number, each in enumerate(self.variations)}
        self.words = {each.name: each.words for each in self.variations}
        self.budget = self.left = budget
        self.runs: list[Run] = []
        self.repeats: list[Run] = []

    def run(self, phase: Phase, setting: Setting) -> Run:
        """One more run.

        Raises:
            Doubt: what came of it can not be compared: it took too long, wrote elsewhere, or read what another one wrote.
        """
        run = self.bench.run(phase, setting)
        self.runs.append(run)
        if run.code is None:
            raise Doubt(
                "run-timed-out",
                f"run {run.number} took longer than {run.seconds:.0f} s and was ended",
                "give it more time with --timeout; where only some runs take so long, see whether it waits for another",
            )
        if run.outside:
            raise _outside(f"run {run.number}", run.outside)
        if run.handed:
            raise Doubt(
                "result-handed-on",
                f"run {run.number} read what was written while it was proved: {_some(run.handed)}",
                "what one run computes another one may have read: have it keep nothing there, and fill other caches before",
            )
        return run

    def spend(self) -> None:
        """Take one of the runs that a search has.

        Raises:
            _SpentError: there is none left.
        """
        if not self.left:
            raise _SpentError
        self.left -= 1

    def spent(self, what: str) -> str:
        """The words for a search for *what* that had too few runs."""
        if not self.budget:
            return f"{what} was not searched for"
        return f"the search for {what} ended: it had had its {self.budget} runs"

    def repeat(self) -> Run:
        """One more unchanged run."""
        self.repeats.append(self.run(Phase.REPEAT, ()))
        return self.repeats[-1]

    def prove(self, runs: int) -> Findings:
        first, second = self.repeat(), self.repeat()
        _check(first, second)
        if not _alike(first, second):
            self.alone()
            return self.unrepeatable()
        for setting in settings(self.variations, runs):
            run = self.run(Phase.VARIED, setting)
            if not _alike(first, run):
                self.alone()
                return self.varied(run)
        self.alone()
        return Findings(runs=tuple(self.runs), claim=Claim.SAME)

    def alone(self) -> None:
        """See that no run could meet what another one left: who is guilty of a difference could not be told.

        Raises:
            Doubt: one could.
        """
        if self.bench.outside:
            raise _outside("a run", self.bench.outside)

    def different(self, guilty: Iterable[Guilty], message: str = "", *advice: str) -> Findings:
        """The verdict where some run differed, and not only because it could not be read."""
        found = tuple(sorted(guilty, key=lambda each: [self.order[name] for name in each.names]))
        differing = [run for run in self.runs if run.phase is not Phase.HELD and not _alike(self.repeats[0], run)]
        if all(run.sameness is Sameness.UNDECIDED and run.code == self.repeats[0].code for run in differing):
            return _undecided(self.runs, _unread(differing), found)
        return Findings(runs=tuple(self.runs), claim=Claim.DIFFERENT, guilty=found, message=message, advice=advice)

    # -- unchanged runs differ ---------------------------------------------------------------------------------------------------

    def unrepeatable(self) -> Findings:
        """Unchanged runs differ: what moves by itself, and has to be held so that they agree?"""
        sources = [each.name for each in self.variations if each.source and not each.impossible and not each.held]
        compare = "see where they differ: --keep DIR, then `sanctity compare DIR/first DIR/different`"
        try:
            while len(self.repeats) < _MOST_REPEATS:
                self.spend()
                self.repeat()
            holding = _Holding(self, sources, _enough(self.repeats))
            agree = bool(sources) and holding.agree(sources)
            words = ", ".join(self.words[name] for name in sources if name not in holding.unseen)
            if not words:
                return self.different((), "unchanged runs differ, and nothing of what moves by itself could be held", compare)
            if not agree and self.deaf:
                told = f"unchanged runs differ: with {self.deaf} Python takes no PYTHONHASHSEED, so its hashes are others each time"
                return self.different((), told, f"prove it without {self.deaf}: what makes it differ is looked for then")
            if not agree:
                return self.different((), f"unchanged runs differ, also with {words} held{self.unheld()}", compare)
            guilty = holding.guilty()
            if not holding.agree(sources):
                return self.different((), f"unchanged runs differ, now and then also with {words} held", compare)
            told = "" if guilty else f"unchanged runs differ, and agree with {words} held; none of them alone was seen to do it"
            return self.different(guilty, told, *(() if guilty else (compare,)))
        except _SpentError:
            return self.different((), f"unchanged runs differ; {self.spent('what moves')}", compare)
        except Doubt as doubt:
            return self.different((), f"unchanged runs differ; the search for what moves ended: {doubt.message}", compare)

    def unheld(self) -> str:
        """What of all that moves by itself can not be held here, and why, to be read after what was; empty where all can be."""
        reasons: dict[str, list[str]] = {}
        for each in self.variations:
            if each.source and each.impossible:
                reasons.setdefault(each.impossible, []).append(each.words)
        return "".join(f"; {', '.join(words)} can not be ({reason})" for reason, words in reasons.items())

    # -- varied runs differ ------------------------------------------------------------------------------------------------------

    def varied(self, run: Run) -> Findings:
        """The varied *run* differs: which of what was changed in it makes the difference?"""
        search = _Search(self, run)
        told = "the search for what makes the difference ended"
        try:
            guilty = search.guilty()
        except _SpentError:
            return self.different(search.found, self.spent("what makes the difference"))
        except Doubt as doubt:
            return self.different(search.found, f"{told}: {doubt.message}")
        except _MovesError:
            return self.unrepeatable()
        if guilty and all(each.without for each in guilty):
            return self.different(guilty)
        if guilty:
            return self.different(guilty, "", "with the others changed runs differ as well: mend this, then prove it again")
        words = ", ".join(self.words[name] for name, _ in run.setting)
        told = f"run {run.number} differs with {words} changed together; neither one alone nor few together were seen to do it"
        return self.different((), told, "it may be rare: more runs (-n 20) may show more of it")


class _MovesError(Exception):
    """Unchanged runs differ too, though not each time."""


def _outside(who: str, paths: Sequence[str]) -> Doubt:
    return Doubt(
        "output-outside",
        f"{who} wrote outside of its place: {_some(paths)}",
        "write below the working folder by a relative path, and name a large file that it writes over with --outputs",
    )


def _unread(differing: Sequence[Run]) -> Doubt:
    """Why it could not be told whether the values of runs *differing* in their bytes differ: the first file that was not read."""
    for run in differing:
        files = [file for file in run.comparison.files if file.sameness is Sameness.UNDECIDED] if run.comparison is not None else []
        if not files:
            continue
        more = f" and of {len(files) - 1} more" if len(files) > 1 else ""
        words = f"the bytes of {files[0].path}{more} differ in run {run.number}, and whether the values do could not be told"
        if any(file.reason.startswith("result-needs-library") for file in files):
            advice = "install it where sanctity is, `pip install '.[results]'` in a clone; `sanctity explain result-needs-library`"
        else:
            advice = "see the file with --keep and `sanctity compare`: it may be broken, or too large"
        return Doubt("output-undecided", f"{words}: {files[0].reason}" if files[0].reason else words, advice)
    return Doubt(
        "output-undecided",
        f"the bytes of run {differing[0].number} differ, and whether its values do could not be told",
        "see why with --keep and `sanctity compare`: a file may be broken, too large, or need a library to be read",
    )


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


def _alike(one: Run, other: Run) -> bool:
    """Whether two runs gave the same: byte for byte, or as far as both say the same of the first one."""
    return one.code == other.code and (one.digest == other.digest or (one.same and other.same))


def _check(first: Run, second: Run) -> None:
    """See that two unchanged runs gave something that can be compared.

    Raises:
        Doubt: both failed the same way, or wrote nothing, or only empty files.
    """
    if first.code and first.code == second.code:
        how = f"by signal {-first.code}" if first.code < 0 else f"with {first.code}"
        raise Doubt("command-failed", f"the command ended {how} each time", "make it work once, by hand, in this folder")
    if first.code != second.code:
        return
    if not first.files and not second.files:
        raise Doubt(
            "output-missing",
            "the command wrote nothing that could be compared",
            "name what it writes with --outputs 'out/**', or compare what it prints with --stdout",
        )
    if _alike(first, second) and not first.size:
        raise Doubt("output-empty", "the command wrote nothing but empty files", "name what it writes with --outputs 'out/**'")


def _enough(repeats: Sequence[Run]) -> int:
    """How many runs have to agree until that is no accident, where *repeats* agreed now and then."""
    pairs = [(one, other) for number, one in enumerate(repeats) for other in repeats[:number]]
    agreeing = sum(_alike(one, other) for one, other in pairs) / len(pairs)
    if not agreeing:
        return 2
    return min(_MOST_HELD, 1 + math.ceil(math.log(_CHANCE) / math.log(agreeing)))


class _Holding:
    """The search among *sources*: which must be held, so that *enough* runs agree?"""

    def __init__(self, proof: _Proof, sources: Sequence[str], enough: int) -> None:
        self.proof, self.sources, self.enough = proof, tuple(sources), enough
        self.held: dict[frozenset[str], list[Run]] = {frozenset(): proof.repeats}
        #: What was held and reached no process, so it was not held.
        self.unseen: set[str] = set()

    def agree(self, names: Iterable[str]) -> bool:
        """Whether runs agree with the sources *names* held: so many as are enough, or until one does not."""
        chosen = frozenset(names)
        runs = self.held.setdefault(chosen, [])
        while len(runs) < self.enough and all(_alike(runs[0], run) for run in runs):
            self.more(chosen)
        return all(_alike(runs[0], run) for run in runs)

    def more(self, chosen: frozenset[str]) -> None:
        """One more run with *chosen* held."""
        self.proof.spend()
        run = self.proof.run(Phase.HELD, tuple((name, HELD) for name in self.sources if name in chosen))
        self.held[chosen].append(run)
        self.unseen.update(run.unseen)

    def guilty(self) -> tuple[Guilty, ...]:
        """The sources that make runs differ while all others are held, where it is enough to hold all; none where none does.

        A source that is free and innocent never does, however seldom the guilty one shows. Once it is enough to hold those that
        were found, nothing else can matter; once runs differ with all held, nobody else is named.
        """
        pool = [name for name in self.sources if name not in self.unseen]
        everything = frozenset(self.sources)
        names: list[str] = []
        alone = False
        for _ in range(_ROUNDS):
            for name in pool:
                if name not in names and not self.agree(other for other in pool if other != name):
                    if not self.blames(everything - {name}, everything):
                        continue
                    names.append(name)
                    alone = self.agree(names)
                    if alone:
                        break
            if alone or not names or not self.agree(everything):
                break
            # What is left shows more rarely than what was found, and is looked for as much longer.
            left = self.held[frozenset(names)]
            while len(left) < _MOST_REPEATS:
                self.more(frozenset(names))
            self.enough = max(self.enough, _enough(left))
        alone = alone and self.agree(everything)
        found = [name for name in self.sources if name in names]
        return tuple(Guilty(names=(name,), values=(FREE,), alone=alone, without=True) for name in found)

    def blames(self, others: frozenset[str], everything: frozenset[str]) -> bool:
        """Whether it is no accident that runs with *others* held differ from those with *everything* held, which all agree.

        What no source holds may show in either, now and then. So both are made until that is told (Fisher's exact test, 1935).
        """
        free, held = self.held.setdefault(others, []), self.held[everything]
        while all(_alike(held[0], run) for run in held):
            # Each is compared to the first of its own setting: whether it is alike those of another one, their bytes alone can say.
            quiet = all(run.digest == held[0].digest for run in held)
            differing = sum(
                run.code != held[0].code or run.digest != held[0].digest if quiet else not _alike(free[0], run) for run in free
            )
            if differing and math.comb(len(free), differing) / math.comb(len(free) + len(held), differing) <= _CHANCE:
                return True
            if min(len(free), len(held)) >= _MOST_BESIDE:
                break
            self.more(others if len(free) < len(held) else everything)
        return False


class _Search:
    """The search among what was changed in *run*, which differs: what of it makes the difference?"""

    def __init__(self, proof: _Proof, run: Run) -> None:
        self.proof = proof
        self.values = {name: value for name, value in run.setting if name not in run.unseen}
        self.tried: dict[frozenset[str], list[Run]] = {frozenset(self.values): [run], frozenset(): proof.repeats}
        #: Whether one setting was seen to give now this and now that.
        self.moves = False
        #: How often something is tried before it is taken to make no difference.
        self.tries = 1
        self.found: list[Guilty] = []

    def differs(self, names: Iterable[str], tries: int) -> bool:
        """Whether a run differs from the first with *names* alone changed, as one of at most *tries* runs of this setting."""
        chosen = frozenset(names)
        runs = self.tried.setdefault(chosen, [])
        while not self._differing(runs) and len(runs) < tries:
            self._more(chosen)
        return bool(self._differing(runs))

    def guilty(self) -> tuple[Guilty, ...]:
        """Who makes the difference, each on its own, until the runs agree without them; none where no few are found.

        Raises:
            _MovesError: unchanged runs differ too.
            _SpentError: there were not enough runs; *found* has who was found before.
        """
        rest = list(self.values)
        while rest and self.differs(rest, _TRIES if self.moves else 1):
            names = self._fewest(rest)
            if not names:
                break
            self.found.append(Guilty(names=tuple(names), values=tuple(self.values[name] for name in names), alone=True))
            rest = [name for name in rest if name not in names]
            if not _COVERING.isdisjoint(names) and rest and self.differs(rest, _TRIES if self.moves else 1):
                break
        else:
            # Also where nothing else is left: unchanged runs agree.
            self.found = [replace(each, without=True) for each in self.found]
        while not self.found and len(self.proof.repeats) < _MOST_REPEATS:
            self._unchanged()
        return tuple(self.found)

    def _fewest(self, pool: list[str]) -> list[str]:
        """The fewest of *pool*, all of which make a run differ, that do so as well; none where that is not seen again."""
        # The difference is nearly always one's: what is not in this half is taken to be in the other.
        some = pool
        while len(some) > 1:
            half = some[: len(some) // 2]
            some = half if self.differs(half, self.tries) else some[len(some) // 2 :]
        if self.differs(some, self.tries) and self._again(some):
            return some
        # It is in neither half: some act together, or it shows now and then, which is more common and told by all of them.
        while not self._judged(pool):
            self._more(frozenset(pool))
        if not self.tries:
            return []
        names = _least(pool, frozenset(), lambda names: self.differs(names, self.tries))
        self.moves = True  # so many settings were tried that one of them may have differed by accident
        if len(names) > 1:
            one = next(([name] for name in names if self.differs([name], _TRIES)), None)
            names = one or names
        return names if self._again(names) else []

    def _judged(self, pool: list[str]) -> bool:
        """Whether there are enough runs of all of *pool* to know how often something has to be tried."""
        runs = self.tried[frozenset(pool)]
        differing = len(self._differing(runs))
        if len(runs) < 2 or (self.moves and (len(runs) < _TRIES or (differing < 2 and len(runs) < _MOST_TRIES))):
            return False
        rate = differing / len(runs)
        if differing == len(runs):
            self.tries = 1
        else:
            self.tries = 0 if differing < 2 else min(_MOST_TRIES, math.ceil(math.log(2 * _CHANCE) / math.log1p(-rate)))
        return True

    def _again(self, names: list[str]) -> bool:
        """Whether *names* alone make a run differ again.

        Where that gives now this and now that, it is made again and again beside unchanged runs, all of which have to agree, until
        it is no accident that none of them differs (Fisher's exact test, 1935).
        """
        chosen = frozenset(names)
        runs = self.tried.setdefault(chosen, [])
        before = len(runs)
        while len(runs) < 2:
            self._more(chosen)
        while not self.moves:
            if not self._differing(runs):
                return False
            # What is always so with them and never without is no accident once there are enough of both kinds of runs.
            given = [run for tried, some in self.tried.items() if chosen <= tried for run in self._differing(some)]
            without = [run for tried, some in self.tried.items() if not chosen <= tried for run in some]
            agreeing = len(without) - len(self._differing(without))
            if 1 / math.comb(len(given) + agreeing, agreeing) <= _ACCIDENT:
                return True
            if agreeing <= len(given):
                self._unchanged()
            else:
                self._more(chosen)
        while True:
            # The first two unchanged runs were bound to agree, or nothing would have been varied.
            new, unchanged = len(runs) - before, len(self.proof.repeats) - 2
            differing = len(self._differing(runs[before:]))
            if differing and math.comb(new, differing) / math.comb(new + unchanged, differing) <= _CHANCE:
                return True
            if min(new, unchanged) >= _MOST_AGAIN or (new >= _MOST_TRIES and not differing):
                return False
            if new <= unchanged:
                self._more(chosen)
            else:
                self._unchanged()

    def _unchanged(self) -> None:
        """Make one more unchanged run.

        Raises:
            _MovesError: it differs.
        """
        self.proof.spend()
        if not _alike(self.proof.repeats[0], self.proof.repeat()):
            raise _MovesError

    def _more(self, chosen: frozenset[str]) -> None:
        """One more run with *chosen* changed."""
        self.proof.spend()
        runs = self.tried[chosen]
        runs.append(self.proof.run(Phase.SEARCH, tuple((name, value) for name, value in self.values.items() if name in chosen)))
        differs = bool(self._differing(runs))
        self.moves = (
            self.moves
            or not all(_alike(runs[0], run) for run in runs)
            or any(
                (tried < chosen and self._differing(some) and not differs)
                or (chosen < tried and differs and not self._differing(some))
                for tried, some in self.tried.items()
                if some
            )
        )

    def _differing(self, runs: Iterable[Run]) -> list[Run]:
        return [run for run in runs if not _alike(self.proof.repeats[0], run)]


def _least(pool: Sequence[str], context: frozenset[str], enough: Callable[[Iterable[str]], bool]) -> list[str]:
    """The fewest of *pool* that are *enough* beside *context*, where all of them are: none can be left out.

    Junker, QuickXplain: preferred explanations and relaxations for over-constrained problems (2004): for *k* of *n* it asks in the
    order of ``2 k log2(n / k) + 2 k`` times. Where more is ever enough and less is not, the answer is exact.
    """
    if context and enough(context):
        return []
    return _least_of(pool, context, enough)


def _least_of(pool: Sequence[str], context: frozenset[str], enough: Callable[[Iterable[str]], bool]) -> list[str]:
    if len(pool) <= 1:
        return list(pool)
    one, two = pool[: len(pool) // 2], pool[len(pool) // 2 :]
    for half in (one, two):
        if enough(context.union(half)):
            return _least_of(half, context, enough)
    first = _least_of(one, context.union(two), enough)
    return first + _least(two, context.union(first), enough)
