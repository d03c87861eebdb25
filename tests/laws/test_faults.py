"""Faults of the fault table (docs/fault-plan.md) that no other law is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.models import ProtectedError

from durable_django import clock, send_event
from durable_django.engine.nudge import Nudge, get_dispatcher
from durable_django.engine.operations import retry_run
from durable_django.engine.prune import prune
from durable_django.engine.sweep import sweep
from durable_django.exceptions import OperationRefused, RunNotFound
from durable_django.models import Attempt, Event, Run, RunResult, Step
from durable_django.testing import advance, drain
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.threads import run_together


def test_a_message_that_comes_after_the_end_changes_nothing(declare: Any, configure: Any) -> None:
    """A nudge that was delayed until its run had ended, and one for a run that never was, are ignored (F17)."""
    configure(DISPATCHER="inline")

    @declare()
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.run("one", int))

    flow.start().result(0)
    before = [list(model.objects.values()) for model in (Run, Step, RunResult)]
    run = Run.objects.get()
    for late in (run.id, Event.objects.get().id):
        get_dispatcher().nudge([Nudge(late, run.workflow, run.queue)] * 3)
    assert [list(model.objects.values()) for model in (Run, Step, RunResult)] == before


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_full_disk_fails_loudly_and_is_survived(store: Store, declare: Any) -> None:
    """While the store takes no more pages nothing is half written; with space again all goes on (F31)."""

    @declare(id="filler", trigger="app/filled", backoff="1s")
    def fill(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1m")
        found = yield ctx.step.run("large", lambda: "x" * 400_000)
        return len(found)

    send_event("app/filled", {"n": 1})
    with connections[store.alias].cursor() as cursor:
        cursor.execute("VACUUM")  # or pages that an earlier test left free would be used first
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages + 4}")
        try:
            with pytest.raises(OperationalError, match="full"):
                send_event("app/filled", {"n": 2, "text": "y" * 400_000})
            advance("2m")
            assert Run.objects.get().status != "completed"
            assert Step.objects.filter(name="large").count() == 0
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
        assert cursor.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for _ in range(3):
        advance("2m")
    assert Run.objects.get().result.output == "400000"
    assert Event.objects.count() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the host has no /dev/full")
def test_a_full_disk_of_the_worker_is_a_failed_attempt(declare: Any) -> None:
    """What a step cannot write is its own error, kept and retried (F32)."""
    disks = ["/dev/full", "/dev/null"]

    @declare(backoff="1s")
    def writer(ctx: Any) -> Any:
        def write() -> str:
            with Path(disks.pop(0)).open("wb", buffering=0) as sink:
                sink.write(b"x")
            return "written"

        return (yield ctx.step.run("write", write))

    handle = writer.start()
    assert Attempt.objects.get().error_type == "OSError"
    advance("2s")
    assert handle.result(0) == "written"


@pytest.mark.parametrize("jump", [timedelta(minutes=-10), timedelta(hours=1)])
def test_a_jump_of_the_databases_clock_fires_nothing_twice(declare: Any, jump: timedelta) -> None:
    """Whichever way the clock jumps, a sleep ends once and not before its instant (F34)."""
    woken: list[int] = []

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "30m")
        yield ctx.step.run("woken", woken.append, 1)
        return "done"

    handle = sleeper.start()
    advance("1m")
    clock.travel(jump)
    drain()
    assert woken == ([1] if jump > timedelta() else [])
    clock.travel(-jump)
    drain()
    advance("1h")
    assert (woken, handle.result(0)) == ([1], "done")


def test_a_run_that_is_deleted_while_it_executes_is_dropped(
    declare: Any, elsewhere: Callable[..., Any]
) -> None:
    """A worker whose run is gone stops at its next step, leaves no orphans and goes on with other work (F70)."""
    calls: list[str] = []

    @declare()
    def doomed(ctx: Any) -> Any:
        def delete() -> None:
            calls.append("one")
            elsewhere(lambda: Run.objects.all().delete())

        yield ctx.step.run("one", delete)
        yield ctx.step.run("two", calls.append, "two")

    handle = doomed.start()
    assert calls == ["one"]
    with pytest.raises(RunNotFound):
        handle.result(0)
    assert [model.objects.count() for model in (Run, Step, Attempt, RunResult)] == [0, 0, 0, 0]
    advance("1m")


def test_an_event_with_runs_cannot_be_deleted(declare: Any, configure: Any) -> None:
    """The event of a run is its input: deleting it is refused while the run is there (F70)."""
    configure(DISPATCHER=QUIET)

    @declare(trigger="app/kept")
    def keeper(ctx: Any) -> None:
        return None

    send_event("app/kept")
    with pytest.raises(ProtectedError):
        Event.objects.all().delete()


def test_retention_and_a_retry_at_once(store: Store, declare: Any, configure: Any) -> None:
    """Either the run is retried and stays whole, or it is gone and the operator is told (F81)."""

    @declare(id="old", retries=0)
    def fails(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        raise ValueError("no")

    outcomes = set()
    for _ in range(12):
        handle = fails.start()
        configure(DISPATCHER=QUIET)
        Run.objects.update(
            ended_at=clock.Now() - timedelta(days=60), created_at=clock.Now() - timedelta(days=60)
        )

        def retry(id: str = handle.id) -> str:
            try:
                retry_run(id, actor="me")
            except (RunNotFound, OperationRefused):
                return "gone"
            return "retried"

        outcome, _ = run_together([retry, lambda: list(prune(store.alias, timedelta(days=30)))])
        outcomes.add(outcome)
        runs = list(Run.objects.values_list("status", flat=True))
        assert runs == (["queued"] if outcome == "retried" else [])
        assert Step.objects.count() == len(runs)
        Run.objects.all().delete()
        configure(DISPATCHER="inline")
    assert outcomes <= {"retried", "gone"}


def test_a_sweep_after_a_long_pause_works_in_batches(store: Store, declare: Any, configure: Any) -> None:
    """After an hour without any tick all that is due is done, in bounded batches, each run once (F42)."""
    configure(DISPATCHER=QUIET, TICK_BATCH=10)
    sizes: list[int] = []

    class Counting:
        def nudge(self, nudges: Any) -> None:
            sizes.append(len(nudges))

    @declare(id="sleeper")
    def sleep(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "5m")

    for _ in range(35):
        sleep.start()
    drain()
    clock.travel(timedelta(hours=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("durable_django.engine.sweep.send_nudges", Counting().nudge)
        swept = sweep(store.alias)
    assert swept.woken == 35
    assert sizes == [10, 10, 10, 5]
    drain()
    assert Run.objects.filter(status="completed").count() == 35
