"""§5: one broken expression, and what cancels a run."""

from __future__ import annotations

from typing import Any

from durable_django import Cancel
from durable_django.engine.operations import cancel_run
from durable_django.exceptions import OperationRefused
from durable_django.models import Wait
from tests.conformance.case import Span, case, program
from tests.conformance.cases_waits import play_broken, wait
from tests.conformance.stage import Stage
from tests.conformance.traces import at, trace
from tests.threads import run_together

case(
    "5",
    "broken-expression",
    "one broken expression never stops the others",
    more=[program("fine", wait())],
    play=play_broken,
)(wait(if_exp="1 / async.data.k > 0"))


def cancel_on(*rules: Any) -> Any:
    def options(place: str, make: Any) -> dict[str, Any]:
        return {"cancel_on": [Cancel(f"{place}/{name}", **rest) for name, rest in rules]}

    return options


def stand(ctx: Any) -> Any:
    """Wait wherever the data says."""
    where = ctx.event.data["where"]
    yield trace(ctx, "begun")
    if where == "sleep":
        yield ctx.step.sleep("w", "1h")
    elif where == "event":
        yield ctx.step.wait_for_event("w", event=at(ctx, "answer"), timeout="1h")
    elif where == "retry":
        yield ctx.step.run("w", int, "no number", backoff="1h")
    return (yield trace(ctx, "went on"))


def play_cancelled(stage: Stage) -> None:
    handles = {where: stage.start(where=where, k=1) for where in ("sleep", "event", "retry")}
    other = stage.start(where="sleep", k=2)
    for where, handle in [*handles.items(), ("sleep", other)]:
        stage.wait_for(where, handle)
    stage.send("stop", {"k": 1})
    for handle in handles.values():
        assert f"{stage.place}/stop" in stage.reason(handle)
    assert other.status == "waiting"
    assert not stage.traces("went on")
    open_waits = Wait.objects.using(stage.alias).filter(
        run_id__in=[each.id for each in handles.values()], status="open"
    )
    assert not open_waits.exists()


case(
    "5",
    "cancel-on",
    "bound to the trigger event; run CANCELLED wherever it stands",
    options=cancel_on(("stop", {"match": "data.k"})),
    play=play_cancelled,
    sample=True,
)(stand)


def play_five(stage: Stage) -> None:
    handle = stage.start(where="sleep")
    stage.wait_for("sleep")
    stage.send("e5")
    assert "e5" in stage.reason(handle)


case("5", "cancel-five", "≤ 5", options=cancel_on(*[(f"e{n}", {}) for n in range(1, 6)]), play=play_five)(
    stand
)


def play_newer(stage: Stage) -> None:
    stage.send("stop", {"k": 1})
    handle = stage.start(where="sleep", k=1)
    stage.wait_for("sleep")
    stage.settle()
    assert handle.status == "waiting"


case(
    "5",
    "cancel-newer",
    "the cancelling event must be newer than the run",
    options=cancel_on(("stop", {"if_exp": "async.data.k == event.data.k"})),
    play=play_newer,
)(stand)


def play_rule_over(stage: Stage) -> None:
    handle = stage.start(where="event")
    stage.wait_for("event")
    stage.pass_time("31m")
    stage.send("stop")
    stage.settle()
    assert handle.status == "waiting"


case(
    "5",
    "cancel-timeout",
    "Cancel(event, match=|if_exp=, timeout=)",
    options=cancel_on(("stop", {"timeout": "30m"})),
    play=play_rule_over,
    engines=("inline",),  # half an hour passes
)(stand)


def play_race(stage: Stage) -> None:
    """Let the event and an operator meet, again and again."""
    for _ in range(4):
        handle = stage.start(where="event")
        stage.wait_for("event", handle)

        def operate(handle: Any = handle) -> str:
            try:
                cancel_run(handle.id, actor="test", using=stage.alias)
            except OperationRefused:
                return "refused"
            return "done"

        cancelled, _ = run_together([operate, lambda: stage.send("answer")])
        stage.until(lambda handle=handle: handle.status in ("cancelled", "completed"))
        assert (handle.status == "cancelled") is (cancelled == "done")
        [wait] = Wait.objects.using(stage.alias).filter(run_id=handle.id)
        assert wait.status in ("matched", "closed")


case("5", "exactly-one-wins", "event vs time-out vs cancel vs operator: exactly one wins", play=play_race)(
    stand
)


def play_event_or_timeout(stage: Stage) -> None:
    handles = [stage.start(timeout=stage.span(Span("1h", "250ms"))) for _ in range(3)]
    stage.until(lambda: Wait.objects.using(stage.alias).filter(run_id=handles[0].id).exists(), "a wait")
    stage.pass_time("59m")
    stage.send("answer", {"n": 1})
    for handle in handles:
        value = stage.result(handle)
        wait = Wait.objects.using(stage.alias).get(run_id=handle.id)
        assert (value, wait.status) in ((1, "matched"), (None, "expired"))


case("5", "event-or-timeout", "event vs time-out: exactly one wins", play=play_event_or_timeout)(wait())
