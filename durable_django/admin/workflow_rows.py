"""Workflows for the screens: what the code declares, what the database knows, what the figures say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..clock import read_time
from ..define.registry import registry
from ..define.workflow import Workflow
from ..engine.histogram import find_percentile
from ..engine.report_workflows import REPORT_SECONDS, describe_options
from ..engine.rollup_rows import read_figures, sum_up
from ..engine.words import choose_word
from ..models import Rollup, Run, WorkflowState

LIVE: int = 10_000
HOURS: int = 24


@dataclass(kw_only=True)
class Row:
    """A workflow; ``hours`` are its figures of the last day by the hour they begin at."""

    id: str
    declared: Workflow[Any, Any] | None = None
    state: WorkflowState | None = None
    live: Counter[str] = field(default_factory=Counter)
    hours: dict[datetime, dict[str, Any]] = field(default_factory=dict)

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
        """Return the hour in which a run failed last."""
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


def read_workflows(using: str, now: datetime) -> tuple[list[Row], bool]:
    """Return all workflows that anything is known of, and whether the counts of live runs are complete."""
    rows = {each.id: Row(id=each.id, declared=each) for each in registry}
    for state in WorkflowState.objects.using(using).all():
        rows.setdefault(state.id, Row(id=state.id)).state = state
    live = Run.objects.using(using).filter(wake_at__isnull=False)
    found = list(live.values_list("workflow", "status", "waits_for")[: LIVE + 1])
    for workflow, status, waits_for in found:
        rows.setdefault(workflow, Row(id=workflow)).live[choose_word(status, waits_for).code] += 1
    for figure in read_hours(using, now):
        row = rows.setdefault(figure.workflow, Row(id=figure.workflow))
        row.hours[read_time(figure.at)] = read_figures(figure)
    return [rows[name] for name in sorted(rows)], len(found) <= LIVE


def read_hours(using: str, now: datetime) -> Iterable[Rollup]:
    """Return the figures of all workflows for the last day, by the hour."""
    begin = now - timedelta(hours=HOURS)
    rows = Rollup.objects.using(using).filter(span=60, at__gte=begin).exclude(workflow="")
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
