"""Invariants that a SELECT alone cannot state: they need the code of the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ..clock import Now
from ..models import Event, Schedule, Wait, WaitStatus
from ..models.run import LIVE
from ..store.invariant import Ask, Found, Severity
from ..store.invariants_runs import TICK_REMEDY
from ..store.resolve import find_candidates_of_run
from .fire import list_crons
from .judge import Judge

RUNS: Final = 1_000
"""Runs with open waits that are looked at, those that wait longest first."""
EVENTS: Final = 50
"""Stored events that each of them is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """As ``store.invariant.Invariant``, but asked by code; ``find`` is bounded by itself."""

    id: str
    title: str
    remedy: str
    find: Callable[[str, Ask, int], Found]
    severity: Severity = "error"
    live: bool = True
    vendor: str = ""


def _find_unanswered(using: str, ask: Ask, rows: int) -> Found:
    """Find waits that an event of the store answers, although it was routed long ago."""
    settled = Now() - timedelta(seconds=ask.late)
    waits = Wait.objects.using(using).filter(
        status=WaitStatus.OPEN, created_at__lt=settled, expires_at__gt=Now(), run__status__in=LIVE
    )
    waits = waits.exclude(event_name="")
    ids = list(dict.fromkeys(waits.order_by("id").values_list("run_id", flat=True)[:RUNS]))
    judge, found = Judge(), []
    for run_id in ids:
        for pair in find_candidates_of_run(using, run_id, above=(0, 0), limit=EVENTS):
            if judge.answers(pair):
                found.append((pair.wait_id, pair.event.id))
    lost = [
        {"run": wait.run_id, "step": wait.name, "event_name": wait.event_name, "event": event_id}
        for wait_id, event_id in found
        for wait in waits.filter(pk=wait_id)
        if Event.objects.using(using).filter(pk=event_id, routed_at__lt=settled).exists()
    ]
    return Found(len(lost), lost[:rows])


def _find_unfired(using: str, ask: Ask, rows: int) -> Found:
    """Find schedules of the code that are due and have not fired."""
    due = Schedule.objects.using(using).filter(
        key__in=list(list_crons()), next_at__lt=Now() - timedelta(seconds=ask.late)
    )
    shown = due.order_by("next_at").values("workflow", "cron", "tz", "next_at", "last_at")
    return Found(due.count(), [dict(row) for row in shown[:rows]])


INVARIANTS: Final = (
    Judged(
        id="I6-unanswered",
        title="a wait is open although an event that answers it was routed",
        remedy="Send the event again (`manage.py durable send`); please report it.",
        find=_find_unanswered,
    ),
    Judged(
        id="I8-due",
        title="a schedule is due and has not fired",
        remedy=TICK_REMEDY,
        find=_find_unfired,
    ),
)
