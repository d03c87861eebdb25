"""Status moves that operators make; each is one conditional update that must touch one row.

Note [Status moves live in one place]
    A run's status changes only here and in ``store`` (claim, park, finish, wake, end_waits), always as
    "from these statuses to that one" (law 11). The legal moves:

        queued -> running                      claim
        running -> waiting | queued            park, release, take-over
        running -> completed | failed          finish
        waiting -> queued                      due, or a wait ended
        queued | running | waiting -> cancelled
        waiting -> queued                      woken by an operator, see operate_runs
        queued | waiting | running -> paused   the workflow is paused, see store/paused.py
        paused -> queued                       it is resumed
        paused -> cancelled
        failed | cancelled -> queued           retry
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from ..clock import Now
from ..conf import settings
from ..models import Run, RunStatus
from ..models.run import LIVE


def cancel_live(using: str, run_id: UUID, reason: str) -> bool:
    """Cancel the run if it has not ended."""
    live = Run.objects.using(using).filter(id=run_id, status__in=LIVE)
    changed = live.update(
        status=RunStatus.CANCELLED,
        reason=reason[:255],
        waits_for="",
        owner="",
        wake_at=None,
        ended_at=Now(),
    )
    return changed == 1


def requeue_ended(using: str, run_id: UUID) -> bool:
    """Queue the run again if it failed or was cancelled."""
    ended = Run.objects.using(using).filter(id=run_id, status__in=(RunStatus.FAILED, RunStatus.CANCELLED))
    changed = ended.update(
        status=RunStatus.QUEUED,
        reason="",
        attempt=0,
        attempt_steps=0,
        crash_count=0,
        deadline_at=None,  # the next claim sets it anew
        ended_at=None,
        wake_at=Now() + timedelta(seconds=settings.RENUDGE_SECONDS),
    )
    return changed == 1


def requeue_waiting(using: str, run_id: UUID) -> bool:
    """Queue the run if it waits."""
    waiting = Run.objects.using(using).filter(id=run_id, status=RunStatus.WAITING)
    changed = waiting.update(
        status=RunStatus.QUEUED, waits_for="", wake_at=Now() + timedelta(seconds=settings.RENUDGE_SECONDS)
    )
    return changed == 1
