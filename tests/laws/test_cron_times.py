"""Cron expressions: which are refused, and which times the others name, in every zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django import Cron
from durable_django.engine.catch_up import catch_up
from durable_django.exceptions import InvalidDefinition
from tests.laws.test_cron import at

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        ("", "it has 0 fields instead of 5"),
        ("* * * *", "it has 4 fields instead of 5"),
        ("0 * * * * *", "it has 6 fields instead of 5"),
        ("61 * * * *", "Bad minute"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 * * MUN", "Bad day-of-week"),
        ("@often", "known aliases are @yearly"),
        ("TZ=Mars/Phobos 0 0 * * *", "the time zone 'Mars/Phobos' is unknown"),
        ("TZ=../../etc/passwd 0 0 * * *", "is unknown"),
        ("0 " * 200, "it is not text of at most 255 characters"),
        (5, "it is not text"),
    ],
)
def test_a_bad_expression_is_refused_where_it_is_written(cron: Any, reason: str) -> None:
    """What names no time, or is read differently elsewhere, never becomes a schedule."""
    with pytest.raises(InvalidDefinition, match="definition_invalid") as caught:
        Cron(cron)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "options",
    [{"tz": "Nowhere"}, {"catchup": "some"}, {"jitter": "2 days"}, {"jitter": "-1s"}, {"jitter": "x"}],
)
def test_a_bad_option_is_refused_where_it_is_written(options: dict[str, Any]) -> None:
    """Zone, catch-up and jitter are checked with the definition."""
    with pytest.raises(InvalidDefinition):
        Cron("@daily", **options)


def test_two_zones_are_refused() -> None:
    """A prefix and the argument may not contradict each other."""
    with pytest.raises(InvalidDefinition, match="two zones"):
        Cron("TZ=Europe/Paris @daily", tz="Europe/Rome")
    assert Cron("TZ=Europe/Paris @daily", tz="Europe/Paris").tz == "Europe/Paris"


@pytest.mark.parametrize(
    ("alias", "plain"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0  0 * * * "),
        ("@hourly", "0 * * * *"),
        ("TZ=Europe/Paris 0 9 * * mon", "0 9 * * MON"),
        ("CRON_TZ=Europe/Paris @daily", "0 0 * * *"),
    ],
)
def test_an_alias_is_the_expression_that_it_stands_for(alias: str, plain: str) -> None:
    """Aliases, prefixes, case and spaces are ways of writing the same schedule."""
    zone = "Europe/Paris" if "TZ=" in alias else "UTC"
    assert Cron(alias).identity == Cron(plain, tz=zone).identity


def test_day_of_month_and_weekday_are_ored() -> None:
    """As in cron, two restricted day fields mean either; one that begins with a star means both."""
    cron, days = Cron("0 0 13 * 5"), []
    moment = at("2026-02-01")
    while moment < at("2026-03-01"):
        moment = cron.find_next(moment)
        days.append(moment.day)
    assert days == [6, 13, 20, 27, 6]
    assert Cron("0 0 13 * *").find_next(at("2026-02-01")) == at("2026-02-13")


def test_a_leap_day_comes_every_four_years() -> None:
    """29 February is found however far away it is."""
    assert Cron("0 0 29 2 *").find_next(at("2096-03-01")) == at("2104-02-29")


def read_field(text: str, low: int, high: int, names: list[str] | None = None) -> set[int]:
    """The naive reading of a field: comma, range, step."""
    found: set[int] = set()
    for part in text.split(","):
        body, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if body == "*" else body).partition("-")
        begin, end = (
            names.index(each) if names and each in names else int(each or -1) for each in (first, last)
        )
        found |= set(range(begin, (end if last else begin) + 1, int(step or 1)))
    return found


def list_by_oracle(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """Try every minute: of the wall clock if minute and hour are fixed, else of the world."""
    zone = ZoneInfo(cron.tz)
    minute, hour, day, month, weekday = cron.expression.split()
    minutes, hours = read_field(minute, 0, 59), read_field(hour, 0, 23)
    days, months = read_field(day, 1, 31), read_field(month, 1, 12)
    weekdays = {each % 7 for each in read_field(weekday, 0, 6, DAYS)}
    either = not day.startswith("*") and not weekday.startswith("*")

    def fits(wall: datetime) -> bool:
        by_day, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        on_day = by_day or by_weekday if either else by_day and by_weekday
        return wall.minute in minutes and wall.hour in hours and wall.month in months and on_day

    if minute.startswith("*") or hour.startswith("*"):
        first = start.replace(second=0)
        world = (first + n * MINUTE for n in range(1, (end - first) // MINUTE + 1))
        return [each for each in world if fits(each.astimezone(zone))]
    found = set()
    for wall in list_walls(start.astimezone(zone).date() - DAY, end.astimezone(zone).date() + DAY):
        if fits(wall):
            while (there := wall.replace(tzinfo=zone)).astimezone(UTC).astimezone(zone) != there:
                wall += MINUTE  # the clock skips it: at the end of the gap
            found.add(there.astimezone(UTC))  # fold=0: the first of two
    return sorted(each for each in found if start < each <= end)


def list_walls(first: date, last: date) -> Iterator[datetime]:
    wall = datetime.combine(first, time())
    while wall.date() <= last:
        yield wall
        wall += MINUTE


CHANGES = [
    ("Europe/Paris", "2026-03-29"),
    ("Europe/Paris", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Asia/Kolkata", "2026-02-28"),
    ("Pacific/Apia", "2011-12-30"),
]


MINUTES = st.sampled_from(["*", "*/15", "0", "30", "5,35", "0-10/5", "59"])


HOURS = st.sampled_from(["*", "*/2", "2", "1-3", "0,2,23", "3", "1"])


MONTH_DAYS = st.sampled_from(["*", "28-31", "1", "*/2", "29"])


WEEKDAYS = st.sampled_from(["*", "0", "1-5", "SUN", "FRI,SAT"])


@given(
    change=st.sampled_from(CHANGES),
    fields=st.tuples(MINUTES, HOURS, MONTH_DAYS, st.just("*"), WEEKDAYS),
    offset=st.integers(0, 48 * 3600),
)
def test_the_times_are_those_of_a_naive_oracle(
    change: tuple[str, str], fields: tuple[str, ...], offset: int
) -> None:
    """Around clock changes, skipped times run once at the end of the gap and repeated times once."""
    zone, day = change
    cron = Cron(" ".join(fields), tz=zone)
    start = at(day) - DAY + timedelta(seconds=offset)
    end = start + 2 * DAY
    expected = list_by_oracle(cron, start, end)
    found, moment = [], start
    while (moment := cron.find_next(moment)) <= end:
        found.append(moment)
    assert found == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("2026-03-28", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("2026-10-24", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
    ],
)
def test_half_past_two_in_paris(zone: str, expected: list[str]) -> None:
    """02:30 runs at 03:00 of the night that skips it, and the first time of the night that has two."""
    cron, moment, found = Cron("30 2 * * *", tz="Europe/Paris"), at(zone), []
    for _ in expected:
        moment = cron.find_next(moment)
        found.append(f"{moment:%m-%d %H:%M}")
    assert found == expected


@given(
    cron=st.sampled_from(["* * * * *", "*/7 3 * * *", "0 0 1 * *", "0 12 29 2 *"]),
    minutes=st.integers(0, 60 * 24 * 40),
)
def test_the_last_missed_time_is_found_without_walking_through_all(cron: str, minutes: int) -> None:
    """However long the outage, ``last`` is the latest time that is not in the future."""
    trigger = Cron(cron)
    due_at = trigger.find_next(at("2024-02-01"))
    now = due_at + minutes * MINUTE
    due = catch_up(trigger.find_next, due_at, now, "last", 500)
    assert len(due.times) == 1
    assert due_at <= due.times[0] <= now < due.next_at
    assert trigger.find_next(due.times[0]) == due.next_at == trigger.find_next(now)


def test_a_year_of_minutes_is_caught_up_at_once() -> None:
    """A schedule of every minute costs no walk through half a million times."""
    calls: list[datetime] = []
    trigger = Cron("* * * * *")

    def find_next(after: datetime) -> datetime:
        calls.append(after)
        return trigger.find_next(after)

    due = catch_up(find_next, at("2025-01-01"), at("2026-01-01"), "last", 500)
    assert due.times == [at("2026-01-01")]
    assert len(calls) < 100
