"""Fire cron schedules that are due: one event a time, which starts one run.

Note [A cron time fires once]
    The event of a time has an id that is derived from the workflow, the expression and the time, and it is
    stored in the transaction that moves the schedule past that time, by a conditional update. So of
    many ticks one fires, a tick that dies has fired or has not, and its event is routed like any other.
"""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from ..clock import read_now
from ..conf import settings
from ..define.cron import CRON_FIRED, Cron
from ..define.registry import registry
from ..exceptions import DurableError
from ..ids import derive_id, hash_text
from ..store.base import EventRow
from ..store.schedule import Move, ScheduleRow, insert_schedules, move_schedules, read_schedules
from .catch_up import catch_up
from .receive import prepare_event
from .route import route_events

logger = logging.getLogger("durable_django.sweep")

Declared = dict[UUID, tuple[str, Cron]]


def fire_due(using: str) -> int:
    """Fire what is due, at most TICK_BATCH times of each schedule; return how many times were fired.

    Schedules that no code declares are not looked at. Costs nothing without cron triggers.
    """
    declared = list_crons()
    if not declared:
        return 0
    due_at, now = read_schedules(using, sorted(declared))
    now = now or read_now(using)
    missing = [_build_row(key, *declared[key], now) for key in declared if key not in due_at]
    if missing:
        insert_schedules(using, missing)
    plans = [_try_plan(key, *declared[key], due, now) for key, due in due_at.items() if due <= now]
    moves = [plan for plan in plans if plan is not None]
    rows = move_schedules(using, moves) if moves else []
    if rows:
        route_events(using, rows)
    return len(rows)


def list_crons() -> Declared:
    """Return the cron triggers of all workflows under the keys of their schedules."""
    return {
        make_key(workflow.id, trigger): (workflow.id, trigger)
        for workflow in registry
        for trigger in workflow.triggers
        if isinstance(trigger, Cron)
    }


def make_key(workflow: str, cron: Cron) -> UUID:
    """Return the key of a schedule; another expression or zone is another schedule."""
    return derive_id("schedule", workflow, cron.expression, cron.tz)


def _build_row(key: UUID, workflow: str, cron: Cron, now: datetime) -> ScheduleRow:
    return ScheduleRow(key=key, workflow=workflow, cron=cron.cron, tz=cron.tz, next_at=cron.find_next(now))


def _try_plan(key: UUID, workflow: str, cron: Cron, due_at: datetime, now: datetime) -> Move | None:
    try:
        return _plan(key, workflow, cron, due_at, now)
    except DurableError:
        # One schedule must not keep the tick from others; it stays due and is tried again.
        logger.exception("a schedule cannot be fired", extra={"workflow": workflow, "cron": cron.cron})
        return None


def _plan(key: UUID, workflow: str, cron: Cron, due_at: datetime, now: datetime) -> Move:
    due = catch_up(cron.find_next, due_at, now, cron.catchup, settings.TICK_BATCH)
    return Move(
        key=key,
        found_at=due_at,
        next_at=due.next_at,
        last_at=due.times[-1] if due.times else None,
        events=[_build_event(key, workflow, cron, moment) for moment in due.times],
    )


def _build_event(key: UUID, workflow: str, cron: Cron, moment: datetime) -> EventRow:
    event_id = derive_id("cron", key, moment.isoformat())
    delay = hash_text(str(event_id)) % (cron.jitter_ms + 1)
    data = {"workflow": workflow, "cron": cron.cron, "tz": cron.tz, "scheduled_at": moment}
    event = {"name": CRON_FIRED, "data": data, "ts": int(moment.timestamp() * 1000) + delay}
    return prepare_event(event, "", "cron", event_id, internal=True)
