"""The tick: queue what is due, route what was left, and nudge; harmless however often it runs.

Note [Every unfinished run carries wake_at]
    It is the latest moment at which somebody must look at the run (law 2): the re-nudge of a queued one,
    the end of a running one's lease, the due time of a waiting one. So timers, retries, time-outs, dead
    workers and lost nudges are one index and one query. Two ticks at once skip each other's rows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields

from ..conf import settings
from ..store.due import Found, find_due
from ..store.event import read_unrouted
from ..store.lease import Due, wake_due
from .expire import cancel_overdue
from .fire import fire_due
from .nudge import Nudge, send_nudges
from .route import route_events
from .skip import skip_runs

logger = logging.getLogger("durable_django.sweep")

ROUTE_AFTER = 1.0
"""Seconds that the sender's own process is given to route an event before the tick does."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one tick did, in numbers of runs and events.

    ``left`` is how long the next run takes to be due; ``bulk`` tells whether a bulk operation is free.
    """

    woken: int = 0
    requeued: int = 0
    taken_over: int = 0
    routed: int = 0
    fired: int = 0
    timed_out: int = 0
    left: float | None = None
    bulk: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The numbers by name."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("left", "bulk")
        }

    @property
    def quiet(self) -> bool:
        """Tell whether nothing was due; then ``left`` is the time in seconds until a run is due."""
        return not any(self.counts.values())

    def __add__(self, other: Swept) -> Swept:
        return Swept(
            self.woken + other.woken,
            self.requeued + other.requeued,
            self.taken_over + other.taken_over,
            self.routed + other.routed,
            self.fired + other.fired,
            self.timed_out + other.timed_out,
            self.left,
            self.bulk,
        )


def sweep(using: str, *, batches: int = 20, found: Found | None = None) -> Swept:
    """Do all that is due, in batches of TICK_BATCH, and return what was done.

    ``found`` is what was due a moment ago, if it is known.
    """
    found = found or find_due(using, route_after=ROUTE_AFTER)
    total = Swept(
        timed_out=cancel_overdue(using, limit=settings.TICK_BATCH) if found.overdue else 0,
        fired=fire_due(using),
        routed=_route_left(using, batches) if found.unrouted else 0,
        left=found.left,
        bulk=found.bulk,
    )
    for _ in range(batches if found.waking else 0):
        batch, full = _wake_batch(using)
        total += batch
        if not full:
            break
    return total


def skip_paused(using: str, due: Sequence[Due]) -> None:
    """Cancel those of the runs, which were just looked at, that a paused workflow skips."""
    skip_runs(using, [run.id for run in due if run.paused])


def _route_left(using: str, batches: int) -> int:
    woken = 0
    for _ in range(batches):
        rows = read_unrouted(using, older_than=ROUTE_AFTER, limit=settings.TICK_BATCH)
        woken += route_events(using, rows) if rows else 0
        if len(rows) < settings.TICK_BATCH:
            break
    return woken


def _wake_batch(using: str) -> tuple[Swept, bool]:
    due = wake_due(using, limit=settings.TICK_BATCH, renudge=settings.RENUDGE_SECONDS)
    send_nudges([Nudge(run.id, run.workflow, run.queue) for run in due if not run.paused])
    skip_paused(using, due)
    for run in due:
        if run.was == "running":
            logger.warning("the lease of a run ended; it is taken over", extra={"run_id": str(run.id)})
    counts = {was: sum(run.was == was for run in due) for was in ("waiting", "queued", "running")}
    swept = Swept(woken=counts["waiting"], requeued=counts["queued"], taken_over=counts["running"])
    return swept, len(due) == settings.TICK_BATCH
