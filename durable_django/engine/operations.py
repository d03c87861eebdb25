"""What operators do to runs: each checks, acts and writes an audit row, for admin, REST and commands."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from ..models import RunResult, RunStatus
from ..models.run import ENDED
from ..store.retrying import repeatable
from .alias import get_alias
from .cancel import end_cancelled, lock_family
from .grant import check_attempts, find_limit, give_attempts
from .handle import RunHandle
from .nudge import Nudge
from .operate import UNCHANGED, audit, lock, refuse
from .operate_events import invoke_workflow, resend_event, send_as
from .operate_rerun import StepRef, rerun
from .operate_runs import supply_step, wake_run
from .operate_waits import extend_wait, resolve_wait, time_out_wait
from .operate_workers import drain_worker, undrain_worker
from .operate_workflows import pause_workflow, resume_workflow
from .plan_event import EventPlan, plan_event
from .reopen import reopen
from .start import nudge_after_commit
from .status import requeue_ended

__all__ = [
    "UNCHANGED",
    "EventPlan",
    "StepRef",
    "cancel_run",
    "delete_run",
    "drain_worker",
    "extend_wait",
    "invoke_workflow",
    "pause_workflow",
    "plan_event",
    "rerun",
    "resend_event",
    "resolve_wait",
    "resume_workflow",
    "retry_run",
    "send_as",
    "supply_step",
    "time_out_wait",
    "undrain_worker",
    "wake_run",
]


def cancel_run(
    run_id: UUID | str, *, actor: str, reason: str = "", children: bool = False, using: str | None = None
) -> RunHandle:
    """Cancel a run that has not ended; a step that is running may finish, nothing follows it.

    Args:
        children: Cancel with it all that it has started, and that they have, if it has not ended.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It has ended.
    """
    using = using or get_alias()
    _cancel(using, run_id, actor, reason, children, [])
    return RunHandle(run_id, using=using)


@repeatable
def _cancel(
    using: str, run_id: UUID | str, actor: str, reason: str, children: bool, tried: list[bool]
) -> None:
    text = reason or f"cancelled by {actor}"
    with transaction.atomic(using=using):
        run = lock(using, run_id)
        if not end_cancelled(using, run, text):
            if tried and run.status == RunStatus.CANCELLED:  # by the commit whose answer was lost
                return
            refuse(run, "cancel", "a run that has not ended")
        audit(using, actor, "cancel", run, reason, "cancelled")
        for child in lock_family(using, run.id)[1:] if children else ():
            if end_cancelled(using, child, text):
                audit(using, actor, "cancel", child, reason, f"cancelled with {run.id}")
        tried.append(True)


def retry_run(
    run_id: UUID | str,
    *,
    actor: str,
    reason: str = "",
    attempts: int | None = None,
    using: str | None = None,
) -> RunHandle:
    """Let a failed or cancelled run go on where it stopped; its completed steps stay done.

    Args:
        attempts: How often what failed is tried at most, 1 to what the code declares; None: as often as that.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It has not failed and was not cancelled.
        InvalidAttempts: So many attempts cannot be given.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = lock(using, run_id, children=True)
        limit = None if attempts is None else find_limit(using, run)
        if not requeue_ended(using, run.id):
            refuse(run, "retry", "a failed or cancelled run")
        reopen(using, run)
        if attempts is not None:
            give_attempts(using, run, check_attempts(run, limit, attempts), attempts)
        RunResult.objects.using(using).filter(run_id=run.id).delete()
        audit(using, actor, "retry", run, reason, f"queued{_say_attempts(attempts)}")
        nudge_after_commit(using, [Nudge(run.id, run.workflow, run.queue)])
    return RunHandle(run.id, using=using)


def _say_attempts(attempts: int | None) -> str:
    return "" if attempts is None else f", at most {attempts} attempts"


def delete_run(run_id: UUID | str, *, actor: str, reason: str = "", using: str | None = None) -> None:
    """Delete an ended run with its steps, attempts, waits and result; its event and the operator log stay.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It has not ended.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = lock(using, run_id)
        if run.status not in ENDED:
            refuse(run, "delete", "a run that has ended")
        audit(using, actor, "delete", run, reason, "deleted")
        run.delete()
