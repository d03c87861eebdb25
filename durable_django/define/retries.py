"""Checks of options at the place where they are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..duration import parse_duration
from ..exceptions import InvalidDefinition, InvalidDuration

MAX_RETRIES = 20


def check_retries(retries: Any, where: str) -> None:
    """Refuse a number of retries that is not a whole number from 0 to 20.

    Raises:
        InvalidDefinition: It is not.
    """
    if retries is None:
        return
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MAX_RETRIES:
        raise InvalidDefinition(where=where, reason=f"retries={retries!r} is not a whole number from 0 to 20")


def check_backoff(backoff: Any, where: str) -> None:
    """Refuse a backoff that is neither a duration, a sequence of durations, nor a function.

    Raises:
        InvalidDefinition: It is not.
    """
    if backoff is None or callable(backoff):
        return
    many = isinstance(backoff, Sequence) and not isinstance(backoff, str)
    try:
        for each in backoff if many else [backoff]:
            parse_duration(each)
    except InvalidDuration as error:
        raise InvalidDefinition(where=where, reason=f"backoff: {error.message}") from error


def check_timeout(timeout: Any, where: str) -> None:
    """Refuse a timeout that is not a duration above zero.

    Raises:
        InvalidDefinition: It is not.
    """
    if timeout is None:
        return
    try:
        length = parse_duration(timeout)
    except InvalidDuration as error:
        raise InvalidDefinition(where=where, reason=f"timeout: {error.message}") from error
    if length.total_seconds() <= 0:
        raise InvalidDefinition(where=where, reason=f"timeout={timeout!r} leaves no time")


def check_durability(durability: Any, where: str) -> None:
    """Refuse a durability that is neither "full" nor "relaxed".

    Raises:
        InvalidDefinition: It is not.
    """
    if durability not in ("full", "relaxed"):
        raise InvalidDefinition(where=where, reason=f"durability={durability!r} is neither full nor relaxed")
