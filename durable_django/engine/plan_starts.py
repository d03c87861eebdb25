"""Decide which runs an event starts, and say why the others are not started."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from ..clock import read_now
from ..conf import settings
from ..define.endings import LIFECYCLE
from ..define.model_change import ModelChange
from ..define.registry import registry
from ..define.timeouts import NO_TIMEOUTS
from ..define.triggers import Trigger
from ..define.workflow import Workflow
from ..exceptions import DurableError
from ..ids import new_id
from ..store.base import EventRow
from ..store.event import StartRow
from .expressions import Outcome, compile_expression
from .lifecycle import ORIGIN
from .meant import is_meant
from .reasons import Reason, Why
from .slice import read_event
from .start_key import StartKey, read_start_key

logger = logging.getLogger("durable_django.route")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one event starts, and why it does not start the rest of those that listen to its name."""

    starts: list[StartRow] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)


def plan_starts(using: str, row: EventRow) -> Plan:
    """Return the starts of a stored event; one broken condition stops no other workflow."""
    plan = Plan()
    listening = registry.for_event(row.name)
    if not listening:
        plan.reasons.append(Reason(Why.NO_WORKFLOW))
    for workflow in listening:
        refused = _refuse(workflow, row)
        if refused is None:
            _add_start(using, plan, workflow, row)
        elif refused:
            plan.reasons.extend(refused)
    return plan


def _refuse(workflow: Workflow[..., object], row: EventRow) -> list[Reason] | None:
    """Return None if a trigger holds; otherwise why not, nothing if the event is meant for others."""
    reasons: list[Reason] = []
    for trigger in workflow.triggers:
        if not trigger.fits(row.name):
            continue
        if not is_meant(workflow, trigger, row):
            if isinstance(trigger, ModelChange):
                reasons.append(Reason(Why.FIELDS, workflow.id))
            continue
        outcome = _evaluate(trigger, row)
        if outcome.value:
            return None
        reasons.append(_explain(workflow, trigger, row, outcome))
    return reasons


def _evaluate(trigger: Trigger, row: EventRow) -> Outcome:
    if trigger.if_exp is None:
        return Outcome(True)
    # One broken condition, or one event that cannot be read, must not stop the routing of others.
    try:
        return compile_expression(trigger.if_exp, allow_async=False).evaluate(read_event(row).as_dict())
    except DurableError as error:
        return Outcome(False, error.code)


def _explain(workflow: Workflow[..., object], trigger: Trigger, row: EventRow, outcome: Outcome) -> Reason:
    if not outcome.error:
        return Reason(Why.IF_FALSE, workflow.id, trigger.if_exp or "")
    logger.warning(
        "a trigger's condition could not be decided",
        extra={"workflow": workflow.id, "event_id": str(row.id), "code": outcome.error},
    )
    return Reason(Why.IF_FAILED, workflow.id, outcome.error)


def _add_start(using: str, plan: Plan, workflow: Workflow[..., object], row: EventRow) -> None:
    key = read_start_key(workflow, row)
    if not key.error:
        plan.starts.append(_build(using, workflow, row, key))
        return
    logger.warning(
        "an event starts nothing, since it gives no idempotency key",
        extra={"workflow": workflow.id, "event_id": str(row.id), "code": key.error},
    )
    plan.reasons.append(Reason(Why.NO_KEY, workflow.id, key.error))


def _build(using: str, workflow: Workflow[..., object], row: EventRow, key: StartKey) -> StartRow:
    """Return the run that an event starts; equal (workflow, event id or key) gives an equal start key."""
    limits = workflow.timeouts or NO_TIMEOUTS
    return StartRow(
        id=new_id(),
        workflow=workflow.id,
        event_id=row.id,
        start_key=key.id,
        key=key.shown,
        origin=ORIGIN if row.name.startswith(LIFECYCLE) else "event",
        queue=workflow.queue or settings.DEFAULT_QUEUE,
        start_within=limits.start_seconds,
        finish_within=limits.finish_seconds,
        start_in=_seconds_until(using, row.ts),
        version=workflow.version,
    )


def _seconds_until(using: str, ts: int) -> float:
    # The host's clock only spares the query for the usual event, which is of the present or the past.
    if ts / 1000 <= time.time():
        return 0.0
    return ts / 1000 - read_now(using).timestamp()
