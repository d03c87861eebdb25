from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from durable_django import RunHandle, workflow
from durable_django.models import Attempt, AuditEntry, Event, Run, RunResult, Step, Wait
from tests.commands import run_durable
from tests.plugins.store import Store


@pytest.fixture
def flow() -> Any:
    @workflow(id="flow", trigger="flow/go")
    def flow(ctx: Any) -> None:
        ctx.step.run("one", lambda: 1)
        if ctx.event.data.get("wait"):
            ctx.step.wait_for_event("w", event="never", timeout="300 days")

    return flow


def age(run: RunHandle, days: float) -> None:
    """Make the run and its event that old, as if they had been stored then."""
    then = timezone.now() - timedelta(days=days)
    row = Run.objects.get(id=run.id)
    ended = {"ended_at": then} if row.ended_at else {}
    Run.objects.filter(id=run.id).update(created_at=then, **ended)
    Event.objects.filter(id=row.event_id).update(created_at=then)


def test_old_ended_runs_go_with_all_that_is_theirs(store: Store, flow: Any) -> None:
    """Prune deletes a run that ended before the retention with steps, result and event, and logs it."""
    old, young = flow.start(), flow.start()
    age(old, 40)
    said = run_durable("prune", "--json").data
    assert said == {
        "days": 30, "dry_run": False, "runs": 1, "steps": 1, "attempts": 0, "waits": 0, "events": 1,
        "deliveries": 0, "schedules": 0, "bulk": 0,
    }  # fmt: skip
    assert [str(run.id) for run in Run.objects.all()] == [young.id]
    for model in (Step, RunResult):
        assert {str(row.run_id) for row in model.objects.all()} == {young.id}
    assert Event.objects.count() == 1
    assert AuditEntry.objects.get(action="prune").actor.startswith("cli:")


def test_live_runs_stay_however_old(store: Store, flow: Any) -> None:
    """A run that waits is kept with its event, steps and waits."""
    waiting = flow.start({"wait": True})
    age(waiting, 1000)
    run_durable("prune", "--days", "0")
    assert waiting.status == "waiting"
    assert (Step.objects.count(), Wait.objects.count(), Event.objects.count()) == (2, 1, 1)


def test_events_stay_until_routed_and_unused(store: Store, flow: Any) -> None:
    """An old event goes only if it is routed and no run names it."""
    then = timezone.now() - timedelta(days=99)
    keep = Event.objects.create(name="a/b", ts=1, created_at=then)
    gone = Event.objects.create(name="a/b", ts=1, created_at=then, routed_at=then, arrival=0)
    used = flow.start({"wait": True})
    age(used, 99)
    run_durable("prune")
    left = set(Event.objects.values_list("id", flat=True))
    assert left == {keep.id, Run.objects.get().event_id}
    assert gone.id not in left


def test_an_event_of_two_runs_stays_for_the_younger(store: Store, flow: Any) -> None:
    """The event of an old run stays while its rerun is stored."""
    old = flow.start()
    run_durable("rerun", old.id)
    age(old, 99)
    run_durable("prune")
    assert Run.objects.get().rerun_of is not None
    assert Event.objects.filter(id=Run.objects.get().event_id).exists()


def test_failed_attempts_go_too(store: Store) -> None:
    """The attempts of a failed run are deleted with it."""

    @workflow(id="failing", retries=0)
    def failing(ctx: Any) -> None:
        raise ValueError("no")

    age(failing.start(), 99)
    assert Attempt.objects.count() == 1
    assert run_durable("prune", "--json").data["attempts"] == 1
    assert (Run.objects.count(), Attempt.objects.count()) == (0, 0)


def test_dry_run_deletes_nothing(store: Store, flow: Any) -> None:
    """``--dry-run`` counts what the real one then deletes."""
    for _ in range(3):
        age(flow.start(), 40)
    flow.start()
    dry = run_durable("prune", "--dry-run", "--json").data
    assert (dry["dry_run"], dry["runs"], dry["events"]) == (True, 3, 3)
    assert "Would delete 3 ended runs" in run_durable("prune", "--dry-run").out
    assert Run.objects.count() == 4
    assert not AuditEntry.objects.filter(action="prune").exists()
    wet = run_durable("prune", "--json").data
    assert (wet["runs"], wet["events"]) == (dry["runs"], dry["events"])


def test_batches_are_bounded_and_told(store: Store, flow: Any) -> None:
    """Each batch is a transaction of its own, with a line of progress; all of it goes."""
    for _ in range(5):
        age(flow.start(), 40)
    lines = run_durable("prune", "--batch", "2").out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["2", "4", "5"]
    assert lines[-1].startswith("Deleted 5 ended runs and 5 events")
    assert (Run.objects.count(), Event.objects.count()) == (0, 0)


def test_days_narrow_and_widen(store: Store, flow: Any) -> None:
    """``--days`` replaces the setting for one call."""
    age(flow.start(), 10)
    assert run_durable("prune", "--json").data["runs"] == 0
    assert run_durable("prune", "--days", "7", "--json").data["runs"] == 1


@pytest.mark.parametrize("days", ["-1", "nan", "soon", "1e9"])
def test_bad_days_are_refused(store: Store, flow: Any, days: str) -> None:
    """An age that makes no sense is wrong usage and deletes nothing."""
    age(flow.start(), 99)
    assert "--days" in run_durable("prune", f"--days={days}", fails=True).error
    assert Run.objects.count() == 1
