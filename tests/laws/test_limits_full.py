"""The limits at their real size: 10,000 steps, 32 MB of results, 5,000 events, 3 MB of event."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Sum
from django.db.models.functions import Length

from durable_django import send_event, send_events
from durable_django.exceptions import EventTooLarge, RunFailed, TooManyEvents
from durable_django.models import Event, Step
from durable_django.testing import advance

MB = 1024 * 1024


def read_code(handle: Any) -> str:
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    return str(caught.value.details["told"]["code"])


@pytest.mark.parametrize("kind", ["def"], indirect=True)  # both kinds count alike; see test_limits.py
def test_ten_thousand_steps(declare: Any, configure: Any) -> None:
    """With the highest STEP_LIMIT the 10,000th step runs, and the one after it fails the run."""
    configure(STEP_LIMIT=10_000)
    reached: list[int] = []

    @declare(durability="relaxed")
    def long(ctx: Any) -> Any:
        for number in range(9_998):
            yield ctx.step.run("n", lambda number=number: number)
        yield ctx.step.sleep("nap", "1h")
        yield ctx.step.run("last", reached.append, 10_000)
        reached.append(ctx.step.run("one more", int))

    handle = long.start()
    advance("2h")
    assert read_code(handle) == "step_limit_reached"
    assert reached == [10_000]
    assert Step.objects.count() == 10_000


@pytest.mark.parametrize("resumed", [False, True])
def test_thirty_two_megabytes_of_results(declare: Any, resumed: bool) -> None:
    """8 outputs of 4 MB are the most that a run may have; one more byte fails it, also after a resume."""

    @declare()
    def heavy(ctx: Any) -> Any:
        for _ in range(8):
            yield ctx.step.run("big", lambda: "x" * (4 * MB - 2))
        yield ctx.step.sleep("nap", "1h" if resumed else 0)
        yield ctx.step.run("one more", int)

    handle = heavy.start()
    if resumed:
        assert handle.status == "waiting"
        advance("2h")
    assert read_code(handle) == "state_too_large"
    total = Step.objects.filter(name="big").aggregate(total=Sum(Length("output")))["total"]
    assert total == 32 * MB


@pytest.mark.parametrize("kind", ["def"], indirect=True)  # no workflow takes part
def test_five_thousand_events(declare: Any) -> None:
    """One call sends 5,000 events; 5,001 are refused as a whole."""
    events = [{"name": "app/x", "data": {"n": n}} for n in range(5_001)]
    with pytest.raises(TooManyEvents):
        send_events(events)
    assert Event.objects.count() == 0
    assert len(set(send_events(events[:5_000]))) == 5_000
    assert Event.objects.count() == 5_000


def test_an_event_of_three_megabytes(declare: Any, configure: Any) -> None:
    """With the highest EVENT_BYTES an event of 3 MB starts its run; one byte more is refused."""
    configure(EVENT_BYTES=3 * MB)
    room = 3 * MB - len('{"k":""}')

    @declare(id="flow", trigger="app/x")
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.run("size", lambda: len(ctx.event.data["k"])))

    send_event("app/x", {"k": "x" * room})
    with pytest.raises(EventTooLarge):
        send_event("app/x", {"k": "x" * (room + 1)})
    assert Step.objects.get().output == str(room)
    assert Event.objects.count() == 1
