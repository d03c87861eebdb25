"""§2: sending events and invoking workflows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durable_django import StepError
from tests.conformance.case import Span, case, program
from tests.conformance.stage import Stage
from tests.conformance.traces import at, fail, trace


def play_send(stage: Stage) -> None:
    ids = stage.result(stage.start())
    assert len(ids) == 3
    heard = {run.result.output for run in stage.wait_for_ends(3, "heard")}
    assert heard == {f'["{each}",{number}]' for number, each in enumerate(ids)}


@case(
    "2",
    "send-event",
    "list of event ids; committed with the checkpoint: exactly once",
    more=[
        program(
            "heard",
            lambda ctx: [ctx.event.id, ctx.event.data["n"]],
            lambda place, make: {"trigger": f"{place}/sent"},
        )
    ],
    play=play_send,
    sample=True,
)
def send(ctx: Any) -> Any:
    one = yield ctx.step.send_event("one", {"name": at(ctx, "sent"), "data": {"n": 0}})
    many = yield ctx.step.send_event("many", [{"name": at(ctx, "sent"), "data": {"n": n}} for n in (1, 2)])
    return one + many


def invoke(ctx: Any, child: str, **rest: Any) -> Any:
    return ctx.step.invoke_by_id(
        "child", function_id=f"{ctx.event.data['place']}/{child}", data=ctx.event.data, **rest
    )


def told(error: StepError) -> list[Any]:
    return [error.name, error.message.split(":")[0], bool(error.stack)]


def slow_child(ctx: Any) -> Any:
    yield trace(ctx, "slow child")
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return (yield trace(ctx, "slow child done"))


def failing_child(ctx: Any) -> Any:
    yield ctx.step.run("bad", fail, "of the child", retries=0)


@case(
    "2",
    "invoke",
    "child's return value",
    more=[program("child", slow_child)],
    data={"nap": Span("1h")},
    passes="2h",
    result="slow child done",
    sample=True,
)
def invoke_child(ctx: Any) -> Any:
    return (yield invoke(ctx, "child"))


@case(
    "2",
    "invoke-failed",
    "child failed → StepError with the child's name, message, stack",
    more=[program("child", failing_child)],
    result=["ValueError", "of the child", True],
    sample=True,
)
def invoke_failing(ctx: Any) -> Any:
    try:
        yield invoke(ctx, "child")
    except StepError as error:
        return told(error)


def play_child_cancelled(stage: Stage) -> None:
    from durable_django.engine.operations import cancel_run

    handle = stage.start(nap="1h")
    stage.wait_for("child")
    stage.until(lambda: stage.runs("child").filter(status="waiting").exists())
    cancel_run(stage.runs("child").get().id, actor="test", using=stage.alias)
    assert stage.result(handle)[0] == "InvokeCancelled"


case(
    "2",
    "invoke-cancelled",
    "child cancelled → StepError",
    more=[program("child", slow_child)],
    play=play_child_cancelled,
)(invoke_failing)


def play_invoke_timeout(stage: Stage) -> None:
    handle = stage.start(nap=stage.span(Span("2h", "5s")), limit=stage.span(Span("1h", "100ms")))
    stage.pass_time("61m")
    assert stage.result(handle)[0] == "InvokeTimeoutError"
    stage.pass_time("2h")
    [child] = stage.wait_for_ends(1, "child")
    assert child.status == "completed"


@case(
    "2",
    "invoke-timeout",
    "time-out → StepError InvokeTimeoutError, child goes on",
    more=[program("child", slow_child)],
    play=play_invoke_timeout,
)
def invoke_timeout(ctx: Any) -> Any:
    try:
        yield invoke(ctx, "child", timeout=ctx.event.data["limit"])
    except StepError as error:
        return told(error)


def play_invoke_late(stage: Stage) -> None:
    from durable_django import clock
    from durable_django.dispatch.inline import InlineDispatcher
    from durable_django.engine.nudge import Nudge
    from durable_django.store.lease import wake_due

    handle = stage.start(nap="90m", limit="1h")
    clock.travel(timedelta(hours=2))
    wake_due(stage.alias, limit=10, renudge=30)
    child = stage.runs("child").get()
    InlineDispatcher().nudge([Nudge(child.id, child.workflow, child.queue)])  # before its parent's time-out
    assert stage.runs("child").get().status == "completed"
    assert stage.result(handle)[0] == "InvokeTimeoutError"


case(
    "5",
    "invoke-late",
    "expired waits never match",
    more=[program("child", slow_child)],
    play=play_invoke_late,
    engines=("inline",),  # time travels
)(invoke_timeout)


@case("2", "invoke-unknown", "unknown function → StepError", result=["UnknownWorkflow", "workflow_unknown"])
def invoke_unknown(ctx: Any) -> Any:
    try:
        yield invoke(ctx, "nobody")
    except StepError as error:
        return [error.name, error.error_code]
