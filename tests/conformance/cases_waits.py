"""§2 and §5: waits for events and signals."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import send_signal
from durable_django.exceptions import SignalNotAwaited
from durable_django.models import Wait
from tests.conformance.case import Span, case
from tests.conformance.stage import Stage
from tests.conformance.traces import at


def wait(**question: Any) -> Any:
    """Return a body that waits for the case's answer and returns its data, or None."""

    def body(ctx: Any) -> Any:
        timeout = ctx.event.data.get("timeout", "1h")
        found = yield ctx.step.wait_for_event("w", event=at(ctx, "answer"), timeout=timeout, **question)
        return found and found.data.get("n")

    return body


def play_whole(stage: Stage) -> None:
    handle = stage.start()
    stage.wait_for("event")
    stage.send("answer", {"n": [1, None]}, id=f"{stage.place}-e1", ts=1_700_000_000_000)
    assert stage.result(handle) == [
        f"{stage.place}-e1",
        f"{stage.place}/answer",
        [1, None],
        1_700_000_000_000,
    ]


@case("2", "wait-whole", "the whole event (id name data ts)", play=play_whole, sample=True)
def wait_whole(ctx: Any) -> Any:
    found = yield ctx.step.wait_for_event("w", event=at(ctx, "answer"), timeout="1h")
    return [found.id, found.name, found.data["n"], found.ts]


case(
    "2",
    "wait-none",
    "or None on time-out, never an error",
    data={"timeout": Span("1h")},
    passes="2h",
    result=None,
    holds=lambda stage: stage.send("answer", {"n": 1}),  # which finds nobody
    sample=True,
)(wait())


def play_match(stage: Stage) -> None:
    first, second = stage.start(k=1), stage.start(k=2)
    stage.wait_for("event", count=2)
    stage.send("answer", {"k": 3, "n": 3})
    stage.send("answer", {"k": 2.0, "n": 2})
    assert stage.result(second) == 2
    assert first.status == "waiting"
    stage.send("answer", {"k": 1, "n": 1})
    assert stage.result(first) == 1


case("2", "wait-match", 'match="data.x" is event.data.x == async.data.x', play=play_match, sample=True)(
    wait(match="data.k")
)
case("2", "wait-if", "if_exp sees event and async", play=play_match)(
    wait(if_exp="async.data.k == event.data.k && async.data.n > 0")
)
case("2", "wait-both", "match and if_exp together are refused", fails="step_usage")(
    wait(match="data.place", if_exp="true")
)
case(
    "2",
    "wait-unusable",
    "timeout required: one that cannot be read fails the run",
    data={"timeout": "later"},
    fails="duration_invalid",
)(wait())


@case("2", "wait-without-timeout", "timeout required", options=lambda place, make: {"retries": 0})
def wait_without(ctx: Any) -> Any:
    with pytest.raises(TypeError, match="timeout"):
        ctx.step.wait_for_event("w", event=at(ctx, "answer"))
    return (yield ctx.step.run("on", int))


def play_since(stage: Stage) -> None:
    stage.send("answer", {"n": "too early"})
    handle = stage.start(nap=stage.span(Span("1h", "2s")))
    stage.wait_for("sleep")
    stage.send("answer", {"n": "early"})
    stage.pass_time("61m")
    assert stage.result(handle) == "early"


@case(
    "2",
    "wait-since-run",
    'since="run" also considers events received since the run was created',
    play=play_since,
)
def wait_since(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    found = yield ctx.step.wait_for_event("w", event=at(ctx, "answer"), timeout="1h", since="run")
    return found.data["n"]


def play_default(stage: Stage) -> None:
    handle = stage.start(nap=stage.span(Span("1h", "3s")))
    stage.wait_for("sleep")
    stage.send("answer", {"n": "early"})
    stage.pass_time("61m")
    stage.wait_for("event")
    stage.send("answer", {"n": "late"})
    assert stage.result(handle) == "late"


@case("2", "wait-default", "default: only events received after the wait exists", play=play_default)
def wait_default(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    found = yield ctx.step.wait_for_event("w", event=at(ctx, "answer"), timeout="1h")
    return found.data["n"]


# --- signals --------------------------------------------------------------------------------------


def signal(ctx: Any) -> Any:
    data = ctx.event.data
    return (
        yield ctx.step.wait_for_signal(
            "s",
            signal=at(ctx, "go"),
            timeout=data.get("timeout", "1h"),
            on_conflict=data.get("conflict", "fail"),
        )
    )


def play_signal(stage: Stage) -> None:
    name = f"{stage.place}/go"
    with pytest.raises(SignalNotAwaited):
        send_signal(name)
    handle = stage.start()
    stage.wait_for("signal")
    assert send_signal(name, {"ok": True}) == handle.id
    assert stage.result(handle) == {"signal": name, "data": {"ok": True}}
    with pytest.raises(SignalNotAwaited):
        send_signal(name)


case(
    "2",
    "signal",
    "{signal, data}; send_signal(name, data) → run id, or an error if nobody waits",
    play=play_signal,
    sample=True,
)(signal)
case(
    "2",
    "signal-none",
    "or None",
    data={"timeout": Span("1h")},
    passes="2h",
    result=None,
)(signal)


def play_conflict(stage: Stage) -> None:
    first = stage.start()
    stage.wait_for("signal")
    assert stage.error(stage.start())["code"] == "signal_conflict"
    assert first.status == "waiting"
    assert not stage.attempts().exists()


case("2", "signal-fail", "one waiter per name. fail: the new run fails, coded, no retry", play=play_conflict)(
    signal
)


def play_replace(stage: Stage) -> None:
    first = stage.start()
    stage.wait_for("signal", first)
    second = stage.start(conflict="replace")
    assert stage.result(first) is None
    stage.wait_for("signal", second)
    send_signal(f"{stage.place}/go", 2)
    assert stage.result(second)["data"] == 2


case(
    "2",
    "signal-replace",
    "replace: the older wait is displaced and ends as at its time-out, at once",
    play=play_replace,
)(signal)

# --- §5 -------------------------------------------------------------------------------------------


def play_all(stage: Stage) -> None:
    handles = [stage.start(k=number % 2) for number in range(4)]
    stage.wait_for("event", count=4)
    stage.send("answer", {"k": 1, "n": "all"})
    assert [stage.result(each) for each in handles[1::2]] == ["all", "all"]
    assert [each.status for each in handles[::2]] == ["waiting", "waiting"]


case("5", "one-event-all-waits", "one event ends all matching waits", play=play_all, sample=True)(
    wait(match="data.k")
)


def play_two(stage: Stage) -> None:
    handle = stage.start()
    stage.until(lambda: Wait.objects.using(stage.alias).filter(run_id=handle.id, status="open").count() == 2)
    stage.send("answer", {"n": 5})
    assert stage.result(handle) == [5, 5]


@case("5", "two-waits", "two waits of one run that match the same event both end", play=play_two)
def two_waits(ctx: Any) -> Any:
    found = yield ctx.group.parallel(
        [
            lambda name=name: ctx.step.wait_for_event(name, event=at(ctx, "answer"), timeout="1h")
            for name in ("a", "b")
        ]
    )
    return [each.data["n"] for each in found]


def play_in_turn(stage: Stage) -> None:
    handle = stage.start()
    stage.wait_for("event")
    stage.send("answer", {"n": 1})
    stage.until(lambda: stage.steps(handle).filter(name="second").exists())
    stage.wait_for("event")
    stage.send("answer", {"n": 2})
    assert stage.result(handle) == [1, 2]


@case("5", "each-once", "each wait ends once", play=play_in_turn)
def each_once(ctx: Any) -> Any:
    first = yield ctx.step.wait_for_event("first", event=at(ctx, "answer"), timeout="1h")
    second = yield ctx.step.wait_for_event("second", event=at(ctx, "answer"), timeout="1h")
    return [first.data["n"], second.data["n"]]


def play_own(stage: Stage) -> None:
    stage.send("answer", {"n": 1})
    stage.wait_for("event")
    stage.settle()
    assert stage.runs().get().status == "waiting"
    stage.send("answer", {"n": 2})
    [ended] = stage.wait_for_ends(1)
    assert ended.result.output == "2"


case(
    "5",
    "own-event",
    "the event that started the run does not end its own waits",
    options=lambda place, make: {"trigger": f"{place}/answer"},
    play=play_own,
)(wait())

for _name, _data in {"missing": {}, "null": {"k": None}}.items():
    case(
        "5",
        f"match-{_name}",
        "missing or null in the trigger, the wait is refused with a coded error",
        data=_data,
        fails="match_unbound",
    )(wait(match="data.k"))

case(
    "5",
    "expression-syntax",
    "an expression that does not compile fails the run at once",
    fails="expression_invalid",
)(wait(if_exp="async.data.k =="))
case("5", "expression-number", "or is not boolean", fails="expression_invalid")(wait(if_exp="1 + 1"))


def play_broken(stage: Stage) -> None:
    broken, fine = stage.start(), stage.start("fine")
    stage.wait_for("event", count=2)
    stage.send("answer", {"k": 0, "n": 1})
    assert stage.result(fine) == 1
    assert broken.status == "waiting"


def play_expired(stage: Stage) -> None:
    from datetime import timedelta

    from durable_django import clock

    handle = stage.start(timeout="1h")
    clock.travel(timedelta(hours=1, seconds=1))
    stage.send("answer", {"n": 1})
    assert stage.result(handle) is None


case("5", "expired", "expired waits never match", play=play_expired, engines=("inline",))(
    wait()
)  # time travels
