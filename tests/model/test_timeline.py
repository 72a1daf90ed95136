"""The laws of a cone: what widens never narrows, and what is counted is counted once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sanctity.model.timeline import Cone, Release, Resolution, Target, changes

PINS = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(("1", "2", "3")), max_size=5)
DATES = st.lists(st.one_of(st.none(), PINS), min_size=1, max_size=12)


def a_resolution(number: int, pins: dict[str, str] | None) -> Resolution:
    at = f"2024-01-{number + 1:02}T00:00:00Z"
    if pins is None:
        return Resolution(at=at, failure="there is none")
    return Resolution(at=at, releases=tuple(Release(name=name, version=version) for name, version in sorted(pins.items())))


def a_cone(dates: list[dict[str, str] | None], locked: dict[str, str] | None = None) -> Cone:
    releases = None if locked is None else a_resolution(0, locked).releases
    return Cone(
        subject="r.in",
        target=Target(python="3.11"),
        resolutions=tuple(map(a_resolution, range(len(dates)), dates)),
        locked=releases,
    )


@given(DATES)
def test_environments_are_the_distinct_answers_and_their_dates_are_all_dates(dates: list[dict[str, str] | None]) -> None:
    cone = a_cone(dates)
    answers = [pins for pins in dates if pins is not None]
    assert len(cone.environments) == len({tuple(sorted(pins.items())) for pins in answers})
    assert sorted(at for each in cone.environments for at in each.dates) == [each.at for each in cone.resolved]
    assert [each.first for each in cone.environments] == sorted(each.first for each in cone.environments)
    assert len(cone.failed) + len(cone.resolved) == len(dates)


@given(DATES)
def test_a_cone_begins_at_a_point_and_never_narrows(dates: list[dict[str, str] | None]) -> None:
    stages = a_cone(dates).stages
    if not stages:
        return
    assert (stages[0].width, stages[0].environments, stages[0].moves) == (0, 1, 0)
    for before, after in pairwise(stages):
        assert after.environments - before.environments in {0, 1}
        assert after.moves >= before.moves
        # A new environment that is nothing but old versions put together anew moves nothing; a move is always a new environment.
        assert after.moves == before.moves or after.environments == before.environments + 1


@given(DATES)
def test_the_width_is_what_differs_from_the_first_answer(dates: list[dict[str, str] | None]) -> None:
    cone = a_cone(dates)
    answers = [pins for pins in dates if pins is not None]
    for stage, pins in zip(cone.stages, answers, strict=True):
        first = answers[0]
        assert stage.width == len({name for name in first.keys() | pins.keys() if first.get(name) != pins.get(name)})


@given(DATES)
def test_a_strand_says_where_its_package_was(dates: list[dict[str, str] | None]) -> None:
    cone = a_cone(dates)
    for strand in cone.strands:
        told = dict(strand.states)
        version = ""
        seen = set()
        for each, moves in zip(cone.resolved, strand.moves, strict=True):
            version = told.get(each.at, version)
            assert version == each.pins.get(strand.name, "")
            seen.add(version)
            assert moves == len(seen) - 1
        assert (strand.first, strand.last) == (cone.resolved[0].pins.get(strand.name, ""), version)
    assert [strand.moves[-1] for strand in cone.strands] == sorted((strand.moves[-1] for strand in cone.strands), reverse=True)


@given(PINS, PINS)
def test_changes_lead_from_one_to_the_other_and_back(one: dict[str, str], other: dict[str, str]) -> None:
    before, after = a_resolution(0, one), a_resolution(1, other)
    made = dict(one)
    for change in changes(before, after):
        assert made.get(change.name, "") == change.old != change.new
        made[change.name] = change.new
    assert {name: version for name, version in made.items() if version} == other
    assert {(each.name, each.new, each.old) for each in changes(before, after)} == {
        (each.name, each.old, each.new) for each in changes(after, before)
    }
    assert (changes(before, after) == ()) is (before.digest == after.digest)


def test_neither_the_date_nor_who_asks_makes_another_environment() -> None:
    one = Resolution(
        at="2024-01-01T00:00:00Z", releases=(Release(name="a", version="1", uploaded="2023-01-01T00:00:00Z", via=("b",)),)
    )
    other = Resolution(at="2024-02-01T00:00:00Z", releases=(Release(name="a", version="1"),))
    assert one.digest == other.digest


def test_the_lock_is_compared_with_the_last_answer() -> None:
    cone = a_cone([{"a": "1"}, {"a": "2", "b": "1"}, None], locked={"a": "1", "c": "1"})
    apart = cone.from_lock
    assert apart is not None
    assert [(each.name, each.old, each.new) for each in apart] == [("a", "1", "2"), ("b", "", "1"), ("c", "1", "")]
    assert {strand.name: strand.locked for strand in cone.strands} == {"a": "1", "b": None}
    assert a_cone([{"a": "1"}]).from_lock is None
    assert a_cone([None], locked={"a": "1"}).from_lock is None
