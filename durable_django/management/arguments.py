"""What options accept; each function raises ArgumentTypeError, which argparse makes a usage error."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

from ..duration import parse_duration, parse_instant
from ..exceptions import DurableError

UNITS = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}


def read_rate(text: str) -> float:
    """Return how many a second a text such as "100/s" or "600/min" means."""
    count, _, unit = text.partition("/")
    try:
        return float(count) / UNITS[unit or "s"]
    except (ValueError, KeyError) as error:
        raise ArgumentTypeError(f"{text} is not a rate such as 100/s, 600/min or 5000/h") from error


def read_seconds(text: str) -> float:
    """Return a length of time in seconds, from a plain number of them or a text such as "5m"."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parse_duration(text).total_seconds()
        except DurableError as error:
            raise ArgumentTypeError(error.message) from error
    if not 0 <= seconds < 366 * 86_400:
        raise ArgumentTypeError(f"{text} is not between 0 and 366 days")
    return seconds


def read_since(text: str) -> timedelta | datetime:
    """Return an age such as "2h", or an instant in ISO 8601; a date is its midnight in UTC."""
    try:
        return parse_duration(text)
    except DurableError:
        try:
            return parse_instant(f"{text}T00:00:00Z" if len(text) == 10 else text)
        except DurableError as error:
            raise ArgumentTypeError(
                f"{text!r} is neither an age such as 2h nor an ISO 8601 instant"
            ) from error


def read_count(text: str) -> int:
    """Return a whole number of 1 or more."""
    try:
        count = int(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a whole number") from error
    if count < 1:
        raise ArgumentTypeError(f"{text} is less than 1")
    return count


def begin_of(since: timedelta | datetime, now: datetime) -> datetime:
    """Return the instant that ``read_since`` stands for."""
    moment = now - since if isinstance(since, timedelta) else since
    return moment.astimezone(UTC)
