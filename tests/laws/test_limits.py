"""Limits: what is at the limit passes, one more is a coded error at the point where it is passed."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import StepError, send_event, send_events
from durable_django.exceptions import EventTooLarge, RunFailed, TooManyEvents
from durable_django.models import Event
from durable_django.testing import advance


def read_code(handle: Any) -> str:
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    return str(caught.value.details["told"]["code"])


@pytest.mark.parametrize("count", [7, 8])
def test_steps_of_a_run(declare: Any, configure: Any, count: int) -> None:
    """A run may have STEP_LIMIT steps of all kinds; the next one fails it, also across slices."""
    configure(STEP_LIMIT=7)
    calls: list[int] = []

    @declare()
    def loop(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1m")
        for number in range(count - 1):
            yield ctx.step.run("n", calls.append, number)
        return "done"

    handle = loop.start()
    advance("2m")
    assert len(calls) == 6
    if count == 7:
        assert handle.result(0) == "done"
    else:
        assert read_code(handle) == "step_limit_reached"


def test_an_endless_loop_of_steps_ends(declare: Any, configure: Any) -> None:
    """``while True`` over steps ends at the limit, whatever the workflow catches."""
    configure(STEP_LIMIT=5)

    @declare()
    def endless(ctx: Any) -> Any:
        for _ in range(100):
            try:
                yield ctx.step.run("again", int)
            except Exception:
                continue

    assert read_code(endless.start()) == "step_limit_reached"


@pytest.mark.parametrize("size", [100, 101])
def test_output_of_a_step(declare: Any, configure: Any, size: int) -> None:
    """A step's output may have STEP_OUTPUT_BYTES; one byte more fails the step, coded, without a retry."""
    configure(STEP_OUTPUT_BYTES=100)

    @declare()
    def big(ctx: Any) -> Any:
        try:
            return len((yield ctx.step.run("big", lambda: "x" * (size - 2))))
        except StepError as error:
            return error.error_code

    assert big.start().result(0) == (98 if size == 100 else "output_too_large")


@pytest.mark.parametrize("size", [100, 101])
def test_output_of_a_run(declare: Any, configure: Any, size: int) -> None:
    """What the workflow returns has the same limit."""
    configure(STEP_OUTPUT_BYTES=100)

    @declare()
    def big(ctx: Any) -> Any:
        return "x" * (size - 2)

    handle = big.start()
    if size == 100:
        assert len(handle.result(0)) == 98
    else:
        assert read_code(handle) == "output_too_large"


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("size", [50, 51])
def test_state_of_a_run(declare: Any, configure: Any, size: int, atomic: bool) -> None:
    """All outputs together may have RUN_STATE_BYTES, counted across slices; more fails the run."""
    configure(RUN_STATE_BYTES=100)

    @declare()
    def grow(ctx: Any) -> Any:
        yield ctx.step.run("a", lambda: "x" * 48, atomic=atomic)
        yield ctx.step.sleep("nap", "1m")
        yield ctx.step.run("b", lambda: "x" * (size - 2), atomic=atomic)
        return "done"

    handle = grow.start()
    advance("2m")
    if size == 50:
        assert handle.result(0) == "done"
    else:
        assert read_code(handle) == "state_too_large"


@pytest.mark.parametrize("where", ["code", "step"])
@pytest.mark.parametrize("size", [100, 101])
def test_size_of_an_event(declare: Any, configure: Any, size: int, where: str) -> None:
    """An event may have EVENT_BYTES; a larger one is refused and nothing is stored."""
    configure(EVENT_BYTES=100)
    event = {"name": "app/x", "data": {"k": "x" * (size - 8)}}

    @declare()
    def sender(ctx: Any) -> Any:
        return len((yield ctx.step.send_event("send", event)))

    if where == "step":
        handle = sender.start()
        assert handle.status == "completed" if size == 100 else read_code(handle) == "event_too_large"
    elif size == 100:
        send_event(event)
    else:
        with pytest.raises(EventTooLarge):
            send_event(event)
    assert Event.objects.filter(name="app/x").count() == (size == 100)


@pytest.mark.parametrize("where", ["code", "step"])
@pytest.mark.parametrize("count", [900, 901])
def test_events_of_one_call(declare: Any, configure: Any, count: int, where: str) -> None:
    """One call may send EVENTS_PER_REQUEST events, all or none."""
    configure(EVENTS_PER_REQUEST=900)
    events = [{"name": "app/x", "data": {"n": n}} for n in range(count)]

    @declare()
    def sender(ctx: Any) -> Any:
        return len((yield ctx.step.send_event("send", events)))

    if where == "step":
        handle = sender.start()
        assert handle.status == "completed" if count == 900 else read_code(handle) == "events_too_many"
    elif count == 900:
        assert len(set(send_events(events))) == 900
    else:
        with pytest.raises(TooManyEvents):
            send_events(events)
    assert Event.objects.filter(name="app/x").count() == (count if count == 900 else 0)
