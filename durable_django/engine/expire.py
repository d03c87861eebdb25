"""Cancel the runs that are past their deadline; see Note [Deadlines]."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction

from ..clock import Now
from ..models import Run
from ..store.deadline import find_overdue
from .cancel import end_cancelled, lock_run

logger = logging.getLogger("durable_django.sweep")

NOT_STARTED = "timed out before it started"
NOT_FINISHED = "timed out before it finished"


def cancel_overdue(using: str, *, limit: int) -> int:
    """Cancel up to ``limit`` runs that are past their deadline; return how many were cancelled."""
    return sum(_cancel(using, run_id) for run_id in find_overdue(using, limit=limit))


def _cancel(using: str, run_id: UUID) -> bool:
    with transaction.atomic(using=using):
        run = lock_run(using, run_id)
        # Before it was locked it may have ended, or an operator may have given it its time again.
        overdue = Run.objects.using(using).filter(id=run_id, deadline_at__lte=Now(), ended_at__isnull=True)
        if run is None or not overdue.exists():
            return False
        reason = NOT_STARTED if run.started_at is None else NOT_FINISHED
        cancelled = end_cancelled(using, run, reason)
    logger.info("run ended", extra={"run_id": str(run_id), "status": "cancelled", "reason": reason})
    return cancelled
