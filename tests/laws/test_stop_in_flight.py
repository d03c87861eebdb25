"""A worker that is told to stop while its claim is on the way to the store leaves nothing leased."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.db.backends.signals import connection_created

from durable_django import workflow
from durable_django.dispatch.local import Runner
from durable_django.models import Run
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.waiting import wait_until

CLAIM = {
    "postgresql": "UPDATE durable_django_run AS r SET",
    "sqlite": "JOIN durable_django_event e ON e.id = r.event_id WHERE r.id IN",
}
"""Part of the statement that hands claimed runs out."""


class Gate:
    """Holds up the answer to the first claim of a worker that gave it runs."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def watch(self, connection: Any, **_: Any) -> None:
        if threading.current_thread().name == "durable-runner":
            connection.execute_wrappers.append(self._execute)

    def _execute(self, execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        part = CLAIM[rest[-1]["connection"].vendor]
        if part in sql and not self.reached.is_set() and rest[-1]["cursor"].rowcount != 0:
            self.reached.set()
            assert self.open.wait(60)
        return result


@contextmanager
def gate() -> Iterator[Gate]:
    found = Gate()
    connection_created.connect(found.watch)
    try:
        yield found
    finally:
        found.open.set()
        connection_created.disconnect(found.watch)


@pytest.mark.parametrize("kind", ["def", "async"])
def test_a_claim_in_flight_is_not_left_leased(
    store: Store, configure: Callable[..., None], kind: str
) -> None:
    """What the claim brings after the stop is executed or given back: no lease has to run out."""
    configure(DISPATCHER=QUIET)

    if kind == "def":

        @workflow(id="quick")
        def quick(ctx: Any) -> Any:
            return ctx.step.run("a", int)
    else:

        @workflow(id="quick")
        async def quick(ctx: Any) -> Any:
            return await ctx.step.run("a", int)

    for _ in range(3):
        quick.start()
    runner = Runner(store.alias, threads=2, tasks=2, tick=False)
    stopping = threading.Thread(target=runner.stop)
    with gate() as held:
        runner.start()
        try:
            wait_until(held.reached.is_set, what="the claim")
        finally:
            stopping.start()
        wait_until(runner._stopping.is_set, what="the stop")
    stopping.join(30)
    assert not stopping.is_alive()
    connections[store.alias].close()
    left = list(Run.objects.values_list("status", "owner", "crash_count"))
    assert set(left) <= {("queued", "", 0), ("completed", "", 0)}
    assert len(left) == 3
