"""§7: triggers, idempotency, time-outs, cancellation."""

from __future__ import annotations

from typing import Any

from durable_django import EventTrigger, Timeouts
from durable_django.engine.operations import cancel_run
from tests.conformance.case import Span, case
from tests.conformance.stage import Stage
from tests.conformance.traces import at, trace
from tests.threads import run_together


def play_wildcard(stage: Stage) -> None:
    for name in ("user.created", "user.deleted.hard", "userx", "plain", "order"):
        stage.send(name)
    runs = stage.wait_for_ends(2)
    stage.settle()
    assert len(runs) == stage.runs().count() == 2


case(
    "7",
    "trigger-wildcard",
    "event name or wildcard at the end (app/*, app/user.*)",
    options=lambda place, make: {"trigger": f"{place}/user.*"},
    play=play_wildcard,
)(lambda ctx: 1)


def play_several(stage: Stage) -> None:
    stage.send("x", {"n": 1})
    stage.wait_for_ends(1)
    stage.settle()
    assert stage.runs().count() == 1


case(
    "7",
    "trigger-several",
    "several that match start one run; triggers ≤ 10",
    options=lambda place, make: {
        "trigger": [f"{place}/*", f"{place}/x", EventTrigger(f"{place}/x", "event.data.n == 1")]
        + [EventTrigger(f"{place}/x", f"event.data.n < {n}") for n in range(2, 9)]
    },
    play=play_several,
    sample=True,
)(lambda ctx: 1)


def play_broken_if(stage: Stage) -> None:
    stage.send("x", {"n": 1})
    stage.send("x", {"n": "a"})
    stage.send("x", {"n": 2})
    assert len(stage.wait_for_ends(1)) == 1
    stage.settle()
    assert stage.runs().count() == 1


case(
    "7",
    "trigger-if",
    "if_exp not boolean or failing → not started",
    options=lambda place, make: {"trigger": EventTrigger(f"{place}/x", "1 / (event.data.n - 1) > 0")},
    play=play_broken_if,
)(lambda ctx: 1)


def play_key(stage: Stage) -> None:
    def send(key: str) -> Any:
        return lambda: stage.send("x", {"key": key})

    run_together([send("a"), send("a"), send("a"), send("b")])
    stage.wait_for_ends(2)
    stage.settle()
    assert stage.events("x").count() == 4
    assert sorted(stage.runs().values_list("key", flat=True)) == ["a", "b"]
    if stage.inline:
        stage.pass_time("25h")
        stage.send("x", {"key": "a"})
        assert stage.runs().count() == 3


case(
    "7",
    "idempotency-key",
    "key expression, 24 h, also under concurrent senders",
    options=lambda place, make: {"trigger": f"{place}/x", "idempotency": "event.data.key"},
    play=play_key,
    sample=True,
)(lambda ctx: 1)


def play_event_id(stage: Stage) -> None:
    run_together([lambda: stage.send("x", id=f"{stage.place}-1")] * 3)
    stage.wait_for("event")
    stage.settle()
    assert (stage.events("x").count(), stage.runs().count()) == (3, 1)
    stage.send("answer", id=f"{stage.place}-2")
    stage.wait_for_ends(1)


@case(
    "7",
    "idempotency-event",
    "event id: every copy is stored and matched, a workflow starts once per (workflow, event id)",
    options=lambda place, make: {"trigger": f"{place}/x"},
    play=play_event_id,
)
def waits(ctx: Any) -> Any:
    return bool((yield ctx.step.wait_for_event("w", event=at(ctx, "answer"), timeout="1h")))


def held_back(stage: Stage) -> None:
    assert not stage.traces("after")


@case(
    "7",
    "timeout-finish",
    "finish=: CANCELLED with the reason",
    options=lambda place, make: {"timeouts": Timeouts(finish="300ms")},
    data={"nap": Span("2h", "30s")},
    passes=["61m"],
    cancelled="timed out before it finished",
    holds=held_back,
    sample=True,
)
def too_long(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    yield trace(ctx, "after")


def play_late_start(stage: Stage) -> None:
    from django.db import transaction

    with transaction.atomic(using=stage.alias):
        handle = stage.start()
        transaction.get_connection(stage.alias).run_on_commit.clear()  # its nudge is lost
    stage.pass_time("11m")
    assert stage.reason(handle) == "timed out before it started"
    assert not stage.traces()


@case(
    "7",
    "timeout-start",
    "start=: CANCELLED with the reason",
    options=lambda place, make: {"timeouts": Timeouts(start="10m")},
    play=play_late_start,
    engines=("inline",),  # a worker would find it in time
)
def started(ctx: Any) -> Any:
    yield trace(ctx, "begun")


def play_operator(stage: Stage) -> None:
    handle = stage.start()
    stage.wait_for("sleep")
    cancel_run(handle.id, actor="anna", reason="not needed", using=stage.alias)
    assert stage.reason(handle) == "not needed"
    stage.pass_time("2h")
    assert not stage.traces("after")


case(
    "7",
    "cancel",
    "cancel: a run that has not ended ends, nothing follows",
    data={"nap": "1h"},
    play=play_operator,
)(too_long)
