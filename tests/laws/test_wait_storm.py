"""The race of wait and event, in every order and at every isolation level: never lost, never twice.

Each round interleaves a run that begins to wait with a sender, by halting both before chosen statements, so both
orders of their commits occur at each boundary. ``DURABLE_RACES`` is the number of rounds over all levels; the full
count takes some minutes: ``DURABLE_RACES=10000 pytest tests/laws/test_wait_storm.py``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from psycopg import IsolationLevel

from durable_django import send_event, workflow
from durable_django.engine.receive import prepare_events
from durable_django.engine.route import route_stored
from durable_django.engine.sweep import sweep
from durable_django.ids import new_id
from durable_django.models import Event, Run, Step, Wait, WaitKey
from durable_django.store.event import insert_events
from durable_django.testing import drain
from tests.actors import Actor, interleave, two_actors
from tests.blocked import count_blocked
from tests.waiting import wait_until

ALIAS = "postgres"
LEVELS = list(IsolationLevel)[1:]  # all but READ UNCOMMITTED, which PostgreSQL does not have
# The three tests share them as 4 : 1 : 4.
ROUNDS = ceil(int(os.environ.get("DURABLE_RACES", "600")) * 4 / 9 / len(LEVELS))

pytestmark = [
    pytest.mark.parametrize("store", ["postgres"], indirect=True),
    pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower()),
    pytest.mark.timeout(1_800),
]

STAMP, PARK, SETTLE = "(stamp)", "(park)", "(settle)"
INSERT, COMMIT, ROUTE, FIND, END = (
    f"INSERT INTO {Event._meta.db_table}",
    "SELECT 1",
    f"/* UPDATE {Event._meta.db_table} */",
    "WITH sent",
    "WITH hit AS",
)
WAITER = [STAMP, PARK, SETTLE, None]
SENDER = [INSERT, COMMIT, ROUTE, FIND, END, None]
SCHEDULES = list(itertools.product(["waiter", "sender"], WAITER, SENDER))
LOST, RACED, DUE = "lost", "raced", "due"


@pytest.fixture(autouse=True)
def isolated(store: Any, level: IsolationLevel) -> Iterator[None]:
    """Open all connections of the test at this isolation level."""
    options = connections.settings[ALIAS]["OPTIONS"]
    connections[ALIAS].close()
    # The server's default, so that it holds for single statements too and not only for blocks.
    options["options"] = f"-c default_transaction_isolation={level.name.lower().replace('_', chr(92) + ' ')}"
    try:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone()[0].replace(" ", "_") == level.name.lower()
        yield
    finally:
        del options["options"]
        connections[ALIAS].close()


@pytest.fixture
def calls() -> list[Any]:
    """What the code after the wait has seen, once for each time that it ran."""
    return []


@pytest.fixture
def asking(store: Any, calls: list[Any]) -> Any:
    @workflow(id="asking")
    def asking(ctx: Any) -> Any:
        found = ctx.step.wait_for_event("w", event="app/answer", match="data.round", timeout="1h")
        ctx.step.run("after", calls.append, found and found.data["from"])
        return found and found.data["from"]

    return asking


@dataclass(frozen=True)
class Sent:
    """What the sender did; ``retried`` says that the database refused its first transaction."""

    event_id: str
    retried: bool


def send_in_long_transaction(number: int) -> Sent:
    """Send as a view does: in a transaction that began long before and goes on after; routed after its commit."""
    for retried in (False, True, True, True):
        try:
            with transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {Run._meta.db_table} WHERE id = %s", [new_id()])
                event_id = send_event("app/answer", {"round": number, "from": "race"})
                cursor.execute("SELECT 1")
            return Sent(event_id, retried)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != "40001":
                raise
    raise AssertionError("refused four times")


def name_order(who: str, waits_before: str | None, sends_before: str | None) -> str:
    """Say by the schedule whether the event was committed before the wait's stamps, after it, or between.

    Whoever is second runs to its halt while the first stands at its own; then the first ends, then the second.
    """
    if who == "waiter":
        parked_first = waits_before in (SETTLE, None)
        committed_first = sends_before not in (INSERT, COMMIT)
        if parked_first or not committed_first:
            return DUE
        return LOST if waits_before == STAMP else RACED
    committed_first = sends_before not in (INSERT, COMMIT)
    if not committed_first:
        # The waiter stands at its halt while the sender commits and ends.
        return {STAMP: LOST, PARK: RACED}.get(waits_before or "", DUE)
    return LOST


def race(actors: tuple[Actor, Actor], asking: Any, number: int) -> tuple[Any, Sent, str]:
    who, waits_before, sends_before = SCHEDULES[number % len(SCHEDULES)]
    waiter = (actors[0], lambda: asking.start({"round": number}), waits_before)
    sender = (actors[1], lambda: send_in_long_transaction(number), sends_before)
    if who == "waiter":
        handle, sent = interleave(waiter, sender)
    else:
        sent, handle = interleave(sender, waiter)
    order = RACED if sent.retried else name_order(who, waits_before, sends_before)
    return handle, sent, order


def check_once(handle: Any, event_id: Any, calls: list[Any], expected: Any) -> None:
    """The run went on exactly once, with this event."""
    wait = Wait.objects.get(run_id=handle.id)
    assert (wait.status, str(wait.event_id)) == ("matched", str(event_id))
    assert Run.objects.get(id=handle.id).wakeups == 1
    assert handle.result(0) == expected
    assert calls == [expected]


def test_a_wait_and_an_event_meet_or_the_event_was_earlier(level: Any, asking: Any, calls: list[Any]) -> None:
    """An event committed after the wait ends it; one committed before does not; nothing happens twice."""
    seen: dict[str, int] = {}
    with two_actors(ALIAS) as actors:
        for number in range(ROUNDS):
            calls.clear()
            handle, sent, order = race(actors, asking, number)
            where = (number, SCHEDULES[number % len(SCHEDULES)], order)
            if handle.status != "completed":
                sweep(ALIAS)
                drain()
            taken = handle.status == "completed"
            assert not (order == DUE and not taken), f"lost: {where}"
            assert not (order == LOST and taken), f"an earlier event was taken: {where}"
            seen[order] = seen.get(order, 0) + 1
            if taken:
                check_once(handle, sent.event_id, calls, "race")
            else:
                later = send_event("app/answer", {"round": number, "from": "later"})
                check_once(handle, later, calls, "later")
    assert not Event.objects.filter(name="app/answer", routed_at=None).exists()
    assert WaitKey.objects.count() == 0
    if len(SCHEDULES) <= ROUNDS:
        assert set(seen) == {DUE, LOST, RACED}


def test_an_event_whose_routing_cannot_see_the_wait(level: Any, asking: Any, calls: list[Any]) -> None:
    """Routing that looked before the wait was committed, and ended after it, leaves the event to the wait's look.

    The event's row is locked meanwhile, so that the statement stops with its snapshot taken.
    """
    with two_actors(ALIAS) as (waiter, sender):
        for number in range(ceil(ROUNDS / 4)):
            calls.clear()
            waiter.begin(lambda: asking.start({"round": number}), PARK, SETTLE)  # noqa: B023
            waiter.wait_for_halt()
            sender.begin(lambda: send_in_long_transaction(number), ROUTE)  # noqa: B023
            sender.wait_for_halt()
            with transaction.atomic(using=ALIAS):
                unrouted = Event.objects.using(ALIAS).select_for_update().get(routed_at=None)
                sender.go_on()
                wait_until(lambda: count_blocked(ALIAS) == 1)
                waiter.go_on()
                waiter.wait_for_halt()
            sent = sender.finish()
            handle = waiter.finish()
            assert sent.event_id == str(unrouted.id)
            check_once(handle, sent.event_id, calls, "race")


def expire_at(handle: Any, moment: Any) -> None:
    """Let the run's wait end at this instant."""
    Wait.objects.filter(run_id=handle.id).update(expires_at=moment)
    Step.objects.filter(run_id=handle.id).update(ready_at=moment)
    Run.objects.filter(id=handle.id).update(wake_at=moment)


def test_an_event_and_the_time_out_at_one_instant(level: Any, asking: Any, calls: list[Any]) -> None:
    """An event stored before the end of the wait wins, one stored at its very instant is too late; one outcome."""
    with two_actors(ALIAS) as actors:
        for number in range(ROUNDS):
            calls.clear()
            in_time, first = number % 2 == 0, number // 2 % 2
            handle = asking.start({"round": number})
            given = {"name": "app/answer", "data": {"round": number, "from": "race"}}
            rows = prepare_events([given], source="code", make_id=lambda _: new_id())
            insert_events(ALIAS, rows)
            stored = Event.objects.get(id=rows[0].id).created_at
            expire_at(handle, stored + timedelta(microseconds=1) if in_time else stored)
            router = (actors[0], lambda: route_stored(ALIAS), [ROUTE, FIND, END, None][number // 4 % 4])
            tick = (actors[1], lambda: (sweep(ALIAS), drain()), [None, ROUTE][number // 16 % 2])
            interleave(*((router, tick) if first else (tick, router)))
            drain()
            wait = Wait.objects.get(run_id=handle.id)
            expected = "race" if in_time else None
            assert (wait.status, handle.result(0)) == ("matched" if in_time else "expired", expected), number
            assert calls == [expected], number
    assert WaitKey.objects.count() == 0
