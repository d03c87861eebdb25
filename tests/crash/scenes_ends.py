"""Scenes of runs that are ended or brought back from outside: cancel rules and operators."""

from __future__ import annotations

from typing import Any

from durable_django import Cancel, workflow
from durable_django.engine.operations import (
    cancel_run,
    pause_workflow,
    rerun,
    resolve_wait,
    resume_workflow,
    retry_run,
)
from durable_django.models import Run, Wait
from tests.bodies import make
from tests.crash import world
from tests.crash.deeds import find, send, wait
from tests.crash.scene import add
from tests.crash.scenes_steps import refuse
from tests.crash.world import effect, row


@add(
    "cancel-on",
    send("crash/begin", n=1),
    send("crash/begin", n=2),
    send("crash/stop", n=1),
    wait("2h"),
    expected=[["stoppable", "cancelled", None], ["stoppable", "completed", '"z"']],
)
def cancel_on(kind: str) -> None:
    @workflow(id="stoppable", trigger="crash/begin", cancel_on=[Cancel("crash/stop", match="data.n")])
    @lambda body: make(kind, body)
    def stoppable(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        return (yield ctx.step.run("z", effect, "z"))


def cancel_first() -> None:
    cancel_run(find("tree").id, actor="me", reason="enough")


@add(
    "cancel",
    send("crash/tree", n=1),
    cancel_first,
    wait("2h"),
    expected=[["leaf", "completed", '"l"'], ["tree", "cancelled", None]],
)
def cancel(kind: str) -> None:
    @workflow(id="leaf")
    @lambda body: make(kind, body)
    def leaf(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        return (yield ctx.step.run("l", effect, "l"))

    @workflow(id="tree", trigger="crash/tree")
    @lambda body: make(kind, body)
    def tree(ctx: Any) -> Any:
        return (yield ctx.step.invoke_by_id("ask", function_id="leaf"))


def pause() -> None:
    pause_workflow("shop", actor="me", running="stop")


def resume() -> None:
    resume_workflow("shop", actor="me")


def resolve() -> None:
    """Resolve the wait, unless that was done."""
    wait = Wait.objects.filter(run__workflow="shop", status="open").order_by("id").first()
    if wait is not None:
        resolve_wait(wait.pk, "by hand", actor="me")


@add(
    "operators",
    send("crash/shop", n=1),
    pause,
    send("crash/shop", n=2),
    resume,
    resolve,
    resolve,
    expected=[["shop", "completed", '"a"']] * 2,
)
def operators(kind: str) -> None:
    @workflow(id="shop", trigger="crash/shop")
    @lambda body: make(kind, body)
    def shop(ctx: Any) -> Any:
        yield ctx.step.wait_for_signal("word", signal=f"word-{ctx.event.data['n']}", timeout="30d")
        return (yield ctx.step.run("a", effect, "a"))


def mend_and_retry() -> None:
    world.note("mended")
    retry_run(find("broken").id, actor="me")


def rerun_first() -> None:
    """Run it again, unless that was done: reruns have no key of their own."""
    first = find("broken")
    if not Run.objects.filter(rerun_of=first.id).exists():
        rerun(first.id, actor="me")


def mend(name: str) -> str:
    return row(name) if world.read("mended") else refuse(name)  # type: ignore[func-returns-value,return-value]


@add(
    "retry",
    send("crash/broken", n=1),
    mend_and_retry,
    rerun_first,
    expected=[["broken", "completed", '["a","b"]']] * 2,
)
def retry(kind: str) -> None:
    @workflow(id="broken", trigger="crash/broken")
    @lambda body: make(kind, body)
    def broken(ctx: Any) -> Any:
        first = yield ctx.step.run("a", effect, "a")
        return [first, (yield ctx.step.run("b", mend, "b", atomic=True))]
