"""A database in which every kind of row stands in every state that the engine leaves it in."""

from __future__ import annotations

from typing import Any

from durable_django import Cancel, Cron, EventTrigger, StepError, send_event, workflow
from durable_django.define.waits import EventWait
from durable_django.engine.operations import cancel_run, pause_workflow, resolve_wait, retry_run
from durable_django.models import Wait
from durable_django.testing import advance


def fail() -> None:
    raise ValueError("not today")


def declare() -> dict[str, Any]:
    """Register the workflows of the busy database; return them by id."""
    made = [
        workflow(id="child", trigger="busy/child", cancel_on=[Cancel("busy/stop", match="data.n")])(_child),
        workflow(id="parent", trigger="busy/parent")(_parent),
        workflow(id="waiter", trigger=EventTrigger("busy/wait"), on_failure=_mourn)(_waiter),
        workflow(id="many", trigger="busy/many")(_many),
        workflow(id="unlucky", trigger="busy/unlucky", retries=1, backoff="1s", on_failure=_mourn)(_unlucky),
        workflow(id="retrier", trigger="busy/retrier", backoff="1h")(_retrier),
        workflow(id="daily", trigger=Cron("0 9 * * *"))(_daily),
    ]
    return {each.id: each for each in made}


def _child(ctx: Any) -> Any:
    ctx.step.sleep("nap", ctx.event.data.get("nap", "30d"))
    return ctx.step.run("done", str)


def _parent(ctx: Any) -> Any:
    nap = ctx.event.data["nap"]
    return ctx.step.invoke_by_id("ask", function_id="child", data={"nap": nap, "n": 1}, timeout="60d")


def _waiter(ctx: Any) -> Any:
    found = ctx.step.wait_for_event("paid", event="busy/paid", match="data.n", timeout="20d")
    ctx.step.wait_for_signal("word", signal=f"word-{ctx.event.data['n']}", timeout="20d")
    return found and found.data


def _many(ctx: Any) -> Any:
    waits = [EventWait(event="busy/left", match="data.n"), EventWait(event="busy/right")]
    ctx.step.wait_for_all("all", waits, timeout="20d")
    parts = [lambda: ctx.step.sleep("a", "1h"), lambda: ctx.step.run("b", int), lambda: _branch(ctx)]
    return ctx.group.parallel(tuple(parts))


def _branch(ctx: Any) -> Any:
    return ctx.step.wait_for_event("c", event="busy/third", timeout="19d")


def _unlucky(ctx: Any) -> Any:
    try:
        ctx.step.run("caught", fail, retries=0)
    except StepError:
        ctx.step.send_event("tell", {"name": "busy/told"})
    ctx.step.run("fatal", fail)


def _retrier(ctx: Any) -> Any:
    ctx.step.run("later", fail)


def _daily(ctx: Any) -> Any:
    return ctx.step.run("day", str)


def _mourn(ctx: Any) -> Any:
    return ctx.step.run("mourn", str)


def fill() -> dict[str, Any]:
    """Bring the database into all states; what is left waits for days. Returns the workflows."""
    declared = declare()
    advance("1d")  # the schedule is seen, and fires
    for n in range(3):
        send_event("busy/wait", {"n": n})
        send_event("busy/many", {"n": n})
    for nap in ("1s", "30d"):
        send_event("busy/parent", {"nap": nap})
    send_event("busy/unlucky", {"n": 1})
    send_event("busy/retrier", {"n": 1})
    for _ in range(2):
        send_event({"name": "busy/child", "data": {"nap": "30d", "n": 7}, "id": "twice"})
    advance("10s")
    advance("10s")
    send_event("busy/paid", {"n": 0})
    send_event("busy/left", {"n": 1})
    send_event("busy/right", {"n": 5})
    send_event("busy/stop", {"n": 7})
    send_event("busy/nobody", {})
    advance("2h")
    failing = declared["unlucky"].start({})
    advance("40s")
    retry_run(failing.id, actor="me")
    cancel_run(declared["waiter"].start({"n": 99}).id, actor="me", reason="enough")
    resolve_wait(Wait.objects.filter(name="paid", status="open").last().pk, {"data": {"n": 2}}, actor="me")
    pause_workflow("daily", actor="me")
    declared["daily"].start({})
    advance("10s")
    advance("10s")
    return declared
