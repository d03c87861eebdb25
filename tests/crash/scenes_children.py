"""Scenes of several runs: children, fan-out by events, handlers of ends."""

from __future__ import annotations

from typing import Any

from durable_django import StepError, workflow
from tests.bodies import make
from tests.crash.deeds import send, wait
from tests.crash.scene import add
from tests.crash.world import effect, row


@add(
    "invoke",
    send("crash/parent", n=1),
    wait("2h"),
    expected=[
        ["child", "completed", '"c7"'],
        ["child", "failed", None],
        ["parent", "completed", '["c7","ValueError","p"]'],
    ],
)
def invoke(kind: str) -> None:
    @workflow(id="child", retries=0)
    @lambda body: make(kind, body)
    def child(ctx: Any) -> Any:
        if ctx.event.data["n"] < 0:
            raise ValueError("below zero")
        yield ctx.step.sleep("nap", "1h")
        return (yield ctx.step.run("c", effect, f"c{ctx.event.data['n']}"))

    @workflow(id="parent", trigger="crash/parent")
    @lambda body: make(kind, body)
    def parent(ctx: Any) -> Any:
        first = yield ctx.step.invoke_by_id("ok", function_id="child", data={"n": 7})
        try:
            yield ctx.step.invoke_by_id("bad", function_id="child", data={"n": -7})
            told = ""
        except StepError as error:
            told = error.name
        return [first, told, (yield ctx.step.run("p", effect, "p"))]


@add(
    "invoke-late",
    send("crash/hurry", n=1),
    wait("3h"),
    expected=[["hurry", "completed", '["InvokeTimeoutError","p"]'], ["slow", "completed", '"c"']],
)
def invoke_late(kind: str) -> None:
    @workflow(id="slow")
    @lambda body: make(kind, body)
    def slow(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "2h")
        return (yield ctx.step.run("c", effect, "c"))

    @workflow(id="hurry", trigger="crash/hurry")
    @lambda body: make(kind, body)
    def hurry(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke_by_id("late", function_id="slow", timeout="1h")
            told = ""
        except StepError as error:
            told = error.name
        return [told, (yield ctx.step.run("p", effect, "p"))]


@add(
    "fan-out",
    send("crash/fan", n=1),
    expected=[
        ["fan", "completed", "3"],
        *([["heard", "completed", '"h"']] * 3),
        *([["noted", "completed", '"n"']] * 3),
    ],
)
def fan_out(kind: str) -> None:
    @workflow(id="fan", trigger="crash/fan")
    @lambda body: make(kind, body)
    def fan(ctx: Any) -> Any:
        sent = [{"name": "crash/told", "data": {"n": n}} for n in range(3)]
        return len((yield ctx.step.send_event("tell", sent)))

    for name, act in (("heard", effect), ("noted", row)):
        workflow(id=name, trigger="crash/told")(make(kind, _listener(name, act)))


def _listener(name: str, act: Any) -> Any:
    def listen(ctx: Any) -> Any:
        return (yield ctx.step.run("act", act, name[0], atomic=act is row))

    return listen


@add(
    "handlers",
    send("crash/fails", n=1),
    send("crash/stops", n=1),
    wait("2h"),
    expected=[
        ["fails", "failed", None],
        ["fails/on-failure", "completed", '"mourned"'],
        ["stops", "cancelled", None],
        ["stops/on-cancel", "completed", '"told"'],
    ],
)
def handlers(kind: str) -> None:
    def mourn(ctx: Any) -> Any:
        return (yield ctx.step.run("mourn", effect, "mourned"))

    def tell(ctx: Any) -> Any:
        return (yield ctx.step.run("tell", row, "told", atomic=True))

    @workflow(id="fails", trigger="crash/fails", retries=0, on_failure=make(kind, mourn))
    @lambda body: make(kind, body)
    def fails(ctx: Any) -> Any:
        yield ctx.step.run("before", effect, "before")
        raise ValueError("no")

    from durable_django import Timeouts

    @workflow(id="stops", trigger="crash/stops", timeouts=Timeouts(finish="1h"), on_cancel=make(kind, tell))
    @lambda body: make(kind, body)
    def stops(ctx: Any) -> Any:
        yield ctx.step.run("begun", effect, "begun")
        yield ctx.step.sleep("long", "30d")
