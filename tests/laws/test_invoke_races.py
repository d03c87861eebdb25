"""step.invoke under crashes and races: one child, one answer, one winner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from durable_django.dispatch.local import Runner
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import cancel_run
from durable_django.engine.sweep import sweep
from durable_django.models import Event, Run, RunStatus, Step, Wait
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.bodies import MAKERS
from tests.interleave import before
from tests.laws.test_invoke import Declare, child, claim, effect, effects, find, parent, quiet
from tests.plugins.store import Store
from tests.threads import run_together

__all__ = ["child", "parent", "quiet"]  # the fixtures


class Broken(Exception):
    """Stands for whatever ends a transaction."""


def test_child_and_wait_are_stored_together(parent: Any, store: Store) -> None:
    """If the parking is rolled back there is neither a child nor a wait, nor an event; then both, once."""
    handle = parent.start({"n": 4})
    claimed = claim(store, "parent")

    def fail() -> None:
        raise Broken

    with pytest.raises(Broken), before(store.alias, "SET parent_id", fail):
        execute_run(store.alias, claimed)
    assert (Run.objects.count(), Wait.objects.count(), Step.objects.count(), Event.objects.count()) == (
        1,
        0,
        0,
        1,
    )
    advance("61s")  # the lease ends
    assert Run.objects.count() == 2
    advance("61m")
    assert handle.result(0) == 8


def test_a_slice_that_lost_its_lease_starts_no_child(parent: Any, store: Store) -> None:
    """Two workers that both execute the parent leave one child: the fence decides."""
    parent.start()
    claimed = claim(store, "parent")
    Run.objects.update(status=RunStatus.QUEUED)
    again = claim(store, "parent", owner="other")
    execute_run(store.alias, claimed)
    assert Run.objects.count() == 1
    execute_run(store.alias, again)
    execute_run(store.alias, claimed)
    assert Run.objects.filter(workflow="child").count() == 1


def test_the_child_s_end_and_the_parent_s_memo_are_one(parent: Any, store: Store) -> None:
    """A crash in the end of the child leaves it running and the parent waiting; the next end counts once."""
    handle = parent.start({"n": 5})
    drain()
    advance("1s")
    Run.objects.filter(workflow="child").update(wake_at="2000-01-01T00:00Z")
    Step.objects.filter(name="nap").update(ready_at="2000-01-01T00:00Z")
    sweep(store.alias)
    claimed = claim(store, "child")

    def fail() -> None:
        raise Broken

    with pytest.raises(Broken), before(store.alias, "kind = 'child'", fail):
        execute_run(store.alias, claimed)
    assert (find("child").status, find("parent").status) == ("running", "waiting")
    advance("61s")
    assert handle.result(0) == 10
    assert find("parent").wakeups == 1


def test_workers_at_once_wake_the_parent_once(declare: Declare, store: Store, kind: str) -> None:
    """Children that end at the same moment are each counted, and the parent goes on once with all."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        return ctx.event.data["n"]

    def branch(ctx: Any, n: int) -> Any:
        return (yield ctx.step.invoke("ask", function=child, data={"n": n}))

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        made = [MAKERS[kind](lambda c, n=n: branch(c, n)) for n in range(6)]
        found = yield ctx.group.parallel([lambda f=each: f(ctx) for each in made])
        yield ctx.step.run("after", effect, "after")
        return found

    handle = parent.start()
    execute_run(store.alias, claim(store, "parent"))
    ids = list(Run.objects.filter(workflow="child").values_list("id", flat=True))
    claimed = claim_runs(store.alias, owner="test", lease=60.0, ids=ids, limit=10)
    run_together([lambda each=each: execute_run(store.alias, each) for each in claimed])
    assert find("parent").wakeups == 6
    drain()
    assert handle.result(0) == list(range(6))
    assert effects() == ["after"]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_end_and_time_out_at_once_have_one_winner(parent: Any, store: Store) -> None:
    """The child ends while the parent's time-out is carried out: one of the two is the result, for ever."""
    for turn in range(10):
        Run.objects.all().delete()
        handle = parent.start({"n": 3, "timeout": "1h"})
        drain()
        Run.objects.update(wake_at="2000-01-01T00:00Z")
        Step.objects.update(ready_at="2000-01-01T00:00Z")
        sweep(store.alias)
        both = [claim(store, "parent"), claim(store, "child")]
        if turn % 2:
            both.reverse()
        run_together([lambda each=each: execute_run(store.alias, each) for each in both])
        drain()
        result = handle.result(0)
        assert result == 6 or result[0] == "InvokeTimeoutError"
        wait = Wait.objects.get(kind="child", run_id=handle.id)
        assert wait.status == ("matched" if result == 6 else "expired")


def test_parent_and_child_cancelled_at_once(parent: Any, store: Store) -> None:
    """Operators who cancel both at the same moment do not block each other."""
    for _ in range(5):
        Run.objects.all().delete()
        parent.start()
        drain()
        runs = [find("parent"), find("child")]
        run_together([lambda run=run: cancel_run(run.id, actor="test") for run in runs])
        assert {run.status for run in Run.objects.all()} == {"cancelled"}


@pytest.fixture
def start_worker(store: Store, configure: Any) -> Iterator[Callable[[], Runner]]:
    configure(DISPATCHER="local", TICK_SECONDS=0.1)
    started: list[Runner] = []

    def start() -> Runner:
        found = Runner(store.alias, threads=4, tasks=4)
        found.start()
        started.append(found)
        return found

    yield start
    for each in started:
        each.stop()


def test_families_in_two_workers(declare: Declare, start_worker: Any, kind: str, store: Store) -> None:
    """Many parents with children of their own come to their end, each child started once."""
    lock, started = threading.Lock(), []

    def note(n: int) -> int:
        with lock:
            started.append(n)
        return n

    @declare(id="child")
    def child(ctx: Any) -> Any:
        return (yield ctx.step.run("note", note, ctx.event.data["n"]))

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        n = ctx.event.data["n"]
        first = yield ctx.step.invoke("ask", function=child, data={"n": n})
        return first + (yield ctx.step.invoke("ask", function=child, data={"n": n + 100}))

    start_worker()
    start_worker()
    handles = [parent.start({"n": n}) for n in range(8)]
    assert [each.result(60) for each in handles] == [2 * n + 100 for n in range(8)]
    assert sorted(started) == [*range(8), *range(100, 108)]
    assert not connections[store.alias].in_atomic_block
