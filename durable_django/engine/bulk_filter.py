"""What a bulk operation chooses its rows by: names and values that can be stored, checked and put into words.

Note [A filter that is not understood chooses nothing]
    An unknown name, a value of the wrong kind and a filter without any name are refused, never left out:
    each name that is dropped makes the operation larger than its operator meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..duration import parse_instant
from ..exceptions import BulkInvalid, DurableError
from .words import WORDS, select_state

SKEW: Final = timedelta(hours=1)
"""Ids begin with the time of the host that made them, which may be wrong by so much."""


@dataclass(frozen=True, slots=True)
class Field:
    """A name in a filter: how people are told it, which values it takes, and what it selects."""

    label: Any
    read: Callable[[Any], Any]
    select: Callable[[Any], Q]


def read_filter(fields: Mapping[str, Field], given: Any) -> dict[str, Any]:
    """Return the filter in the shape in which it is stored.

    Raises:
        BulkInvalid: A name is unknown, a value cannot be used, or nothing is given.
    """
    if not isinstance(given, Mapping):
        raise BulkInvalid(reason="the filter is no object of names and values")
    if unknown := sorted(set(map(str, given)) - set(fields)):
        raise BulkInvalid(reason=f"{unknown[0][:40]!r} is no filter; there are {', '.join(fields)}")
    read = {name: _read(name, fields[name], value) for name, value in given.items()}
    if not read:
        raise BulkInvalid(reason="the filter is empty; use 'since' with a long past instant to mean all")
    return read


def _read(name: str, field: Field, value: Any) -> Any:
    try:
        return field.read(value)
    except (DurableError, ValueError, TypeError, AttributeError) as error:
        raise BulkInvalid(reason=f"the filter {name!r} cannot be {str(value)[:60]!r} ({error})") from error


def select(fields: Mapping[str, Field], stored: Mapping[str, Any]) -> Q:
    """Return the condition that a stored filter stands for."""
    condition = Q()
    for name, value in stored.items():
        condition &= fields[name].select(value)
    return condition


def say_filter(fields: Mapping[str, Field], stored: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Return a stored filter as labels and texts."""
    return [(fields[name].label, _say(name, value)) for name, value in stored.items() if name in fields]


def _say(name: str, value: Any) -> str:
    if name == "status":
        return ", ".join(str(WORDS[code].label) for code in value)
    return "✓" if value is True else str(value)


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 255 or "\x00" in value:
        raise ValueError("use a text of 1 to 255 characters")
    return value


def _read_states(value: Any) -> list[str]:
    codes = [value] if isinstance(value, str) else list(value)
    if not codes or (unknown := sorted(map(str, set(codes) - set(WORDS)))):
        raise ValueError(f"use {', '.join(WORDS)}" + (f", not {unknown[0][:40]!r}" if codes else ""))
    return codes


def _read_id(value: Any) -> str:
    return str(UUID(str(value)))


def _read_ids(value: Any) -> list[str]:
    if isinstance(value, str) or not value or len(value) > 1_000:
        raise ValueError("use a list of 1 to 1,000 ids")
    return [_read_id(each) for each in value]


def _read_instant(value: Any) -> str:
    moment = value if isinstance(value, datetime) else parse_instant(_read_text(value))
    return moment.astimezone(UTC).isoformat()


def _read_flag(value: Any) -> bool:
    if value is not True:
        raise ValueError("use true, or leave it out")
    return value


def _select_states(codes: list[str]) -> Q:
    condition = Q()
    for code in codes:
        condition |= select_state(code)
    return condition


def _select_since(text: str) -> Q:
    moment = datetime.fromisoformat(text)
    return Q(pk__gte=first_id(moment - SKEW), created_at__gte=moment)


def first_id(moment: datetime) -> UUID:
    """Return the lowest id that may be made from the instant on."""
    return UUID(int=max(int(moment.timestamp() * 1_000), 0) << 80)


def _equals(column: str) -> Callable[[Any], Q]:
    return lambda value: Q(**{column: value})


RUN_FIELDS: Final[dict[str, Field]] = {
    "status": Field(_("state"), _read_states, _select_states),
    "workflow": Field(_("workflow"), _read_text, _equals("workflow")),
    "key": Field(_("key"), _read_text, lambda value: Q(key=value, key__gt="")),
    "event_id": Field(_("event"), _read_id, _equals("event_id")),
    "queue": Field(_("queue"), _read_text, _equals("queue")),
    "origin": Field(_("started by"), _read_text, _equals("origin")),
    "version": Field(_("code version"), _read_text, _equals("version")),
    "parent_id": Field(_("invoked by run"), _read_id, _equals("parent_id")),
    "top_level": Field(_("not invoked by a run"), _read_flag, lambda value: Q(parent_id__isnull=True)),
    "ids": Field(_("runs"), _read_ids, _equals("pk__in")),
    "since": Field(_("created since"), _read_instant, _select_since),
    "until": Field(
        _("created before"), _read_instant, lambda text: Q(created_at__lt=datetime.fromisoformat(text))
    ),
}
WAIT_FIELDS: Final[dict[str, Field]] = {
    "workflow": Field(_("workflow"), _read_text, _equals("run__workflow")),
    "event": Field(_("event name"), _read_text, _equals("event_name")),
    "signal": Field(_("signal"), _read_text, _equals("signal")),
    "step": Field(_("step"), _read_text, _equals("name")),
    "ends_before": Field(
        _("ends before"), _read_instant, lambda text: Q(expires_at__lt=datetime.fromisoformat(text))
    ),
    "since": Field(
        _("created since"), _read_instant, lambda text: Q(created_at__gte=datetime.fromisoformat(text))
    ),
    "until": Field(
        _("created before"), _read_instant, lambda text: Q(created_at__lt=datetime.fromisoformat(text))
    ),
}
