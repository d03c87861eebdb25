"""The end of a run whose end somebody awaits: its parent's step, or workflows that hear of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction

from ..conf import settings
from ..exceptions import DurableError
from ..store.base import Claimed, EventRow, Parent, cursor
from ..store.child import answer_parent
from ..store.retrying import repeatable
from ..store.wake import lock_runs
from .describe_error import describe
from .lifecycle import list_heard, store_lifecycle
from .nudge import Nudge
from .route import route_after_commit
from .seal import seal_for_parent
from .start import nudge_after_commit


def is_awaited(claimed: Claimed, status: str) -> bool:
    """Tell whether such an end of the run concerns anyone else."""
    return claimed.parent is not None or bool(list_heard(claimed.workflow, claimed.origin, status))


@repeatable
def end_awaited(
    using: str,
    claimed: Claimed,
    finish: Callable[[], Any],
    *,
    status: str,
    output: str | None = None,
    error: str | None = None,
) -> bool:
    """End a run by ``finish``, and tell all who wait for it, in one transaction (law 9)."""
    with transaction.atomic(using=using):
        lock_family(using, claimed.id, claimed.parent)
        if not finish():
            return False
        tell_end(
            using,
            run_id=claimed.id,
            workflow=claimed.workflow,
            origin=claimed.origin,
            parent=claimed.parent,
            event=claimed.event,
            status=status,
            output=output,
            error=error,
        )
    return True


def lock_family(using: str, run_id: UUID, parent: Parent | None) -> None:
    """Lock the run and the one that waits for it, in order of id, in the caller's transaction."""
    with cursor(using) as handle:
        lock_runs(using, handle, [run_id] if parent is None else [run_id, parent.run_id])


def tell_end(
    using: str,
    *,
    run_id: UUID,
    workflow: str,
    origin: str,
    parent: Parent | None,
    event: EventRow | None,
    status: str,
    output: str | None = None,
    error: str | None = None,
    reason: str = "",
) -> None:
    """Answer the parent and store lifecycle events in the transaction that ends the run.

    ``event`` may be missing if nobody hears of the end.
    """
    if parent is not None:
        if status == "completed":
            result, told = _seal(run_id, workflow, parent, output or "null")
        else:
            result, told = (
                None,
                (error or "{}") if status == "failed" else _describe_cancelled(workflow, reason),
            )
        woken = answer_parent(
            using,
            parent,
            status="completed" if told is None else "failed",
            output=result,
            error=None if told is None else _to_step_error(told, parent),
            renudge=settings.RENUDGE_SECONDS,
        )
        nudge_after_commit(using, [Nudge(*each) for each in woken])
    names = list_heard(workflow, origin, status)
    if names and event is not None:
        rows = store_lifecycle(
            using,
            run_id=run_id,
            workflow=workflow,
            names=names,
            status=status,
            event=event,
            output=output,
            error=error,
            reason=reason,
        )
        route_after_commit(using, rows)


def _seal(run_id: UUID, workflow: str, parent: Parent, output: str) -> tuple[str | None, str | None]:
    try:
        return seal_for_parent(str(run_id), workflow, parent, output), None
    except DurableError as error:
        return None, json.dumps(describe(error))


def _describe_cancelled(workflow: str, reason: str) -> str:
    message = f"the invoked workflow {workflow!r} was cancelled: {reason}"
    return json.dumps(
        {"name": "InvokeCancelled", "message": message, "stack": "", "code": "invoke_cancelled"}
    )


def _to_step_error(told: str, parent: Parent) -> str:
    found = json.loads(told)
    return json.dumps(
        {
            "message": found.get("message", ""),
            "name": found.get("name", "Error"),
            "stack": found.get("stack", ""),
            "step": parent.step,
            "index": parent.index,
            "error_code": found.get("code", ""),
        }
    )
