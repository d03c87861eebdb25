"""Runs in every state, and what brings each of them to its end."""

from __future__ import annotations

import time
from typing import Any

from durable_django import Cancel, Cron, EventWait, SignalWait, StepError, send_event, send_signal, workflow
from durable_django.engine.alias import get_alias
from durable_django.engine.operations import cancel_run, pause_workflow, resume_workflow
from durable_django.models import Event, Run
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.bodies import make

eras = ["first"]


def declare(kind: str) -> None:
    """Register the workflows, as functions of a kind."""
    for id, (body, options) in BODIES.items():
        workflow(id=f"golden-{id}-{kind}", **{"trigger": f"golden/{id}.{kind}", **options(kind)})(
            make(kind, body)
        )


def fill(kind: str) -> None:
    """Leave a run in every state."""
    begin(kind, "broken", retries=0)
    begin(kind, "child", number=1)
    for id in ("sleep", "event", "signal", "any", "all", "parent", "groups", "retry", "stopped", "held"):
        begin(kind, id)
    drain()
    advance("1s")
    cancel_run(Run.objects.get(workflow=f"golden-stopped-{kind}").id, actor="golden", reason="enough")
    pause_workflow(f"golden-held-{kind}", actor="golden", running="stop")
    begin(kind, "held")
    drain()
    send_event(
        {"name": f"golden/child.{kind}", "data": {"number": 2}, "ts": int(time.time() * 1000) + 3_600_000}
    )


def leave(kind: str) -> None:
    """Leave a queued run, one whose worker died, and an event that nobody routed; then nothing is drained."""
    begin(kind, "child", number=3)
    begin(kind, "child", number=4)
    queued = Run.objects.filter(status="queued", workflow=f"golden-child-{kind}").order_by("id")
    claim_runs(get_alias(), owner="gone:1", lease=30.0, ids=[queued[0].id])
    begin(kind, "child", number=5)
    last = Event.objects.filter(name=f"golden/child.{kind}").order_by("-id")[0]
    Run.objects.filter(event_id=last.id).delete()
    Event.objects.filter(id=last.id).update(routed_at=None, arrival=None)


def finish() -> None:
    """Bring every run to its end."""
    eras.append("later")
    drain()
    for kind in KINDS:
        resume_workflow(f"golden-held-{kind}", actor="golden")
        for name in ("answer", "left", "right"):
            send_event(f"golden/{name}", {"number": 7, "kind": kind})
        send_signal(f"golden-{kind}", {"word": "go"})
    for duration in ("1m", "2h", "3h", "40d"):
        advance(duration)


def tell() -> dict[str, list[Any]]:
    """Return what became of each run, by its id; of those that begin later, by workflow and event."""
    rows = Run.objects.exclude(origin="cron").values_list(
        "workflow", "event__data", "status", "result__output", "result__error"
    )
    return {
        f"{workflow} {data}": [status, output, bool(error)] for workflow, data, status, output, error in rows
    }


def begin(kind: str, id: str, **data: Any) -> None:
    send_event(f"golden/{id}.{kind}", {"number": 7, "kind": kind, "id": id, **data})


def note() -> str:
    """Return when this step was executed, so that a result that was kept is told from one made anew."""
    return eras[-1]


def fail() -> None:
    raise ValueError("not today")


def fail_at_first(ctx: Any) -> str:
    if not ctx.attempt:
        raise ValueError("not yet")
    return f"at last, {note()}"


def _broken(ctx: Any) -> Any:
    yield ctx.step.run("a", int)
    yield ctx.step.run("b", fail, retries=0)


def _child(ctx: Any) -> Any:
    first = yield ctx.step.run("a", note)
    yield ctx.step.sleep("nap", "1h" if ctx.event.data["number"] == 7 else "1s")
    return [first, (yield ctx.step.run("b", note))]


def _sleep(ctx: Any) -> Any:
    first = yield ctx.step.run("a", note)
    yield ctx.step.sleep("nap", "1h")
    return [first, (yield ctx.step.run("b", note))]


def _event(ctx: Any) -> Any:
    found = yield ctx.step.wait_for_event("answer", event="golden/answer", match="data.kind", timeout="30d")
    return found and found.data["number"]


def _signal(ctx: Any) -> Any:
    found = yield ctx.step.wait_for_signal("word", signal=f"golden-{ctx.event.data['kind']}", timeout="30d")
    return found and found["data"]


def _any(ctx: Any) -> Any:
    waits = [EventWait(event="golden/left", match="data.kind"), SignalWait(signal=f"other-{ctx.run_id}")]
    number, found = yield ctx.step.wait_for_any("any", waits, timeout="30d")
    return [number, found.data["number"]]


def _all(ctx: Any) -> Any:
    names = ("left", "right", "never")
    waits = [EventWait(event=f"golden/{name}", match="data.kind") for name in names]
    found = yield ctx.step.wait_for_all("all", waits, timeout="1d")
    return [each and each.data["number"] for each in found]


def _parent(ctx: Any) -> Any:
    child = f"golden-child-{ctx.event.data['kind']}"
    return (yield ctx.step.invoke_by_id("ask", function_id=child, data={"number": 7, "of": "parent"}))


def _groups(ctx: Any) -> Any:
    branches = (
        lambda: ctx.step.run("a", note),
        lambda: ctx.step.sleep("b", "1h"),
        lambda: ctx.step.wait_for_event("c", event="golden/answer", match="data.kind", timeout="1d"),
    )
    first, _, third = yield ctx.group.parallel(branches)
    return [first, third.data["number"]]


def _retry(ctx: Any) -> Any:
    first = yield ctx.step.run("a", fail_at_first, ctx)
    try:
        yield ctx.step.run("b", fail, retries=1)
    except StepError as error:
        return [first, error.name]


def _stopped(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", "1h")


BODIES: dict[str, tuple[Any, Any]] = {
    "broken": (_broken, lambda kind: {}),
    "child": (_child, lambda kind: {"cancel_on": [Cancel("golden/never", match="data.number")]}),
    "sleep": (_sleep, lambda kind: {}),
    "event": (_event, lambda kind: {}),
    "signal": (_signal, lambda kind: {}),
    "any": (_any, lambda kind: {}),
    "all": (_all, lambda kind: {}),
    "parent": (_parent, lambda kind: {}),
    "groups": (_groups, lambda kind: {}),
    "retry": (_retry, lambda kind: {"backoff": "1h"}),
    "stopped": (_stopped, lambda kind: {}),
    "held": (_sleep, lambda kind: {}),
    "daily": (_stopped, lambda kind: {"trigger": Cron("0 9 1 1 *")}),
}
KINDS = ("def", "async")
