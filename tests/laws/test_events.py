"""Events: received when their transaction commits (law 6), starting each workflow once per id."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from durable_django import Event, asend_event, send_event, send_events
from durable_django.engine.alias import get_alias
from durable_django.engine.receive import prepare_events
from durable_django.engine.route import route_events, route_stored
from durable_django.ids import new_id
from durable_django.models import Event as StoredEvent
from durable_django.models import Run
from durable_django.store.event import insert_events
from durable_django.testing import advance, drain
from tests.plugins.store import Store
from tests.threads import run_together


@pytest.fixture
def listener(declare: Any) -> Any:
    @declare(trigger="app/x")
    def listener(ctx: Any) -> Any:
        return [ctx.event.name, ctx.event.data, ctx.event.id]

    return listener


def count() -> tuple[int, int]:
    return StoredEvent.objects.filter(name="app/x").count(), Run.objects.count()


def test_an_event_of_a_rolled_back_transaction_never_was(store: Store, listener: Any) -> None:
    """Rolled back, an event is not stored, starts nothing and is not found later."""
    with transaction.atomic(using=store.alias):
        send_event("app/x")
        listener.start()
        transaction.set_rollback(True, using=store.alias)
    drain()
    assert count() == (0, 0)


def test_an_event_is_routed_when_its_transaction_commits(store: Store, listener: Any) -> None:
    """Inside a transaction nothing starts before the commit; with it everything does."""
    with transaction.atomic(using=store.alias):
        send_event("app/x")
        assert count() == (1, 0)
    assert count() == (1, 1)
    assert Run.objects.get().status == "completed"


def test_a_savepoint_takes_its_events_with_it(store: Store, listener: Any) -> None:
    """An event follows its own savepoint: rolled back with it, committed with the outermost transaction."""
    with transaction.atomic(using=store.alias):
        with transaction.atomic(using=store.alias):
            send_event("app/x", {"n": 1})
        with transaction.atomic(using=store.alias):
            send_event("app/x", {"n": 2})
            transaction.set_rollback(True, using=store.alias)
        assert Run.objects.count() == 0
    assert count() == (1, 1)
    assert Run.objects.get().result.output is not None


def test_a_sender_that_died_before_routing_loses_nothing(store: Store, listener: Any) -> None:
    """A stored event that was not routed is routed by the tick; a second routing changes nothing."""
    rows = prepare_events([{"name": "app/x"}], source="code", make_id=lambda _: new_id())
    insert_events(store.alias, rows)
    assert count() == (1, 0)
    assert route_stored(store.alias) == 1
    assert route_stored(store.alias) == 0
    route_events(store.alias, rows)
    assert count() == (1, 1)


def test_copies_of_an_event_start_a_workflow_once_in_24_hours(declare: Any, listener: Any) -> None:
    """Every copy is stored; each workflow starts once per event id, and again after 24 hours."""
    declare(id="other", trigger="app/*")(lambda ctx: None)
    for _ in range(3):
        send_event(Event("app/x", id="same"))
    assert count() == (3, 2)
    advance("23h")
    send_event(Event("app/x", id="same"))
    assert count() == (4, 2)
    advance("2h")
    send_event(Event("app/x", id="same"))
    assert count() == (5, 4)
    assert Run.objects.filter(start_key=None).count() == 2


def test_copies_in_one_call_start_once(listener: Any) -> None:
    """Two events with the same id in one request start one run."""
    send_events([Event("app/x", {"n": n}, id="same") for n in range(2)])
    assert count() == (2, 1)


def test_an_event_routed_again_after_days_starts_nothing(store: Store, listener: Any) -> None:
    """The window of an id is for copies: the very event that started a run never starts a second one."""
    rows = prepare_events(
        [{"name": "app/x", "id": "same"}, {"name": "app/x"}], source="code", make_id=lambda _: new_id()
    )
    insert_events(store.alias, rows)
    route_events(store.alias, rows)
    StoredEvent.objects.update(routed_at=None)  # its router died just before it was done
    advance("3 days")
    drain()
    assert count() == (2, 2)


@pytest.mark.parametrize("hours", [1, -1])
def test_an_event_without_a_time_has_the_databases(
    store: Store, listener: Any, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """A sender whose clock is wrong, and who dies before routing, neither delays nor dates its event (F33)."""
    right = time.time()
    with monkeypatch.context() as host:
        host.setattr(time, "time", lambda: right + hours * 3600)
        rows = prepare_events([{"name": "app/x"}], source="code", make_id=lambda _: new_id())
        stored = insert_events(store.alias, rows)
    advance("11s")
    assert Run.objects.get().status == "completed"
    assert [each.ts for each in stored] == list(StoredEvent.objects.values_list("ts", flat=True))
    assert abs(stored[0].ts / 1000 - right) < 60


def test_concurrent_copies_start_one_run(listener: Any) -> None:
    """Many senders of one id at the same moment start one run."""
    run_together([lambda: send_event(Event("app/x", id="same"))] * 6)
    drain()
    assert count() == (6, 1)


def test_concurrent_starts_with_one_key_share_a_run(listener: Any) -> None:
    """start(key=) from many threads gives all of them the same run."""
    handles = run_together([lambda: listener.start({"n": 1}, key="k")] * 6)
    drain()
    assert len({handle.id for handle in handles}) == 1
    assert Run.objects.count() == 1
    advance("25h")
    assert listener.start(key="k").id != handles[0].id


def test_an_event_of_the_future_starts_its_run_then(listener: Any) -> None:
    """A ts ahead of the present delays the runs that the event starts."""
    send_event(Event("app/x", ts=int((time.time() + 3600) * 1000)))
    run = Run.objects.get()
    assert (run.status, run.waits_for) == ("waiting", "start")
    advance("59m")
    assert Run.objects.get().status == "waiting"
    advance("2m")
    assert Run.objects.get().status == "completed"


def test_events_are_sent_from_async_code(store: Store, kind: str, listener: Any) -> None:
    """asend_event and astart work inside a running event loop, for both kinds of workflow."""

    async def main() -> Any:
        await asend_event("app/x", {"n": 1})
        handle = await listener.astart({"n": 2})
        try:
            return await handle.aresult(timeout=5)
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(main())[1] == {"n": 2}
    assert count() == (1, 2)
    assert get_alias() == store.alias
