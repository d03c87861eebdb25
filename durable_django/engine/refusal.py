"""The operator log's rows on what was asked for and not done."""

from __future__ import annotations

from uuid import UUID

from ..models import AuditEntry


def record_refusal(
    using: str,
    *,
    actor: str,
    action: str,
    run_id: UUID | None,
    result: str,
    workflow: str = "",
    reason: str = "",
) -> None:
    """Add a row for an action that was denied to somebody, or refused in the state that the run was in.

    Args:
        result: ``denied``, or ``refused:`` and why.
    """
    AuditEntry.objects.using(using).create(
        actor=actor[:120],
        action=action[:32],
        run_id=run_id,
        workflow=workflow,
        reason=reason[:255],
        result=result[:255],
    )
