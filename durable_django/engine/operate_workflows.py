"""Pause and resume a workflow; what a pause does is said in ``store/paused.py``.

Note [A lost answer is no refusal]
    If the answer to a commit was lost, the action is repeated and finds that it is done. ``tried`` says that
    it was this call which did it, or somebody who wanted the same; so it is not told as refused.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from ..define.registry import registry
from ..exceptions import WorkflowRefused
from ..models import PauseNew, PauseRunning, Run, WorkflowState
from ..store.paused import clear_pause, find_queued, hold_runs, release_runs, save_pause
from ..store.retrying import repeatable
from .alias import get_alias
from .nudge import Nudge, expect, send_nudges
from .operate import audit
from .skip import skip_all

CANCEL: Final = "cancel"
WAYS: Final = (*PauseRunning.values, CANCEL)
"""What a pause may mean for the runs that have begun."""
NUDGED = 100
"""Runs that are announced at once when a workflow is resumed; the tick announces the others."""


def pause_workflow(
    workflow_id: str,
    *,
    running: str = "finish",
    new: str = "queue",
    actor: str,
    reason: str = "",
    using: str | None = None,
) -> WorkflowState:
    """Hold the runs of a workflow: new ones are stored and queue up until it is resumed.

    Args:
        new: What becomes of runs that start meanwhile: "queue" lets them wait for the resumption, "skip"
            cancels them within RENUDGE_SECONDS; they can be retried later.
        running: What runs do that have begun: "finish" lets them go on, "stop" holds them before their next
            step, "cancel" holds them so and starts a bulk operation that cancels them. A paused workflow can
            be paused again in another way.

    Raises:
        UnknownWorkflow: Neither the code here nor the database knows it.
        WorkflowRefused: It is paused in this way already.
    """
    using = using or get_alias()
    if running not in WAYS:
        raise ValueError(f"running is {running!r}, not one of {', '.join(WAYS)}")
    if new not in PauseNew.values:
        raise ValueError(f"new is {new!r}, not one of {', '.join(PauseNew.values)}")
    _check_known(using, workflow_id)
    _pause(using, workflow_id, running, new, actor, reason, [])
    return WorkflowState.objects.using(using).get(id=workflow_id)


@repeatable
def _pause(
    using: str, workflow_id: str, running: str, new: str, actor: str, reason: str, tried: list[bool]
) -> None:
    stored = PauseRunning.STOP if running == CANCEL else running
    with transaction.atomic(using=using):
        saved = save_pause(using, workflow_id, by=actor[:120], reason=reason[:255], running=stored, new=new)
        if not saved and tried:
            transaction.on_commit(
                lambda: _settle_pause(using, workflow_id, running), using=using, robust=True
            )
            return
        if not saved and running != CANCEL:
            raise WorkflowRefused(
                id=workflow_id, status="paused", action="pause", needs="one that is not paused so"
            )
        held = hold_runs(using, workflow_id)
        if running == PauseRunning.FINISH:
            release_runs(using, workflow_id)
        result = (
            f"{running}, {held} queued runs held{', new ones are skipped' if new == PauseNew.SKIP else ''}"
        )
        if running == CANCEL:
            result += (
                f", bulk operation {_cancel_begun(using, workflow_id, actor, reason)} cancels those begun"
            )
        audit(using, actor, "pause", None, reason, result, workflow=workflow_id)
        transaction.on_commit(lambda: _settle_pause(using, workflow_id, running), using=using, robust=True)
        tried.append(True)


def _settle_pause(using: str, workflow_id: str, running: str) -> None:
    # Claims and starts that were under way have committed by now, or have seen the pause.
    hold_runs(using, workflow_id)
    if running == PauseRunning.FINISH:
        _announce(using, workflow_id)


def _cancel_begun(using: str, workflow_id: str, actor: str, reason: str) -> int:
    from .bulk import start_bulk  # which knows all operations, this one among them

    chosen = {"workflow": workflow_id, "begun": True}
    why = reason or f"{workflow_id} is paused"
    return start_bulk("cancel", chosen, actor=actor, reason=why, using=using).pk


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
    skip_all(using, workflow_id)  # most of them here, in transactions of their own
    _resume(using, workflow_id, actor, reason, [])
    return WorkflowState.objects.using(using).get(id=workflow_id)


@repeatable
def _resume(using: str, workflow_id: str, actor: str, reason: str, tried: list[bool]) -> None:
    with transaction.atomic(using=using):
        transaction.on_commit(lambda: _settle_resume(using, workflow_id), using=using, robust=True)
        skip_all(using, workflow_id)
        cleared = clear_pause(using, workflow_id)
        if not cleared and tried:
            return
        if not cleared:
            raise WorkflowRefused(
                id=workflow_id, status="not paused", action="resume", needs="a paused workflow"
            )
        queued = release_runs(using, workflow_id)
        audit(using, actor, "resume", None, reason, f"{queued} runs queued", workflow=workflow_id)
        tried.append(True)


def _settle_resume(using: str, workflow_id: str) -> None:
    release_runs(using, workflow_id)
    _announce(using, workflow_id)


def _announce(using: str, workflow_id: str) -> None:
    send_nudges([Nudge(*each) for each in find_queued(using, workflow_id, limit=NUDGED)])
    expect(0.0)


def _check_known(using: str, workflow_id: str) -> None:
    if "\x00" in workflow_id:  # which no store can be asked for
        registry.get(workflow_id)
    known = workflow_id in registry or WorkflowState.objects.using(using).filter(id=workflow_id).exists()
    if not known and not Run.objects.using(using).filter(workflow=workflow_id).exists():
        registry.get(workflow_id)  # which says what was meant
