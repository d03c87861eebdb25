"""A deadlock between a transaction of the project's and one of the engine's is settled by doing ours again (F26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connections

from durable_django import workflow
from durable_django.engine.execute import execute_run
from durable_django.models import Attempt, Run
from durable_django.store.base import Claimed
from durable_django.store.claim import claim_runs
from tests.app.models import Effect, Ticket
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)  # SQLite has one writer at a time

LOCK_RUN = "SELECT 1 FROM durable_django_run WHERE id = %s FOR UPDATE"
LOCK_TICKET = "SELECT 1 FROM testapp_ticket WHERE id = %s FOR UPDATE"


@pytest.fixture
def user(store: Store) -> Iterator[Any]:
    """A session of the project's in a transaction; the server picks it last as the one to be ended."""
    other = connections[store.alias].copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SET LOCAL deadlock_timeout = '1h'")
        yield cursor
    other.close()


def claim(store: Store, run_id: Any) -> Claimed:
    return claim_runs(store.alias, owner="me", lease=60.0, ids=[run_id])[0]


def cross(
    store: Store, user: Any, run: Claimed, *, held: tuple[str, Any], wanted: tuple[str, Any]
) -> list[str]:
    """Execute a run while the user holds one row and asks for another; return what the server refused.

    That may be more than once: the engine, back at once, may have the row again before the user gets it.
    """
    refused: list[str] = []

    def note(execute: Any, *call: Any) -> Any:
        try:
            return execute(*call)
        except OperationalError as error:
            refused.append(str(error.__cause__.sqlstate))  # type: ignore[union-attr]
            raise

    def work() -> None:
        try:
            with connections[store.alias].cursor() as cursor:
                cursor.execute("SET deadlock_timeout = '3s'")  # until then the user must have asked
            with connections[store.alias].execute_wrapper(note):
                execute_run(store.alias, run)
        finally:
            connections.close_all()

    user.execute(held[0], [held[1]])
    user.execute("SELECT pg_backend_pid()")
    (pid,) = user.fetchone()
    with ThreadPoolExecutor(1) as pool:
        engine = pool.submit(work)
        wait_until(lambda: is_blocked_by(store, pid), what="the engine's waiting for the user's row")
        user.execute(wanted[0], [wanted[1]])
        user.execute("COMMIT")
        engine.result(60)
    return refused


def is_blocked_by(store: Store, pid: int) -> bool:
    with connections[store.alias].cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", [pid])
        return cursor.fetchone() is not None


def test_the_end_of_a_child_is_done_again(store: Store, user: Any, configure: Callable[..., None]) -> None:
    """Who locks child and parent against the order of ids gets both; the end of the child follows."""
    configure(DISPATCHER=QUIET)

    @workflow(id="child")
    def child(ctx: Any) -> str:
        return "from the child"

    @workflow(id="parent")
    def parent(ctx: Any) -> Any:
        return ctx.step.invoke("ask", function=child)

    handle = parent.start()
    execute_run(store.alias, claim(store, handle.id))
    younger = claim(store, Run.objects.get(workflow="child").id)
    refused = cross(store, user, younger, held=(LOCK_RUN, younger.id), wanted=(LOCK_RUN, handle.id))
    assert set(refused) == {"40P01"}
    execute_run(store.alias, claim(store, handle.id))
    assert handle.result(0) == "from the child"
    assert Attempt.objects.count() == 0


def test_an_atomic_step_is_done_again(store: Store, user: Any, configure: Callable[..., None]) -> None:
    """An atomic step that meets a transaction crosswise runs anew: its rows once, and no attempt is lost."""
    configure(DISPATCHER=QUIET)
    first, second = (Ticket.objects.using(store.alias).create() for _ in range(2))
    calls: list[int] = []

    def update() -> None:
        calls.append(1)
        Effect.objects.create(key="sold")
        for ticket in (first, second):
            Ticket.objects.filter(pk=ticket.pk).update(status="sold")

    @workflow(id="seller")
    def seller(ctx: Any) -> None:
        ctx.step.run("sell", update, atomic=True)

    handle = seller.start()
    held, wanted = (LOCK_TICKET, second.pk), (LOCK_TICKET, first.pk)
    refused = cross(store, user, claim(store, handle.id), held=held, wanted=wanted)
    assert set(refused) == {"40P01"}
    assert handle.result(0) is None
    assert (len(calls), Effect.objects.count(), Attempt.objects.count()) == (len(refused) + 1, 1, 0)
