"""Coroutines side by side in ``async def`` workflows: gather, TaskGroup, wait, and what else they await."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable_django import StepError, workflow
from durable_django.dispatch.local import Runner
from durable_django.exceptions import RunFailed
from durable_django.models import Step, Wait
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.plugins.store import Store


def effect(key: str) -> str:
    Effect.objects.create(key=key)
    return key


def effects() -> list[str]:
    return sorted(Effect.objects.values_list("key", flat=True))


def raise_error(text: str) -> None:
    raise ValueError(text)


def collect(kind: str, *calls: Any) -> Any:
    """Await coroutines side by side, in one of the ways of asyncio."""

    async def in_group() -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in calls]
        return [each.result() for each in tasks]

    async def in_wait() -> list[Any]:
        tasks = [asyncio.create_task(each) for each in calls]
        await asyncio.wait(tasks)
        return [each.result() for each in tasks]

    return asyncio.gather(*calls) if kind == "gather" else in_group() if kind == "TaskGroup" else in_wait()


WAYS = pytest.mark.parametrize("way", ["gather", "TaskGroup", "wait"])


@WAYS
def test_tasks_of_asyncio_are_branches(store: Store, way: str) -> None:
    """Coroutines side by side use the same ids, wait, and get their own memos back whatever came first."""

    @workflow(id="tasks")
    async def tasks(ctx: Any) -> Any:
        async def branch(n: int) -> Any:
            first = await ctx.step.run("same", effect, f"first {n}")
            await ctx.step.sleep("nap", f"{10 - n}m")  # the last comes first
            return [
                first,
                await ctx.step.run("then", effect, f"then {n}"),
                await ctx.step.run("same", int, n),
            ]

        found = await collect(way, *(branch(n) for n in range(5)))
        await ctx.step.sleep("pause", "1m")
        return found

    handle = tasks.start()
    for _ in range(12):
        advance("61s")
    assert handle.result(0) == [[f"first {n}", f"then {n}", n] for n in range(5)]
    assert len(effects()) == 10


@WAYS
def test_foreign_awaits_do_not_mix_up_branches(store: Store, way: str) -> None:
    """What else the coroutines await may reorder them in each replay; ids of their own keep them apart."""
    turns = iter(range(1_000))

    @workflow(id="tasks")
    async def tasks(ctx: Any) -> Any:
        async def branch(n: int) -> Any:
            await asyncio.sleep(0.001 * ((n * 7 + next(turns)) % 5))
            first = await ctx.step.run(f"own {n}", effect, f"first {n}")
            await asyncio.sleep(0.001 * ((n * 3 + next(turns)) % 5))
            await ctx.step.sleep("nap", f"{n + 1}m")
            return [first, await ctx.step.run("then", effect, f"then {n}")]

        return await collect(way, *(branch(n) for n in range(5)))

    handle = tasks.start()
    for _ in range(8):
        advance("61s")
    assert handle.result(0) == [[f"first {n}", f"then {n}"] for n in range(5)]
    assert len(effects()) == 10


def test_a_foreign_await_between_steps_is_given_time(store: Store) -> None:
    """A branch that awaits something else for a moment is not cut off because another one waits for a day."""

    @workflow(id="patient")
    async def patient(ctx: Any) -> Any:
        async def slow() -> None:
            await ctx.step.run("a", int)
            await asyncio.sleep(0.2)
            await ctx.step.run("b", effect, "b")

        await ctx.group.parallel([slow, lambda: ctx.step.sleep("nap", "1d")])
        await asyncio.gather(slow(), ctx.step.sleep("nap", "1d"))

    patient.start()
    drain()
    assert effects() == ["b"]
    advance("25h")
    assert effects() == ["b", "b"]


def test_a_branch_that_awaits_for_ever_does_not_hold_the_slot(store: Store, elsewhere: Any) -> None:
    """When only a step can go on, the run is parked although a branch awaits something of its own."""

    @workflow(id="blocked")
    async def blocked(ctx: Any) -> Any:
        ready = asyncio.Event()

        async def first() -> None:
            await ctx.step.sleep("nap", "1h")
            ready.set()

        async def second() -> int:
            await ready.wait()
            return await ctx.step.run("a", int, 5)  # type: ignore[no-any-return]

        return (await ctx.group.parallel([first, second]))[1]

    handle = blocked.start()
    elsewhere(drain)
    assert handle.status == "waiting"
    advance("61m")
    assert handle.result(0) == 5


def test_a_cancelled_wait_is_not_waited_for(store: Store) -> None:
    """What the workflow cancels itself is neither stored nor started: no child, no sleep."""

    @workflow(id="child")
    def child(ctx: Any) -> None:
        effect("child")

    @workflow(id="choosy")
    async def choosy(ctx: Any) -> Any:
        task = asyncio.create_task(ctx.step.invoke("child", function=child))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ctx.step.sleep("nap", "1h")
        return "done"

    handle = choosy.start()
    drain()
    assert list(Step.objects.values_list("name", flat=True)) == ["nap"]
    advance("61m")
    assert (handle.result(0), effects()) == ("done", [])


def test_tasks_that_nobody_awaits_end_with_the_slice(store: Store) -> None:
    """A task left behind begins no further step and is cancelled; the result of the run stands."""
    ended: list[str] = []
    keep: list[Any] = []

    @workflow(id="leaver")
    async def leaver(ctx: Any) -> Any:
        async def linger() -> None:
            try:
                await ctx.step.sleep("nap", "1h")
            finally:
                ended.append("ended")

        keep.append(asyncio.create_task(linger()))
        await ctx.step.run("a", int)
        return "done"

    handle = leaver.start()
    drain()
    assert (handle.result(0), ended) == ("done", ["ended"])


def test_a_failure_in_a_task_group_can_be_caught(store: Store) -> None:
    """``except*`` sees the StepError; the sibling that waited is cancelled, and the workflow goes on."""

    @workflow(id="caught")
    async def caught(ctx: Any) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("fail", raise_error, "wrong", retries=0))
                group.create_task(ctx.step.wait_for_event("never", event="app/never", timeout="1d"))
        except* StepError:
            await ctx.step.sleep("nap", "1h")
        return "on"

    handle = caught.start()
    drain()
    assert not Wait.objects.filter(status="open").exists()
    advance("61m")
    assert handle.result(0) == "on"


def test_an_exit_in_a_task_does_not_end_the_worker(store: Store, configure: Any) -> None:
    """``sys.exit()`` in a task of the workflow fails its run; the loop goes on with the others."""
    configure(DISPATCHER="local", TICK_SECONDS=0.1)

    @workflow(id="exits", retries=0)
    async def exits(ctx: Any) -> Any:
        async def leave() -> None:
            await ctx.step.run("a", int)
            raise SystemExit(3)

        await asyncio.gather(leave())

    @workflow(id="other")
    async def other(ctx: Any) -> Any:
        return await ctx.step.run("a", int, 4)

    worker = Runner(store.alias, threads=1, tasks=2)
    worker.start()
    try:
        with pytest.raises(RunFailed, match="SystemExit"):
            exits.start().result(60)
        assert other.start().result(60) == 4
    finally:
        worker.stop()
