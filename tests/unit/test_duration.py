"""Lengths of time and points in time, as people write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django.duration import MAX_DURATION, format_duration, parse_duration, parse_instant
from durable_django.exceptions import DurableError, InvalidDuration, InvalidInstant, NaiveDatetime


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("1 hour 30 minutes", 5_400),
        ("24h", 86_400),
        ("7d", 604_800),
        ("7 days", 604_800),
        ("1 day", 86_400),
        ("2w", 1_209_600),
        ("2.5h", 9_000),
        ("500ms", 0.5),
        (" 30s ", 30),
        ("0s", 0),
        ("-5m", -300),
        ("P1DT2H", 93_600),
        ("PT0.5S", 0.5),
        ("-PT5M", -300),
        (1_500, 1.5),
        (0.5, 0.0005),
        (0, 0),
        (-1, -0.001),
        (timedelta(hours=1), 3_600),
        ("366d", 366 * 86_400),
        (timedelta(days=-4_000), -4_000 * 86_400),
    ],
)
def test_durations_are_read(value: Any, seconds: float) -> None:
    """Each documented form gives its length."""
    assert parse_duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "90",
        "1.5",
        "s",
        "h30m",
        "1x",
        "5M",
        "1h1h",
        "1h 30",
        "30 s m",
        "1,5h",
        "1..5h",
        "--5m",
        "- ",
        "-",
        "P",
        "PT",
        "P1Y",
        "Pfoo",
        "٣s",
        "1h\x00",
        "367d",
        "P367D",
        "P99999999999999999D",
        "9" * 60 + "w",
        "1" * 10_000_000 + "s",
        float("nan"),
        float("inf"),
        float("-inf"),
        1e308,
        10**13,
        10**5_000,
        -(10**5_000),
        10**12 * 1_000,
        True,
        None,
        [],
        b"30s",
        timedelta(days=366, microseconds=1),
        timedelta.max,
    ],
    ids=lambda value: type(value).__name__,
)
def test_unusable_durations_are_refused(value: Any) -> None:
    """Anything else is a coded error whose text can be built and is short."""
    with pytest.raises(InvalidDuration) as caught:
        parse_duration(value)
    assert len(str(caught.value)) < 400
    assert caught.value.details["reason"]


def test_parsing_is_quick_for_hostile_text() -> None:
    """A thousand hostile texts of full length take no noticeable time."""
    started = time.thread_time()
    for text in ("1" * 64, "1 " * 32, "1." * 32, " " * 63 + "x", "1h" * 32):
        for _ in range(200):
            with pytest.raises(InvalidDuration):
                parse_duration(text)
    assert time.thread_time() - started < 2


@given(st.timedeltas(min_value=-MAX_DURATION, max_value=MAX_DURATION))
def test_formatted_durations_read_back(value: timedelta) -> None:
    """Formatting loses nothing."""
    assert parse_duration(format_duration(value)) == value


@given(
    st.text(max_size=70)
    | st.from_regex(r"-?(?:[0-9]{1,3}(?:\.[0-9])? ?(?:ms|s|m|h|d|w) ?){1,4}", fullmatch=True)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but the coded error, and no result is longer than 366 days."""
    try:
        length = parse_duration(text)
    except InvalidDuration:
        return
    assert length <= MAX_DURATION


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(hours=1, minutes=30), "1h 30m"),
        (timedelta(0), "0s"),
        (timedelta(days=14), "14d"),
        (timedelta(microseconds=1_500), "1.5ms"),
        (timedelta(seconds=-5), "-5s"),
    ],
)
def test_durations_are_written(value: timedelta, text: str) -> None:
    """Lengths are written with short units."""
    assert format_duration(value) == text


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5))),
        "2026-01-01T12:00:00Z",
        "2026-01-01T13:00:00+01:00",
        " 2026-01-01 12:00Z ",
        1_767_268_800_000,
        1_767_268_800_000.0,
    ],
)
def test_instants_are_read_in_utc(value: Any) -> None:
    """Aware datetimes, ISO text with offset and epoch milliseconds give the instant in UTC."""
    instant = parse_instant(value)
    assert instant == NOON
    assert instant.tzinfo is UTC


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), "2026-01-01T12:00:00", "2026-01-01", "20260101"])
def test_naive_times_are_refused(value: Any) -> None:
    """A time without zone names no instant."""
    with pytest.raises(NaiveDatetime):
        parse_instant(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "tomorrow",
        "90",
        "2026-13-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
        10**15,
        10**5_000,
        float("nan"),
        float("inf"),
        False,
        None,
        timedelta(1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_unusable_instants_are_refused(value: Any) -> None:
    """What cannot be read, or what a database cannot return, is a coded error."""
    with pytest.raises(InvalidInstant) as caught:
        parse_instant(value)
    assert len(str(caught.value)) < 400


@given(
    st.text(max_size=70) | st.integers() | st.floats() | st.datetimes(timezones=st.timezones() | st.none())
)
def test_any_instant_is_read_or_refused(value: Any) -> None:
    """Nothing raises anything but a coded error; results fit into years 1 to 9999 in every zone."""
    try:
        instant = parse_instant(value)
    except DurableError:
        return
    for hours in (-14, 14):
        assert instant.astimezone(timezone(timedelta(hours=hours))) == instant
