"""Cancel the runs of a workflow that a time range and a condition on their events choose, a page at a time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ..clock import read_now
from ..exceptions import OperationRefused, RunNotFound
from ..models import Run
from .alias import get_alias
from .event_row import to_row
from .expressions import Expression, compile_expression
from .operations import cancel_run
from .slice import read_event

EXAMINED: Final = 500
"""Runs looked at in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """What one call did; ``next`` is where the next one begins, None when all were looked at.

    ``undecided`` counts runs whose event does not say whether the condition holds; they go on.
    """

    workflow: str
    started_before: datetime
    examined: int = 0
    cancelled: int = 0
    undecided: int = 0
    next: UUID | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for answers in JSON."""
        return {**asdict(self), "next": str(self.next) if self.next else None}


def cancel_matching(
    workflow_id: str,
    *,
    actor: str,
    reason: str = "",
    started_after: datetime | None = None,
    started_before: datetime | None = None,
    if_exp: str | None = None,
    after: UUID | None = None,
    dry_run: bool = False,
    using: str | None = None,
) -> Cancellation:
    """Cancel the runs that have not ended and were created in a range, each by itself and with its audit row.

    Args:
        started_before: The end of the range; now if not given. Give what was answered when going on.
        if_exp: A condition on ``event``, the event that started the run.
        after: Where a former call stopped.
        dry_run: Count what would be cancelled, and cancel nothing.

    Raises:
        InvalidExpression: The condition does not compile.
    """
    using = using or get_alias()
    condition = compile_expression(if_exp, allow_async=False, condition=True) if if_exp else None
    before = started_before or read_now(using)
    runs = _find(using, workflow_id, started_after, before, after)
    chosen = [(run, _decide(run, condition)) for run in runs]
    wanted = [run.id for run, holds in chosen if holds]
    cancelled = len(wanted) if dry_run else sum(_cancel(using, each, actor, reason) for each in wanted)
    return Cancellation(
        workflow=workflow_id,
        started_before=before,
        examined=len(runs),
        cancelled=cancelled,
        undecided=sum(holds is None for _, holds in chosen),
        next=runs[-1].id if len(runs) == EXAMINED else None,
    )


def _find(
    using: str, workflow: str, since: datetime | None, before: datetime, after: UUID | None
) -> list[Run]:
    runs = Run.objects.using(using).filter(workflow=workflow, wake_at__isnull=False, created_at__lt=before)
    if since is not None:
        runs = runs.filter(created_at__gte=since)
    if after is not None:
        runs = runs.filter(id__gt=after)
    return list(runs.select_related("event").order_by("id")[:EXAMINED])


def _decide(run: Run, condition: Expression | None) -> bool | None:
    if condition is None:
        return True
    outcome = condition.evaluate(read_event(to_row(run.event)).as_dict())
    return None if outcome.error else outcome.value


def _cancel(using: str, run_id: UUID, actor: str, reason: str) -> bool:
    try:
        cancel_run(run_id, actor=actor, reason=reason, using=using)
    except (OperationRefused, RunNotFound):
        return False  # it has ended meanwhile
    return True
