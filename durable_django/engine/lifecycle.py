"""Lifecycle events: what other workflows and handlers hear of a run's end.

Note [A lifecycle event is part of the end]
    ``durable/run.finished``, ``.failed`` and ``.cancelled`` are stored in the transaction in which the run
    ends (law 9), if a workflow listens to them. Runs that they start, and what those invoke, emit none, so
    that a handler cannot set off itself. Whether anybody listens is a matter of the code of the process in
    which the run ends: a listener must be installed wherever runs end, also where operators cancel them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from ..define.endings import CANCELLED, FAILED, FINISHED
from ..define.registry import registry
from ..ids import new_id
from ..store.base import EventRow
from ..store.event import insert_events
from .slice import encode_event

ORIGIN = "lifecycle"
QUIET = (ORIGIN, "step")
"""What started runs whose ends are no news: lifecycle events, and steps that other workers carry out."""

_NAMES = {"completed": (FINISHED,), "failed": (FAILED, FINISHED), "cancelled": (CANCELLED, FINISHED)}


def list_heard(workflow: str, origin: str, status: str) -> list[str]:
    """Return the names of the events by which others hear of such an end of such a run."""
    if origin in QUIET:
        return []
    return [
        name
        for name in _NAMES[status]
        if any(each.handles in ("", workflow) for each in registry.for_event(name))
    ]


def store_lifecycle(
    using: str,
    *,
    run_id: UUID,
    workflow: str,
    names: Sequence[str],
    status: str,
    event: EventRow,
    output: str | None,
    error: str | None,
    reason: str,
) -> list[EventRow]:
    """Store the events of an end in the caller's transaction; return them, to be routed after its commit."""
    data = {"workflow": workflow, "run_id": str(run_id), "status": status, "reason": reason}
    # The parts below are encoded already; they are put in as they are.
    text = f'{json.dumps(data)[:-1]},"event":{encode_event(event)}'
    text += f',"result":{output or "null"},"error":{error or "null"}}}'
    rows = [EventRow(id=new_id(), name=name, data=text, ts=0, source="run") for name in names]
    return insert_events(using, rows)
