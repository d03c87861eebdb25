"""What all operations have in common: find and lock, refuse, and log."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal
from uuid import UUID

from django.core.exceptions import ValidationError

from ..exceptions import OperationRefused, RunNotFound, WaitNotFound, WaitRefused
from ..models import AuditEntry, Run, Wait, WaitStatus
from .cancel import lock_run


class Unchanged(Enum):
    """The type of ``UNCHANGED``."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Stands for an argument that was not given where None is a value."""
UnchangedType = Literal[Unchanged.UNCHANGED]


def lock(using: str, run_id: UUID | str, *, children: bool = False) -> Run:
    """Lock a run, and the one that waits for it, in the caller's transaction.

    Raises:
        RunNotFound: It is not stored, or the text is no id.
    """
    try:
        run = lock_run(using, run_id, children=children)
    except (ValueError, TypeError, ValidationError) as error:
        raise RunNotFound(id=run_id) from error
    if run is None:
        raise RunNotFound(id=run_id)
    return run


def lock_wait(using: str, wait_id: int | str, action: str) -> tuple[Run, Wait]:
    """Lock the run of an open wait, and return both as they are then.

    Raises:
        WaitNotFound: It is not stored, or the text is no number.
        WaitRefused: It has ended, or is a rule that cancels its run.
    """
    waits = Wait.objects.using(using)
    try:
        found = waits.filter(id=int(wait_id)).values_list("run_id", flat=True).first()
    except (ValueError, TypeError, OverflowError) as error:
        raise WaitNotFound(id=wait_id) from error
    run = None if found is None else lock_run(using, found)
    # Read again: whoever ended it held the run.
    wait = None if run is None else waits.filter(id=int(wait_id)).first()
    if run is None or wait is None:
        raise WaitNotFound(id=wait_id)
    if wait.status != WaitStatus.OPEN:
        raise WaitRefused(id=wait.id, status=wait.status, action=action, needs="an open wait")
    if wait.kind == "cancel":
        raise WaitRefused(id=wait.id, status="a cancel rule", action=action, needs="the wait of a step")
    return run, wait


def refuse(run: Run, action: str, needs: str) -> None:
    """Say that the state of a run does not fit.

    Raises:
        OperationRefused: Always.
    """
    raise OperationRefused(id=run.id, status=run.status, action=action, needs=needs)


def audit(
    using: str, actor: str, action: str, run: Run | None, reason: str, result: str, **fields: Any
) -> None:
    """Write the row of the operator log, in the transaction of the action."""
    about = {} if run is None else {"run_id": run.id, "workflow": run.workflow}
    AuditEntry.objects.using(using).create(
        actor=actor[:120], action=action, reason=reason[:255], result=result[:255], **{**about, **fields}
    )
