"""§1: writing and starting a workflow."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.sync import async_to_sync

from durable_django import Cron, EventTrigger, ModelChange, asend_event, send_events, step
from durable_django.define.registry import registry
from tests.app.models import Effect, Ticket
from tests.commands import run_durable
from tests.conformance.case import Span, case, program
from tests.conformance.stage import Stage
from tests.conformance.traces import aecho, at, count, echo, note, trace


def save_effect(data: dict[str, Any], run: str) -> int:
    note(data, run, "cancel")
    Effect.objects.create(key=data["place"], run=run)
    return Effect.objects.filter(run=run).count()


def fulfil(ctx: Any) -> Any:
    order = yield ctx.step.run("load", echo, {"id": ctx.event.data["order_id"]})
    yield ctx.step.sleep("cooling-off", ctx.event.data["cooling"])
    paid = yield ctx.step.wait_for_event(
        "paid", event=at(ctx, "paid"), match="data.order_id", timeout=ctx.event.data["timeout"]
    )
    if paid is None:
        yield ctx.step.run("cancel", save_effect, ctx.event.data, ctx.run_id, atomic=True)
        return {"status": "cancelled", "id": order["id"]}
    return {"status": "paid", "id": order["id"]}


def on_placed(place: str, make: Any) -> dict[str, Any]:
    return {"trigger": EventTrigger(f"{place}/placed", if_exp="event.data.total > 0"), "retries": 4}


def play_paid(stage: Stage) -> None:
    more = {"cooling": stage.span(Span("1h")), "timeout": "24h"}
    stage.send("placed", {"order_id": 7, "total": 0, **more})
    stage.send("placed", {"order_id": 7, "total": 5, **more})
    stage.settle()
    stage.pass_time("2h")
    stage.wait_for("event")
    stage.send("paid", {"order_id": 8})
    stage.send("paid", {"order_id": 7})
    [run] = stage.wait_for_ends(1)
    assert run.result.output == '{"status":"paid","id":7}'
    assert stage.runs().count() == 1


def play_unpaid(stage: Stage) -> None:
    more = {"cooling": 0, "timeout": stage.span(Span("24h"))}
    stage.send("placed", {"order_id": 7, "total": 5, **more})
    stage.settle()
    stage.pass_time("25h")
    [run] = stage.wait_for_ends(1)
    assert run.result.output == '{"status":"cancelled","id":7}'
    assert Effect.objects.using(stage.alias).filter(run=run.id).count() == 1


case(
    "1", "example-paid", "the example: load, sleep, wait, end", options=on_placed, play=play_paid, sample=True
)(fulfil)
case("1", "example-unpaid", "if paid is None: cancel, atomic=True", options=on_placed, play=play_unpaid)(
    fulfil
)


def play_triggers(stage: Stage) -> None:
    for name in ("bare", "listed", "if"):
        stage.send(name, {"n": 1})
    stage.send("if", {"n": 2})
    stage.send("other", {"n": 1})
    assert len(stage.wait_for_ends(3)) == 3
    stage.settle()
    assert stage.runs().count() == 3


@case(
    "1",
    "triggers",
    "a bare string is its short form; one or a list",
    options=lambda place, make: {
        "trigger": [
            f"{place}/bare",
            EventTrigger(f"{place}/listed"),
            EventTrigger(f"{place}/if", "event.data.n == 1"),
        ]
    },
    play=play_triggers,
)
def triggered(ctx: Any) -> Any:
    return (yield ctx.step.run("name", echo, ctx.event.name))


def play_cron(stage: Stage) -> None:
    from durable_django.testing import advance

    advance("1s")
    advance("1d")
    assert len(stage.wait_for_ends(1)) == 1


case(
    "1",
    "cron",
    'Cron("0 9 * * *", tz="Europe/Paris")',
    options=lambda place, make: {"trigger": Cron("0 9 * * *", tz="Europe/Paris")},
    play=play_cron,
    engines=("inline",),  # a day passes
)(lambda ctx: 1)


def play_change(stage: Stage) -> None:
    ticket = Ticket(title=stage.place)
    ticket.save(using=stage.alias)
    [run] = stage.wait_for_ends(1)
    assert run.result.output == str(ticket.pk)


case(
    "1",
    "model-change",
    "a model change (ModelChange(Order, 'created'))",
    options=lambda place, make: {"trigger": ModelChange(Ticket, "created")},
    play=play_change,
    engines=("inline", "local"),  # its event has no name of the case's own
)(lambda ctx: ctx.event.data["pk"])


@case("1", "callables", "plain or async callables to step.run", result=[1, 2], sample=True)
def callables(ctx: Any) -> Any:
    return [(yield ctx.step.run("plain", echo, 1)), (yield ctx.step.run("async", aecho, 2))]


async def gathered(ctx: Any) -> Any:
    async def branch(name: str) -> Any:
        first = await ctx.step.run(name, echo, name)
        await ctx.step.sleep(f"nap {name}", ctx.event.data["nap"])
        return first + await ctx.step.run("then", echo, "!")

    await trace(ctx, "begun")
    return await asyncio.gather(branch("a"), branch("b"), ctx.step.run("c", echo, "c"))


def gather(ctx: Any) -> Any:
    return (yield gathered(ctx))


def held_gather(stage: Stage) -> None:
    assert stage.traces() == [["begun"]]
    assert stage.runs().get().warning == ""


case(
    "1",
    "gather",
    "parallel steps there are plain asyncio.gather",
    data={"nap": Span("1h")},
    passes="2h",
    result=["a!", "b!", "c"],
    holds=held_gather,
    kinds=("async",),
    sample=True,
)(gather)


@step(id="double it", retries=0)
def double(value: int) -> int:
    return value * 2


def held_step(stage: Stage) -> None:
    assert double(4) == 8
    assert [(each.name, each.kind) for each in stage.steps(stage.handles[0])] == [("double it", "run")]


@case(
    "1",
    "step-function",
    "called inside a workflow it is a step, elsewhere the plain function",
    result=6,
    holds=held_step,
)
def with_step_function(ctx: Any) -> Any:
    return (yield double(3))


def held_context(stage: Stage) -> None:
    told = stage.result()
    assert told["run_id"] == stage.handles[0].id
    assert told["workflow"] == stage.workflows["main"].id
    assert told["data"] == told["events"] == 5
    assert told["attempts"] == [0, 0]
    assert told["version"] == "v7"


@case(
    "1",
    "context",
    "ctx: event, events, run_id, attempt, step, group, logger, workflow",
    options=lambda place, make: {"version": "v7"},
    data={"n": 5},
    holds=held_context,
)
def context(ctx: Any) -> Any:
    ctx.logger.info("told once")
    inside = yield ctx.step.run("attempt", lambda: ctx.attempt)
    [pair] = yield ctx.group.parallel([lambda: ctx.step.run("branch", echo, 1)])
    return {
        "run_id": ctx.run_id,
        "workflow": ctx.workflow.id,
        "data": ctx.event.data["n"],
        "events": ctx.events[0].data["n"],
        "attempts": [ctx.attempt, inside],
        "version": ctx.version,
        "pair": pair,
    }


def play_key(stage: Stage) -> None:
    first, second, other = stage.start(key="k"), stage.start(key="k"), stage.start(key="other")
    assert (first.id == second.id, first.id == other.id) == (True, False)
    assert [stage.result(each) for each in (first, other)] == [1, 1]
    assert first.status == "completed"
    assert stage.runs().count() == 2


case(
    "1",
    "start",
    "start(data=…, key=…) → a handle with id, status, result(timeout=)",
    play=play_key,
    sample=True,
)(lambda ctx: 1)


def play_transaction(stage: Stage) -> None:
    stage.drop("go")
    stage.send("go", {"n": 1})
    assert len(stage.wait_for_ends(1)) == 1
    stage.settle()
    assert (stage.runs().count(), stage.events("go").count()) == (1, 1)


case(
    "1",
    "transaction",
    "rolled back → it never happened; committed → it cannot be lost",
    options=lambda place, make: {"trigger": f"{place}/go"},
    play=play_transaction,
    sample=True,
)(lambda ctx: 1)


def play_senders(stage: Stage) -> None:
    name = f"{stage.place}/go"
    send_events([{"name": name}, {"name": name}])
    async_to_sync(asend_event)(name)
    run_durable("trigger", stage.workflows["main"].id)
    assert len(stage.wait_for_ends(4)) == 4
    stage.settle()
    assert stage.runs().count() == 4


case(
    "1",
    "senders",
    "send_event, asend_event, send_events, manage.py durable trigger",
    options=lambda place, make: {"trigger": f"{place}/go"},
    play=play_senders,
)(lambda ctx: 1)


def sender(ctx: Any) -> Any:
    child = registry.get(f"{ctx.event.data['place']}/child")
    return (yield ctx.step.invoke("child", function=child, data={"n": 2}))


case(
    "1",
    "invoke-starts",
    "starting: step.invoke",
    more=[program("child", lambda ctx: ctx.event.data["n"])],
    result=2,
)(sender)


def taken(ctx: Any) -> Any:
    for number in range(5):
        yield trace(ctx, "loop", number)
        yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return (yield ctx.step.run("count", count, ctx.event.data, ctx.run_id, "loop"))


case(
    "1",
    "re-run-from-the-top",
    "completed steps return their memo",
    data={"nap": Span("1m", "20ms")},
    passes=["2m"] * 5,
    result=5,
    sample=True,
)(taken)
