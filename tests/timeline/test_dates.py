"""Dates and steps: what a date means, and the laws of a row of them."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.errors import UsageError
from sanctity.model.timeline import day_of
from sanctity.timeline.dates import MOST, instant_of, row

NOW = datetime(2026, 11, 26, 8, 34, 56, tzinfo=UTC)
DAYS = st.dates(date(2015, 1, 1), date(2026, 11, 26))
STEPS = st.sampled_from(("day", "week", "month", "quarter", "year", "10d", "45d"))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-03-01", "2024-03-02T00:00:00Z"),
        ("2024-02-28", "2024-02-29T00:00:00Z"),
        ("2023-12-31", "2024-01-01T00:00:00Z"),
        ("today", "2026-11-26T08:00:00Z"),
        ("2026-11-26", "2026-11-26T08:00:00Z"),
        ("2026-11-25", "2026-11-26T00:00:00Z"),
        ("2024-03-01T12:30:00Z", "2024-03-01T12:30:00Z"),
        ("2024-03-01T12:30:00+02:00", "2024-03-01T10:30:00Z"),
        ("2024-03-01T12:30:00.75Z", "2024-03-01T12:30:00Z"),
    ],
)
def test_a_date_is_the_end_of_its_day_and_a_timestamp_is_itself(text: str, instant: str) -> None:
    assert instant_of(text, now=NOW) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024-3-1",
        "2024-02-30",
        "2024-13-01",
        "2024-03-01T12:00:00",
        "2024-03-01T25:00:00Z",
        "2026-11-27",
        "\u0662024-03-01",
    ],
)
def test_what_is_no_date_or_lies_in_the_future_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        instant_of(text, now=NOW, where="--good")
    assert caught.value.where == "--good"
    assert caught.value.hint


def test_a_timestamp_in_the_future_is_refused() -> None:
    with pytest.raises(UsageError, match="future"):
        instant_of("2026-11-26T08:34:57Z", now=NOW)


def test_months_step_from_the_first_date_and_end_with_the_month() -> None:
    found = row("2024-01-31", "2024-06-30", "month", now=NOW)
    assert [day_of(each) for each in found] == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30"]


@given(DAYS, DAYS, STEPS)
def test_a_row_begins_and_ends_where_it_is_told_and_always_ascends(one: date, other: date, every: str) -> None:
    first, last = sorted((one, other))
    found = row(first.isoformat(), last.isoformat(), every, now=NOW)
    assert found[0] == instant_of(first.isoformat(), now=NOW)
    assert found[-1] == instant_of(last.isoformat(), now=NOW)
    assert list(found) == sorted(set(found))


@given(DAYS, DAYS)
def test_months_keep_their_day_as_far_as_the_month_has_it(one: date, other: date) -> None:
    first, last = sorted((one, other))
    found = row(first.isoformat(), last.isoformat(), "month", now=NOW)
    days = [date.fromisoformat(day_of(each)[:10]) for each in found[:-1]]
    for number, day in enumerate(days):
        assert (day.year * 12 + day.month) - (first.year * 12 + first.month) == number
        assert day.day == min(first.day, monthrange(day.year, day.month)[1])


@given(DAYS, st.integers(1, 400), st.integers(1, 30))
def test_days_are_equally_far_apart(first: date, step: int, count: int) -> None:
    last = min(first + timedelta(days=step * count), date(2026, 11, 25))
    if last < first:
        return
    found = [datetime.fromisoformat(each) for each in row(first.isoformat(), last.isoformat(), f"{step}d", now=NOW)]
    gaps = [(after - before).days for before, after in pairwise(found)]
    assert all(gap == step for gap in gaps[:-1])
    assert all(0 < gap <= step for gap in gaps)


def test_one_date_is_a_row() -> None:
    assert row("2024-03-01", "2024-03-01", "month", now=NOW) == ("2024-03-02T00:00:00Z",)


def test_timestamps_step_from_their_own_hour() -> None:
    found = row("2024-01-30T06:00:00Z", "2024-03-01", "month", now=NOW)
    assert found == ("2024-01-30T06:00:00Z", "2024-02-29T06:00:00Z", "2024-03-02T00:00:00Z")


@pytest.mark.parametrize("every", ["", "monthly", "0d", "-1d", "1.5d", "d", "1h", "99999999d", "\u0661d"])
def test_what_is_no_step_is_refused(every: str) -> None:
    with pytest.raises(UsageError) as caught:
        row("2024-01-01", "2024-03-01", every, now=NOW)
    assert caught.value.where == "--every"


def test_dates_the_wrong_way_round_and_too_many_of_them_are_refused() -> None:
    with pytest.raises(UsageError, match="after"):
        row("2024-03-01", "2024-01-01", "month", now=NOW)
    with pytest.raises(UsageError, match="more than"):
        row("2000-01-01", "2026-01-01", "day", now=NOW)
    assert len(row("2026-01-01", "today", "day", now=NOW)) < MOST


def test_the_last_of_all_dates_is_no_trap() -> None:
    assert row("9998-12-31", "9999-12-31", "year", now=datetime(9999, 12, 31, 12, tzinfo=UTC))[-1] == "9999-12-31T12:00:00Z"


def test_a_day_is_written_as_people_write_it() -> None:
    assert day_of("2024-03-01T00:00:00Z") == "2024-02-29"
    assert day_of("2024-03-01T08:00:00Z") == "2024-03-01 08:00 UTC"
