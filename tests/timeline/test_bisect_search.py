"""The searches of a bisect against an oracle: small made-up histories, of which every environment can be tried."""

from __future__ import annotations

import itertools
import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.errors import SanctityError
from sanctity.model.bisecting import Break, Certainty, Outcome, Role, Run, Trial, Withdrawn
from sanctity.model.timeline import Release, Resolution
from sanctity.timeline.bisection import bisect
from sanctity.timeline.narrow import minimise, narrow, widest_gap

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS = 24
INSTANTS = tuple(f"2024-01-{number:02}T00:00:00Z" for number in range(1, DAYS + 1))


@dataclass(frozen=True)
class Upload:
    """Version *number* of *name*, from *day* on; it *needs* at least these versions of others."""

    name: str
    number: int
    day: int
    needs: tuple[tuple[str, int], ...] = ()


@dataclass
class History:
    """A bench without an index: *uploads*, the command fails where all of any of *breaks* are so high; what is *unbuildable* or *flaky*."""

    uploads: tuple[Upload, ...]
    breaks: tuple[tuple[tuple[str, int], ...], ...]
    exactly: bool = False
    unbuildable: frozenset[tuple[str, int]] = frozenset()
    flaky: frozenset[tuple[str, int]] = frozenset()
    yanked: tuple[tuple[str, int, str], ...] = ()
    width: int = 1
    judged: dict[str, int] = field(default_factory=dict)

    def pins(self, at: str, constraints: tuple[str, ...] = ()) -> dict[str, int] | None:
        """The newest of each package that there was, the packages in the order of names; None where nothing fits."""
        day = INSTANTS.index(at)
        names = sorted({each.name for each in self.uploads})
        asked = {row for row in constraints if "==" in row}
        choices = [
            sorted(
                (
                    one
                    for one in self.uploads
                    if one.name == name
                    and one.day <= day
                    and ((name, one.number) not in {(n, v) for n, v, _ in self.yanked} or f"{name}=={one.number}" in asked)
                ),
                key=lambda one: -one.number,
            )
            for name in names
        ]
        for chosen in itertools.product(*choices):
            pins = {one.name: one.number for one in chosen}
            if all(pins[name] >= number for one in chosen for name, number in one.needs) and all(
                _fits(pins, row) for row in constraints
            ):
                return pins
        return None

    def resolve(self, at: str, constraints: tuple[str, ...] = ()) -> Resolution:
        pins = self.pins(at, constraints)
        if pins is None:
            return Resolution(at=at, failure="nothing fits")
        day = {(one.name, one.number): one.day for one in self.uploads}
        releases = (
            Release(name=name, version=str(number), uploaded=INSTANTS[day[name, number]]) for name, number in sorted(pins.items())
        )
        return Resolution(at=at, releases=tuple(releases))

    def outcome(self, resolution: Resolution, *, repeat: bool = True) -> Outcome:
        """What is so."""
        if resolution.failure:
            return Outcome.UNRESOLVABLE
        pins = {name: int(version) for name, version in resolution.pins.items()}
        if self.unbuildable & set(pins.items()):
            return Outcome.UNBUILDABLE
        if self.flaky & set(pins.items()) and repeat:
            return Outcome.FLAKY
        compare = operator.eq if self.exactly else operator.ge
        fails = any(all(compare(pins.get(name, -1), number) for name, number in rule) for rule in self.breaks)
        return Outcome.FAIL if fails else Outcome.PASS

    def judge(self, resolution: Resolution, why: str, *, repeat: bool = False) -> Trial:
        assert why
        key = str(resolution.digest)
        self.judged[key] = max(self.judged.get(key, 0), 2 if repeat else 1)
        outcome = self.outcome(resolution, repeat=self.judged[key] > 1)
        return Trial(outcome=outcome, reason=str(outcome), runs=(Run(code=0 if outcome is Outcome.PASS else 1, tail="oh no\n"),))

    def expect(self, trials: int) -> None:
        assert 0 <= trials < DAYS

    def prepare(self, trials: Sequence[tuple[Resolution, str]], *, repeat: bool = False) -> None:
        assert self.width > 1
        for resolution, why in trials:
            self.judge(resolution, why, repeat=repeat)

    def withdrawn(self, resolution: Resolution) -> tuple[Withdrawn, ...]:
        assert not resolution.failure
        return tuple(Withdrawn(name=name, version=str(number), reason=reason) for name, number, reason in self.yanked)

    def tell(self, text: str) -> None:
        assert text


def _fits(pins: dict[str, int], row: str) -> bool:
    match = re.fullmatch(r"(\w+)(==|<|>)(\d+)", row)
    assert match is not None, row
    name, sign, number = match[1], match[2], int(match[3])
    if name not in pins:
        return True
    return {"==": pins[name] == number, "<": pins[name] < number, ">": pins[name] > number}[sign]


def _uploads(**stated: tuple[int, ...]) -> tuple[Upload, ...]:
    """Versions 0, 1, 2, … of each package, uploaded on these days."""
    return tuple(Upload(name, number, day) for name, days in stated.items() for number, day in enumerate(days))


# -- narrow ------------------------------------------------------------------------------------------------------------------------------

MIDDLE = st.lists(st.sampled_from([Outcome.PASS, Outcome.FAIL, Outcome.UNBUILDABLE, Outcome.SKIPPED]), max_size=40)


@given(MIDDLE, st.integers(1, 5))
def test_narrow_ends_at_a_passing_and_a_failing_index_with_nothing_decided_between(middle: list[Outcome], width: int) -> None:
    row = [Outcome.PASS, *middle, Outcome.FAIL]
    asked: list[int] = []

    def judge(index: int) -> Outcome:
        asked.append(index)
        return row[index]

    bracket = narrow(0, len(row) - 1, judge, lambda index: index, width=width)
    assert (row[bracket.last], row[bracket.first]) == (Outcome.PASS, Outcome.FAIL)
    assert bracket.between == tuple(range(bracket.last + 1, bracket.first))
    assert not any(row[index].decided for index in bracket.between)
    assert len(asked) == len(set(asked))


@given(st.integers(0, 2000), st.integers(1, 2000))
def test_narrow_asks_no_more_than_halving_needs(first: int, more: int) -> None:
    count = 0

    def judge(index: int) -> Outcome:
        nonlocal count
        count += 1
        return Outcome.PASS if index <= first else Outcome.FAIL

    bracket = narrow(0, first + more, judge, lambda index: index)
    assert (bracket.last, bracket.first) == (first, first + 1)
    assert count <= (first + more).bit_length() + 1


def test_narrow_leaves_a_long_stretch_of_one_environment_behind_without_looking_at_all_of_it() -> None:
    asked = []

    def judge(index: int) -> Outcome:
        asked.append(index)
        return Outcome.PASS if index < 10 else Outcome.FAIL if index > 900 else Outcome.UNBUILDABLE

    bracket = narrow(0, 1000, judge, lambda index: "broken" if 10 <= index <= 900 else index)
    assert (bracket.last, bracket.first, len(bracket.between)) == (9, 901, 891)
    assert len(asked) < 60


@given(st.integers(2, 60), st.sets(st.integers(0, 60)))
def test_the_widest_gap_is_left_until_everything_between_is_known(end: int, cuts: set[int]) -> None:
    """Probing until there is no gap leaves no index of which the environment is not known."""
    row = [sum(index >= cut for cut in cuts) for index in range(end + 1)]
    known = {0: row[0], end: row[end]}
    while (index := widest_gap(0, end, known)) is not None:
        assert index not in known
        known[index] = row[index]
    marks = sorted(known)
    for before, after in itertools.pairwise(marks):
        assert after == before + 1 or len(set(row[before : after + 1])) == 1


# -- minimise ----------------------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.sets(st.integers(0, 7), min_size=1), st.sets(st.frozensets(st.integers(0, 7)), max_size=12))
def test_minimise_gives_a_failing_set_of_which_nothing_can_be_left_out(
    size: int, cause: set[int], unresolved: set[frozenset[int]]
) -> None:
    items = tuple(range(size))
    cause = {each % size for each in cause}

    def judge(some: tuple[int, ...]) -> Outcome:
        if frozenset(some) in unresolved and len(some) < size:
            return Outcome.UNRESOLVABLE
        return Outcome.FAIL if cause <= set(some) else Outcome.PASS

    found = minimise(items, judge)
    assert found == tuple(sorted(found))
    assert cause <= set(found)
    if len(found) > 1:
        for item in found:
            rest = tuple(other for other in found if other != item)
            assert judge(rest) is not Outcome.FAIL
    if not unresolved:
        assert set(found) == cause


# -- the whole ---------------------------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> History:
    uploads: list[Upload] = []
    names = ["aaa", "bbb", "ccc"][: draw(st.integers(1, 3))]
    for name in names:
        days = sorted(draw(st.lists(st.integers(1, DAYS - 1), min_size=1, max_size=3)))
        uploads.append(Upload(name, 0, 0))
        for number, day in enumerate(days, 1):
            others = [other for other in names if other != name]
            needs = tuple((other, draw(st.integers(0, 2))) for other in others if draw(st.integers(0, 4)) == 0)
            uploads.append(Upload(name, number, day, needs))
    rules = st.lists(st.tuples(st.sampled_from(names), st.integers(1, 3)), min_size=1, max_size=2, unique_by=lambda row: row[0])
    pairs = st.frozensets(st.tuples(st.sampled_from(names), st.integers(1, 3)), max_size=2)
    return History(
        uploads=tuple(uploads),
        breaks=tuple(tuple(rule) for rule in draw(st.lists(rules, min_size=1, max_size=2))),
        exactly=draw(st.booleans()),
        width=draw(st.sampled_from([1, 1, 2, 3])),
        unbuildable=draw(pairs) if draw(st.booleans()) else frozenset(),
        flaky=draw(pairs) if draw(st.integers(0, 3)) == 0 else frozenset(),
    )


def _expected(good: Outcome, bad: Outcome, *, same: bool) -> str:
    """The code of the error where the ends are so."""
    ends = (good, bad)
    if Outcome.UNRESOLVABLE in ends:
        return "bisect-unbuildable"
    if same:
        return "bisect-nothing-changed"
    codes = {
        Outcome.UNBUILDABLE: "bisect-unbuildable",
        Outcome.FLAKY: "bisect-flaky",
        Outcome.FAIL: "bisect-good-fails",
    }
    return codes.get(good) or {**codes, Outcome.PASS: "bisect-bad-passes"}[bad]


@given(histories(), st.booleans())
def test_what_is_found_is_so(history: History, thorough: bool) -> None:
    good, bad = (history.outcome(history.resolve(INSTANTS[index])) for index in (0, -1))
    ends = (good, bad)
    try:
        answer = bisect(INSTANTS, history, thorough=thorough)
    except SanctityError as error:
        expected = _expected(good, bad, same=history.resolve(INSTANTS[0]).digest == history.resolve(INSTANTS[-1]).digest)
        assert error.code == expected, error  # noqa: PT017 - most histories give an answer
        return
    assert ends == (Outcome.PASS, Outcome.FAIL)
    for found in answer.breaks:
        assert history.outcome(found.passing) is Outcome.PASS
        assert history.outcome(found.failing) is Outcome.FAIL
        assert found.culprits
        moved = {each.release.name: each.release.version for each in found.culprits}
        olds = {each.release.name: each.old for each in found.culprits}

        def mixed(news: dict[str, str], found: Break = found) -> Outcome:
            pins = {**found.passing.pins, **news}
            rows = tuple(f"{name}=={version}" for name, version in pins.items())
            return history.outcome(history.resolve(found.failing.at, rows))

        # The environment that passes fails with them, and passes without any that is called necessary.
        assert mixed(moved) is Outcome.FAIL
        for each in found.culprits:
            if each.role is Role.NECESSARY:
                assert mixed({**moved, each.release.name: olds[each.release.name]}) is Outcome.PASS
        if not history.unbuildable and not history.flaky:
            assert found.exact
        if found.exact and len(found.culprits) == 1:
            number = int(found.culprits[0].release.version)
            name = found.culprits[0].release.name
            # Between the two versions there is none that can be had here, but what was never chosen for being out of reach.
            between = [mixed({name: str(version)}) for version in range(int(found.culprits[0].old) + 1, number)]
            assert not [outcome for outcome in between if outcome.decided]
    if answer.complete is Certainty.YES:
        assert history.outcome(history.resolve(INSTANTS[-1], answer.remedy)) is Outcome.PASS
    for span in answer.contradictions:
        assert history.outcome(history.resolve(span.first)) is span.outcome
        assert history.outcome(history.resolve(span.last)) is span.outcome
    if thorough and not answer.contradictions and answer.exact and not history.unbuildable and not history.flaky:
        row = [history.outcome(history.resolve(instant)) for instant in INSTANTS]
        decided = [outcome for outcome in row if outcome.decided]
        assert sorted(decided, key=lambda outcome: outcome is Outcome.FAIL) == decided


@given(st.data())
def test_one_release_that_breaks_it_is_named_with_its_day(data: st.DataObject) -> None:
    """With one cause, and nothing in the way, the answer is that release: exact, alone, and the only one."""
    uploads = _uploads(
        **{
            name: (0, *sorted(data.draw(st.sets(st.integers(1, DAYS - 1), min_size=1, max_size=4))))
            for name in ("aaa", "bbb", "ccc", "ddd")
        }
    )
    culprit = data.draw(st.sampled_from([one for one in uploads if one.number]))
    history = History(uploads=uploads, breaks=(((culprit.name, culprit.number),),))
    answer = bisect(INSTANTS, history)
    assert len(answer.breaks) == 1
    found = answer.breaks[0]
    assert [(each.release.name, each.release.version, each.old) for each in found.culprits] == [
        (culprit.name, str(culprit.number), str(culprit.number - 1))
    ]
    assert found.culprits[0].release.uploaded == INSTANTS[culprit.day]
    assert (found.exact, found.alone, answer.complete) == (True, Certainty.YES, Certainty.YES)
    assert (found.passing.at, found.failing.at) == (INSTANTS[culprit.day - 1], INSTANTS[culprit.day])
    assert answer.remedy == (f"{culprit.name}<{culprit.number}",)
    assert len(history.judged) <= 30


def _named(history: History, *, thorough: bool = False) -> tuple[list[list[str]], list[list[str]]]:
    answer = bisect(INSTANTS, history, thorough=thorough)
    late = [[f"{each.release.name} {each.release.version}" for each in found.culprits] for found in answer.breaks]
    early = [[f"{each.release.name} {each.release.version}" for each in found.earlier] for found in answer.breaks]
    return late, early


def test_of_several_releases_of_one_day_the_first_that_fails_is_named() -> None:
    uploads = _uploads(aaa=(0, 9, 9, 9, 9), bbb=(0, 9))
    found = bisect(INSTANTS, History(uploads=uploads, breaks=((("aaa", 2),),))).breaks[0]
    assert [(each.release.version, each.old) for each in found.culprits] == [("2", "1")]
    assert (found.passing.pins["aaa"], found.failing.pins["aaa"], found.exact) == ("1", "2", True)
    found = bisect(INSTANTS, History(uploads=uploads, breaks=((("aaa", 2),),), unbuildable=frozenset({("aaa", 1)}))).breaks[0]
    assert [(each.release.version, each.among) for each in found.culprits] == [("2", ("1",))]
    assert not found.exact


def test_two_that_only_fail_together_on_one_day_are_a_pair() -> None:
    history = History(uploads=_uploads(aaa=(0, 9), bbb=(0, 9), ccc=(0, 9), ddd=(0, 9)), breaks=((("bbb", 1), ("ddd", 1)),))
    answer = bisect(INSTANTS, history)
    found = answer.breaks[0]
    assert {each.release.name for each in found.culprits} == {"bbb", "ddd"}
    assert {each.role for each in found.culprits} == {Role.NECESSARY}
    assert (found.alone, answer.complete) == (Certainty.YES, Certainty.YES)


def test_two_that_only_fail_together_on_different_days_are_a_pair_with_both_releases() -> None:
    history = History(uploads=_uploads(aaa=(0, 3), bbb=(0, 5), ccc=(0, 17), ddd=(0, 17)), breaks=((("bbb", 1), ("ddd", 1)),))
    assert _named(history) == ([["ddd 1"]], [["bbb 1"]])
    found = bisect(INSTANTS, history).breaks[0]
    assert (found.alone, found.earlier[0].role) == (Certainty.NO, Role.NECESSARY)
    assert (found.earlier[0].release.uploaded, found.culprits[0].release.uploaded) == (INSTANTS[5], INSTANTS[17])


def test_two_independent_culprits_are_both_named() -> None:
    history = History(uploads=_uploads(aaa=(0, 5), bbb=(0, 15), ccc=(0, 8)), breaks=((("aaa", 1),), (("bbb", 1),)))
    assert _named(history) == ([["aaa 1"], ["bbb 1"]], [[], []])
    answer = bisect(INSTANTS, history)
    assert answer.complete is Certainty.YES
    assert answer.remedy == ("aaa<1", "bbb<1")
    assert answer.breaks[1].held == ("aaa<1",)


def test_two_independent_culprits_of_one_day_are_both_named() -> None:
    history = History(uploads=_uploads(aaa=(0, 5), bbb=(0, 5), ccc=(0, 5)), breaks=((("aaa", 1),), (("ccc", 1),)))
    late, _ = _named(history)
    assert sorted(itertools.chain(*late)) == ["aaa 1", "ccc 1"]


def test_more_independent_culprits_than_are_looked_for_is_told() -> None:
    names = ("aaa", "bbb", "ccc", "ddd", "eee", "fff")
    uploads = _uploads(**{name: (0, 3 * number) for number, name in enumerate(names, 1)})
    answer = bisect(INSTANTS, History(uploads=uploads, breaks=tuple(((name, 1),) for name in names)))
    assert answer.complete is Certainty.NO
    assert any("more releases" in note for note in answer.notes)


def test_one_that_can_not_be_had_without_another_is_told_apart_from_a_pair() -> None:
    uploads = (*_uploads(aaa=(0, 9), ccc=(0, 9)), Upload("bbb", 0, 0), Upload("bbb", 1, 9, (("aaa", 1),)))
    found = bisect(INSTANTS, History(uploads=uploads, breaks=((("bbb", 1),),))).breaks[0]
    assert {each.release.name: each.role for each in found.culprits} == {"aaa": Role.COMPANION, "bbb": Role.NECESSARY}


def test_two_that_can_not_be_had_without_each_other_are_suspects() -> None:
    uploads = (
        Upload("aaa", 0, 0),
        Upload("aaa", 1, 9, (("bbb", 1),)),
        Upload("bbb", 0, 0),
        Upload("bbb", 1, 9, (("aaa", 1),)),
    )
    found = bisect(INSTANTS, History(uploads=uploads, breaks=((("aaa", 1),),))).breaks[0]
    assert {each.release.name: each.role for each in found.culprits} == {"aaa": Role.SUSPECT, "bbb": Role.SUSPECT}


def test_what_passes_again_is_told_with_its_days_and_the_later_break_named() -> None:
    """Version 1 breaks it, version 2 mends it, version 3 breaks it again; the search itself sees only one of them."""
    history = History(uploads=_uploads(aaa=(0, 3, 9, 20)), breaks=((("aaa", 1),), (("aaa", 3),)), exactly=True)
    answer = bisect(INSTANTS, history, thorough=True)
    assert [[each.release.version for each in found.culprits] for found in answer.breaks] == [["1"], ["3"]]
    assert answer.contradictions
    assert all(span.outcome in {Outcome.PASS, Outcome.FAIL} for span in answer.contradictions)


def test_a_package_that_can_not_be_built_for_a_while_hides_another_one_only_from_the_days() -> None:
    """On the days between nothing can be built, since aaa 1 can not; bbb is moved alone, and its release is named all the same."""
    history = History(
        uploads=_uploads(aaa=(0, 5, 18), bbb=(0, 7, 10, 12)), breaks=((("bbb", 2),),), unbuildable=frozenset({("aaa", 1)})
    )
    answer = bisect(INSTANTS, history)
    found = answer.breaks[0]
    assert [(each.release.name, each.release.version, each.old) for each in found.culprits] == [("bbb", "2", "1")]
    assert found.exact
    assert found.between


def test_a_culprit_whose_own_versions_can_not_be_built_is_a_range() -> None:
    history = History(uploads=_uploads(aaa=(0, 5, 9, 14)), breaks=((("aaa", 1),),), unbuildable=frozenset({("aaa", 1), ("aaa", 2)}))
    answer = bisect(INSTANTS, history)
    found = answer.breaks[0]
    assert not answer.exact
    assert [(each.release.version, each.old, each.among) for each in found.culprits] == [("3", "0", ("1", "2"))]


def test_a_flaky_environment_beside_the_break_decides_nothing() -> None:
    history = History(uploads=_uploads(aaa=(0, 5, 9, 14)), breaks=((("aaa", 3),),), flaky=frozenset({("aaa", 2)}))
    found = bisect(INSTANTS, history).breaks[0]
    assert [(each.release.version, each.old, each.among) for each in found.culprits] == [("3", "1", ("2",))]


@pytest.mark.parametrize("same", [True, False])
def test_a_yanked_release_is_tried_where_bad_passes(same: bool) -> None:
    uploads = _uploads(aaa=(0, 5), bbb=(0,) if same else (0, 8))
    history = History(uploads=uploads, breaks=((("aaa", 1),),), yanked=(("aaa", 1, "it was broken"),))
    answer = bisect(INSTANTS, history)
    assert [(each.release.name, each.release.version, each.yanked) for each in answer.breaks[0].culprits] == [
        ("aaa", "1", "it was broken")
    ]
    innocent = History(uploads=uploads, breaks=(), yanked=(("aaa", 1, ""),))
    with pytest.raises(SanctityError) as caught:
        bisect(INSTANTS, innocent)
    assert caught.value.code == ("bisect-nothing-changed" if same else "bisect-bad-passes")
    assert "yanked since" in caught.value.message


def test_a_downgrade_that_breaks_it_is_held_back_from_above() -> None:
    """ccc 1 does not allow bbb 1 any more, so bbb goes back to 0, which does not work."""

    @dataclass
    class Down(History):
        def outcome(self, resolution: Resolution, *, repeat: bool = True) -> Outcome:
            assert repeat in {True, False}
            return Outcome.FAIL if resolution.pins["bbb"] == "0" else Outcome.PASS

        def pins(self, at: str, constraints: tuple[str, ...] = ()) -> dict[str, int] | None:
            found = super().pins(at, constraints)
            if found is not None and found["ccc"] == 1 and found["bbb"] == 1:
                return super().pins(at, (*constraints, "bbb<1"))
            return found

    history = Down(uploads=(Upload("bbb", 1, 0), Upload("bbb", 0, 0), Upload("ccc", 0, 0), Upload("ccc", 1, 9)), breaks=())
    answer = bisect(INSTANTS, history)
    assert {each.release.name for each in answer.breaks[0].culprits} <= {"bbb", "ccc"}
