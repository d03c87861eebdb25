"""Receive events: validate, store in the caller's transaction, route after its commit (law 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from ..conf import settings
from ..define.triggers import RESERVED
from ..exceptions import EventTooLarge, InvalidEvent, TooManyEvents
from ..ids import new_id
from ..store.base import EventRow
from ..store.event import insert_events
from ..types import Event
from .alias import get_alias
from .codec import encode
from .find_hooks import Hooks, find_hooks, is_own
from .send_hooks import hook_event

NAME_LENGTH = 255
FIRST_MS, LAST_MS = 315_532_800_000, 4_102_444_800_000
"""1980-01-01 and 2100-01-01 in epoch milliseconds: the bounds that event_api.md gives for ``ts``."""

_FIELDS = ("name", "data", "id", "ts", "v", "user")


def send_events(events: Sequence[Event | Mapping[str, Any]]) -> list[str]:
    """Send events in the caller's transaction: rolled back they never were, committed they are not lost.

    Returns:
        Their ids, in order.

    Raises:
        InvalidEvent, EventTooLarge, TooManyEvents, Unserializable: Nothing was stored.
    """
    using = get_alias()
    rows = prepare_events(events, source="code", make_id=lambda number: new_id())
    store_events(using, rows)
    return [str(row.id) for row in rows]


def store_events(using: str, rows: Sequence[EventRow]) -> None:
    """Store prepared events in the caller's transaction and route them after its commit."""
    from .route import route_after_commit

    route_after_commit(using, insert_events(using, rows))


def send_event(event: Event | Mapping[str, Any] | str, data: Mapping[str, Any] | None = None) -> str:
    """Send one event, given as an Event, as a mapping, or as a name and its data; see ``send_events``."""
    if isinstance(event, str):
        event = Event(name=event, data=data or {})
    elif data is not None:
        raise InvalidEvent(where="", reason="give data only with a name")
    return send_events([event])[0]


async def asend_event(event: Event | Mapping[str, Any] | str, data: Mapping[str, Any] | None = None) -> str:
    """Send one event from async code; see ``send_event``."""
    return await sync_to_async(send_event)(event, data)


def prepare_events(
    events: Sequence[Event | Mapping[str, Any]],
    *,
    source: str,
    make_id: Callable[[int], UUID],
    hooks: Hooks | None = None,
) -> list[EventRow]:
    """Return the rows of the events, or raise for the first one that is not valid; see ``prepare_event``."""
    if len(events) > settings.EVENTS_PER_REQUEST:
        raise TooManyEvents(count=len(events), limit=settings.EVENTS_PER_REQUEST)
    ids = sorted(map(make_id, range(len(events))))  # so that the order of ids is the order of the list
    return [
        prepare_event(event, f"number {number} " if len(events) > 1 else "", source, ids[number], hooks=hooks)
        for number, event in enumerate(events)
    ]


def prepare_event(
    event: Event | Mapping[str, Any],
    where: str,
    source: str,
    id: UUID,
    *,
    internal: bool = False,
    hooks: Hooks | None = None,
) -> EventRow:
    """Return the row of one event; ``internal`` ones may have a reserved name; ``hooks`` default to the project's."""
    if isinstance(event, Event):
        given: Mapping[str, Any] = {name: getattr(event, name) for name in _FIELDS}
    elif isinstance(event, Mapping):
        given = event
    else:
        raise InvalidEvent(where=where, reason=f"it is a {type(event).__name__}, not an Event or a mapping")
    name = check_name(given.get("name"), where=where, internal=internal)
    data = encode(_read_data(given.get("data"), where), what=f"event {name!r}: ")
    extra = _encode_extra(given, where)
    size = len(data) + len(extra or "")
    if size > settings.EVENT_BYTES:
        raise EventTooLarge(name=name, size=size, limit=settings.EVENT_BYTES)
    row = EventRow(
        id=id,
        name=name,
        data=data,
        extra=extra,
        external_id=_read_id(given.get("id"), where),
        ts=_read_ts(given.get("ts"), where),
        source=source,
    )
    found = find_hooks() if hooks is None else hooks
    return hook_event(found, row) if found and not is_own(name) else row


def check_name(name: Any, *, where: str, internal: bool = False) -> str:
    """Return the name of an event.

    Raises:
        InvalidEvent: It is empty, too long, reserved, or has characters that no store takes.
    """
    if not isinstance(name, str) or not name:
        raise InvalidEvent(where=where, reason="event name is empty")
    if len(name) > NAME_LENGTH:
        raise InvalidEvent(where=where, reason=f"its name has {len(name)} characters, at most {NAME_LENGTH}")
    if not internal and name.lower().startswith(RESERVED):
        raise InvalidEvent(where=where, reason=f"the name {name!r} is reserved for internal use")
    _check_text(name, "name", where)
    return name


def _check_text(text: str, field: str, where: str) -> None:
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidEvent(where=where, reason=f"its {field} has a NUL or a lone surrogate")


def _read_data(data: Any, where: str) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise InvalidEvent(where=where, reason=f"data is a {type(data).__name__}, not an object")
    return {key: value for key, value in data.items() if key != "_inngest"}


def _read_id(id: Any, where: str) -> str | None:
    if id is None or id == "":
        return None
    if not isinstance(id, str) or len(id) > NAME_LENGTH:
        raise InvalidEvent(where=where, reason=f"id is not text of at most {NAME_LENGTH} characters")
    _check_text(id, "id", where)
    return id


def _read_ts(ts: Any, where: str) -> int:
    if ts is None or ts == 0:
        return 0  # the database's time when it is stored: a sender whose clock is ahead would delay the runs
    if isinstance(ts, bool) or not isinstance(ts, (int, float)) or math.isnan(ts):
        raise InvalidEvent(where=where, reason=f"ts is {ts!r}, not a number of milliseconds")
    if not FIRST_MS <= ts < LAST_MS:
        side = "before Jan 1, 1980" if ts < FIRST_MS else "after Jan 1, 2100"
        raise InvalidEvent(where=where, reason=f"timestamp is {side}")
    return int(ts)


def _encode_extra(given: Mapping[str, Any], where: str) -> str | None:
    extra: dict[str, Any] = {}
    if given.get("v") is not None:
        if not isinstance(given["v"], str):
            raise InvalidEvent(where=where, reason="v is not text")
        extra["v"] = given["v"]
    if given.get("user"):
        if not isinstance(given["user"], Mapping):
            raise InvalidEvent(where=where, reason="user is not an object")
        extra["user"] = dict(given["user"])
    return encode(extra, what="event: ") if extra else None
