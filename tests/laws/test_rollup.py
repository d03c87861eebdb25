"""The figures of the console: what they count, and that counting again changes nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from durable_django.engine.histogram import find_bucket, find_percentile, merge
from durable_django.engine.rollup import KEPT, roll_up, roll_up_when_due
from durable_django.ids import new_id
from durable_django.models import Event, Rollup, Run, RunResult
from durable_django.store.rollup import claim_minute
from tests.plugins.store import Store
from tests.threads import run_together

MINUTE = timedelta(minutes=1)


def find_now() -> datetime:
    """An instant in the middle of an hour, so that a test's minutes lie in one."""
    return timezone.now().replace(minute=30, second=20, microsecond=0) - timedelta(hours=1)


def make_run(
    ended: datetime | None, *, status: str = "completed", lasted: float = 10.0, **fields: Any
) -> Run:
    event = Event.objects.create(name="a/b", ts=1)
    end = ended or timezone.now()
    began = end - timedelta(seconds=lasted)
    fields = {"workflow": "w", "queue": "q", "status": status, "ended_at": ended, **fields}
    run = Run.objects.create(id=new_id(), event=event, started_at=began + timedelta(seconds=1), **fields)
    Run.objects.filter(pk=run.pk).update(created_at=began)
    return run


def read(span: int, workflow: str = "w") -> list[tuple[Any, ...]]:
    rows = Rollup.objects.filter(span=span, workflow=workflow).order_by("at")
    return [(row.started, row.completed, row.failed, row.cancelled) for row in rows]


def test_each_minute_and_hour_of_a_workflow_has_its_figures(store: Store) -> None:
    """Starts, ends by status, start delays, durations and errors are those of the runs."""
    now = find_now()
    for _ in range(3):
        make_run(now - MINUTE)
    failed = make_run(now - MINUTE, status="failed", lasted=80.0)
    error = {"name": "ValueError", "message": "declined\nby the bank", "stack": "", "code": ""}
    RunResult.objects.create(run=failed, error=json.dumps(error))
    make_run(now - 2 * MINUTE, status="cancelled", workflow="other")
    roll_up(store.alias, now)
    assert read(1) == [(1, 0, 0, 0), (3, 3, 1, 0)]
    assert read(60) == [(4, 3, 1, 0)]
    assert read(60, "") == [(5, 3, 1, 1)]
    row = Rollup.objects.get(span=60, workflow="w")
    assert json.loads(row.errors) == {"ValueError: declined": 1}
    assert json.loads(row.delays) == {str(find_bucket(1.0)): 4}
    assert json.loads(row.durations) == {str(find_bucket(10.0)): 3, str(find_bucket(80.0)): 1}


def test_runs_that_were_not_over_are_gauged(store: Store) -> None:
    """The newest minute tells how many runs were queued, running and waiting."""
    now = find_now()
    soon = timezone.now() + timedelta(hours=1)
    for status in ("queued", "queued", "waiting"):
        make_run(None, status=status, wake_at=soon)
    roll_up(store.alias, now)
    row = Rollup.objects.get(workflow="", span=1)
    assert (row.queued, row.running, row.waiting) == (2, 0, 1)
    roll_up(store.alias, now + MINUTE)
    assert set(Rollup.objects.filter(workflow="", span=1).values_list("queued", flat=True)) == {2}


def test_one_of_many_writes_a_minute(store: Store) -> None:
    """Passes at the same time write each figure once; another one for the minute writes nothing."""
    now = find_now()
    make_run(now - MINUTE)
    rows = run_together([lambda: roll_up(store.alias, now)] * 4)
    assert sorted(rows) == [0, 0, 0, max(rows)]
    assert roll_up(store.alias, now) == 0
    assert read(1) == [(1, 1, 0, 0)]
    assert read(60) == [(1, 1, 0, 0)]


def test_what_was_committed_late_is_counted_by_the_next_pass(store: Store) -> None:
    """Two minutes are counted again, and figures that no longer hold are replaced."""
    now = find_now()
    run = make_run(now - MINUTE)
    roll_up(store.alias, now)
    make_run(now - MINUTE, workflow="late")
    Run.objects.filter(pk=run.pk).delete()
    roll_up(store.alias, now + MINUTE)
    assert read(1) == read(60) == []
    assert read(1, "late") == read(60, "late") == read(60, "") == [(1, 1, 0, 0)]


def test_a_pass_makes_up_for_those_that_were_missed(store: Store) -> None:
    """After a time in which nobody ticked, all of its minutes are written."""
    now = find_now()
    roll_up(store.alias, now - 20 * MINUTE)
    for minutes in (3, 9, 15):
        make_run(now - minutes * MINUTE)
    roll_up(store.alias, now)
    assert read(1) == [(1, 1, 0, 0)] * 3


def test_a_pass_that_dies_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim goes with it, so the next one writes the minute; the tick goes on meanwhile."""
    now = find_now()
    make_run(now - MINUTE)
    table = Rollup._meta.db_table
    with store.connection.execute_wrapper(_fail_on(f'INSERT INTO "{table}"')), pytest.raises(RuntimeError):
        roll_up(store.alias, now)
    assert not Rollup.objects.exists()
    assert roll_up(store.alias, now) == 2


def _fail_on(text: str) -> Any:
    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(text):
            raise RuntimeError("the process died")
        return run(sql, params, many, context)

    return execute


def test_old_figures_are_forgotten(store: Store) -> None:
    """Minutes go after days and hours after months."""
    now = find_now().replace(minute=0)
    for span, kept in KEPT.items():
        for age in (kept + timedelta(hours=1), kept - timedelta(hours=1)):
            Rollup.objects.create(workflow="old", span=span, at=now - age)
    roll_up(store.alias, now)
    assert sorted(Rollup.objects.filter(workflow="old").values_list("span", flat=True)) == [1, 60]


def test_between_two_minutes_the_tick_pays_nothing(store: Store) -> None:
    """Asked again within the minute the process does not even look."""
    roll_up_when_due(store.alias)
    with store.connection.execute_wrapper(_fail_on("")):
        assert roll_up_when_due(store.alias) == 0


def test_percentiles_of_merged_histograms() -> None:
    """They lie within a fifth of the true lengths."""
    lengths = [0.0005, *(second / 10 for second in range(1, 100))]
    halves: list[dict[str, int]] = [{}, {}]
    for number, length in enumerate(lengths):
        half, bucket = halves[number % 2], str(find_bucket(length))
        half[bucket] = half.get(bucket, 0) + 1
    merged = merge(halves)
    assert sum(merged.values()) == 100
    for percent, wanted in ((50, 4.9), (95, 9.4), (99, 9.8)):
        found = find_percentile(merged, percent)
        assert found is not None
        assert wanted / 1.2 < found < wanted * 1.2
    assert find_percentile({}, 50) is None


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_process_that_freezes_at_its_figures_holds_up_nobody(store: Store, elsewhere: Any) -> None:
    """Who finds another process in the middle of a minute's figures leaves them to it, and does not wait."""
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    with transaction.atomic(using=store.alias):
        assert claim_minute(store.alias, minute)
        assert elsewhere(roll_up, store.alias, now) == 0
    assert Rollup.objects.count() == 1
