"""Leases: kept while the work lasts, lost without a trace, noticed before the next step."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connections
from django.db.models import F

from durable_django import workflow
from durable_django.engine import slice as slice_module
from durable_django.engine.execute import execute_run
from durable_django.engine.keeper import keeper
from durable_django.engine.sweep import sweep
from durable_django.models import Run, Step
from durable_django.store.claim import claim_runs
from durable_django.store.lease import renew_leases
from durable_django.testing import advance
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.waiting import wait_until

LEASE = 1.5


def hunt(alias: str, until: threading.Event, seconds: float) -> list[Any]:
    """Try to take over and claim for so many seconds what another worker owns; return what was claimed."""
    end, taken = time.monotonic() + seconds, []
    try:
        while time.monotonic() < end:
            sweep(alias)
            taken += claim_runs(alias, owner="hunter", lease=LEASE, queue="durable")
            until.wait(0.02)
    finally:
        until.set()
        connections.close_all()
    return taken


@pytest.fixture
def hunted(store: Store, configure: Any) -> Any:
    """Run a function while another worker hunts for its run; return what the hunter claimed."""

    def run(work: Any) -> list[Any]:
        taken: list[Any] = []
        thread = threading.Thread(
            target=lambda: taken.extend(hunt(store.alias, threading.Event(), LEASE * 2.2))
        )
        thread.start()
        work()
        thread.join()
        return taken

    configure(LEASE_SECONDS=LEASE, DISPATCHER=QUIET)
    return run


@pytest.mark.parametrize(
    ("store", "atomic"),  # on SQLite an atomic step excludes every other writer, the hunter too
    [("sqlite", False), ("postgres", False), ("postgres", True)],
    indirect=["store"],
)
def test_a_step_longer_than_its_lease_is_not_taken_over(
    declare: Any, configure: Any, hunted: Any, atomic: bool
) -> None:
    """While a step runs its lease is renewed, however long it takes and whoever looks for lost runs (F37)."""
    taken: list[Any] = []

    @declare()
    def patient(ctx: Any) -> Any:
        def work() -> str:
            taken.extend(hunted(lambda: None))
            return "done"

        return (yield ctx.step.run("long", work, atomic=atomic))

    configure(DISPATCHER="inline")
    handle = patient.start()
    assert taken == []
    assert handle.result(0) == "done"
    assert Run.objects.get().token == 1


def test_a_lease_that_nobody_renews_is_taken_over(store: Store, configure: Any) -> None:
    """A run whose worker is gone is taken over when its lease ends, by one claim, under the next token."""
    configure(DISPATCHER=QUIET)

    @workflow(id="lonely")
    def lonely(ctx: Any) -> None:
        return None

    lonely.start()
    [first] = claim_runs(store.alias, owner="dead", lease=2.0, queue="durable")

    def take() -> list[Any]:
        sweep(store.alias)
        return claim_runs(store.alias, owner="other", lease=0.2, queue="durable")

    assert take() == []
    [second] = wait_until(take)
    assert (first.token, second.token, second.crash_count) == (1, 2, 2)
    assert renew_leases(store.alias, [(first.id, first.token)], 0.2) == set()


@pytest.mark.parametrize("status", ["running", "cancelled"])
def test_a_lost_lease_is_noticed_before_the_next_step(
    declare: Any, elsewhere: Any, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """If the last sign of ownership is old, a step asks first; its function does not run for a lost run."""
    monkeypatch.setattr(slice_module, "OWNED_FOR", 0.0)
    calls: list[str] = []

    def take() -> None:
        if status == "running":
            Run.objects.update(token=F("token") + 1)
        else:
            Run.objects.update(status=status, wake_at=None, ended_at=F("started_at"))

    @declare()
    def losing(ctx: Any) -> Any:
        yield ctx.step.run("one", calls.append, "one")
        elsewhere(take)
        yield ctx.step.run("two", calls.append, "two")

    losing.start()
    assert calls == ["one"]
    assert Step.objects.count() == 1


def test_the_keeper_tells_a_slice_that_its_lease_is_lost(
    declare: Any, elsewhere: Any, hunted: Any, configure: Any
) -> None:
    """A slice whose renewal was refused begins no further step, although it has just written one."""
    calls: list[str] = []

    @declare()
    def losing(ctx: Any) -> Any:
        def work() -> None:
            elsewhere(lambda: Run.objects.update(token=F("token") + 1))
            calls.append("one")
            part = keeper.slices()[0]
            wait_until(lambda: part.lost)

        yield ctx.step.run("one", work)
        yield ctx.step.run("two", calls.append, "two")

    configure(DISPATCHER="inline")
    losing.start()
    assert calls == ["one"]
    assert Step.objects.count() == 0


def test_a_worker_that_stops_gives_its_run_back(store: Store, declare: Any, configure: Any) -> None:
    """A slice that is asked to stop releases its run before its next step; it goes on elsewhere."""
    calls: list[str] = []

    @declare()
    def moving(ctx: Any) -> Any:
        yield ctx.step.run("one", lambda: calls.append("one") or keeper.stop_slices())
        yield ctx.step.run("two", lambda: calls.append("two") or keeper.stop_slices())
        return "done"

    configure(DISPATCHER=QUIET)  # or the worker that hears of the run would be this one
    handle = moving.start()
    [claimed] = claim_runs(store.alias, owner="stopping", lease=60.0, queue="durable")
    execute_run(store.alias, claimed)
    run = Run.objects.get()
    assert (run.status, run.owner, run.crash_count, calls) == ("queued", "", 0, ["one"])
    advance(0)
    assert handle.result(0) == "done"
    assert calls == ["one", "two"]


def find_keepers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "durable-keeper"]


def test_a_closed_keeper_leaves_nothing_behind(declare: Any, configure: Any) -> None:
    """Once it is closed no thread renews anything, not even for a slice that never came to its end."""
    configure(LEASE_SECONDS=LEASE)
    seen: list[Any] = []

    @declare()
    def abandoned(ctx: Any) -> Any:
        def work() -> None:
            part = keeper.slices()[0]
            seen.append((keeper.close(), keeper.slices(), find_keepers()))
            lease_end = Run.objects.get().wake_at
            time.sleep(LEASE)
            seen.append((part.lost, Run.objects.get().wake_at == lease_end))

        yield ctx.step.run("work", work)

    abandoned.start()
    assert seen == [(True, [], []), (False, True)]


def test_a_keeper_that_was_closed_keeps_the_next_lease(declare: Any, configure: Any, hunted: Any) -> None:
    """A slice that begins after the keeper was closed keeps its run for as long as it works."""
    taken: list[Any] = []

    @declare()
    def patient(ctx: Any) -> Any:
        yield ctx.step.run("long", lambda: taken.extend(hunted(lambda: None)))

    configure(DISPATCHER="inline")
    assert keeper.close()
    patient.start()
    assert taken == []
    assert Run.objects.get().status == "completed"
