"""Time-outs of runs: cancelled before their start or before their end, by the database's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from durable_django import Event as NewEvent
from durable_django import Timeouts, clock, send_event, workflow
from durable_django.clock import read_now
from durable_django.engine import slice as slices
from durable_django.engine.execute import execute_run
from durable_django.engine.expire import cancel_overdue
from durable_django.engine.operations import rerun, retry_run
from durable_django.engine.sweep import sweep
from durable_django.exceptions import InvalidDefinition
from durable_django.models import Run, RunStatus, Wait, WaitKey
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.plugins.store import Store
from tests.threads import run_together

NOT_STARTED, NOT_FINISHED = "timed out before it started", "timed out before it finished"


def claim(store: Store) -> list[Any]:
    ids = list(Run.objects.values_list("id", flat=True))
    return claim_runs(store.alias, owner="test", lease=60.0, ids=ids, limit=10)


@pytest.mark.parametrize(
    "options", [{"start": "0s"}, {"finish": "-1s"}, {"start": "soon"}, {"finish": "400 days"}]
)
def test_a_timeout_is_a_duration_above_zero(options: dict[str, Any]) -> None:
    """What cannot be a time-out is refused where it is written."""
    with pytest.raises(InvalidDefinition, match="Timeouts"):
        Timeouts(**options)


def test_the_option_takes_timeouts_only() -> None:
    """A bare duration does not say which of the two is meant."""
    with pytest.raises(InvalidDefinition, match=r"not Timeouts\(start=, finish=\)"):
        workflow(id="bad", timeouts="1h")(lambda ctx: None)  # type: ignore[call-overload]


def start_unclaimed(store: Store, flow: Any) -> Run:
    with transaction.atomic(using=store.alias):  # its nudge is not sent, so nobody claims it
        handle = flow.start()
        transaction.get_connection(store.alias).run_on_commit.clear()
    return Run.objects.get(id=handle.id)


def test_a_run_that_does_not_start_in_time_is_cancelled(declare: Any, store: Store) -> None:
    """After ``start`` without a claim the run is cancelled, with that reason, and never begins."""
    calls: list[int] = []

    @declare(timeouts=Timeouts(start="10m"))
    def late(ctx: Any) -> Any:
        yield ctx.step.run("a", calls.append, 1)

    run = start_unclaimed(store, late)
    clock.travel(timedelta(minutes=9, seconds=59))
    assert cancel_overdue(store.alias, limit=10) == 0
    clock.travel(timedelta(seconds=2))
    assert claim(store) == []
    assert sweep(store.alias).timed_out == 1
    run.refresh_from_db()
    assert (run.status, run.reason, run.wake_at, run.started_at) == ("cancelled", NOT_STARTED, None, None)
    drain()
    assert not calls


def test_the_time_to_start_ends_with_the_first_claim(declare: Any, store: Store) -> None:
    """A run that began in time may sleep as long as it likes."""

    @declare(timeouts=Timeouts(start="10m"))
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1 day")
        return "done"

    handle = sleeper.start()
    advance("2 days")
    assert handle.result(0) == "done"


def test_a_delayed_run_counts_from_when_it_was_to_start(declare: Any, store: Store) -> None:
    """An event of the future delays the start, and the time to start begins there."""

    @declare(id="later", trigger="app/later", timeouts=Timeouts(start="10m", finish="1h"))
    def later(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "30m")
        return "done"

    due = read_now(store.alias) + timedelta(hours=5)
    send_event(NewEvent("app/later", ts=int(due.timestamp() * 1000)))
    advance("4h")
    assert Run.objects.get().status == "waiting"
    advance("1h")
    advance("31m")
    assert Run.objects.get().status == "completed"


def test_a_run_that_does_not_finish_in_time_is_cancelled(declare: Any, store: Store) -> None:
    """``finish`` counts from the first claim and covers all that the run waits for; its waits are closed."""

    @declare(timeouts=Timeouts(finish="1h"))
    def waiter(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "50m")
        yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1 day")

    handle = waiter.start()
    advance("50m")
    assert Wait.objects.get().status == "open"
    advance("9m")
    assert handle.status == "waiting"
    advance("2m")
    run = Run.objects.get()
    assert (run.status, run.reason) == ("cancelled", NOT_FINISHED)
    assert Wait.objects.get().status == "closed"
    assert not WaitKey.objects.exists()
    send_event("app/answer")
    assert Run.objects.get().status == "cancelled"


def test_a_run_that_ends_in_time_is_left_alone(declare: Any, store: Store) -> None:
    """A deadline that passes after the end changes nothing."""

    @declare(timeouts=Timeouts(start="1m", finish="1h"))
    def quick(ctx: Any) -> Any:
        return (yield ctx.step.run("a", lambda: 1))

    handle = quick.start()
    advance("2h")
    assert sweep(store.alias).timed_out == 0
    assert handle.result(0) == 1


@pytest.mark.parametrize("swept", [False, True])
def test_a_running_slice_stops_at_its_next_step(
    declare: Any, store: Store, monkeypatch: pytest.MonkeyPatch, swept: bool
) -> None:
    """The step that is running may finish, nothing follows it, also before a tick has cancelled the run."""
    calls: list[str] = []

    def outlast() -> None:
        calls.append("a")
        clock.travel(timedelta(hours=2))
        if swept:
            assert cancel_overdue(store.alias, limit=10) == 1

    @declare(timeouts=Timeouts(finish="1h"))
    def slow(ctx: Any) -> Any:
        yield ctx.step.run("a", outlast)
        yield ctx.step.run("b", calls.append, "b")

    monkeypatch.setattr(slices, "OWNED_FOR", -1.0)  # ask at each step, as if the first had taken long
    handle = slow.start()
    drain()
    assert calls == ["a"]
    assert handle.status == "cancelled"
    assert Run.objects.get().reason == NOT_FINISHED


def test_two_ticks_at_once_cancel_once(store: Store) -> None:
    """Of many ticks, each run is cancelled by one."""
    flow = workflow(id="late", timeouts=Timeouts(start="1m"))(lambda ctx: None)
    for _ in range(6):
        start_unclaimed(store, flow)
    clock.travel(timedelta(minutes=2))
    swept = run_together([lambda: cancel_overdue(store.alias, limit=100)] * 5)
    while cancel_overdue(store.alias, limit=100):
        swept.append(1)
    assert Run.objects.filter(status="cancelled", reason=NOT_STARTED).count() == 6
    assert sum(swept[:5]) <= 6


def test_overdue_runs_are_cancelled_in_batches(store: Store) -> None:
    """One tick cancels at most a batch, the most overdue first."""
    flow = workflow(id="late", timeouts=Timeouts(start="1m"))(lambda ctx: None)
    runs = [start_unclaimed(store, flow) for _ in range(5)]
    clock.travel(timedelta(minutes=2))
    assert [cancel_overdue(store.alias, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert Run.objects.filter(id__in=[run.id for run in runs], status="cancelled").count() == 5


def test_a_retried_run_gets_its_time_again(declare: Any, store: Store) -> None:
    """An operator who retries a timed-out run gives it a whole ``finish`` from its next claim."""

    @declare(timeouts=Timeouts(finish="1h"))
    def waiter(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "90m")
        return "done"

    handle = waiter.start()
    advance("61m")
    assert handle.status == "cancelled"
    retry_run(handle.id, actor="test")
    advance("30m")
    assert handle.result(0) == "done"


def test_a_rerun_has_the_same_limits(store: Store) -> None:
    """A new run of the same input is limited like the first."""
    flow = workflow(id="plain", timeouts=Timeouts(start="1m", finish="1h"))(lambda ctx: None)
    again = rerun(flow.start().id, actor="test")
    run = Run.objects.get(id=again.id)
    assert run.finish_within == 3600.0
    assert run.deadline_at is not None


def test_a_run_without_timeouts_has_no_deadline(store: Store) -> None:
    """Nothing is stored, and an idle tick costs one statement for all time-outs."""
    flow = workflow(id="plain")(lambda ctx: None)
    run = start_unclaimed(store, flow)
    [claimed] = claim(store)
    run.refresh_from_db()
    assert (run.deadline_at, run.finish_within) == (None, None)
    execute_run(store.alias, claimed)
    with CaptureQueriesContext(store.connection) as queries:
        cancel_overdue(store.alias, limit=100)
    assert len(queries) == 1
    assert Run.objects.get().status == RunStatus.COMPLETED
