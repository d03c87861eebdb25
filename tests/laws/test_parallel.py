"""Parallel groups: branches side by side, joined in order, resumed without repeating what is done (F68, F69)."""

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

from durable_django import StepError, send_event, workflow
from durable_django.dispatch.local import Runner
from durable_django.engine import parallel, slice
from durable_django.engine.keeper import keeper
from durable_django.engine.operations import cancel_run
from durable_django.engine.outside import WaitingPool
from durable_django.engine.scope import LEVELS, Scope, read_index
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Run, Step
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.bodies import MAKERS
from tests.plugins.store import Store
from tests.waiting import wait_until

Fork = Callable[..., list[Any]]


@pytest.fixture
def fork(kind: str) -> Fork:
    """Make branches of the kind of the workflow: one for each value, of a body that yields its calls."""

    def make(ctx: Any, body: Callable[..., Any], values: Any) -> list[Any]:
        return [functools.partial(MAKERS[kind](lambda c, v=each: body(c, v)), ctx) for each in values]

    return make


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


def effect(key: str) -> str:
    Effect.objects.create(key=key)
    return key


def effects() -> list[str]:
    return sorted(Effect.objects.values_list("key", flat=True))


# --- join -----------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_branches(declare: Any, fork: Fork) -> None:
    """The tuple has the value of each branch in its place, whichever ended first; the same id serves in each."""

    def body(ctx: Any, n: int) -> Any:
        first = yield ctx.step.run("same", effect, f"first {n}")
        yield ctx.step.sleep("nap", f"{10 - n}m")
        return first, (yield ctx.step.run("same", effect, f"second {n}"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, range(5))))

    handle = group.start()
    advance("11m")
    assert handle.result(0) == [[f"first {n}", f"second {n}"] for n in range(5)]
    assert effects() == sorted(f"{word} {n}" for word in ("first", "second") for n in range(5))


def test_an_empty_group_gives_nothing(declare: Any) -> None:
    """No branches, no results, no waiting."""

    @declare(id="empty")
    def empty(ctx: Any) -> Any:
        return (yield ctx.group.parallel([]))

    handle = empty.start()
    drain()
    assert handle.result(0) == []


def test_branches_without_steps_are_plain_calls(declare: Any, fork: Fork) -> None:
    """A branch need not call a step."""

    @declare(id="plain")
    def plain(ctx: Any) -> Any:
        return (yield ctx.group.parallel([lambda: 1, lambda: 2]))

    handle = plain.start()
    drain()
    assert handle.result(0) == [1, 2]


def test_a_failure_surfaces_when_the_others_are_done(declare: Any, fork: Fork) -> None:
    """The others are carried to their end, over waits and retries; then the first failure in order is raised."""

    def body(ctx: Any, n: int) -> Any:
        if n in (1, 3):
            yield ctx.step.run("fail", raise_error, f"error {n}", retries=0)
        yield ctx.step.sleep("nap", "1h")
        return (yield ctx.step.run("work", effect, f"work {n}"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        try:
            yield ctx.group.parallel(fork(ctx, body, range(4)))
        except StepError as error:
            return [error.message, (yield ctx.step.run("seen", effects))]

    handle = group.start()
    drain()
    assert handle.status == "waiting"
    advance("61m")
    assert handle.result(0) == ["error 1", ["work 0", "work 2"]]


def raise_error(text: str) -> None:
    raise ValueError(text)


def test_an_uncaught_failure_fails_the_run(declare: Any, fork: Fork) -> None:
    """A StepError that leaves the group and the workflow fails the run with the step's error."""

    def body(ctx: Any, n: int) -> Any:
        yield ctx.step.run("fail", raise_error, "wrong", retries=0)

    @declare(id="group")
    def group(ctx: Any) -> Any:
        yield ctx.group.parallel(fork(ctx, body, [0]))

    handle = group.start()
    drain()
    with pytest.raises(RunFailed, match="wrong"):
        handle.result(0)


def test_waits_sleeps_and_retries_overlap(declare: Any, fork: Fork) -> None:
    """All branches wait at the same time: the group takes as long as the longest."""
    tries: list[int] = []

    def stumble() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return "tried"

    def body(ctx: Any, what: str) -> Any:
        if what == "sleep":
            yield ctx.step.sleep("nap", "1h")
            return "slept"
        if what == "wait":
            found = yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1d")
            return found.data["n"]
        return (yield ctx.step.run("stumble", stumble, backoff="20m"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, ["sleep", "wait", "retry"])))

    handle = group.start()
    drain()
    assert sorted(Step.objects.values_list("status", "kind")) == [
        ("retrying", "run"),
        ("waiting", "event"),
        ("waiting", "sleep"),
    ]
    send_event("app/answer", {"n": 7})
    drain()
    for _ in range(3):
        advance("20m 10s")
    assert handle.result(0) == ["slept", 7, "tried"]
    assert Attempt.objects.count() == 2


# --- nesting and limits ---------------------------------------------------------------------------


def test_groups_nest_to_a_limit(declare: Any, fork: Fork) -> None:
    """Three levels of groups work, with the same ids on all of them; a fourth fails the run with a code."""

    def body(ctx: Any, place: tuple[int, ...]) -> Any:
        own = yield ctx.step.run("same", effect, f"{place}")
        if len(place) == depth:
            return own
        inner = yield ctx.group.parallel(fork(ctx, body, [(*place, n) for n in range(2)]))
        yield ctx.step.sleep("nap", "1m")
        return [own, *inner]

    @declare(id="nest")
    def nest(ctx: Any) -> Any:
        return (yield from body(ctx, ()))

    depth = LEVELS
    handle = nest.start()
    for _ in range(LEVELS + 1):
        advance("2m")
    assert handle.result(0)[1][1][1] == "(0, 0, 0)"
    assert len(effects()) == len(set(effects())) == 1 + 2 + 4 + 8
    depth = LEVELS + 1
    deeper = nest.start()
    drain()
    with pytest.raises(RunFailed, match="3 levels deep"):
        deeper.result(0)


@pytest.mark.parametrize("path", [(), (0,), (65_534,), (5, 0), (65_534, 65_534, 65_534)])
@pytest.mark.parametrize("count", [0, 1, 32_767])
def test_an_index_tells_branch_and_count(path: tuple[int, ...], count: int) -> None:
    """Index and place can be computed from each other, and the index fits into the column."""
    index = Scope(path).index(count)
    assert read_index(index) == (path, count)
    assert -(1 << 63) <= index < 1 << 63


def test_a_task_has_an_index_of_its_own() -> None:
    """The scope of a task is known by its first step, and so are those of the groups inside it."""
    task: Any = object()
    first, second, other = (Scope().adopt(task, name) for name in ("a", "a", "b"))
    branches = {each.path for each in (first, other, *first.split(2), *first.split(2))}
    assert len(branches) == 6
    assert read_index(first.index(3)) == (first.path, 3)
    assert first.path == second.path  # each of a scope that is new


def test_a_thousand_branches(declare: Any, fork: Fork, configure: Any) -> None:
    """1,000 branches, each of a step, a wait and a step, come to their end in a few slices."""
    configure(STEP_LIMIT=3_000)

    def body(ctx: Any, n: int) -> Any:
        value = yield ctx.step.run("a", int, n)
        yield ctx.step.sleep("nap", "1m")
        return value + (yield ctx.step.run("b", int, n))

    @declare(id="many")
    def many(ctx: Any) -> Any:
        return sum((yield ctx.group.parallel(fork(ctx, body, range(1_000)))))

    handle = many.start()
    drain()
    advance("2m")
    assert handle.result(0) == 999_000
    assert Step.objects.count() == 3_000


@pytest.mark.parametrize("arguments", [([1],), ([int], "both")])
def test_a_group_that_cannot_work_fails_the_run(declare: Any, arguments: Any) -> None:
    """What is not callable, and a mode that does not exist, is refused with a code and no retry."""

    @declare(id="wrong")
    def wrong(ctx: Any) -> Any:
        branches, *mode = arguments
        yield ctx.group.parallel(branches, **({"mode": mode[0]} if mode else {}))

    handle = wrong.start()
    drain()
    with pytest.raises(RunFailed, match="parallel"):
        handle.result(0)
    assert not Attempt.objects.exists()


def test_a_def_workflow_refuses_coroutine_branches(store: Store) -> None:
    """A branch that nobody would await is an error at once."""

    async def branch() -> None:
        raise AssertionError("never begun")

    @workflow(id="mixed")
    def mixed(ctx: Any) -> Any:
        ctx.group.parallel([branch])

    handle = mixed.start()
    drain()
    with pytest.raises(RunFailed, match="awaitable"):
        handle.result(0)


def test_a_group_inside_a_step_is_refused(declare: Any) -> None:
    """Steps cannot be nested, groups neither; ``except Exception`` hides nothing."""

    @declare(id="nested")
    def nested(ctx: Any) -> Any:
        def work() -> None:
            try:
                ctx.group.parallel([lambda: 1])
            except Exception:
                return

        async def awork() -> None:
            try:
                await ctx.group.parallel([lambda: 1])
            except Exception:
                return

        yield ctx.step.run("outer", awork if nested.is_async else work)

    handle = nested.start()
    drain()
    with pytest.raises(RunFailed, match="cannot be nested"):
        handle.result(0)


# --- being interrupted ----------------------------------------------------------------------------


def test_a_release_lets_running_steps_finish(declare: Any, fork: Fork) -> None:
    """A worker that stops finishes the steps that run in any branch; another one repeats none of them."""
    together = threading.Barrier(3)

    def work(n: int) -> int:
        Effect.objects.create(key=f"work {n}")
        together.wait(20)
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


# --- threads of def workflows ---------------------------------------------------------------------


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
    assert handle.result(20) == [0, 1, 2, 3]


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
        handle.result(20)
    finally:
        worker.stop()
    assert effects() == sorted(f"{n} {turn}" for n in range(6) for turn in range(5))
