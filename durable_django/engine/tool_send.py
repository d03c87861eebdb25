"""``step.send_event``: store the events and the memo in one transaction, then route."""

from __future__ import annotations

from django.db import transaction

from ..define.calls import SendCall
from ..exceptions import DurableError
from ..ids import derive_id
from ..store.base import EventRow, StepWrite
from ..store.event import insert_events
from .checkpoint import Recorded, settle, write_here
from .codec import encode
from .effects import Do
from .receive import prepare_events
from .replay import Slot
from .route import route_after_commit
from .seal import stop_slice
from .slice import Slice
from .tools import Tool, ask_owner, build_step, read_memo


def send_events(part: Slice, call: SendCall, slot: Slot) -> Tool:
    """Send the events exactly once; their ids come from the step, so a repeated write changes nothing."""
    yield from ask_owner(part)
    try:
        rows = prepare_events(
            call.events,
            source="run",
            make_id=lambda number: derive_id(part.claimed.id, slot.name, slot.index, number),
            hooks=part.hooks,
        )
    except DurableError as error:
        raise stop_slice(error) from error
    output = encode([str(row.id) for row in rows])
    step = build_step(part, slot, call.kind, "completed", output=output)
    recorded = yield Do(_store, (part.using, step, rows))
    part.confirm()
    part.replay.add_bytes(len(output))
    return read_memo(call, *recorded)


def _store(using: str, step: StepWrite, rows: list[EventRow]) -> Recorded:
    with transaction.atomic(using=using):
        written = write_here(using, step)
        if written:
            route_after_commit(using, insert_events(using, rows))
    return settle(using, step, written)
