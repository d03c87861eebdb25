"""Finds what changed in runs, steps and waits since the last look, by reading rows.

Note [A look is bounded]
    New runs are found by their time-ordered ids, old ones that wake by ``wake_at``, and only the newest
    FOLLOWED are followed; all of these are index lookups, so a big table costs as little as a small one.
    What ended shortly before the last look is read again, since commits become visible out of order; the
    set of what was told keeps it from being told twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from ...clock import read_now, read_time
from ...conf import settings
from ...engine.words import is_over
from ...models import Attempt, Run, RunResult, Step, StepKind, StepStatus, Wait
from ...models.run import ENDED

FOLLOWED = 200
OVERLAP = timedelta(seconds=5)
WOKEN_EVERY = 5
"""Looks between two searches for old runs that woke."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happened to a run, or to its ``step``, ``wait`` or ``attempt``; an end has a ``result``."""

    at: datetime
    rank: int
    run: Run
    step: Step | None = None
    wait: Wait | None = None
    attempt: Attempt | None = None
    result: RunResult | None = None
    woke: bool = False

    @property
    def begins(self) -> bool:
        """Tell whether this is the first that was seen of the run."""
        return self.rank == 0

    @property
    def ends(self) -> bool:
        """Tell whether this is the end of the run."""
        return self.rank == 3


class Watcher:
    """Reads changes of the runs of an alias from its making on."""

    def __init__(self, using: str) -> None:
        self._using = using
        self.since = self.now = read_now(using)
        self._last = self.since
        self._followed: dict[UUID, Run] = {}
        self._ended: set[UUID] = set()
        self._told: set[tuple[Any, ...]] = set()
        self._looks = 0
        self._follow(list(self._runs().live().order_by("-id")[:FOLLOWED]))

    def look(self) -> list[Change]:
        """Return what happened since the last look, in order."""
        self._last, self.now = self.now, read_now(self._using)
        changes = self._find_new() + self._find_woken()
        if self._followed:
            runs = {run.id: run for run in self._runs().filter(id__in=list(self._followed))}
            changes += self._find_steps(runs) + self._find_attempts(runs) + self._find_ends(runs)
        return sorted(changes, key=_order)

    def _runs(self) -> Any:
        # The event's name only: its data may be large.
        runs = Run.objects.using(self._using).select_related("event")
        return runs.defer("event__data", "event__extra").order_by("id")

    def _find_new(self) -> list[Change]:
        milliseconds = int((time.time() - OVERLAP.total_seconds()) * 1000)
        recent = self._runs().filter(id__gte=UUID(int=milliseconds << 80), created_at__gte=self.since)
        unknown = [run for run in recent if run.id not in self._followed and run.id not in self._ended]
        self._follow(unknown)
        return [Change(at=read_time(run.created_at), rank=0, run=run) for run in unknown]

    def _find_woken(self) -> list[Change]:
        self._looks += 1
        if self._looks % WOKEN_EVERY:
            return []
        horizon = self.now + timedelta(seconds=max(settings.LEASE_SECONDS, settings.RENUDGE_SECONDS))
        active = self._runs().filter(wake_at__lte=horizon).order_by("wake_at")[:FOLLOWED]
        self._follow([run for run in active if run.id not in self._followed])
        return []

    def _follow(self, runs: list[Run]) -> None:
        self._followed.update((run.id, run) for run in runs)
        for run_id in sorted(self._followed)[:-FOLLOWED]:
            del self._followed[run_id]

    def _find_steps(self, runs: dict[UUID, Run]) -> list[Change]:
        recent = Q(ended_at__isnull=True) | Q(ended_at__gte=self._last - OVERLAP)
        steps = Step.objects.using(self._using).filter(recent, run_id__in=list(runs)).defer("output")
        waits = Wait.objects.using(self._using).filter(run_id__in=list(runs))
        asked = {(wait.run_id, wait.name, wait.index): wait for wait in waits}
        changes = []
        for step in steps:
            if (
                is_over(step, self.now)
                and step.ready_at
                and self._is_news(read_time(step.ready_at), "woke", step.id)
            ):
                woke = Change(
                    at=read_time(step.ready_at), rank=1, run=runs[step.run_id], step=step, woke=True
                )
                changes.append(woke)
            at = read_time(step.ended_at or step.started_at)
            # A retrying step is told by its failed attempt.
            if step.status != StepStatus.RETRYING and self._is_news(at, "step", step.id, step.status):
                wait = (
                    asked.get((step.run_id, step.name, step.index)) if step.kind == StepKind.EVENT else None
                )
                changes.append(Change(at=at, rank=1, run=runs[step.run_id], step=step, wait=wait))
        return changes

    def _find_attempts(self, runs: dict[UUID, Run]) -> list[Change]:
        attempts = Attempt.objects.using(self._using).filter(
            run_id__in=list(runs), ended_at__gte=self._last - OVERLAP
        )
        return [
            Change(at=read_time(each.ended_at), rank=2, run=runs[each.run_id], attempt=each)
            for each in attempts.defer("traceback")
            if self._is_news(read_time(each.ended_at), "attempt", each.id)
        ]

    def _find_ends(self, runs: dict[UUID, Run]) -> list[Change]:
        ended = [run for run in runs.values() if run.status in ENDED]
        results = RunResult.objects.using(self._using).in_bulk([run.id for run in ended])
        for run in ended:
            self._followed.pop(run.id, None)
            self._ended.add(run.id)
        return [
            Change(at=read_time(run.ended_at), rank=3, run=run, result=results.get(run.id))
            for run in ended
            if run.ended_at is not None and self._is_news(read_time(run.ended_at), "end", run.id, run.token)
        ]

    def _is_news(self, at: datetime, *key: Any) -> bool:
        # What lies before the watch is no news; told keys are few, since only what is recent is read.
        if at < self.since or key in self._told:
            return False
        self._told.add(key)
        return True


def _order(change: Change) -> tuple[datetime, int, int]:
    # SQLite counts milliseconds: what happened in the same one comes in the order in which it was stored.
    row = change.step or change.attempt
    return change.at, change.rank, row.id if row else 0
