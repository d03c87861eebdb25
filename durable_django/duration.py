"""Lengths of time and points in time, as people write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from django.utils.dateparse import parse_duration as parse_iso_duration

from durable_django.exceptions import InvalidDuration, InvalidInstant, NaiveDatetime

Duration = str | int | float | timedelta
Instant = str | int | float | datetime

MAX_DURATION: Final = timedelta(days=366)
# a day inside the years 1…9999, so that no time zone of a reader moves it out of them
EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TEXT: Final = 64
_PART: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)", re.ASCII)
_MICROSECONDS: Final = {
    unit: size
    for size, units in (
        (1_000, "ms millisecond milliseconds"),
        (1_000_000, "s sec secs second seconds"),
        (60_000_000, "m min mins minute minutes"),
        (3_600_000_000, "h hr hrs hour hours"),
        (86_400_000_000, "d day days"),
        (604_800_000_000, "w week weeks"),
    )
    for unit in units.split()
}
_SHORT_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))


def parse_duration(value: Duration) -> timedelta:
    """Read a length of time.

    Args:
        value: text such as "30s", "1h 30m", "2.5h", "7 days" or ISO 8601 "P1DT2H"; a number of
            milliseconds; or a timedelta. Zero and negative lengths are returned as they are.

    Returns:
        The length, at most 366 days.

    Raises:
        InvalidDuration: it cannot be read, is not a number, or is longer than 366 days.
    """
    try:
        length = _read_duration(value)
    except OverflowError:
        raise InvalidDuration(value=_shorten(value), reason="it is out of range") from None
    if length > MAX_DURATION:
        raise InvalidDuration(value=_shorten(value), reason="it is longer than 366 days")
    return length


def parse_instant(value: Instant) -> datetime:
    """Read a point in time.

    Args:
        value: an aware datetime, ISO 8601 text with an offset or Z, or milliseconds since 1970 UTC.

    Returns:
        The instant, in UTC.

    Raises:
        NaiveDatetime: it has no time zone.
        InvalidInstant: it cannot be read, or a database cannot hold it.
    """
    try:
        instant = _read_instant(value)
    except OverflowError:
        raise InvalidInstant(value=_shorten(value), reason="it is outside the years 1 to 9999") from None
    if not EARLIEST <= instant <= LATEST:
        raise InvalidInstant(value=_shorten(value), reason="it is outside the years 1 to 9999")
    return instant


def format_duration(value: timedelta) -> str:
    """Write a length of time so that ``parse_duration`` reads it back.

    Args:
        value: the length.

    Returns:
        Text such as "1h 30m", "-5s", "1.5ms"; "0s" for none.
    """
    sign = "-" if value < timedelta(0) else ""
    milliseconds, microseconds = divmod(abs(value) // timedelta(microseconds=1), 1_000)
    parts = []
    for size, unit in _SHORT_UNITS:
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    if milliseconds or microseconds:
        fraction = f".{microseconds:03d}".rstrip("0").rstrip(".")
        parts.append(f"{milliseconds}{fraction}ms")
    return sign + (" ".join(parts) or "0s")


def _read_duration(value: Duration) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return _read_text(value)
    return timedelta(milliseconds=_check_number(value, InvalidDuration))


def _read_text(value: str) -> timedelta:
    text = value.strip() if len(value) <= _MAX_TEXT else value
    _check_text(value, InvalidDuration)
    negative = text.startswith("-")
    body = text[1:] if text[:1] in ("-", "+") else text
    length = _read_iso(value, body) if body.startswith("P") else _read_parts(value, body)
    return -length if negative else length


def _read_iso(value: str, body: str) -> timedelta:
    length = parse_iso_duration(body)
    if length is None or not any(character.isdigit() for character in body):
        raise InvalidDuration(value=value, reason="ISO 8601 durations look like 'P1DT2H30M'")
    return length


def _read_parts(value: str, body: str) -> timedelta:
    total, position = Fraction(0), 0
    seen: set[int] = set()
    while position < len(body) or not seen:
        part = _PART.match(body, position)
        if part is None:
            raise InvalidDuration(value=value, reason="each number needs a unit: ms, s, m, h, d or w")
        size = _MICROSECONDS.get(part[2])
        if size is None or size in seen:
            raise InvalidDuration(value=value, reason=f"the unit {part[2]!r} is unknown or repeated")
        seen.add(size)
        total += Fraction(part[1]) * size
        position = part.end()
    return timedelta(microseconds=round(total))


def _read_instant(value: Instant) -> datetime:
    if isinstance(value, datetime):
        return _to_utc(value, value)
    if isinstance(value, str):
        _check_text(value, InvalidInstant)
        return _to_utc(value, _read_iso_instant(value))
    return _EPOCH + timedelta(milliseconds=_check_number(value, InvalidInstant))


def _read_iso_instant(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise InvalidInstant(value=value, reason="it is not an ISO 8601 date and time") from None


def _to_utc(value: Instant, read: datetime) -> datetime:
    if read.utcoffset() is None:
        raise NaiveDatetime(value=value)
    return read.astimezone(UTC)


def _check_text(value: str, error: type[InvalidDuration | InvalidInstant]) -> None:
    if len(value) > _MAX_TEXT:
        raise error(value=_shorten(value), reason=f"it is longer than {_MAX_TEXT} characters")
    if not value.strip() or not value.isascii():
        raise error(value=value, reason="it is empty or not plain ASCII")


def _check_number(value: Any, error: type[InvalidDuration | InvalidInstant]) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise error(value=_shorten(value), reason=f"it is of type {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise error(value=value, reason="it is not a finite number")
    return value


def _shorten(value: Any) -> Any:
    """Return what an error can show: the repr of a huge int raises, that of other things may be endless."""
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
    if isinstance(value, int) and value.bit_length() > 1_000:
        return f"an integer of {value.bit_length()} bits"
    return value if isinstance(value, int | float | timedelta | datetime) else f"a {type(value).__name__}"
