"""Workflows for the screens: what the code declares, what the database knows, what the figures say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from ..clock import Now, read_time
from ..define.registry import registry
from ..define.workflow import Workflow
from ..engine.diagnose import OVERDUE_SECONDS
from ..engine.histogram import find_percentile
from ..engine.report_workflows import REPORT_SECONDS, describe_options
from ..engine.rollup_rows import read_figures, sum_up
from ..engine.words import choose_word, select_state
from ..models import Rollup, Run, WorkflowState
from ..store.live import count_live

LIVE: int = 10_000
FAILURES: int = 500
HOURS: int = 24


@dataclass(kw_only=True)
class Row:
    """A workflow; ``hours`` are its figures of the last day by the hour they begin at.

    ``failure`` is the run that failed last, if it is among the newest FAILURES.
    """

    id: str
    declared: Workflow[Any, Any] | None = None
    state: WorkflowState | None = None
    live: Counter[str] = field(default_factory=Counter)
    hours: dict[datetime, dict[str, Any]] = field(default_factory=dict)
    failure: Run | None = None

    def is_seen(self, now: datetime) -> bool:
        """Tell whether a live worker may have the code."""
        seen = self.state.seen_at if self.state else None
        return seen is not None and (now - read_time(seen)).total_seconds() <= 2 * REPORT_SECONDS

    @property
    def paused(self) -> bool:
        """Tell whether it is paused."""
        return self.state is not None and self.state.paused_at is not None

    @property
    def total(self) -> dict[str, Any]:
        """Return the figures of the day."""
        return sum_up(self.hours[at] for at in sorted(self.hours))

    @property
    def p95(self) -> float | None:
        """Return how long 95 of 100 runs last at most, in seconds."""
        return find_percentile(self.total["durations"], 95)

    @property
    def last_failure(self) -> datetime | None:
        """Return when a run failed last; from the figures only the begin of the hour is known."""
        if self.failure is not None and self.failure.ended_at is not None:
            return read_time(self.failure.ended_at)
        return max((at for at, told in self.hours.items() if told["failed"]), default=None)

    @property
    def triggers(self) -> list[str]:
        """Return what starts it, in short."""
        if self.declared is None:
            return [str(each) for each in read_config(self).get("triggers", [])]
        return [tell_trigger(each) for each in self.declared.triggers]


def tell_trigger(trigger: Any) -> str:
    """Return a trigger in short: its cron expression, or its event and condition."""
    if hasattr(trigger, "expression"):
        return f"{trigger.expression} {trigger.tz}"
    condition = getattr(trigger, "if_exp", None)
    name = getattr(trigger, "event", "") or type(trigger).__name__
    return f"{name} if {condition}" if condition else str(name)


def read_workflows(using: str, only: str | None = None) -> tuple[list[Row], bool, datetime]:
    """Return what is known of workflows, whether the counts of live runs are complete, and the time; in four queries.

    Args:
        only: The id of the one that is asked for; without it all that anything is known of are returned.
    """
    rows = {each.id: Row(id=each.id, declared=each) for each in registry if only in (None, each.id)}
    states: Any = WorkflowState.objects.using(using).annotate(now=Now())
    now = timezone.now()
    for state in states if only is None else states.filter(id=only):
        rows.setdefault(state.id, Row(id=state.id)).state = state
        now = read_time(state.now)
    found = count_live(using, limit=LIVE + 1, late=OVERDUE_SECONDS)
    for group in found:
        if only not in (None, group.workflow):
            continue
        row = rows.setdefault(group.workflow, Row(id=group.workflow))
        row.live[choose_word(group.status, group.waits_for).code] += group.count
    for figure in read_hours(using, now, only):
        row = rows.setdefault(figure.workflow, Row(id=figure.workflow))
        row.hours[read_time(figure.at)] = read_figures(figure)
    for run in _read_failures(using):
        if only in (None, run.workflow):
            row = rows.setdefault(run.workflow, Row(id=run.workflow))
            row.failure = row.failure or run
    whole = sum(group.count for group in found) <= LIVE
    return [rows[name] for name in sorted(rows)], whole, now


def _read_failures(using: str) -> Iterable[Run]:
    """Return the runs that failed last, of whatever workflow: to find one of a certain one may take long."""
    runs = Run.objects.using(using).filter(select_state("failed"), ended_at__isnull=False)
    return runs.only("workflow", "ended_at").order_by("-ended_at")[:FAILURES]


def read_hours(using: str, now: datetime, only: str | None = None) -> Iterable[Rollup]:
    """Return the figures of all workflows, or of one, for the last day, by the hour."""
    begin = now - timedelta(hours=HOURS)
    rows = Rollup.objects.using(using).filter(span=60, at__gte=begin)
    rows = rows.exclude(workflow="") if only is None else rows.filter(workflow=only)
    return rows.iterator(chunk_size=2_000)


def read_config(row: Row) -> dict[str, Any]:
    """Return the options as they are declared here, or as a worker reported them."""
    if row.declared is None:
        try:
            told = json.loads(row.state.config) if row.state else {}
        except ValueError:  # a hand-edited row
            return {}
        return told if isinstance(told, dict) else {}
    told = describe_options(row.declared)
    told.pop("triggers", None)
    return {"version": row.declared.version, **told}
