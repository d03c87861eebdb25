"""A step that keeps a transaction of its own open for long holds up no other run (F72)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from durable_django import send_events
from durable_django.dispatch.local import Runner
from durable_django.models import Run
from tests.app.models import Effect
from tests.plugins.store import Store
from tests.waiting import wait_until

SECONDS = 10
"""Five leases of this test."""
RUNS = 60


@pytest.mark.timeout(120)
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_long_transaction_holds_up_nobody(
    store: Store, declare: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """While a plain step sleeps in its transaction, others are claimed, executed, swept and ended as ever."""
    configure(LEASE_SECONDS=2.0, TICK_SECONDS=0.2, DISPATCHER="local")
    others_ended = threading.Event()

    def dawdle() -> str:
        with transaction.atomic(using=store.alias), connections[store.alias].cursor() as cursor:
            Effect.objects.create(key="long")
            cursor.execute("SELECT pg_sleep(%s)", [SECONDS])
            assert others_ended.wait(60)
        return "done"

    @declare(id="long")
    def long(ctx: Any) -> Any:
        return (yield ctx.step.run("dawdle", dawdle))

    @declare(id="short", trigger="app/short")
    def short(ctx: Any) -> Any:
        yield ctx.step.run("a", int)
        yield ctx.step.sleep("nap", 300)
        return (yield ctx.step.run("b", int))

    runner = Runner(store.alias, threads=4, tasks=4)
    runner.start()
    try:
        handle = long.start()
        wait_until(lambda: is_asleep(store), what="the long transaction")
        send_events([{"name": "app/short"}] * RUNS)
        ended = Run.objects.filter(workflow="short", status="completed")
        wait_until(lambda: ended.count() == RUNS, timeout=60, what="the end of the others")
        assert Run.objects.get(workflow="long").status == "running"
        others_ended.set()
        assert handle.result(60) == "done"
    finally:
        others_ended.set()
        runner.stop()
    run = Run.objects.get(workflow="long")
    assert (run.token, Effect.objects.count()) == (1, 1)


def is_asleep(store: Store) -> bool:
    with connections[store.alias].cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        return cursor.fetchone() is not None
