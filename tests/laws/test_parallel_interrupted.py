"""Parallel groups that are interrupted: by a release, a death, a lost lease, an exit; and their threads."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from durable_django import StepError, workflow
from durable_django.dispatch.local import Runner
from durable_django.engine import parallel, slice
from durable_django.engine.keeper import keeper
from durable_django.engine.operations import cancel_run
from durable_django.engine.outside import WaitingPool
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Run, Step
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.laws.test_parallel import Fork, effect, effects, fork, raise_error
from tests.plugins.store import Store
from tests.waiting import wait_until

__all__ = ["fork"]  # the fixtures


@pytest.fixture
def start_worker(store: Store, configure: Any) -> Iterator[Callable[[], Runner]]:
    """Start a worker with real threads and an event loop, once the workflows are declared."""
    configure(DISPATCHER="local", TICK_SECONDS=0.1)
    found = Runner(store.alias, threads=4, tasks=8)
    started: list[Runner] = []

    def start() -> Runner:
        found.start()
        started.append(found)
        return found

    yield start
    for each in started:
        each.stop()


def test_a_release_lets_running_steps_finish(declare: Any, fork: Fork) -> None:
    """A worker that stops finishes the steps that run in any branch; another one repeats none of them."""
    together = threading.Barrier(3)

    def work(n: int) -> int:
        Effect.objects.create(key=f"work {n}")
        together.wait(60)
        if n == 0:
            keeper.stop_slices()
        return n

    async def awork(n: int) -> int:
        await Effect.objects.acreate(key=f"work {n}")
        if n == 0:
            keeper.stop_slices()
        else:
            await asyncio.sleep(0.05 * n)  # still at work when the first branch has left
        return n

    def body(ctx: Any, n: int) -> Any:
        value = yield ctx.step.run("work", awork if group.is_async else work, n)
        return value + (yield ctx.step.run("more", int, 10))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, range(3))))

    handle = group.start()
    drain()
    assert handle.result(0) == [10, 11, 12]
    assert effects() == ["work 0", "work 1", "work 2"]


def test_a_release_keeps_what_other_branches_wait_for(declare: Any, fork: Fork) -> None:
    """Failed attempts, sleeps and waits of the other branches are stored before the run is given back."""

    def body(ctx: Any, what: str) -> Any:
        if what == "fail":
            return (yield ctx.step.run("fail", raise_error, "once", retries=1, backoff="1h"))
        if what == "sleep":
            return (yield ctx.step.sleep("nap", "1h"))
        yield ctx.step.run("stop", keeper.stop_slices)
        return (yield ctx.step.run("after", effect, "after"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        try:
            yield ctx.group.parallel(fork(ctx, body, ["fail", "sleep", "stop"]))
        except StepError as error:
            return error.message

    handle = group.start()
    drain()
    assert Attempt.objects.count() == 1
    assert effects() == ["after"]
    advance("61m")
    assert handle.result(0) == "once"
    assert Attempt.objects.count() == 2


def test_a_killed_group_repeats_only_what_was_not_done(declare: Any, fork: Fork, store: Store) -> None:
    """A worker that dies in the middle of a group leaves the finished steps of all branches done."""
    died: list[int] = []

    def die(n: int) -> int:
        Effect.objects.create(key=f"last {n}")
        if n == 2 and not died:
            died.append(1)
            Run.objects.update(token=99, wake_at="2000-01-01T00:00Z")  # as if the lease had been taken over
        return n

    def body(ctx: Any, n: int) -> Any:
        yield ctx.step.run("first", effect, f"first {n}", atomic=True)
        yield ctx.step.sleep("nap", "1s")
        return (yield ctx.step.run("last", die, n))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, range(4))))

    handle = group.start()
    drain()
    advance("2s")
    drain()
    assert handle.result(0) == [0, 1, 2, 3]
    assert effects()[:4] == [f"first {n}" for n in range(4)]
    assert effects().count("last 2") == 2


def test_a_lost_lease_in_one_branch_stops_all(declare: Any, fork: Fork, monkeypatch: Any) -> None:
    """Once a branch has learned that the run was cancelled, no branch begins another step."""
    monkeypatch.setattr(slice, "OWNED_FOR", -1.0)
    gate = threading.Event()

    def cancel() -> None:
        cancel_run(Run.objects.get().id, actor="test")
        gate.set()

    def body(ctx: Any, n: int) -> Any:
        if n == 0:
            yield ctx.step.run("cancel", cancel)
        for _ in range(50):
            yield ctx.step.run("idle", gate.wait, 10)
        yield ctx.step.run("after", effect, f"after {n}")

    @declare(id="group")
    def group(ctx: Any) -> Any:
        yield ctx.group.parallel(fork(ctx, body, range(20)))

    handle = group.start()
    drain()
    assert handle.status == "cancelled"
    assert effects() == []


def test_a_swallowed_interrupt_still_suspends(declare: Any, fork: Fork) -> None:
    """A bare ``except`` in a branch cannot make a wait look like a result."""

    def body(ctx: Any, n: int) -> Any:
        try:
            yield ctx.step.sleep("nap", "1h")
        except BaseException:  # noqa: BLE001  what a careless author writes
            return "swallowed"
        return (yield ctx.step.run("after", effect, f"after {n}"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, range(2))))

    handle = group.start()
    drain()
    assert (handle.status, effects()) == ("waiting", [])
    advance("61m")
    assert handle.result(0) == ["after 0", "after 1"]


def test_an_exit_in_a_branch_ends_the_attempt_not_the_worker(declare: Any, fork: Fork) -> None:
    """``sys.exit()`` in a branch counts as an error of the code between steps."""

    def body(ctx: Any, n: int) -> Any:
        yield ctx.step.run("a", int, n)
        if n == 1:
            raise SystemExit(3)

    @declare(id="exits", retries=0)
    def exits(ctx: Any) -> Any:
        yield ctx.group.parallel(fork(ctx, body, range(3)))

    handle = exits.start()
    drain()
    with pytest.raises(RunFailed, match="SystemExit"):
        handle.result(0)
    assert Step.objects.count() == 3


def test_helpers_that_are_busy_elsewhere_are_not_waited_for(store: Store, monkeypatch: Any) -> None:
    """A group ends when its branches have, even if no helping thread was ever free."""
    gate, pool = threading.Event(), WaitingPool(1, "test-branch")
    monkeypatch.setattr(parallel, "_pools", {os.getpid(): pool})
    pool.submit(gate.wait, 30)

    @workflow(id="group")
    def group(ctx: Any) -> Any:
        return ctx.group.parallel([lambda: ctx.step.run("a", int, 1), lambda: ctx.step.run("a", int, 2)])

    handle = group.start()
    try:
        drain()
        assert handle.result(0) == [1, 2]
    finally:
        gate.set()


def test_nested_groups_cannot_starve_each_other(store: Store, monkeypatch: Any, elsewhere: Any) -> None:
    """With fewer helpers than branches that hold groups, all come to their end."""
    monkeypatch.setattr(parallel, "_pools", {os.getpid(): WaitingPool(2, "test-branch")})

    @workflow(id="nest")
    def nest(ctx: Any) -> Any:
        def inner(n: int) -> int:
            time.sleep(0.01)
            return ctx.step.run("leaf", int, n)  # type: ignore[no-any-return]

        def outer() -> Any:
            return sum(ctx.group.parallel([functools.partial(inner, n) for n in range(4)]))

        return ctx.group.parallel([outer] * 8)

    handle = nest.start()
    elsewhere(drain)
    assert handle.result(0) == [6] * 8


def test_a_transaction_left_open_by_a_branch_is_its_own(store: Store) -> None:
    """What a branch leaves open is rolled back when it ends; the steps of the others are stored."""

    @workflow(id="careless")
    def careless(ctx: Any) -> Any:
        def branch(n: int) -> Any:
            value = ctx.step.run("a", int, n)
            transaction.atomic(using=store.alias).__enter__()
            Effect.objects.create(key="lost")
            return value

        return ctx.group.parallel([functools.partial(branch, n) for n in range(30)])

    handle = careless.start()
    drain()
    assert handle.result(0) == list(range(30))
    assert not connections[store.alias].in_atomic_block
    assert (Step.objects.count(), effects()) == (30, [])


def test_steps_on_threads_of_the_author_are_refused(store: Store) -> None:
    """A thread that the workflow starts itself cannot call steps; the error names the group."""
    found: list[BaseException] = []

    @workflow(id="threads")
    def threads(ctx: Any) -> Any:
        def work() -> None:
            try:
                ctx.step.run("a", int)
            except BaseException as error:  # noqa: BLE001  a thread would only print it
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    threads.start()
    drain()
    assert "ctx.group.parallel" in str(found[0])


def test_branches_run_at_the_same_time_in_a_worker(declare: Any, fork: Fork, start_worker: Any) -> None:
    """Under a worker with real threads, branches meet each other in the middle of their steps."""
    together = threading.Barrier(4)

    def body(ctx: Any, n: int) -> Any:
        yield ctx.step.run("meet", together.wait, 20)
        return n

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, range(4))))

    start_worker()
    handle = group.start()
    wait_until(lambda: Run.objects.get().ended_at or Attempt.objects.exists())
    assert not Attempt.objects.exists(), Attempt.objects.get().traceback
    assert handle.result(60) == [0, 1, 2, 3]


def test_a_stopped_worker_leaves_a_group_in_order(
    declare: Any, fork: Fork, store: Store, configure: Any
) -> None:
    """A group whose worker is stopped in the middle is carried to its end by the next one, each step once."""
    configure(DISPATCHER="local", TICK_SECONDS=0.1)

    def work(key: str) -> str:
        time.sleep(0.02)
        return effect(key)

    def body(ctx: Any, n: int) -> Any:
        for turn in range(5):
            yield ctx.step.run("work", work, f"{n} {turn}")

    @declare(id="group")
    def group(ctx: Any) -> Any:
        yield ctx.group.parallel(fork(ctx, body, range(6)))

    handle = group.start()
    for _ in range(3):
        before = Effect.objects.count()
        worker = Runner(store.alias, threads=2, tasks=2)
        worker.start()
        wait_until(lambda seen=before: Effect.objects.count() > seen or handle.status == "completed")
        assert worker.stop()
    worker = Runner(store.alias, threads=2, tasks=2)
    worker.start()
    try:
        handle.result(60)
    finally:
        worker.stop()
    assert effects() == sorted(f"{n} {turn}" for n in range(6) for turn in range(5))
