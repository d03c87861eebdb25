"""What operators do to runs: each checks, acts and writes an audit row, for admin, REST and commands."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from ..conf import settings
from ..define.registry import registry
from ..define.timeouts import NO_TIMEOUTS
from ..exceptions import OperationRefused, RunNotFound
from ..ids import new_id
from ..models import AuditEntry, Run, RunResult
from ..models.run import ENDED
from ..store.event import StartRow, start_runs
from .alias import get_alias
from .cancel import end_cancelled, lock_run
from .handle import RunHandle
from .nudge import Nudge
from .reopen import rearm, reopen
from .start import nudge_after_commit
from .status import requeue_ended


def cancel_run(run_id: UUID | str, *, actor: str, reason: str = "", using: str | None = None) -> RunHandle:
    """Cancel a run that has not ended; a step that is running may finish, nothing follows it.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It has ended.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = _lock(using, run_id)
        text = reason or f"cancelled by {actor}"
        if not end_cancelled(using, run, text):
            _refuse(run, "cancel", "a run that has not ended")
        _audit(using, actor, "cancel", run, reason, "cancelled")
    return RunHandle(run.id, using=using)


def retry_run(run_id: UUID | str, *, actor: str, reason: str = "", using: str | None = None) -> RunHandle:
    """Let a failed or cancelled run go on where it stopped; its completed steps stay done.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It has not failed and was not cancelled.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = _lock(using, run_id, children=True)
        if not requeue_ended(using, run.id):
            _refuse(run, "retry", "a failed or cancelled run")
        reopen(using, run)
        RunResult.objects.using(using).filter(run_id=run.id).delete()
        _audit(using, actor, "retry", run, reason, "queued")
        nudge_after_commit(using, [Nudge(run.id, run.workflow, run.queue)])
    return RunHandle(run.id, using=using)


def rerun(run_id: UUID | str, *, actor: str, reason: str = "", using: str | None = None) -> RunHandle:
    """Start a new run of the same workflow with the same event.

    Raises:
        RunNotFound: It is not stored.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = _lock(using, run_id)
        workflow = registry.find(run.workflow)
        limits = (workflow.timeouts if workflow else None) or NO_TIMEOUTS
        start = StartRow(
            id=new_id(),
            workflow=run.workflow,
            event_id=run.event_id,
            start_key=None,
            key=run.key,
            origin="rerun",
            queue=run.queue,
            rerun_of=run.id,
            version=workflow.version if workflow else "",
            start_within=limits.start_seconds,
            finish_within=limits.finish_seconds,
        )
        routed = start_runs(using, [], [start], renudge=settings.RENUDGE_SECONDS)
        rearm(using, run, start.id)
        _audit(using, actor, "rerun", run, reason, f"started {start.id}")
        nudge_after_commit(using, [Nudge(*each) for each in routed.started])
    return RunHandle(start.id, using=using)


def delete_run(run_id: UUID | str, *, actor: str, reason: str = "", using: str | None = None) -> None:
    """Delete an ended run with its steps, attempts, waits and result; its event and the operator log stay.

    Raises:
        RunNotFound: It is not stored.
        OperationRefused: It has not ended.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run = _lock(using, run_id)
        if run.status not in ENDED:
            _refuse(run, "delete", "a run that has ended")
        _audit(using, actor, "delete", run, reason, "deleted")
        run.delete()


def _lock(using: str, run_id: UUID | str, *, children: bool = False) -> Run:
    try:
        run = lock_run(using, run_id, children=children)
    except (ValueError, TypeError, ValidationError) as error:
        raise RunNotFound(id=run_id) from error
    if run is None:
        raise RunNotFound(id=run_id)
    return run


def _refuse(run: Run, action: str, needs: str) -> None:
    raise OperationRefused(id=run.id, status=run.status, action=action, needs=needs)


def _audit(using: str, actor: str, action: str, run: Run, reason: str, result: str) -> None:
    AuditEntry.objects.using(using).create(
        actor=actor[:120],
        action=action,
        run_id=run.id,
        workflow=run.workflow,
        reason=reason[:255],
        result=result[:255],
    )
