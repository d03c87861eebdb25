"""What the reference lacks: several waits in one step, groups in groups, keys of steps, links."""

from __future__ import annotations

import asyncio
from typing import Any

from durable_django import EventWait, SignalWait, StepError, send_signal
from durable_django.models import Run, Wait
from tests.app.models import Ticket
from tests.conformance.case import Span, case
from tests.conformance.cases_groups import branches, sequence
from tests.conformance.stage import Stage
from tests.conformance.traces import at, count, echo, fail, note, trace


def list_waits(ctx: Any) -> list[EventWait | SignalWait]:
    """Return an early answer, a matching one, and a signal to wait for."""
    return [
        EventWait(event=at(ctx, "early"), since="run"),
        EventWait(event=at(ctx, "paid"), match="data.k"),
        SignalWait(signal=at(ctx, "stop")),
    ]


def has_no_wait(stage: Stage) -> None:
    assert not Wait.objects.using(stage.alias).filter(status="open", run_id=stage.handles[0].id).exists()


def play_any(stage: Stage) -> None:
    handle = stage.start(k=1)
    stage.wait_for("event")
    stage.send("paid", {"k": 2})
    send_signal(f"{stage.place}/stop", {"by": "us"})
    assert stage.result(handle) == [2, {"by": "us"}]
    has_no_wait(stage)


@case(
    "2", "wait-any", "several events and signals in one step: the first ends it", play=play_any, sample=True
)
def wait_any(ctx: Any) -> Any:
    number, came = yield ctx.step.wait_for_any("w", list_waits(ctx), timeout="1h")
    return [number, came["data"]]


@case(
    "2",
    "wait-any-none",
    "several events and signals in one step: None at the time-out",
    data={"k": 1, "timeout": Span("1h")},
    passes="2h",
    result=None,
    holds=has_no_wait,
)
def wait_any_none(ctx: Any) -> Any:
    return (yield ctx.step.wait_for_any("w", list_waits(ctx), timeout=ctx.event.data["timeout"]))


def play_all(stage: Stage) -> None:
    handle = stage.start(k=1)
    stage.wait_for("event")
    send_signal(f"{stage.place}/stop", 3)
    stage.send("paid", {"k": 1, "n": 2})
    assert stage.result(handle) == [1, 2, 3]
    has_no_wait(stage)


@case("2", "wait-all", "several events and signals in one step: all end it", play=play_all, sample=True)
def wait_all(ctx: Any) -> Any:
    yield ctx.step.send_event("early", {"name": at(ctx, "early"), "data": {"n": 1}})
    early, paid, stop = yield ctx.step.wait_for_all("w", list_waits(ctx), timeout="1h")
    return [early.data["n"], paid.data["n"], stop["data"]]


@case(
    "2",
    "parallel-nested",
    "any tool in a branch, nested groups",
    data={"nap": Span("1h")},
    passes="2h",
    result=[["a!", "b!"], "c!"],
)
def parallel_nested(ctx: Any) -> Any:
    def inner(ctx: Any) -> Any:
        return list((yield ctx.group.parallel(branches(ctx, [sequence("a", "nap"), sequence("b")]))))

    return list((yield ctx.group.parallel(branches(ctx, [inner, sequence("c", "nap")]))))


@case(
    "2",
    "task-group",
    "asyncio.gather (and TaskGroup) in async workflows",
    kinds=["async"],
    data={"nap": Span("1h")},
    passes="2h",
    result=["ok", ["ValueError"]],
)
def task_group(ctx: Any) -> Any:
    async def good() -> str:
        await ctx.step.sleep("nap", ctx.event.data["nap"])
        return str(await ctx.step.run("good", echo, "ok"))

    async def together() -> list[Any]:
        caught: list[str] = []
        async with asyncio.TaskGroup() as group:
            task = group.create_task(good())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("bad", fail, retries=0))
        except* StepError as errors:
            caught.extend(getattr(error, "name", "") for error in errors.exceptions)
        return [task.result(), caught]

    return (yield together())


def has_one_key(stage: Stage) -> None:
    keys = [line[1] for line in stage.traces("charge")]
    assert len(keys) == 3
    assert len(set(keys)) == 2, keys


def charge(ctx: Any, times: int) -> str:
    note(ctx.event.data, ctx.run_id, "charge", ctx.step.key)
    if count(ctx.event.data, ctx.run_id, "charge") <= times:
        raise ValueError("busy")
    return str(ctx.step.key)


@case(
    "2",
    "step-key",
    "ctx.step.key: equal over all attempts of one step",
    options=lambda place, make: {"retries": 2, "backoff": "1s"},
    passes="2s",
    holds=has_one_key,
)
def step_key(ctx: Any) -> Any:
    yield ctx.step.run("charge", charge, ctx, 1)
    yield ctx.step.run("charge", charge, ctx, 0)


def is_linked(stage: Stage) -> None:
    ticket = Ticket.objects.using(stage.alias).get(pk=stage.result())
    found = Run.objects.using(stage.alias).for_subject(ticket)
    assert [str(run.id) for run in found] == [str(stage.handles[0].id)]


def make_ticket() -> int:
    return Ticket.objects.create().pk


@case("2", "link", "ctx.link(order); Run.objects.for_subject(order)", holds=is_linked)
def link(ctx: Any) -> Any:
    pk = yield ctx.step.run("make", make_ticket)
    yield trace(ctx, "made")
    yield ctx.link(Ticket, pk)  # at the end: no memo, so a slice that ends after it never gets on
    return pk


@case(
    "7",
    "relaxed",
    'durability="relaxed": process crashes lose nothing',
    options=lambda place, make: {"durability": "relaxed"},
    data={"nap": Span("1h")},
    passes="2h",
    result=["a", "b"],
)
def relaxed(ctx: Any) -> Any:
    first = yield ctx.step.run("a", echo, "a")
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return [first, (yield ctx.step.run("b", echo, "b"))]
