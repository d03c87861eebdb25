"""Reopen what the end of a run closed, so that an operator's retry can go on from there.

Note [A retried step goes back to its child]
    A step that waited for a run when its own run ended waits for it again, with its time-out from now; so
    does one whose time-out failed its run. If that run has completed meanwhile its result is taken. Only in
    place of a run that failed, was cancelled or is gone, a new one is started. A step that another worker was
    to carry out (remote.py) is carried out here then. All of these runs are locked.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from ..clock import Now, read_now
from ..conf import settings
from ..models import Run, RunResult, RunStatus, Step, StepKind, StepStatus, Wait, WaitStatus
from ..models.run import LIVE
from ..store.base import Parent
from ..store.child import answer_parent
from ..store.event import StartRow
from .cancel import read_event_row
from .cancel_rule import arm, has_rules
from .seal import seal_for_parent

WAIT_KINDS = (StepKind.EVENT, StepKind.SIGNAL, StepKind.ANY, StepKind.ALL)


def reopen(using: str, run: Run) -> None:
    """Reopen the steps and waits of a run that is queued again, in a transaction that holds it."""
    steps = Step.objects.using(using).filter(run_id=run.id)
    failed = _find_failed(using, run)
    # Waits that the end closed are asked again, with their time-out from now.
    Wait.objects.using(using).filter(run_id=run.id, status=WaitStatus.CLOSED).delete()
    steps.filter(status=StepStatus.WAITING, kind__in=WAIT_KINDS).delete()
    asked = Q(status=StepStatus.WAITING, kind__in=(StepKind.INVOKE, StepKind.RUN))
    for step in steps.filter(failed & Q(kind=StepKind.INVOKE) | asked):
        _reopen_child(using, run, step)
    steps.filter(failed).exclude(kind=StepKind.INVOKE).update(
        status=StepStatus.RETRYING, attempt=0, ready_at=Now(), error=None, output=None, ended_at=None
    )
    rearm(using, run, run.id)


def _find_failed(using: str, run: Run) -> Q:
    stored = RunResult.objects.using(using).filter(run_id=run.id).values_list("error", flat=True).first()
    told = json.loads(stored or "{}")
    if not told.get("step"):
        return Q(pk__in=[])
    return Q(name=told["step"], index=told.get("index", 0), status=StepStatus.FAILED)


def _reopen_child(using: str, run: Run, step: Step) -> None:
    waits = Wait.objects.using(using)
    waits.filter(run_id=run.id, name=step.name, index=step.index).delete()
    children = Run.objects.using(using).filter(
        parent_id=run.id, parent_step=step.name, parent_index=step.index
    )
    child = children.order_by("created_at", "id").last()
    if child is None or child.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        number = F("attempt") + 1 if step.kind == StepKind.INVOKE else 0
        _update(using, step, status=StepStatus.RETRYING, attempt=number, ready_at=Now())
        return
    now = read_now(using)
    until = now + (step.ready_at - step.started_at if step.ready_at else timedelta())
    _update(using, step, status=StepStatus.WAITING, ready_at=until)
    waits.create(
        run_id=run.id, name=step.name, index=step.index, kind="child", expires_at=until, created_at=now
    )
    if child.status not in LIVE:
        _take_result(using, child, Parent(run.id, step.name, step.index))


def _take_result(using: str, child: Run, parent: Parent) -> None:
    output = RunResult.objects.using(using).filter(run_id=child.id).values_list("output", flat=True).first()
    answer_parent(
        using,
        parent,
        status="completed",
        output=seal_for_parent(str(child.id), child.workflow, parent, output or "null"),
        error=None,
        renudge=settings.RENUDGE_SECONDS,
    )


def _update(using: str, step: Step, **fields: Any) -> None:
    again = {"error": None, "output": None, "ended_at": None, "started_at": Now()}
    Step.objects.using(using).filter(pk=step.pk).update(**again, **fields)


def rearm(using: str, run: Run, run_id: UUID) -> None:
    """Arm the cancel rules of a run that starts, or goes on, with the event of ``run``."""
    Wait.objects.using(using).filter(run_id=run_id, kind="cancel").delete()
    event = read_event_row(using, run) if has_rules(run.workflow) else None
    if event is None:
        return
    start = StartRow(
        id=run_id,
        workflow=run.workflow,
        event_id=run.event_id,
        start_key=None,
        key=run.key,
        origin=run.origin,
        queue=run.queue,
    )
    arm(using, [(start, event)])
