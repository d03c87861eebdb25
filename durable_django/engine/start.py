"""Start a run by name: its input is stored as an event that triggers nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from ..conf import settings
from ..define.registry import registry
from ..define.timeouts import NO_TIMEOUTS
from ..define.workflow import Workflow
from ..ids import derive_id, new_id
from ..models.subject import name_subject
from ..store.base import EventRow
from ..store.event import StartRow, expire_start_keys, find_started, insert_events, start_runs
from ..store.subject import Name, insert_subjects
from .alias import get_alias
from .find_hooks import REQUEST_NAME, find_hooks
from .handle import RunHandle
from .nudge import Nudge, send_nudges
from .receive import prepare_event


def start_workflow(
    workflow: Workflow[..., Any],
    data: Mapping[str, Any],
    *,
    key: str | None = None,
    origin: str = "start",
    subject: Any = None,
) -> RunHandle:
    """Start a run in the caller's transaction and return its handle; see ``Workflow.start``."""
    using = get_alias()
    subjects = _name_subjects(subject)
    row = prepare_event(
        {"name": REQUEST_NAME, "data": data}, "", "start", new_id(), internal=True, hooks=find_hooks(workflow)
    )
    start_key = derive_id("start", workflow.id, key) if key else None
    with transaction.atomic(using=using):
        run_id = _start(using, _build(workflow, row, start_key, key or "", origin), row)
        if subjects:
            insert_subjects(using, run_id, subjects)
    return RunHandle(run_id, using=using)


def _name_subjects(subject: Any) -> list[Name]:
    listed = subject if isinstance(subject, (list, tuple)) else [] if subject is None else [subject]
    return [name_subject(each) for each in listed]


def _build(
    workflow: Workflow[..., Any], row: EventRow, start_key: UUID | None, key: str, origin: str
) -> StartRow:
    limits = workflow.timeouts or NO_TIMEOUTS
    return StartRow(
        id=new_id(),
        workflow=workflow.id,
        event_id=row.id,
        start_key=start_key,
        key=key[:255],
        origin=origin,
        queue=workflow.queue or settings.DEFAULT_QUEUE,
        start_within=limits.start_seconds,
        finish_within=limits.finish_seconds,
        version=workflow.version,
    )


def _start(using: str, start: StartRow, row: EventRow) -> UUID:
    if start.start_key is not None:
        expire_start_keys(using, [start.start_key], hours=settings.IDEMPOTENCY_HOURS)
    routed = start_runs(using, [], [start], renudge=settings.RENUDGE_SECONDS)
    if not routed.started:
        assert start.start_key is not None
        found = find_started(using, start.start_key)
        return found if found is not None else _start(using, start, row)
    (row,) = insert_events(using, [row], routed=True)
    workflow = registry.find(start.workflow)
    if workflow is not None and workflow.cancel_on:
        from .cancel_rule import arm

        arm(using, [(start, row)])
    nudge_after_commit(using, [Nudge(*each) for each in routed.started])
    return start.id


def nudge_after_commit(using: str, nudges: list[Nudge]) -> None:
    """Announce the runs when the open transaction commits, or at once if there is none."""

    def nudge() -> None:
        send_nudges(nudges)

    transaction.on_commit(nudge, using=using, robust=True)
