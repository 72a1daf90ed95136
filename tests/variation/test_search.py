"""The search for who is guilty, against an oracle that knows it: programs that are only rules, and benches that count their runs."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.cli import repeating
from sanctity.model.repeats import Claim, Control, Level, Phase, Run, Variation, rate_bound
from sanctity.model.result import FileResult, ResultComparison, Sameness
from sanctity.plan.repeats import BUDGET, FREE, HELD, Findings, prove
from sanctity.plan.repeats import settings as settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = (
    "hash-seed", "aslr", "tz", "locale", "cwd", "home", "umask", "file-order", "environment", "tmpdir", "load", "clock",
)  # fmt: skip
#: All but the one beside which no other is looked for.
APART = tuple(name for name in NAMES if name != "aslr")
SOURCES = ("entropy", "time", "pid", "scheduling")
SEEN = (Control(name="race", words="a race", seen=True), Control(name="hash-order", words="an order of hashes", seen=True))


def variations(values: Mapping[str, int] | None = None, names: tuple[str, ...] = NAMES) -> tuple[Variation, ...]:
    """Variations of so many *values* each, by default four, and the sources."""
    found = [
        Variation(
            name=name,
            words=name.replace("-", " "),
            level=Level.MACHINE,
            values=tuple(f"{name}-{number}" for number in range((values or {}).get(name, 4))),
        )
        for name in names
    ]
    found += [Variation(name=name, words=name, level=Level.PROCESS, values=(FREE, HELD), source=True) for name in SOURCES]
    return tuple(found)


@dataclass
class Bench:
    """A program whose result is *rule* of what it is given and of the number of the run; what is not digested is in *more*."""

    rule: Callable[[dict[str, str], int], Any]
    more: Callable[[dict[str, str], int], dict[str, Any]] = lambda _given, _number: {}
    outside: tuple[str, ...] = ()
    runs: list[Run] = field(default_factory=list)

    def run(self, phase: Phase, setting: tuple[tuple[str, str], ...]) -> Run:
        given_, number = dict(setting), len(self.runs) + 1
        digest = hashlib.sha256(repr(self.rule(given_, number)).encode()).hexdigest()
        same = not self.runs or digest == self.runs[0].digest
        row: dict[str, Any] = {
            "number": number,
            "phase": phase,
            "setting": setting,
            "code": 0,
            "seconds": 1.0,
            "files": 1,
            "size": 10,
            "digest": digest,
            "sameness": Sameness.IDENTICAL if same else Sameness.DIFFERENT,
        }
        self.runs.append(Run(**{**row, **self.more(given_, number)}))
        return self.runs[-1]

    def count(self, phase: Phase) -> int:
        return sum(run.phase is phase for run in self.runs)


def names_of(found: Findings) -> list[tuple[str, ...]]:
    return [guilty.names for guilty in found.guilty]


def acts(sets: tuple[frozenset[str], ...], given_: Mapping[str, str]) -> list[tuple[str, ...]]:
    """What a deterministic program shows of *sets*: each acts where all its members are changed, by their values."""
    return [tuple(given_[name] for name in sorted(each)) for each in sets if each <= given_.keys()]


def test_the_command_offers_what_there_is() -> None:
    assert tuple(str(level) for level in Level) == repeating.LEVELS
    assert repeating.SEARCH == BUDGET


# -- nothing differs ---------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 70))
def test_an_honest_program_takes_two_runs_and_n(runs: int) -> None:
    bench = Bench(lambda _given, _number: "same")
    found = prove(bench, variations(), runs=runs, controls=SEEN)
    assert (found.claim, found.guilty, len(bench.runs)) == (Claim.SAME, (), runs + 2)
    assert found.runs == tuple(bench.runs)


def test_each_varied_run_has_other_values_than_unchanged_ones() -> None:
    chosen = variations({"tz": 2, "locale": 3})
    rows = [dict(setting) for setting in settings_of(chosen, 12)]
    first = {each.name: each.values[0] for each in chosen}
    assert all(first[name] != value for row in rows for name, value in row.items())
    for each in chosen:
        if each.varies:
            assert {row[each.name] for row in rows if each.name in row} == set(each.values[1:]), each.name
    assert [("load" in row) for row in rows] == [number % 2 == 0 for number in range(12)]
    assert all(set(row) >= set(NAMES) - {"load"} for row in rows)


def test_values_of_two_variations_meet_in_other_pairs() -> None:
    rows = [dict(setting) for setting in settings_of(variations(names=("tz", "cwd")), 9)]
    assert len({(row["tz"], row["cwd"]) for row in rows}) == 9


def test_what_alone_is_varied_is_in_every_run() -> None:
    assert all(dict(row) for row in settings_of(variations(names=("load",)), 6))


def test_held_and_impossible_ones_and_sources_are_left_alone() -> None:
    some = (
        Variation(name="tz", words="TZ", level=Level.MACHINE, values=("a", "b"), held="as asked"),
        Variation(name="cwd", words="cwd", level=Level.MACHINE, values=("a", "b"), impossible="no room"),
        Variation(name="umask", words="umask", level=Level.MACHINE, values=("a",)),
        *variations(names=("hash-seed",)),
    )
    assert {name for row in settings_of(some, 4) for name, _ in row} == {"hash-seed"}


@given(st.booleans(), st.booleans())
def test_a_harness_that_sees_no_race_proves_nothing(race: bool, order: bool) -> None:
    controls = (Control(name="race", words="a race", seen=race), Control(name="order", words="an order", seen=order))
    found = prove(Bench(lambda _given, _number: "same"), variations(), controls=controls)
    assert (found.claim is Claim.SAME) == (race and order)
    assert found.reason == ("" if race and order else "harness-blind")
    assert ("a race" in found.message, "an order" in found.message) == (not race, not order)
    # What differs, differs, whatever else would have been seen.
    other = prove(Bench(lambda given_, _number: given_.get("tz")), variations(), controls=controls)
    assert (other.claim, names_of(other)) == (Claim.DIFFERENT, [("tz",)])


def test_the_bound_is_that_of_so_many_runs() -> None:
    assert [round(100 * rate_bound(runs)) for runs in (5, 10, 59)] == [45, 26, 5]


# -- one is guilty -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_one_guilty_of_twelve_is_found_in_eight_runs(name: str) -> None:
    bench = Bench(lambda given_, _number: given_.get(name))
    found = prove(bench, variations(), controls=SEEN)
    assert found.claim is Claim.DIFFERENT
    guilty = found.guilty[0]
    assert (names_of(found), guilty.alone, guilty.without) == ([(name,)], True, True)
    assert guilty.values == (dict(bench.runs[2].setting)[name],)
    # Two unchanged, one that differs: there is nothing to learn from four more before it is known why.
    assert bench.count(Phase.VARIED) == 1
    assert len(bench.runs) <= 2 + 1 + math.ceil(math.log2(len(NAMES))) + 4


def test_a_value_that_matters_is_named() -> None:
    bench = Bench(lambda given_, _number: given_.get("locale") == "locale-3")
    found = prove(bench, variations(), runs=5)
    assert (names_of(found), found.guilty[0].values) == ([("locale",)], ("locale-3",))
    assert bench.count(Phase.VARIED) == 3


def test_what_reached_no_process_is_never_blamed() -> None:
    bench = Bench(
        lambda given_, _number: given_.get("tz"),
        lambda given_, _number: {"unseen": ("file-order",) if "file-order" in given_ else ()},
    )
    found = prove(bench, variations())
    assert names_of(found) == [("tz",)]
    assert all("file-order" not in dict(run.setting) for run in bench.runs if run.phase is Phase.SEARCH)


def test_exit_status_alone_is_a_difference() -> None:
    bench = Bench(lambda _given, _number: "same", lambda given_, _number: {"code": -11 if "umask" in given_ else 0})
    found = prove(bench, variations())
    assert (found.claim, names_of(found)) == (Claim.DIFFERENT, [("umask",)])


def test_values_that_are_equal_in_another_container_are_the_same() -> None:
    bench = Bench(lambda _given, number: number, lambda _given, number: {"sameness": Sameness.EQUAL} if number > 1 else {})
    found = prove(bench, variations())
    assert (found.claim, len(bench.runs)) == (Claim.SAME, 7)


def test_bytes_that_differ_and_can_not_be_read_are_undecided() -> None:
    more: Callable[[dict[str, str], int], dict[str, Any]] = lambda given_, _number: (  # noqa: E731 - a rule beside a rule
        {"sameness": Sameness.UNDECIDED} if "cwd" in given_ else {}
    )
    found = prove(Bench(lambda given_, _number: given_.get("cwd"), more), variations())
    assert (found.claim, found.reason, names_of(found)) == (Claim.UNDECIDED, "output-undecided", [("cwd",)])


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("result-needs-library: numpy reads arrays, and is not installed beside sanctity", "pip install '.[results]'"),
        ("result-invalid: the first: it ends in the middle", "--keep"),
    ],
)
def test_the_file_that_could_not_be_read_is_named_with_the_reason(reason: str, advice: str) -> None:
    file = FileResult(path="out/x.npy", format="npy", sameness=Sameness.UNDECIDED, reason=reason)
    unread = {"sameness": Sameness.UNDECIDED, "comparison": ResultComparison(before="run 1", after="run 3", files=(file,))}
    bench = Bench(lambda given_, _number: given_.get("cwd"), lambda given_, _number: unread if "cwd" in given_ else {})
    found = prove(bench, variations())
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "output-undecided")
    assert "the bytes of out/x.npy differ in run 3" in found.message
    assert reason in found.message
    assert advice in found.advice[0]


# -- more than one -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "two"), list(combinations(APART, 2)))
def test_two_that_act_alone_are_both_found(one: str, two: str) -> None:
    bench = Bench(lambda given_, _number: acts((frozenset({one}), frozenset({two})), given_))
    found = prove(bench, variations())
    assert set(names_of(found)) == {(one,), (two,)}
    assert all(guilty.alone and guilty.without for guilty in found.guilty)
    assert len(bench.runs) <= 2 + 1 + 16


@pytest.mark.parametrize(("one", "two"), list(combinations(NAMES, 2)))
def test_two_that_act_only_together_are_named_together(one: str, two: str) -> None:
    bench = Bench(lambda given_, _number: acts((frozenset({one, two}),), given_))
    found = prove(bench, variations())
    assert (names_of(found), found.guilty[0].alone, found.guilty[0].without) == ([(one, two)], True, True)
    assert len(bench.runs) <= 2 + 1 + 36


def test_where_addresses_matter_nothing_else_is_blamed_for_moving_them() -> None:
    """What a process is started with lies on its stack: each other variation moves addresses, too."""
    bench = Bench(lambda given_, number: number if "aslr" in given_ else tuple(given_.keys() - {"hash-seed"}))
    found = prove(bench, variations())
    assert (names_of(found), found.guilty[0].alone, found.guilty[0].without) == ([("aslr",)], True, False)
    assert "prove it again" in found.advice[0]
    assert bench.count(Phase.SEARCH) <= 12
    alone = prove(Bench(lambda given_, number: number if "aslr" in given_ else 0), variations())
    assert (names_of(alone), alone.guilty[0].without, alone.advice) == ([("aslr",)], True, ())


@given(st.lists(st.sets(st.sampled_from(APART), min_size=1, max_size=3), min_size=1, max_size=4), st.integers(1, 8))
@settings(max_examples=300, deadline=None)
def test_whoever_is_named_is_guilty_and_nobody_else_is_needed(sets: list[set[str]], runs: int) -> None:
    """The oracle is brute force: over all subsets of what was changed, the smallest ones that differ."""
    guilty = tuple(frozenset(each) for each in sets)
    bench = Bench(lambda given_, _number: acts(guilty, given_))
    found = prove(bench, variations(), runs=runs, budget=200)
    differing = [run for run in bench.runs if run.phase is Phase.VARIED and not run.same]
    if not differing:
        # Nobody was changed who does it: "load" is idle in every other run, and has to meet one that it acts with.
        assert found.claim is Claim.SAME
        return
    changed = frozenset(dict(differing[0].setting))
    minimal = {
        frozenset(some)
        for size in range(1, 4)
        for some in combinations(sorted(changed), size)
        if any(each <= set(some) for each in guilty)
        and not any(each <= set(fewer) for fewer in combinations(some, size - 1) for each in guilty)
    }
    named = [frozenset(each.names) for each in found.guilty]
    assert found.claim is Claim.DIFFERENT
    assert named
    assert set(named) <= minimal
    assert not any(each <= changed - frozenset().union(*named) for each in guilty)
    assert all(each.alone and each.without for each in found.guilty)


@given(st.dictionaries(st.sampled_from(APART), st.sets(st.integers(1, 3), min_size=1), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_guilt_by_some_values_alone(rule: dict[str, set[int]]) -> None:
    def result(given_: dict[str, str], _number: int) -> list[tuple[str, str]]:
        return [(name, value) for name, value in given_.items() if int(value.rpartition("-")[2]) in rule.get(name, ())]

    bench = Bench(result)
    found = prove(bench, variations(), runs=6)
    assert found.claim is Claim.DIFFERENT
    for guilty in found.guilty:
        assert len(guilty.names) == 1
        assert result(dict(zip(guilty.names, guilty.values, strict=True)), 0)
    differing = next(run for run in bench.runs if run.phase is Phase.VARIED and not run.same)
    assert {each.names[0] for each in found.guilty} == {name for name, _ in result(dict(differing.setting), 0)}


def test_one_that_is_undone_by_another_is_still_named() -> None:
    """Not monotone: what `tz` does, `cwd` undoes, unless `umask` is changed too."""

    def result(given_: dict[str, str], _number: int) -> bool:
        return "tz" in given_ and ("cwd" not in given_ or "umask" in given_)

    bench = Bench(result)
    found = prove(bench, variations())
    assert found.claim is Claim.DIFFERENT
    assert names_of(found) == [("tz",)]


# -- now this, now that ------------------------------------------------------------------------------------------------------------


def moving(seed: int, rate: float, name: str = "") -> Bench:
    """A race that shows at this *rate*, where *name* is changed; without one in every run in which threads are not held."""
    chance = random.Random(seed)

    def result(given_: dict[str, str], number: int) -> int:
        shows = name in given_ if name else given_.get("scheduling") != HELD
        return number if shows and chance.random() < rate else 0

    return Bench(result)


@given(st.sampled_from(NAMES), st.integers(0, 10**6), st.sampled_from([0.5, 0.7, 0.9]))
@settings(max_examples=200, deadline=None)
def test_a_flaky_guilty_one_is_never_traded_for_an_innocent_one(name: str, seed: int, rate: float) -> None:
    """Load shows a race now and then. What never acts alone may be named beside it only where the race did not show in its tries."""
    bench = moving(seed, rate, name)
    found = prove(bench, variations(), runs=8)
    if found.claim is Claim.SAME:
        assert all(run.same for run in bench.runs)
        return
    assert all(name in each.names for each in found.guilty)
    assert len(found.guilty) <= 1
    if found.guilty:
        assert any(not run.same and {key for key, _ in run.setting} == set(found.guilty[0].names) for run in bench.runs)
    assert bench.count(Phase.SEARCH) <= 80


@pytest.mark.parametrize("name", ["load", "aslr", "cwd"])
def test_a_flaky_guilty_one_is_mostly_found(name: str) -> None:
    found = [names_of(prove(moving(seed, 0.8, name), variations(), runs=5)) for seed in range(60)]
    assert sum(each == [(name,)] for each in found) >= 55


def test_one_whose_value_gives_another_result_each_time_is_confirmed_by_unchanged_runs() -> None:
    """Addresses are given at random: the value says that they are, not which."""
    bench = Bench(lambda given_, number: number if "aslr" in given_ else 0)
    found = prove(bench, variations())
    assert (names_of(found), found.guilty[0].alone, found.guilty[0].without) == ([("aslr",)], True, True)
    assert bench.count(Phase.REPEAT) == 5


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.4, 0.6]))
@settings(max_examples=150, deadline=None)
def test_a_race_that_two_unchanged_runs_missed_ends(seed: int, rate: float) -> None:
    bench = moving(seed, rate)
    found = prove(bench, variations(), runs=5)
    assert (found.claim is Claim.SAME) == all(run.same for run in bench.runs)
    assert len(bench.runs) <= 2 + 5 + 80 + 5


def test_a_race_that_two_unchanged_runs_missed_is_seldom_blamed_on_an_innocent_one() -> None:
    blamed = named = 0
    for seed in range(200):
        bench = moving(seed, 0.4)
        found = prove(bench, variations(), runs=5)
        named += found.claim is Claim.DIFFERENT
        blamed += any(each.names != ("scheduling",) for each in found.guilty)
    assert named > 150
    assert blamed <= named // 50


@pytest.mark.parametrize("names", [NAMES, ("tz",), ("tz", "cwd", "load")], ids=["twelve", "one", "three"])
@pytest.mark.parametrize("name", ["", "tz"])
def test_a_race_of_two_outcomes_repeats_by_accident_and_is_seldom_taken_for_another(names: tuple[str, ...], name: str) -> None:
    """Each outcome comes up again and again, so two runs that agree in one say little."""
    wrong = right = 0
    for seed in range(100):
        chance = random.Random(seed)

        def result(given_: dict[str, str], _number: int, chance: random.Random = chance) -> bool:
            shows = name in given_ if name else given_.get("scheduling") != HELD
            return shows and chance.random() < (0.8 if name else 0.5)

        found = names_of(prove(Bench(result), variations(names=names)))
        right += found == [(name or "scheduling",)]
        wrong += found not in ([(name or "scheduling",)], [])
    assert right >= 80
    assert wrong <= 6


def test_nobody_alone_is_an_answer() -> None:
    """Only all of them together do it."""
    bench = Bench(lambda given_, number: number == 3 and len(given_))
    found = prove(bench, variations())
    assert (found.claim, found.guilty) == (Claim.DIFFERENT, ())
    assert "alone" in found.message
    assert bench.count(Phase.REPEAT) == 5


def test_a_search_ends_with_its_runs() -> None:
    bench = Bench(lambda given_, _number: acts((frozenset({"hash-seed", "cwd", "clock"}),), given_))
    found = prove(bench, variations(), budget=6)
    assert (found.claim, found.guilty, bench.count(Phase.SEARCH)) == (Claim.DIFFERENT, (), 6)
    assert "ended" in found.message


@pytest.mark.parametrize(
    ("rule", "runs"),
    [(lambda given_, _number: given_.get("tz"), 3), (lambda _given, number: number, 2)],
    ids=["varied", "unchanged"],
)
def test_no_search_is_no_run_more(rule: Callable[[dict[str, str], int], Any], runs: int) -> None:
    bench = Bench(rule)
    found = prove(bench, variations(), budget=0)
    assert (found.claim, found.guilty, len(bench.runs)) == (Claim.DIFFERENT, (), runs)
    assert "not searched for" in found.message


# -- what moves by itself ----------------------------------------------------------------------------------------------------------


def free(bench_rule: frozenset[str]) -> Callable[[dict[str, str], int], Any]:
    """The rule of a program to which each of these sources matters: it gives another result each time, while one is free."""
    return lambda given_, number: number if any(given_.get(name) != HELD for name in bench_rule) else "held"


@given(st.sets(st.sampled_from(SOURCES), min_size=1))
def test_the_sources_that_have_to_be_held_are_named_each(sources: set[str]) -> None:
    bench = Bench(free(frozenset(sources)))
    found = prove(bench, variations())
    assert found.claim is Claim.DIFFERENT
    assert set(names_of(found)) == {(name,) for name in sources}
    assert all(guilty.alone and guilty.without and guilty.values == (FREE,) for guilty in found.guilty)
    assert (bench.count(Phase.REPEAT), bench.count(Phase.VARIED), bench.count(Phase.SEARCH)) == (5, 0, 0)
    assert bench.count(Phase.HELD) <= 17 + len(sources)


def test_one_source_takes_few_runs() -> None:
    for name in SOURCES:
        bench = Bench(free(frozenset({name})))
        assert names_of(prove(bench, variations())) == [(name,)]
        assert bench.count(Phase.HELD) <= 14, name


def test_what_is_held_needs_not_to_give_what_the_first_run_gave() -> None:
    bench = Bench(lambda given_, number: "constant" if given_.get("entropy") == HELD else number)
    assert names_of(prove(bench, variations())) == [("entropy",)]


def test_where_nothing_that_can_be_held_helps_it_is_said() -> None:
    bench = Bench(lambda _given, number: number)
    found = prove(bench, variations())
    assert (found.claim, found.guilty) == (Claim.DIFFERENT, ())
    assert all(name in found.message for name in SOURCES)
    assert bench.count(Phase.HELD) == 2


def test_who_is_innocent_is_rarely_blamed_for_what_nothing_holds() -> None:
    """Entropy is to blame, and beside it processes race in one run of five whatever is held."""
    wrong = 0
    for seed in range(60):
        chance = random.Random(seed)

        def result(given_: dict[str, str], number: int, chance: random.Random = chance) -> tuple[int, int]:
            return 0 if given_.get("entropy") == HELD else number, number if chance.random() < 0.2 else 0

        wrong += bool(set(names_of(prove(Bench(result), variations()))) - {("entropy",)})
    assert wrong <= 4


def test_a_source_that_can_not_be_held_is_not_tried() -> None:
    some = tuple(each for each in variations() if not each.source)
    some += (Variation(name="time", words="time", level=Level.PROCESS, values=(FREE, HELD), source=True, impossible="no hook"),)
    bench = Bench(lambda _given, number: number)
    found = prove(bench, some)
    assert (found.claim, found.guilty, bench.count(Phase.HELD)) == (Claim.DIFFERENT, (), 0)


def test_a_source_whose_hook_no_process_loaded_is_not_blamed() -> None:
    """Held on paper: runs that agree with it agreed by accident."""
    bench = Bench(
        lambda given_, number: number if len(given_) < 4 else 0,
        lambda given_, _number: {"unseen": tuple(name for name in ("entropy", "time", "pid") if name in given_)},
    )
    found = prove(bench, variations())
    assert {name for each in found.guilty for name in each.names} <= {"scheduling"}


def test_repeats_that_agree_mostly_ask_for_more_agreement() -> None:
    """Runs of which four in five agree prove little by agreeing twice."""
    bench = Bench(lambda given_, number: number == 2 and given_.get("time") != HELD)
    found = prove(bench, variations())
    assert found.claim is Claim.DIFFERENT
    held = [run for run in bench.runs if run.phase is Phase.HELD]
    assert sum(len(run.setting) == len(SOURCES) for run in held) == 5
    assert found.guilty == ()
    assert "none of them alone" in found.message


def test_a_source_that_shows_more_rarely_than_another_is_looked_for_as_well() -> None:
    """Entropy shows in each run, and hides how seldom the order of threads does."""
    right = 0
    for seed in range(40):
        found = prove(drawing_and_racing(seed), variations())
        assert ("entropy",) in names_of(found)
        assert set(names_of(found)) <= {("entropy",), ("scheduling",)}
        right += set(names_of(found)) == {("entropy",), ("scheduling",)}
    assert right >= 25


def drawing_and_racing(seed: int) -> Bench:
    chance = random.Random(seed)

    def result(given_: dict[str, str], number: int) -> tuple[int, int]:
        drawn = 0 if given_.get("entropy") == HELD else number
        return drawn, number if given_.get("scheduling") != HELD and chance.random() < 0.5 else 0

    return Bench(result)


def test_one_that_alone_is_not_enough_to_hold_is_told_as_such() -> None:
    """`pid` matters only while `time` is held, and the other way round: each is seen, and holding both is enough."""
    bench = Bench(lambda given_, number: number if (given_.get("time") != HELD) or (given_.get("pid") != HELD) else 0)
    found = prove(bench, variations())
    assert (names_of(found), [each.alone for each in found.guilty]) == ([("time",), ("pid",)], [True, True])


# -- nothing can be said -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "reason", "runs"),
    [
        ({"code": 1}, "command-failed", 2),
        ({"code": -9}, "command-failed", 2),
        ({"files": 0, "size": 0}, "output-missing", 2),
        ({"size": 0}, "output-empty", 2),
        ({"outside": ("data/cache",)}, "output-outside", 1),
        ({"code": None}, "run-timed-out", 1),
    ],
)
def test_what_can_not_be_compared_is_undecided_at_once(more: dict[str, Any], reason: str, runs: int) -> None:
    bench = Bench(lambda _given, _number: "same", lambda _given, _number: more)
    found = prove(bench, variations())
    assert (found.claim, found.reason, len(bench.runs)) == (Claim.UNDECIDED, reason, runs)
    assert found.message
    assert found.advice


def test_a_failure_is_told_also_where_what_was_left_behind_differs() -> None:
    bench = Bench(lambda _given, number: number, lambda _given, _number: {"code": 1})
    assert prove(bench, variations()).reason == "command-failed"


def test_a_command_that_fails_now_and_then_is_different() -> None:
    bench = Bench(lambda _given, _number: "same", lambda _given, number: {"code": number % 2})
    found = prove(bench, variations())
    assert found.claim is Claim.DIFFERENT


def test_a_command_that_writes_nothing_under_a_variation_is_different() -> None:
    bench = Bench(
        lambda given_, _number: "tz" not in given_, lambda given_, _number: {"files": 0, "size": 0} if "tz" in given_ else {}
    )
    assert names_of(prove(bench, variations())) == [("tz",)]


def test_a_run_of_the_search_that_takes_too_long_leaves_what_is_known() -> None:
    def more(given_: dict[str, str], number: int) -> dict[str, Any]:
        return {"code": None} if number > 4 else {}

    found = prove(Bench(lambda given_, _number: given_.get("tz"), more), variations())
    assert (found.claim, found.guilty) == (Claim.DIFFERENT, ())
    assert "took longer" in found.message


@pytest.mark.parametrize(
    "rule", [lambda _given, _number: 0, lambda given_, _number: given_.get("tz"), lambda _given, number: number]
)
def test_runs_that_could_meet_what_others_left_prove_nothing(rule: Callable[[dict[str, str], int], Any]) -> None:
    bench = Bench(rule, outside=("data/log.txt",))
    found = prove(bench, variations())
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "output-outside")
    assert "data/log.txt" in found.message
    assert bench.count(Phase.SEARCH) == bench.count(Phase.HELD) == 0
