"""Scenes of waiting: sleeps, events, signals, several at once, time-outs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from durable_django import workflow
from durable_django.define.waits import EventWait, SignalWait
from tests.bodies import make
from tests.crash.deeds import send, signal, wait
from tests.crash.scene import add
from tests.crash.world import effect


@add(
    "sleep",
    send("crash/sleep", n=1),
    wait("2h"),
    expected=[["sleep", "completed", '["a","b"]']],
)
def sleep(kind: str) -> None:
    @workflow(id="sleep", trigger="crash/sleep")
    @lambda body: make(kind, body)
    def sleep(ctx: Any) -> Any:
        first = yield ctx.step.run("a", effect, "a")
        yield ctx.step.sleep("nap", "1h")
        return [first, (yield ctx.step.run("b", effect, "b"))]


@add(
    "sleep-until",
    send("crash/until", n=1),
    wait("2h"),
    expected=[["sleep-until", "completed", '["a","b"]']],
)
def sleep_until(kind: str) -> None:
    @workflow(id="sleep-until", trigger="crash/until")
    @lambda body: make(kind, body)
    def until(ctx: Any) -> Any:
        first = yield ctx.step.run("a", effect, "a")
        sent = datetime.fromtimestamp(ctx.event.ts / 1000, UTC)
        yield ctx.step.sleep_until("nap", sent + timedelta(hours=1))
        return [first, (yield ctx.step.run("b", effect, "b"))]


@add(
    "event",
    send("crash/order", n=1),
    send("crash/paid", n=2),
    send("crash/paid", n=1),
    wait("40d"),
    expected=[["event", "completed", '[1,null,"a"]']],
)
def event(kind: str) -> None:
    @workflow(id="event", trigger="crash/order")
    @lambda body: make(kind, body)
    def event(ctx: Any) -> Any:
        paid = yield ctx.step.wait_for_event("paid", event="crash/paid", match="data.n", timeout="30d")
        none = yield ctx.step.wait_for_event("none", event="crash/never", timeout="2d")
        return [paid.data["n"], none, (yield ctx.step.run("a", effect, "a"))]


@add(
    "look-back",
    send("crash/early", n=1),
    send("crash/answer", n=1),
    wait("2h"),
    expected=[["look-back", "completed", "[1]"]],
)
def look_back(kind: str) -> None:
    @workflow(id="look-back", trigger="crash/early")
    @lambda body: make(kind, body)
    def look_back(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        found = yield ctx.step.wait_for_event(
            "answer", event="crash/answer", if_exp="async.data.n == event.data.n", timeout="30d", since="run"
        )
        return [found.data["n"]]


@add(
    "any-all",
    send("crash/both", n=1),
    send("crash/left", n=1),
    send("crash/up", n=2),
    send("crash/down", n=3),
    expected=[["any-all", "completed", '[0,[2,3],"a"]']],
)
def any_all(kind: str) -> None:
    @workflow(id="any-all", trigger="crash/both")
    @lambda body: make(kind, body)
    def any_all(ctx: Any) -> Any:
        either = [EventWait(event="crash/left", match="data.n"), SignalWait(signal="crash-any")]
        first, _ = yield ctx.step.wait_for_any("any", either, timeout="30d")
        both = [EventWait(event="crash/up"), EventWait(event="crash/down", if_exp="async.data.n == 3")]
        every = yield ctx.step.wait_for_all("all", both, timeout="30d")
        return [first, [each.data["n"] for each in every], (yield ctx.step.run("a", effect, "a"))]


@add(
    "signal",
    send("crash/ask", n=1),
    signal("go", {"by": "me"}),
    expected=[["signal", "completed", '["me","a"]']],
)
def wait_signal(kind: str) -> None:
    @workflow(id="signal", trigger="crash/ask")
    @lambda body: make(kind, body)
    def ask(ctx: Any) -> Any:
        got = yield ctx.step.wait_for_signal("go", signal="go", timeout="30d")
        return [got["data"]["by"], (yield ctx.step.run("a", effect, "a"))]
