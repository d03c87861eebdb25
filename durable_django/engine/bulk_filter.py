"""What a bulk operation chooses its rows by: names and values that can be stored, checked and put into words.

Note [A filter that is not understood chooses nothing]
    An unknown name, a value of the wrong kind and a filter without any name are refused, never left out:
    each name that is dropped makes the operation larger than its operator meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from ..duration import parse_instant
from ..exceptions import BulkInvalid, DurableError
from ..models import Attempt, Run, RunResult, RunStatus, Wait, WaitStatus
from .words import WORDS, say_instant, select_state

SKEW: Final = timedelta(hours=1)
"""Ids begin with the time of the host that made them, which may be wrong by so much."""
TIMES: Final = ("since", "until", "ends_before")


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
    if isinstance(value, list):
        return ", ".join(value[:10]) + (f" … ({len(value)})" if len(value) > 10 else "")
    if name in TIMES:
        return say_instant(datetime.fromisoformat(value))
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


def _read_words(value: Any) -> list[str]:
    words = value.split(",") if isinstance(value, str) else list(value)
    return [_read_text(word.strip()) for word in words]


def _read_count(value: Any) -> int:
    if isinstance(value, bool) or not 0 < int(value) < 1_000_000:
        raise ValueError("use a whole number above 0")
    return int(value)


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


def _select_error(name: str) -> Q:
    beginning = f'{{"name": {json.dumps(name)},'
    results = RunResult.objects.filter(run_id=OuterRef("pk"), error__startswith=beginning)
    return Q(Exists(results), status=RunStatus.FAILED)


def _select_attempts(least: int) -> Q:
    return Q(Exists(Attempt.objects.filter(run_id=OuterRef("pk"), number__gte=least - 1)))


def _select_waits(name: str) -> Q:
    waits = Wait.objects.filter(status=WaitStatus.OPEN, event_name=name).exclude(kind="cancel")
    return Q(pk__in=waits.values("run_id"), wake_at__isnull=False)


def _select_children(_: bool) -> Q:
    return Q(Exists(Run.objects.filter(parent_id=OuterRef("pk"))))


def _select_found(text: str) -> Q:
    return Q(pk=text) | Q(event_id=text) | Q(key=text, key__gt="")


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
    "origin": Field(_("started by"), _read_words, _equals("origin__in")),
    "version": Field(_("code version"), _read_text, _equals("version")),
    "parent_id": Field(_("invoked by run"), _read_id, _equals("parent_id")),
    "error": Field(_("error class"), _read_text, _select_error),
    "attempts": Field(_("failed attempts of a step, at least"), _read_count, _select_attempts),
    "waits_for": Field(_("waits for the event"), _read_text, _select_waits),
    "children": Field(_("invoked other runs"), _read_flag, _select_children),
    "begun": Field(_("has begun"), _read_flag, lambda value: Q(started_at__isnull=False)),
    "fresh": Field(_("has not begun"), _read_flag, lambda value: Q(started_at__isnull=True)),
    "top_level": Field(_("not invoked by a run"), _read_flag, lambda value: Q(parent_id__isnull=True)),
    "found": Field(_("run or event"), _read_id, _select_found),
    "ids": Field(_("runs"), _read_ids, _equals("pk__in")),
    "since": Field(_("created since"), _read_instant, _select_since),
    "until": Field(
        _("created before"), _read_instant, lambda text: Q(created_at__lt=datetime.fromisoformat(text))
    ),
}
WAIT_FIELDS: Final[dict[str, Field]] = {
    "workflow": Field(_("workflow"), _read_text, _equals("run__workflow")),
    "event": Field(_("event name"), _read_text, _equals("event_name")),
    "name": Field(_("event or signal"), _read_text, lambda name: Q(event_name=name) | Q(signal=name)),
    "kind": Field(_("kind"), _read_text, _equals("kind")),
    "run_id": Field(_("run"), _read_id, _equals("run_id")),
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
