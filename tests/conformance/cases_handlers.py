"""§3: handlers of failures and cancellations, and lifecycle events."""

from __future__ import annotations

from typing import Any

from durable_django import NonRetriableError
from tests.conformance.case import case, program
from tests.conformance.stage import Stage
from tests.conformance.traces import fail, note, trace


def failing(ctx: Any) -> Any:
    yield ctx.step.run("bad", fail, retries=0)


def handler(ctx: Any) -> Any:
    data = ctx.event.data
    return (
        yield ctx.step.run(
            "told",
            note,
            data["event"]["data"],
            data["run_id"],
            "handler",
            ctx.event.name,
            data["error"],
            data["reason"],
        )
    )


def with_handlers(place: str, make: Any) -> dict[str, Any]:
    return {"on_failure": make(handler), "on_cancel": make(handler)}


def play_failure(stage: Stage) -> None:
    handle = stage.start()
    stage.error(handle)
    stage.wait_for_trace("handler")
    [[_, name, error, reason]] = stage.traces("handler")
    assert (name, error["name"], error["message"], reason) == (
        "durable/run.failed",
        "ValueError",
        "broken",
        "",
    )
    stage.until(
        lambda: stage.runs().filter(workflow__endswith="/on-failure", status="completed").count() == 1
    )
    assert stage.runs().count() == 2


case(
    "3",
    "on-failure",
    "on_failure= handler: own run, event durable/run.failed with the original event and error",
    options=with_handlers,
    play=play_failure,
    sample=True,
)(failing)


def play_cancel(stage: Stage) -> None:
    from durable_django.engine.operations import cancel_run

    handle = stage.start(nap="1h")
    stage.wait_for("sleep")
    cancel_run(handle.id, actor="test", reason="enough", using=stage.alias)
    stage.wait_for_trace("handler")
    assert [line[1:] for line in stage.traces("handler")] == [["durable/run.cancelled", None, "enough"]]


@case("3", "on-cancel", "on_cancel= likewise", options=with_handlers, play=play_cancel)
def sleeper(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", ctx.event.data["nap"])


def listener(ctx: Any) -> Any:
    data = ctx.event.data
    return (
        yield ctx.step.run(
            "told", note, data["event"]["data"], data["run_id"], "heard", ctx.event.name, data["status"]
        )
    )


def listen(place: str, make: Any) -> dict[str, Any]:
    from durable_django import EventTrigger

    condition = f"event.data.workflow.contains('{place}/')"
    return {
        "trigger": [
            EventTrigger(f"durable/run.{end}", condition) for end in ("finished", "failed", "cancelled")
        ]
    }


def play_lifecycle(stage: Stage) -> None:
    stage.start(bad=False)
    stage.start(bad=True)
    stage.wait_for_trace("heard", 3)
    stage.wait_for_ends(3, "listener")
    stage.settle()
    heard = sorted(line[1:] for line in stage.traces("heard"))
    assert heard == [
        ["durable/run.failed", "failed"],
        ["durable/run.finished", "completed"],
        ["durable/run.finished", "failed"],
    ]


@case(
    "3",
    "lifecycle",
    "lifecycle events durable/run.{finished,failed,cancelled}; runs that they start emit none",
    more=[program("listener", listener, listen)],
    play=play_lifecycle,
    engines=("inline", "local"),  # it hears the ends of all runs of a shared worker
)
def ends(ctx: Any) -> Any:
    yield trace(ctx, "one")
    if ctx.event.data["bad"]:
        raise NonRetriableError("bad")
