"""A worker that is drained finishes what it has and takes nothing new, until it is told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from durable_django import tasks, workflow
from durable_django.dispatch import ticker as ticker_module
from durable_django.dispatch.bulk import BulkHand
from durable_django.dispatch.kinship import kinship
from durable_django.dispatch.local import Runner
from durable_django.dispatch.message import Message, build_body
from durable_django.engine.bulk import start_bulk
from durable_django.engine.identity import get_owner
from durable_django.engine.operations import drain_worker, undrain_worker
from durable_django.engine.tick import report_worker
from durable_django.exceptions import WorkerNotFound, WorkerRefused
from durable_django.models import AuditEntry, BulkOperation, Run, Worker
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.waiting import wait_until


def report(store: Store, name: str = "host:1", **more: Any) -> bool:
    return report_worker(store.alias, name, "celery", ["a", "b"], **more)


def test_a_worker_learns_with_its_report(store: Store) -> None:
    """The report tells what an operator has asked, again and again, until it is taken back."""
    assert report(store, begins=True) is False
    assert drain_worker("host:1", actor="ann", reason="deploy").is_stopping
    row = Worker.objects.get()
    assert (row.own_kind, row.served, row.queues) == ("celery", [], "a,b")
    assert [report(store), report(store)] == [True, True]
    undrain_worker("host:1", actor="ann")
    assert report(store) is False
    assert Worker.objects.get().served == ["a", "b"]
    entries = AuditEntry.objects.order_by("id").values_list("action", "actor", "reason", "result")
    assert list(entries) == [
        ("drain", "ann", "deploy", "worker host:1"),
        ("undrain", "ann", "", "worker host:1"),
    ]


def test_a_process_that_begins_under_an_old_name_is_not_drained(store: Store) -> None:
    """In a container the next process has the same name; its first report is about itself."""
    report(store, begins=True)
    drain_worker("host:1", actor="ann")
    Worker.objects.update(started_at="2020-01-01T00:00:00Z")
    assert report(store, begins=True) is False
    assert Worker.objects.get().started_at.year > 2020


def test_what_does_not_fit_the_worker_is_refused(store: Store) -> None:
    """Unknown, stopping, live and lost workers, and the tick's own row, are told apart; nothing is logged."""
    report(store, begins=True)
    report(store, "tick")
    for name in ("tick", "nobody", "a\x00b", ""):
        with pytest.raises(WorkerNotFound):
            drain_worker(name, actor="ann")
    with pytest.raises(WorkerRefused, match="host:1 is live, undrain needs one that is stopping"):
        undrain_worker("host:1", actor="ann")
    drain_worker("host:1", actor="ann")
    with pytest.raises(WorkerRefused, match="host:1 is stopping, drain needs one that is live"):
        drain_worker("host:1", actor="ann")
    Worker.objects.update(seen_at="2020-01-01T00:00:00Z")
    with pytest.raises(WorkerRefused, match="host:1 is lost"):
        undrain_worker("host:1", actor="ann")
    assert AuditEntry.objects.count() == 1


@pytest.fixture
def runner(store: Store, configure: Any, monkeypatch: Any) -> Iterator[Runner]:
    """A worker of this process that reports itself with every tick."""
    configure(DISPATCHER="local", TICK_SECONDS=0.05)
    monkeypatch.setattr(ticker_module, "REPORT_SECONDS", 0.0)
    runner = Runner(store.alias, threads=2, tasks=2)
    runner.start()
    yield runner
    runner.stop()


def test_a_local_worker_finishes_what_it_has(store: Store, runner: Runner) -> None:
    """The run in its middle goes on to its end; one that comes meanwhile waits until the worker takes runs again."""
    entered, opened = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert opened.wait(60)

    @workflow(id="flow")
    def flow(ctx: Any) -> str:
        if ctx.event.data.get("first"):
            ctx.step.run("one", work)
        return str(ctx.step.run("two", str, "done"))

    def is_draining() -> bool:
        return bool(runner._ticker and runner._ticker.draining)

    first = flow.start({"first": True})
    assert entered.wait(60)
    wait_until(lambda: Worker.objects.using(store.alias).filter(name=get_owner()).exists())
    drain_worker(get_owner(), actor="ann")
    wait_until(is_draining)
    second = flow.start({})
    opened.set()
    assert first.result(60) == "done"
    ticked = Worker.objects.get(name="tick").seen_at
    wait_until(lambda: Worker.objects.get(name="tick").seen_at > ticked)
    assert (second.status, Run.objects.get(id=second.id).owner) == ("queued", "")
    undrain_worker(get_owner(), actor="ann")
    assert second.result(60) == "done"


def test_a_celery_child_leaves_the_message_alone(store: Store, configure: Any) -> None:
    """While its worker is drained a nudge is dropped; the run stays queued, for the tick to announce again."""
    configure(DISPATCHER=QUIET)

    @workflow(id="flow")
    def flow(ctx: Any) -> int:
        return 1

    run = flow.start()
    body = build_body(Message((Run.objects.get().id,), ""))
    kinship.draining = True
    try:
        tasks.run(body)
        assert run.status == "queued"
    finally:
        kinship.draining = False
    tasks.run(body)
    assert run.status == "completed"


def test_a_drained_worker_leaves_bulk_operations_between_two_rows(store: Store, configure: Any) -> None:
    """The operation is given back, so that another worker goes on with it at once."""
    configure(DISPATCHER=QUIET)

    @workflow(id="flow")
    def flow(ctx: Any) -> int:
        return 1

    runs = [flow.start() for _ in range(5)]
    bulk = start_bulk("cancel", {"workflow": "flow"}, actor="ann")
    asked: list[int] = []

    def is_over() -> bool:
        asked.append(1)
        return len(asked) > 3

    hand = BulkHand(store.alias, is_over)
    hand.offer()
    wait_until(lambda: len(asked) > 3 and not BulkOperation.objects.get().owner)
    hand.stop()
    left = BulkOperation.objects.get(pk=bulk.pk)
    assert (left.state, left.lease_until) == ("running", None)
    assert 0 < left.done < len(runs)


def test_a_drained_celery_worker_takes_no_bulk_operation_from_beat(store: Store, configure: Any) -> None:
    """The tick that beat sends it does what is due, and leaves bulk operations to other workers."""
    configure(DISPATCHER=QUIET, TICK_SECONDS=0.01)

    @workflow(id="flow")
    def flow(ctx: Any) -> int:
        return 1

    flow.start()
    bulk = start_bulk("cancel", {"workflow": "flow"}, actor="ann")

    def tick_now() -> str:
        tasks.tick_now()
        return str(BulkOperation.objects.get(pk=bulk.pk).state)

    kinship.draining = True
    try:
        assert tick_now() == "running"
        assert Worker.objects.filter(name="tick").exists()
    finally:
        kinship.draining = False
    wait_until(lambda: tick_now() == "finished", what="the tick that carries it out")
