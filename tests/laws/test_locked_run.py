"""A session that keeps the row of one run locked holds up that run and no other (F29)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from durable_django import workflow
from durable_django.engine.checkpoint import write_checkpoint
from durable_django.engine.finish import write_finish
from durable_django.models import Run, RunStatus, Step
from durable_django.store.base import Claimed, Finish, StepWrite
from durable_django.store.claim import claim_runs
from durable_django.store.lease import renew_leases
from tests.blocked import count_blocked
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)  # SQLite has no locks of rows


@contextmanager
def locked(alias: str, run_id: Any) -> Iterator[None]:
    """Hold the row of a run as ``cancel_run`` in a transaction that goes on would."""
    other = connections[alias].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM durable_django_run WHERE id = %s FOR UPDATE", [run_id])
        yield
    finally:
        other.close()


def promptly(call: Callable[[], Any]) -> Any:
    """Return what the call returns; fail if it waits for the lock, which is held until then."""

    def run() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(run).result(60)
    finally:
        pool.shutdown(wait=False)  # else a failure would wait for the lock as well


@pytest.fixture
def claimed(store: Store, configure: Any) -> list[Claimed]:
    """Two runs that this process owns."""
    configure(DISPATCHER=QUIET)

    @workflow(id="lonely")
    def lonely(ctx: Any) -> None:
        return None

    for _ in range(2):
        lonely.start()
    return claim_runs(store.alias, owner="me", lease=60.0, queue="durable", limit=2)


def test_a_locked_run_keeps_no_other_lease_from_being_renewed(store: Store, claimed: list[Claimed]) -> None:
    """The lease of the other run is extended; the locked one counts as owned, since nobody can take it."""
    first, second = claimed
    before = dict(Run.objects.values_list("id", "wake_at"))
    with locked(store.alias, first.id):
        held = [(first.id, first.token), (second.id, second.token)]
        assert promptly(lambda: renew_leases(store.alias, held, 600.0)) == {first.id, second.id}
    after = dict(Run.objects.values_list("id", "wake_at"))
    assert after[first.id] == before[first.id]
    assert after[second.id] > before[second.id]
    assert renew_leases(store.alias, [(first.id, first.token + 1), (second.id, 1)], 60.0) == {second.id}


def checkpoint(store: Store, run: Claimed) -> Any:
    step = StepWrite(
        run_id=run.id, token=run.token, name="step", index=0, kind="run", status="completed", output="1"
    )
    return write_checkpoint(store.alias, step)


def finish(store: Store, run: Claimed) -> bool:
    return write_finish(store.alias, Finish(run_id=run.id, token=run.token, status="completed", output="1"))


@pytest.mark.parametrize("write", [checkpoint, finish])
def test_a_locked_run_holds_up_no_write_of_another(
    store: Store, claimed: list[Claimed], write: Callable[[Store, Claimed], Any]
) -> None:
    """Writes of several runs share their commits, but the one that must wait waits alone, and is written then."""
    first, second = claimed
    with ThreadPoolExecutor(1) as pool:
        with locked(store.alias, first.id):
            waiting = pool.submit(promptly, lambda: write(store, first))
            wait_until(lambda: count_blocked(store.alias), what="the first write waiting for the lock")
            assert promptly(lambda: write(store, second))
            assert not waiting.done()
        assert waiting.result(60)
    done = [Step.objects.count(), Run.objects.filter(status=RunStatus.COMPLETED).count()]
    assert done == ([2, 0] if write is checkpoint else [0, 2])
