"""The workflows that the works run."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from durable_django import step, workflow

PADDING = "x" * 90


def answer(number: int) -> str:
    """Return about 100 bytes: what every trivial step does."""
    return f"{PADDING}{number}"


async def aanswer(number: int) -> str:
    """Return the same from a coroutine."""
    return f"{PADDING}{number}"


@workflow(id="bench-def", trigger="bench/def")
def steps_in_thread(ctx: Any) -> int:
    """Take trivial steps one after the other."""
    return sum(len(ctx.step.run(f"s{n}", answer, n)) for n in range(ctx.event.data["steps"]))


@workflow(id="bench-async", trigger="bench/async")
async def steps_on_loop(ctx: Any) -> int:
    """Take the same steps from a coroutine."""
    total = 0
    for n in range(ctx.event.data["steps"]):
        total += len(await ctx.step.run(f"s{n}", aanswer, n))
    return total


@workflow(id="bench-relaxed", trigger="bench/relaxed", durability="relaxed")
def relaxed_steps(ctx: Any) -> int:
    """Take the steps of ``bench-def`` with checkpoints that do not wait for the disk."""
    return sum(len(ctx.step.run(f"s{n}", answer, n)) for n in range(ctx.event.data["steps"]))


@workflow(id="bench-stamp", trigger="bench/stamp")
def stamp(ctx: Any) -> float:
    """Note when the first step is entered."""
    entered: float = ctx.step.run("enter", time.time)
    return entered


@workflow(id="bench-sleep", trigger="bench/sleep")
async def sleep(ctx: Any) -> float:
    """Sleep until an instant, then note the time."""
    await ctx.step.sleep_until("nap", datetime.fromisoformat(ctx.event.data["until"]))
    woken: float = await ctx.step.run("wake", time.time)
    return woken


@workflow(id="bench-wait", trigger="bench/wait")
async def wait(ctx: Any) -> int:
    """Wait for the event of the run's own number."""
    found = await ctx.step.wait_for_event("answer", event="bench/answer", match="data.n", timeout="1 day")
    return int(found.data["n"])


@workflow(id="bench-parallel-def", trigger="bench/parallel-def")
def branch_in_threads(ctx: Any) -> int:
    """Take trivial steps side by side."""
    branches = [lambda n=n: ctx.step.run(f"s{n}", answer, n) for n in range(ctx.event.data["steps"])]
    return sum(map(len, ctx.group.parallel(branches, where=ctx.event.data.get("where", "here"))))


@workflow(id="bench-parallel-async", trigger="bench/parallel-async")
async def branch_on_loop(ctx: Any) -> int:
    """Take the same steps side by side from coroutines."""
    branches = [lambda n=n: ctx.step.run(f"s{n}", aanswer, n) for n in range(ctx.event.data["steps"])]
    return sum(map(len, await ctx.group.parallel(branches)))


@workflow(id="bench-crash", trigger="bench/crash")
def crash(ctx: Any) -> str:
    """Leave a trace when the step begins, and in its first life never end."""
    trace = Path(ctx.event.data["trace"])

    def work() -> str:
        lives = len(trace.read_text().splitlines()) if trace.exists() else 0
        with trace.open("a") as file:
            file.write(f"{time.time()}\n")
        if lives == 0:
            time.sleep(ctx.event.data["seconds"])
        return "done"

    return str(ctx.step.run("work", work))


@workflow(id="bench-steady", trigger="bench/steady")
def steady(ctx: Any) -> int:
    """Take steps of 20 ms one after the other."""
    for n in range(ctx.event.data["steps"]):
        ctx.step.run(f"s{n}", time.sleep, 0.02)
    return int(ctx.event.data["steps"])


@step
def take_nothing(number: int) -> int:
    """Do nothing."""
    return number


@step
def take_wait(number: int) -> int:
    """Wait for 20 ms, as for a network."""
    time.sleep(0.02)
    return number


@step
def take_thought(number: int) -> int:
    """Compute for 20 ms of processor time, in Python."""
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        sum(range(100))
    return number


KINDS = {"nothing": take_nothing, "waiting": take_wait, "computing": take_thought}


@workflow(id="bench-branches", trigger="bench/branches")
def take_branches(ctx: Any) -> int:
    """Take the steps of a kind side by side, here or on the workers."""
    work, data = KINDS[ctx.event.data["kind"]], ctx.event.data
    branches = [lambda n=n: work(n) for n in range(data["steps"])]
    return sum(ctx.group.parallel(branches, where=data["where"]))
