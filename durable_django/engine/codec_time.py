"""datetime and time as ISO 8601 text with the zone in brackets (RFC 9557), and back."""

from __future__ import annotations

from datetime import datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def write_datetime(value: datetime) -> dict[str, Any]:
    """Return the fields of a datetime; ValueError if its zone gives no offset in whole seconds."""
    _check_offset(value)
    return _with_fold(datetime.isoformat(value) + _zone_suffix(value.tzinfo), value.fold)


def write_time(value: time) -> dict[str, Any]:
    """Return the fields of a time of day; ValueError if its zone is neither fixed nor named."""
    if not _zone_suffix(value.tzinfo):
        _check_offset(value)
    return _with_fold(time.isoformat(value) + _zone_suffix(value.tzinfo), value.fold)


def read_datetime(node: dict[str, Any]) -> datetime:
    """Return the datetime of the fields.

    Time-zone data may have changed in between, or be missing here: the instant then outranks the
    time on the clock.
    """
    text, zone = _split_zone(node["value"])
    stored = datetime.fromisoformat(text)
    if zone is None:
        return stored.replace(fold=node.get("fold", 0))
    local = stored.replace(tzinfo=zone, fold=node.get("fold", 0))
    return local if local.utcoffset() == stored.utcoffset() else stored.astimezone(zone)


def read_time(node: dict[str, Any]) -> time:
    """Return the time of day of the fields."""
    text, zone = _split_zone(node["value"])
    stored = time.fromisoformat(text)
    return stored.replace(tzinfo=zone or stored.tzinfo, fold=node.get("fold", 0))


def _check_offset(value: datetime | time) -> None:
    offset = value.utcoffset()
    if offset is None and value.tzinfo is not None:
        raise ValueError("its time zone gives no offset")
    if offset is not None and offset.microseconds:  # CPython reads +00:00:00.000001 back as UTC
        raise ValueError("its UTC offset has a fraction of a second")


def _zone_suffix(zone: tzinfo | None) -> str:
    return f"[{zone.key}]" if isinstance(zone, ZoneInfo) and zone.key else ""


def _with_fold(text: str, fold: int) -> dict[str, Any]:
    return {"value": text, "fold": 1} if fold else {"value": text}


def _split_zone(value: str) -> tuple[str, ZoneInfo | None]:
    text, _, key = value.partition("[")
    if not key:
        return text, None
    try:
        return text, ZoneInfo(key.removesuffix("]"))
    except ZoneInfoNotFoundError:  # this host lacks the zone; the offset in the text still fixes the instant
        return text, None
