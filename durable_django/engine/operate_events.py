"""What operators do with events: send one, send a stored one again, start a workflow by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from ..define.registry import registry
from ..exceptions import EventRefused
from ..ids import new_id
from ..models import Event
from ..store.base import EventRow
from ..store.event import insert_events
from .alias import get_alias
from .explain_event import find_event
from .find_hooks import REQUEST_NAME
from .handle import RunHandle
from .operate import UNCHANGED, UnchangedType, audit
from .receive import prepare_event
from .renew_event import renew_event
from .route import route_after_commit
from .start import start_workflow


def send_as(
    name: str,
    data: Mapping[str, Any] | None,
    *,
    actor: str,
    reason: str = "",
    id: str | None = None,
    ts: int | None = None,
    using: str | None = None,
) -> str:
    """Send an event on an operator's behalf, and return its id; see ``send_event``.

    Args:
        id: The sender's id, by which each workflow starts once.
        ts: Milliseconds since 1970; runs of a future event start then.

    Raises:
        InvalidEvent, EventTooLarge, Unserializable: Nothing was sent.
    """
    using = using or get_alias()
    row = prepare_event({"name": name, "data": data, "id": id, "ts": ts}, "", "operator", new_id())
    return _send(using, row, actor, "send", reason, "")


def resend_event(
    event_id: UUID | str,
    *,
    actor: str,
    data: Mapping[str, Any] | UnchangedType = UNCHANGED,
    reason: str = "",
    using: str | None = None,
) -> str:
    """Send a stored event again, as a new one that is no duplicate of it, and return the id.

    Args:
        data: What it holds instead of its own data.

    Raises:
        EventNotFound: There is no such event.
        EventRefused: It holds the input of a run that was started by name.
        InvalidEvent, EventTooLarge, Unserializable: The data cannot be sent.
    """
    using = using or get_alias()
    row = copy_event(find_event(using, event_id), data)
    return _send(using, row, actor, "resend", reason, f" in place of {event_id}")


def copy_event(event: Event, data: Mapping[str, Any] | UnchangedType = UNCHANGED) -> EventRow:
    """Return a new event of the same name, with the same data or other, sent now.

    Raises:
        EventRefused: It holds the input of a run that was started by name.
        HookFailed, InvalidEvent, EventTooLarge, Unserializable: The data cannot be read or sent.
    """
    if event.name == REQUEST_NAME:
        status = "the input of a run"
        raise EventRefused(id=event.id, status=status, action="resend", needs="another; rerun that run")
    return renew_event(event, data)


def _send(using: str, row: EventRow, actor: str, action: str, reason: str, more: str) -> str:
    with transaction.atomic(using=using):
        stored = insert_events(using, [row])
        audit(using, actor, action, None, reason, f"{row.name} {row.id}{more}")
        route_after_commit(using, stored)
    return str(row.id)


def invoke_workflow(
    workflow_id: str,
    data: Mapping[str, Any] | None,
    *,
    actor: str,
    reason: str = "",
    key: str | None = None,
    origin: str = "operator",
    using: str | None = None,
) -> RunHandle:
    """Start a workflow on an operator's behalf.

    Args:
        key: Starts at most one run in IDEMPOTENCY_HOURS; the second call returns the first's.

    Raises:
        UnknownWorkflow: No code here declares it.
        InvalidEvent, EventTooLarge, Unserializable: The data cannot be its input.
    """
    using = using or get_alias()
    workflow = registry.get(workflow_id)
    with transaction.atomic(using=using):
        run = start_workflow(workflow, {} if data is None else data, key=key, origin=origin)
        audit(
            using,
            actor,
            "invoke",
            None,
            reason,
            f"started {run.id}",
            run_id=UUID(run.id),
            workflow=workflow.id,
        )
    return run
