"""Workflows of real processes. The event's data says where to leave traces and when to go on:

``ledger``: a file that gets one line for each effect; ``gate``: a file that a blocking step waits for.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from durable_django import AsyncContext, Context, workflow
from tests.ledger import record
from tests.waiting import wait_until

GATE_SECONDS = 60.0


def note(data: dict[str, Any], run: str, step: str, *more: Any) -> int:
    """Leave a trace and return the process that left it."""
    record(data["ledger"], run, step, *more)
    return os.getpid()


def pass_gate(data: dict[str, Any], run: str, step: str) -> int:
    """Leave a trace at the beginning, wait for the gate, leave another."""
    note(data, run, step, "begin")
    wait_until(Path(data["gate"]).exists, GATE_SECONDS, "the gate")
    return note(data, run, step, "end")


def pass_gate_with_row(data: dict[str, Any], run: str, step: str) -> int:
    """Write a row, then wait for the gate in the middle of the transaction."""
    from tests.app.models import Effect

    Effect.objects.create(key=step, run=run)
    return pass_gate(data, run, step)


@workflow(id="process-steps", trigger="process/steps")
def take_steps(ctx: Context) -> list[int]:
    """Take ``steps`` steps, each of which leaves a trace."""
    data = ctx.event.data
    return [ctx.step.run("step", note, data, ctx.run_id, "step", number) for number in range(data["steps"])]


@workflow(id="process-gate", trigger="process/gate")
def wait_at_gate(ctx: Context) -> dict[str, int]:
    """One step before the gate, a plain one that waits at it, one after."""
    data = ctx.event.data
    return {
        "before": ctx.step.run("before", note, data, ctx.run_id, "before"),
        "gate": ctx.step.run("gate", pass_gate, data, ctx.run_id, "gate"),
        "after": ctx.step.run("after", note, data, ctx.run_id, "after"),
    }


@workflow(id="process-agate", trigger="process/agate")
async def await_gate(ctx: AsyncContext) -> int:
    """One plain step that waits at the gate."""
    data = ctx.event.data
    return await ctx.step.run("gate", pass_gate, data, ctx.run_id, "gate")


@workflow(id="process-atomic", trigger="process/atomic")
def wait_at_atomic_gate(ctx: Context) -> int:
    """A step that writes a row and waits at the gate in the same transaction, and one after."""
    data = ctx.event.data
    done = ctx.step.run("gate", pass_gate_with_row, data, ctx.run_id, "gate", atomic=True)
    ctx.step.run("after", note, data, ctx.run_id, "after")
    return done


@workflow(id="process-nap", trigger="process/nap")
def take_naps(ctx: Context) -> int:
    """Sleep ``naps`` times for ``nap`` milliseconds, with a trace after each."""
    data = ctx.event.data
    for number in range(data["naps"]):
        ctx.step.sleep("nap", data["nap"])
        ctx.step.run("step", note, data, ctx.run_id, "step", number)
    return int(data["naps"])


@workflow(id="process-rest", trigger="process/rest")
def rest_after_gate(ctx: Context) -> list[int]:
    """One plain step that waits at the gate, a short sleep, one step after; return the processes of both."""
    data = ctx.event.data
    gate = ctx.step.run("gate", pass_gate, data, ctx.run_id, "gate")
    ctx.step.sleep("rest", 100)
    return [gate, ctx.step.run("after", note, data, ctx.run_id, "after")]


def dawdle(data: dict[str, Any], run: str, step: str, number: int) -> int:
    """Leave a trace, then take ``pause`` seconds."""
    pid = note(data, run, step, number)
    time.sleep(data["pause"])
    return pid


@workflow(id="process-slow", trigger="process/slow")
def take_slow_steps(ctx: Context) -> list[int]:
    """Take ``steps`` steps of ``pause`` seconds; return the processes that took them."""
    data = ctx.event.data
    return [ctx.step.run("step", dawdle, data, ctx.run_id, "step", number) for number in range(data["steps"])]


@workflow(id="process-fetch", trigger="process/fetch")
def fetches(ctx: Context) -> Any:
    """Await an answer of the URL in the event."""
    return ctx.step.fetch("get", ctx.event.data["url"])["body"]


@workflow(id="process-afetch", trigger="process/afetch")
async def afetches(ctx: AsyncContext) -> Any:
    """Await an answer of the URL in the event."""
    return (await ctx.step.fetch("get", ctx.event.data["url"]))["body"]
