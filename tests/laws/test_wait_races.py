"""Event against wait, in every order, with real threads on PostgreSQL: never lost, never twice.

A gate is a row lock that the test holds: the other side stops at it with its snapshot already taken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from durable_django import send_event
from durable_django.engine.receive import prepare_events
from durable_django.engine.route import route_events, route_stored
from durable_django.ids import new_id
from durable_django.models import Event, Run, Wait
from durable_django.store.base import EventRow
from durable_django.store.event import insert_events
from durable_django.testing import advance, drain
from tests.blocked import count_blocked
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)
ALIAS = "postgres"


@pytest.fixture
def asking(declare: Any) -> Any:
    @declare()
    def asking(ctx: Any) -> Any:
        found = yield ctx.step.wait_for_event("w", event="app/answer", timeout="1h")
        return found and found.data["n"]

    return asking


@contextmanager
def in_thread(work: Callable[[], Any]) -> Iterator[Future[Any]]:
    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run)


def store_event(number: int) -> list[EventRow]:
    """Commit an event as a sender does that stops before it routes."""
    rows = prepare_events(
        [{"name": "app/answer", "data": {"n": number}}], source="code", make_id=lambda _: new_id()
    )
    insert_events(ALIAS, rows)
    return rows


class Killed(KeyboardInterrupt):
    """Stands for SIGKILL: no handler of the engine runs after it."""


@contextmanager
def before(part: str, act: Callable[[], Any]) -> Iterator[None]:
    """Act once, before this thread's first statement that contains ``part``."""
    armed = [True]

    def wrap(execute: Any, sql: str, *rest: Any) -> Any:
        if armed and part in sql:
            armed.clear()
            act()
        return execute(sql, *rest)

    with connections[ALIAS].execute_wrapper(wrap):
        yield
    assert not armed, f"no statement contained {part!r}"


STAMP, PARK, LOOK = "(stamp)", "(park)", "(settle)"
BOUNDARIES = [STAMP, PARK, LOOK]


@pytest.mark.parametrize("routed", ["at once", "later", "never"])
@pytest.mark.parametrize("place", BOUNDARIES)
def test_an_event_between_any_two_statements_of_parking(asking: Any, place: str, routed: str) -> None:
    """An event counts if it was committed after the wait, not if before, however late it is routed."""

    def send() -> None:
        def work() -> None:
            rows = store_event(1)
            if routed == "at once":
                route_events(ALIAS, rows)

        with in_thread(work) as done:
            done.result(60)

    with before(place, send):
        handle = asking.start()
    if routed == "later":
        route_stored(ALIAS)
    drain()
    if place == LOOK:
        assert handle.result(0) == 1
    elif place == STAMP or routed == "at once":
        assert handle.status == "waiting"
    advance("2h")
    assert handle.status == "completed"
    assert Wait.objects.exclude(status="open").count() == 1


@pytest.mark.parametrize("crash", [False, True])
def test_routing_that_began_before_the_wait_and_ended_after_it(asking: Any, crash: bool) -> None:
    """An event whose routing missed the wait is found by the wait's look, also if that one's process died."""
    rows: list[EventRow] = []
    gate = threading.Event()

    def route() -> None:
        gate.wait(60)
        route_events(ALIAS, rows)

    def begin_routing() -> None:
        # The event comes after the stamps of parking; its routing stops at the row with its snapshot taken.
        rows.extend(store_event(1))
        lock.execute("SELECT 1 FROM durable_django_event WHERE id = %s FOR UPDATE", [rows[0].id])
        gate.set()
        wait_until(lambda: count_blocked(ALIAS) == 1)

    def end_routing() -> None:
        locked.rollback()
        if crash:
            raise Killed
        routing.result(60)

    locked = connections[ALIAS].copy()
    locked.connect()
    locked.set_autocommit(False)
    lock = locked.cursor()
    try:
        with in_thread(route) as routing:
            with before(PARK, begin_routing), before(LOOK, end_routing):
                if crash:
                    with pytest.raises(Killed):
                        asking.start()
                else:
                    asking.start()
            routing.result(60)
    finally:
        locked.close()
    if crash:
        assert Event.objects.filter(name="app/answer", routed_at=None).count() == 0
    advance("10s")
    run = Run.objects.get()
    assert run.status == "completed"
    assert run.result.output == "1"


def test_a_look_that_is_made_up_for_is_made_once(asking: Any) -> None:
    """After a crash before the look the run parks again with its real time-out and no crash on its record."""
    with before(LOOK, lambda: (_ for _ in ()).throw(Killed())), pytest.raises(Killed):
        asking.start()
    assert Run.objects.get().crash_count == 1
    advance("10s")
    run = Run.objects.get()
    assert (run.status, run.crash_count) == ("waiting", 0)
    assert run.wake_at > Wait.objects.get().expires_at - timedelta(seconds=1)
    send_event("app/answer", {"n": 7})
    assert Run.objects.get().result.output == "7"
