"""What a date on the command line means, and the row of instants between two of them.

A date means the end of that day in UTC: ``2024-03-01`` is the instant ``2024-03-02T00:00:00Z``, before which everything counts that
was released on that day. ``today``, and today's date, is now, at the last whole hour, so that who asks again within the hour asks
the same. A full timestamp (RFC 3339) is taken as it is. What lies in the future is refused: nobody knows what will be released.

Months step by the calendar and from the first date, never from the one before: from 31 January the row is 31 January, 28 February,
31 March.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sanctity.errors import UsageError

__all__ = ["MOST", "instant_of", "row"]

#: More dates than these are refused.
MOST: Final = 5000

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAYS: Final = re.compile(r"([1-9]\d{0,4})d", re.ASCII)
#: Steps in days, and in months.
_BY_DAYS: Final = {"day": 1, "week": 7}
_BY_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_HINT_DATE: Final = "a date such as 2024-03-01, a timestamp such as 2024-03-01T12:00:00Z, or today"
_HINT_STEP: Final = "day, week, month, quarter, year, or a number of days such as 10d"


def instant_of(text: str, *, now: datetime, where: str = "") -> str:
    """The instant that *text* means, in RFC 3339 and UTC, where it is *now*; *where* is the option it is the value of.

    Raises:
        UsageError: it is no date, or lies in the future.
    """
    return _stamp(_instant(_parsed(text, now=now, where=where), now=now))


def row(first: str, last: str, every: str, *, now: datetime) -> tuple[str, ...]:
    """The instants from *first* to *last* in steps of *every*, both ends included, strictly ascending.

    *every* is ``day``, ``week``, ``month``, ``quarter``, ``year``, or a number of days such as ``10d``.

    Raises:
        UsageError: a date or step can not be read, *last* is before *first*, or there are more than `MOST` steps.
    """
    start, end = _parsed(first, now=now, where="--from"), _parsed(last, now=now, where="--to")
    days, months = _step(every)
    until = _instant(end, now=now)
    if _instant(start, now=now) > until:
        raise UsageError("usage", f"{first} is after {last}", where="--from", hint="name the earlier date first")
    found: list[datetime] = []
    for count in range(MOST + 1):
        here = _instant(_moved(start, days * count, months * count), now=now)
        if here >= until:
            break
        found.append(here)
    if len(found) > MOST - 1:
        raise UsageError("usage", f"these are more than {MOST:,} dates", where=f"--every {every}", hint="take a longer step")
    return tuple(_stamp(each) for each in (*found, until))


def _parsed(text: str, *, now: datetime, where: str) -> date | datetime:
    """*text* as a day, or as an instant in UTC."""
    if text == "today":
        return now.astimezone(UTC).date()
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            if day > now.astimezone(UTC).date():
                raise UsageError("usage", f"{text} lies in the future", where=where, hint="the latest is: today")
            return day
        if "T" in text or "t" in text:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is None:
                raise UsageError("usage", f"{text} has no time zone", where=where, hint=f"write {text}Z for UTC")
            instant = instant.astimezone(UTC).replace(microsecond=0)
            if instant > now:
                raise UsageError("usage", f"{text} lies in the future", where=where, hint="the latest is: today")
            return instant
    except (ValueError, OverflowError) as error:
        raise UsageError("usage", f"{text[:40]!r} is no date: {error}", where=where, hint=_HINT_DATE) from error
    raise UsageError("usage", f"{text[:40]!r} is no date", where=where, hint=_HINT_DATE)


def _step(every: str) -> tuple[int, int]:
    """*every* as days and months, one of them 0."""
    if match := _DAYS.fullmatch(every):
        return int(match[1]), 0
    if every in _BY_DAYS:
        return _BY_DAYS[every], 0
    if every in _BY_MONTHS:
        return 0, _BY_MONTHS[every]
    raise UsageError("usage", f"{every[:40]!r} is no step", where="--every", hint=_HINT_STEP)


def _moved(start: date | datetime, days: int, months: int) -> date | datetime:
    """*start* so many days and calendar months on; a day that the month has not is its last. What is too far is the last of all."""
    try:
        if months:
            year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
            start = start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
        return start + timedelta(days=days)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC) if isinstance(start, datetime) else date.max


def _instant(moment: date | datetime, *, now: datetime) -> datetime:
    """The instant of *moment*: the end of a day, and of the day that is not over the last whole hour."""
    if isinstance(moment, datetime):
        return moment
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if moment >= hour.date():
        return hour if moment == hour.date() else datetime.max.replace(tzinfo=UTC)
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(days=1)


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
