"""What operators do to a run in the middle of its work: end its sleep or pause, give the result of a step.

Note [A supplied result is a checkpoint like any other]
    A step that is retrying is completed by a conditional update under the lock of its run. A worker that is
    just trying it finds the result stored, and adopts it (law 4). If the step has failed its run, the run
    goes on as after a retry.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from ..clock import Now
from ..exceptions import StepNotFound, StepRefused
from ..models import Run, RunResult, RunStatus, Step, StepKind, StepStatus
from ..models.run import LIVE
from ..store.base import writing
from ..store.wake import count_ended
from .alias import get_alias
from .handle import RunHandle
from .nudge import Nudge
from .operate import audit, lock, refuse
from .reopen import reopen
from .start import nudge_after_commit
from .status import requeue_ended, requeue_waiting
from .supply import build_output

TIMED = ("sleep", "retry", "code", "start")
"""What a run waits for that time alone ends."""
TRIED = (StepKind.RUN, StepKind.WRAP, StepKind.FETCH, StepKind.INFER, StepKind.INVOKE)


def wake_run(run_id: UUID | str, *, actor: str, reason: str = "", using: str | None = None) -> RunHandle:
    """Let a run go on now that sleeps, waits for its next attempt or is to start later.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It waits for none of these.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = lock(using, run_id)
        ended = _end_pauses(using, run, actor) if run.status == RunStatus.WAITING else 0
        if run.status != RunStatus.WAITING or not (ended or run.waits_for in TIMED):
            refuse(run, "wake", "a run that sleeps, waits for its next attempt or is to start later")
        requeue_waiting(using, run.id)
        audit(using, actor, "wake", run, reason, f"in place of {run.wake_at}")
        nudge_after_commit(using, [Nudge(run.id, run.workflow, run.queue)])
    return RunHandle(run.id, using=using)


def _end_pauses(using: str, run: Run, actor: str) -> int:
    later = Step.objects.using(using).filter(run_id=run.id, ready_at__gt=Now())
    slept = later.filter(kind=StepKind.SLEEP, status=StepStatus.WAITING)
    return slept.update(ready_at=Now(), supplied_by=actor[:120]) + later.filter(
        status=StepStatus.RETRYING
    ).update(ready_at=Now())


def supply_step(
    run_id: UUID | str,
    step_id: str,
    use: int,
    value: Any,
    *,
    actor: str,
    reason: str = "",
    using: str | None = None,
) -> RunHandle:
    """Give the result of a step that fails, so that the workflow goes on without it.

    Args:
        use: The index of the step, 0 for the first use of its id outside of groups.
        value: What the step returns.

    Raises:
        RunNotFound, StepNotFound: It is not stored.
        StepRefused: The step neither waits for its next attempt nor has failed its run.
        OutputTooLarge, Unserializable: The value cannot be stored.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = lock(using, run_id, children=True)
        step = find_step(using, run, step_id, use)
        failing = step.kind in TRIED and step.status in (StepStatus.RETRYING, StepStatus.FAILED)
        if not failing or (step.status == StepStatus.FAILED and run.status in LIVE):
            _refuse(step)
        output = build_output(using, run, step.kind, step.name, step.index, value)
        if run.status not in LIVE:
            _go_on(using, run)
        if not _complete(find_steps(using, run, step_id, use), output, actor):
            _refuse(step)
        _queue(using, run)
        audit(using, actor, "supply", run, reason, f"result of step {step.name}")
        nudge_after_commit(using, [Nudge(run.id, run.workflow, run.queue)])
    return RunHandle(run.id, using=using)


def find_steps(using: str, run: Run, step_id: str, use: int) -> QuerySet[Step]:
    """Return the one row, or none, of a step."""
    return Step.objects.using(using).filter(run_id=run.id, name=step_id, index=use)


def find_step(using: str, run: Run, step_id: str, use: int) -> Step:
    """Return a step of a run.

    Raises:
        StepNotFound: The run has none of that id and index.
    """
    step = find_steps(using, run, step_id, use).first()
    if step is None:
        raise StepNotFound(run=run.id, step=step_id, use=f", use {use}" if use else "")
    return step


def _refuse(step: Step) -> None:
    needs = "a step that waits for its next attempt or has failed its run"
    raise StepRefused(step=step.name, status=step.status, action="supply", needs=needs)


def _go_on(using: str, run: Run) -> None:
    if not requeue_ended(using, run.id):
        refuse(run, "supply", "a run that has not completed")
    reopen(using, run)
    RunResult.objects.using(using).filter(run_id=run.id).delete()


def _complete(steps: QuerySet[Step], output: str, actor: str) -> bool:
    # A failed step is retrying again by now if it is the one that failed the run; one that the workflow
    # has caught is part of what it did since.
    changed = steps.filter(status=StepStatus.RETRYING).update(
        status=StepStatus.COMPLETED,
        output=output,
        error=None,
        ready_at=None,
        ended_at=Now(),
        supplied_by=actor[:120],
    )
    return changed == 1


def _queue(using: str, run: Run) -> None:
    if not requeue_waiting(using, run.id):
        with writing(using) as handle:  # a slice that is about to park must look again
            count_ended(using, handle, run.id)
