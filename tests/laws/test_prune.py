"""What prune must leave: families in which somebody lives, and events that somebody may still look back at."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from durable_django import Cron, send_event, workflow
from durable_django.engine.fire import fire_due
from durable_django.engine.operations import cancel_run
from durable_django.engine.prune import prune
from durable_django.engine.prune_runs import list_old_runs
from durable_django.engine.pruned import Pruned
from durable_django.ids import new_id
from durable_django.models import BulkOperation, Event, Run, Schedule, WebhookDelivery
from durable_django.testing import drain
from tests.plans import list_reads
from tests.plugins.store import Store

DAYS = timedelta(days=30)


def run_prune(store: Store, **options: Any) -> Pruned:
    return sum(prune(store.alias, DAYS, **options), Pruned())


def make_run(parent: Run | None = None, *, days: float = 40, **fields: Any) -> Run:
    """Store a run that ended so long ago."""
    then = timezone.now() - timedelta(days=days)
    event = Event.objects.create(name="a/b", ts=1, created_at=then, routed_at=then)
    ended = {"status": "completed", "created_at": then, "ended_at": then}
    parent_id = parent.id if parent else None
    return Run.objects.create(
        id=new_id(), workflow="w", event=event, queue="q", parent_id=parent_id, **{**ended, **fields}
    )


def make_live(parent: Run | None = None) -> Run:
    soon = timezone.now() + timedelta(days=1)
    return make_run(parent, status="waiting", waits_for="event", ended_at=None, wake_at=soon)


def list_left() -> set[Any]:
    return set(Run.objects.values_list("id", flat=True))


def test_the_ancestors_of_a_live_run_stay(store: Store) -> None:
    """However deep the live run is, those that led to it stay; a family without one goes."""
    top = make_run()
    middle = make_run(top)
    live = make_live(middle)
    make_run(make_run())
    assert run_prune(store).runs == 2
    assert list_left() == {top.id, middle.id, live.id}
    live.delete()
    assert run_prune(store).runs == 2


def test_the_descendants_of_a_live_run_stay(store: Store) -> None:
    """What a live run invoked, at any depth, is there as long as it lives."""
    top = make_live()
    middle = make_run(top)
    below = make_run(middle)
    assert run_prune(store).runs == 0
    assert list_left() == {top.id, middle.id, below.id}


def test_a_retried_run_keeps_its_family(store: Store) -> None:
    """A run that waits for a child whose end lies long behind keeps it until it has ended itself."""

    @workflow(id="child")
    def child(ctx: Any) -> int:
        return 7

    @workflow(id="parent")
    def parent(ctx: Any) -> Any:
        got = ctx.step.invoke("call", function=child)
        ctx.step.wait_for_event("w", event="p/go", timeout="300 days")
        return got

    handle = parent.start()
    drain()
    long_ago = timezone.now() - timedelta(days=99)
    Run.objects.filter(workflow="child").update(ended_at=long_ago, created_at=long_ago)
    assert run_prune(store).runs == 0
    send_event("p/go")
    drain()
    assert handle.result(timeout=60) == 7
    assert run_prune(store).runs == 1


def test_batches_go_on_behind_what_stays(store: Store) -> None:
    """Runs that stay do not hide those that go, even with equal instants, and each is looked at once."""
    then = timezone.now() - timedelta(days=50)
    tops = [make_run(ended_at=then) for _ in range(5)]
    for top in tops[:3]:
        make_live(top)
    assert run_prune(store, batch=2).runs == 2
    assert {top.id for top in tops[:3]} < list_left()


@pytest.fixture
def looking(store: Store) -> Any:
    @workflow(id="looking", trigger="l/go")
    def looking(ctx: Any) -> Any:
        ctx.step.wait_for_event("first", event="l/first", timeout="300 days")
        found = ctx.step.wait_for_event("second", event="l/second", timeout="300 days", since="run")
        return found and found.data

    return looking


def age_events(days: float = 60) -> None:
    Event.objects.update(created_at=timezone.now() - timedelta(days=days))


def test_an_event_that_a_live_run_may_look_back_at_stays(store: Store, looking: Any) -> None:
    """An event that came after a run began is there when the run, weeks later, waits with since="run"."""
    send_event("l/second", {"n": "too early"})
    drain()
    handle = looking.start()
    send_event("l/second", {"n": 1})
    drain()
    age_events()
    assert run_prune(store).events == 1
    assert not Event.objects.filter(data__contains="too early").exists()
    send_event("l/first")
    drain()
    assert handle.result(timeout=60) == {"n": 1}


def test_once_nobody_can_look_back_the_event_goes(store: Store, looking: Any) -> None:
    """With the end of the last run that is older than an event, the event may go."""
    handle = looking.start()
    send_event("l/second", {"n": 1})
    drain()
    age_events()
    assert run_prune(store).events == 0
    cancel_run(handle.id, actor="ann")
    assert run_prune(store).events == 1


def test_the_look_back_can_be_bounded(store: Store, looking: Any, configure: Callable[..., None]) -> None:
    """LOOK_BACK_DAYS lets events go although a run is older; younger ones stay."""
    looking.start()
    send_event("l/second", {"n": 1})
    drain()
    age_events(60)
    configure(LOOK_BACK_DAYS=90)
    assert run_prune(store).events == 0
    configure(LOOK_BACK_DAYS=45)
    assert run_prune(store).events == 1


def test_events_with_derived_ids_go_too(store: Store) -> None:
    """Those of cron and of steps, whose ids say nothing of their age, go in the order of their arrival."""
    then = timezone.now() - timedelta(days=60)
    for number in range(7):
        old = number < 5
        Event.objects.create(
            id=uuid.UUID(int=(0xF << 124) + number),
            name=f"n/{number % 2}",
            ts=1,
            created_at=then if old else timezone.now(),
            routed_at=then,
            arrival=number + 1,
        )
    assert run_prune(store, batch=2).events == 5
    assert sorted(Event.objects.values_list("arrival", flat=True)) == [6, 7]


def test_schedules_that_no_code_declares_go(store: Store) -> None:
    """A schedule that was not fired for the retention and is declared nowhere goes; a declared one stays."""

    @workflow(id="daily", trigger=Cron("0 5 * * *"))
    def daily(ctx: Any) -> None: ...

    fire_due(store.alias)
    long_ago = timezone.now() - timedelta(days=99)
    Schedule.objects.update(next_at=long_ago)
    Schedule.objects.create(key=new_id(), workflow="gone", cron="0 5 * * *", tz="UTC", next_at=long_ago)
    Schedule.objects.create(
        key=new_id(), workflow="new", cron="0 5 * * *", tz="UTC", next_at=timezone.now() - timedelta(days=2)
    )
    assert run_prune(store).schedules == 1
    assert set(Schedule.objects.values_list("workflow", flat=True)) == {"daily", "new"}


def test_old_bulk_operations_and_deliveries_go(store: Store) -> None:
    """Those that ended or were stopped go with their age; one that is running stays."""
    long_ago = timezone.now() - timedelta(days=99)
    for state in ("finished", "stopped", "running"):
        BulkOperation.objects.create(action="cancel", state=state, actor="x", changed_at=long_ago)
    BulkOperation.objects.create(action="cancel", state="finished", actor="x")
    WebhookDelivery.objects.create(source="s", delivery="1", received_at=long_ago)
    WebhookDelivery.objects.create(source="s", delivery="2")
    pruned = run_prune(store)
    assert (pruned.bulk, pruned.deliveries) == (2, 1)
    assert sorted(BulkOperation.objects.values_list("state", flat=True)) == ["finished", "running"]
    assert list(WebhookDelivery.objects.values_list("delivery", flat=True)) == ["2"]


def test_old_runs_are_found_by_an_index(store: Store) -> None:
    """No table of young runs is read to find the old ones."""
    rows = list_old_runs(store.alias, timezone.now()).order_by("ended_at", "id")[:500]
    sql, params = rows.query.get_compiler(store.alias).as_sql()
    (runs,) = [read for read in list_reads(store, sql, params) if read.table == "durable_django_run"]
    assert runs.index == "durable_run_ended"
    assert "ended_at" in runs.condition
