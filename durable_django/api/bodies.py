"""Fields of JSON bodies: read, or refused with their name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..duration import parse_instant
from ..exceptions import RequestInvalid


def refuse_unknown(given: dict[str, Any], *known: str) -> None:
    """Refuse a field that would be ignored, since it may be a misspelt one.

    Raises:
        RequestInvalid: There is one.
    """
    if unknown := sorted(set(given) - set(known)):
        raise RequestInvalid(
            reason=f"{unknown[0][:40]!a} is no field of this request; use {', '.join(known)}"
        )


def take_text(given: dict[str, Any], name: str, *, limit: int = 255, needed: bool = False) -> str:
    """Return a text of at most ``limit`` characters, empty if it is missing.

    Raises:
        RequestInvalid: It is no text, too long, or needed and missing.
    """
    value = given.get(name) or ""
    if not isinstance(value, str) or len(value) > limit or "\x00" in value:
        raise RequestInvalid(reason=f"{name} is not text of at most {limit} characters")
    if needed and not value:
        raise RequestInvalid(reason=f"{name} is missing")
    return value


def take_reason(given: dict[str, Any]) -> str:
    """Return the reason for the operator log, cut to what the log keeps.

    Raises:
        RequestInvalid: It is no text.
    """
    return take_text(given, "reason", limit=10_000)[:255]


def take_flag(given: dict[str, Any], name: str) -> bool:
    """Return true or false, false if it is missing.

    Raises:
        RequestInvalid: It is neither.
    """
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestInvalid(reason=f"{name} is neither true nor false")
    return bool(value)


def take_count(given: dict[str, Any], name: str) -> int | None:
    """Return a whole number, None if it is missing.

    Raises:
        RequestInvalid: It is none.
    """
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise RequestInvalid(reason=f"{name} is no whole number")
    return value


def take_time(given: dict[str, Any], name: str, *, needed: bool = False) -> datetime | None:
    """Return an instant, None if it is missing.

    Raises:
        RequestInvalid: It is needed and missing, or neither ISO 8601 text nor milliseconds.
        InvalidInstant, NaiveDatetime: It names no instant.
    """
    value = given.get(name)
    if value is None:
        if needed:
            raise RequestInvalid(reason=f"{name} is missing")
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise RequestInvalid(reason=f"{name} is neither an ISO 8601 text nor milliseconds")
    return parse_instant(value)
