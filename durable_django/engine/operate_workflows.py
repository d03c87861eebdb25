"""Pause and resume a workflow; what a pause does is said in ``store/paused.py``."""

from __future__ import annotations

from django.db import transaction

from ..define.registry import registry
from ..exceptions import WorkflowRefused
from ..models import PauseRunning, Run, WorkflowState
from ..store.paused import clear_pause, find_queued, hold_runs, release_runs, save_pause
from ..store.retrying import repeatable
from .alias import get_alias
from .nudge import Nudge, expect, send_nudges
from .operate import audit

NUDGED = 100
"""Runs that are announced at once when a workflow is resumed; the tick announces the others."""


def pause_workflow(
    workflow_id: str, *, running: str = "finish", actor: str, reason: str = "", using: str | None = None
) -> WorkflowState:
    """Hold the runs of a workflow: new ones are stored and queue up until it is resumed.

    Args:
        running: What runs do that have begun: "finish" lets them go on, "stop" holds them before their next
            step. A paused workflow can be paused again in the other way.

    Raises:
        UnknownWorkflow: Neither the code here nor the database knows it.
        WorkflowRefused: It is paused in this way already.
    """
    using = using or get_alias()
    if running not in PauseRunning.values:
        raise ValueError(f"running is {running!r}, not one of {', '.join(PauseRunning.values)}")
    _check_known(using, workflow_id)
    _pause(using, workflow_id, running, actor, reason)
    return WorkflowState.objects.using(using).get(id=workflow_id)


@repeatable
def _pause(using: str, workflow_id: str, running: str, actor: str, reason: str) -> None:
    with transaction.atomic(using=using):
        saved = save_pause(using, workflow_id, by=actor[:120], reason=reason[:255], running=running)
        if not saved:
            raise WorkflowRefused(
                id=workflow_id, status="paused", action="pause", needs="one that is not paused so"
            )
        held = hold_runs(using, workflow_id)
        more = release_runs(using, workflow_id) if running == PauseRunning.FINISH else 0
        result = f"{running}, {held} queued runs held"
        audit(using, actor, "pause", None, reason, result, workflow=workflow_id)

        def settle() -> None:
            # Claims and starts that were under way have committed by now, or have seen the pause.
            hold_runs(using, workflow_id)
            if more:
                _announce(using, workflow_id)

        transaction.on_commit(settle, using=using, robust=True)


def resume_workflow(
    workflow_id: str, *, actor: str, reason: str = "", using: str | None = None
) -> WorkflowState:
    """Let the runs of a paused workflow go on; those that were held are queued.

    Raises:
        UnknownWorkflow: Neither the code here nor the database knows it.
        WorkflowRefused: It is not paused.
    """
    using = using or get_alias()
    _check_known(using, workflow_id)
    _resume(using, workflow_id, actor, reason)
    return WorkflowState.objects.using(using).get(id=workflow_id)


@repeatable
def _resume(using: str, workflow_id: str, actor: str, reason: str) -> None:
    with transaction.atomic(using=using):
        if not clear_pause(using, workflow_id):
            raise WorkflowRefused(
                id=workflow_id, status="not paused", action="resume", needs="a paused workflow"
            )
        queued = release_runs(using, workflow_id)
        audit(using, actor, "resume", None, reason, f"{queued} runs queued", workflow=workflow_id)

        def settle() -> None:
            release_runs(using, workflow_id)
            _announce(using, workflow_id)

        transaction.on_commit(settle, using=using, robust=True)


def _announce(using: str, workflow_id: str) -> None:
    send_nudges([Nudge(*each) for each in find_queued(using, workflow_id, limit=NUDGED)])
    expect(0.0)


def _check_known(using: str, workflow_id: str) -> None:
    if "\x00" in workflow_id:  # which no store can be asked for
        registry.get(workflow_id)
    known = workflow_id in registry or WorkflowState.objects.using(using).filter(id=workflow_id).exists()
    if not known and not Run.objects.using(using).filter(workflow=workflow_id).exists():
        registry.get(workflow_id)  # which says what was meant
