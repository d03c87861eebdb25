"""What a diagnosis is made from, in a bounded number of bounded reads.

Note [Only what is told is read]
    A page that refreshes itself asks for a diagnosis again and again. So workers are read only for a run that
    is queued, late, or near the end of its lease, and of several branches only what belongs to the one that is
    told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F

from ..clock import read_time
from ..conf import settings
from ..models import (
    Attempt,
    PauseRunning,
    Run,
    RunStatus,
    Step,
    StepKind,
    StepStatus,
    Wait,
    WaitStatus,
    Worker,
    WorkflowState,
)
from ..models.run import LIVE
from ..store.paused import ELSEWHERE
from .words import is_over

ROWS: Final = 50
"""Branches, waits and children that are looked at; the first ones tell the cause."""
WORKERS: Final = 500
ASKING: Final = {StepKind.EVENT, StepKind.SIGNAL, StepKind.ANY, StepKind.ALL}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A run that has not ended, and the rows that say why; ``now`` is the database's."""

    run: Run
    now: datetime
    steps: Sequence[Step] = ()
    waits: Sequence[Wait] = ()
    workers: Sequence[Worker] = ()
    children: Sequence[Run] = ()
    error: Attempt | None = None
    pause: WorkflowState | None = None


def read_facts(using: str, run: Run, now: datetime) -> Facts:
    """Read what ``decide`` needs to know of a run that has not ended, in at most four queries."""
    workers = _read_workers(using) if _may_lack_workers(run, now) else ()
    if run.status in (RunStatus.QUEUED, RunStatus.PAUSED):
        return Facts(run=run, now=now, workers=workers, pause=_read_pause(using, run))
    if run.status != RunStatus.WAITING:
        return Facts(run=run, now=now, workers=workers)
    steps = _read_steps(using, run)
    told = pick_step(steps, now)
    kind = told.kind if told and told.status == StepStatus.WAITING else None
    retrying = run.waits_for == "retry" or (told is not None and told.status == StepStatus.RETRYING)
    return Facts(
        run=run,
        now=now,
        workers=workers,
        steps=steps,
        waits=_read_waits(using, run) if kind in ASKING else (),
        children=_read_children(using, run) if kind == StepKind.INVOKE else (),
        error=_read_error(using, run) if retrying else None,
    )


def pick_step(steps: Sequence[Step], now: datetime) -> Step | None:
    """Return the step that is over first, of those that are not over."""
    left = [step for step in steps if not is_over(step, now)]
    return min(left, key=_order, default=None)


def _order(step: Step) -> tuple[bool, Any]:
    return step.ready_at is None, step.ready_at and read_time(step.ready_at)


def _may_lack_workers(run: Run, now: datetime) -> bool:
    left = (read_time(run.wake_at) - now).total_seconds() if run.wake_at else 0.0
    near = settings.LEASE_SECONDS / 2 if run.status == RunStatus.RUNNING else 0.0
    return run.status == RunStatus.QUEUED or left <= near


def _read_workers(using: str) -> list[Worker]:
    return list(Worker.objects.using(using).order_by("-seen_at")[:WORKERS])


def _read_steps(using: str, run: Run) -> list[Step]:
    unfinished = (StepStatus.WAITING, StepStatus.RETRYING)
    steps = Step.objects.using(using).filter(run_id=run.pk, status__in=unfinished)
    # The newest first: sleeps that are over keep their rows.
    # By a sum, which is no key: PostgreSQL would look for them along the keys of the steps of all runs.
    return list(steps.defer("output", "error").order_by((F("id") + 0).desc())[:ROWS])


def _read_waits(using: str, run: Run) -> list[Wait]:
    waits = Wait.objects.using(using).filter(run_id=run.pk, status=WaitStatus.OPEN)
    return list(waits.exclude(kind="cancel").defer("bound", "output").order_by("id")[:ROWS])


def _read_children(using: str, run: Run) -> list[Run]:
    runs = Run.objects.using(using).filter(parent_id=run.pk, status__in=LIVE)
    return list(runs.only("workflow", "status", "parent_step").order_by("id")[:ROWS])


def _read_error(using: str, run: Run) -> Attempt | None:
    return Attempt.objects.using(using).filter(run_id=run.pk).order_by("-id").first()


def _read_pause(using: str, run: Run) -> WorkflowState | None:
    """Return the pause that holds the run."""
    workflow = run.workflow
    if run.origin == ELSEWHERE and run.parent_id is not None:
        asking = Run.objects.using(using).filter(id=run.parent_id).values_list("workflow", flat=True)
        workflow = asking.first() or workflow
    state = WorkflowState.objects.using(using).filter(id=workflow, paused_at__isnull=False).first()
    begun = run.started_at is not None or run.origin == ELSEWHERE
    return None if state is None or (begun and state.pause_running != PauseRunning.STOP) else state
