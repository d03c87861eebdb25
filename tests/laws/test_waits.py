"""Waits: which event ends them, what they return, and that each ends once (law 7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_django import Event, clock, send_event
from durable_django.dispatch.inline import InlineDispatcher
from durable_django.engine import answer_waits
from durable_django.engine.alias import get_alias
from durable_django.engine.nudge import Nudge
from durable_django.engine.receive import prepare_events
from durable_django.ids import new_id
from durable_django.models import Run, Wait, WaitKey
from durable_django.store.event import insert_events
from durable_django.store.lease import wake_due
from durable_django.testing import advance, drain


def ask(**question: Any) -> Any:
    """Return a workflow body that waits for app/answer and returns the event as a dict, or None."""

    def asking(ctx: Any) -> Any:
        found = yield ctx.step.wait_for_event("w", event="app/answer", timeout="1h", **question)
        return found and {"id": found.id, "name": found.name, "data": found.data, "ts": found.ts}

    return asking


def test_a_wait_returns_the_whole_event(declare: Any) -> None:
    """The event that ends a wait comes back with its id, name, data and ts."""
    handle = declare()(ask()).start()
    send_event(Event("app/answer", {"k": [1, None]}, id="e-1", ts=1_700_000_000_000))
    assert handle.result(0) == {
        "id": "e-1",
        "name": "app/answer",
        "data": {"k": [1, None]},
        "ts": 1_700_000_000_000,
    }
    assert list(Wait.objects.values_list("status", flat=True)) == ["matched"]


def test_a_wait_without_an_answer_ends_with_none(declare: Any) -> None:
    """At its time-out a wait returns None, which is no error."""
    handle = declare()(ask()).start()
    advance("59m")
    assert handle.status == "waiting"
    advance("2m")
    assert handle.result(0) is None
    assert list(Wait.objects.values_list("status", flat=True)) == ["expired"]
    assert WaitKey.objects.count() == 0


@pytest.mark.parametrize(
    ("mine", "theirs", "ends"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1, 2, False),
        (1, "1", False),
        (1, True, False),
        ("a", "A", False),
        ([1, {"x": 1}], [1, {"x": 1}], True),
        (0, None, False),
        (0, ..., False),
        (False, 0, False),
        ("", "", True),
    ],
)
def test_match_compares_one_field_of_both_events(declare: Any, mine: Any, theirs: Any, ends: bool) -> None:
    """``match`` asks for equal values by CEL's rules: numbers by value, other types never across."""
    handle = declare()(ask(match="data.a.b")).start({"a": {"b": mine}})
    send_event("app/answer", {} if theirs is ... else {"a": {"b": theirs}})
    assert (handle.status == "completed") is ends


@pytest.mark.parametrize(
    ("expression", "data", "ends"),
    [
        ("async.data.k == event.data.k", {"k": 5}, True),
        ("async.data.k == event.data.k", {"k": 6}, False),
        ("async.data.n > 3 && event.data.k == 5", {"n": 4}, True),
        ("async.data.missing == event.data.absent", {}, False),
        ("async.data.n.contains('x')", {"n": 1}, False),
        ("true", {}, True),
        ("async.data.n", {"n": 1}, False),
    ],
)
def test_if_exp_sees_both_events(declare: Any, expression: str, data: dict[str, Any], ends: bool) -> None:
    """``if_exp`` reads the trigger as ``event`` and the awaited one as ``async``."""
    handle = declare()(ask(if_exp=expression)).start({"k": 5})
    send_event("app/answer", data)
    assert (handle.status == "completed") is ends


def test_one_event_ends_all_matching_waits(declare: Any) -> None:
    """An event ends every wait that it answers, also of several runs, and leaves the others open."""
    asking = declare()(ask(match="data.k"))
    handles = [asking.start({"k": number % 2}) for number in range(6)]
    send_event("app/answer", {"k": 1})
    assert [handle.status for handle in handles] == ["waiting", "completed"] * 3


def test_one_broken_question_does_not_stop_the_others(declare: Any) -> None:
    """A condition that fails on an event is no answer; waits beside it end."""
    broken = declare(id="broken")(ask(if_exp="async.data.k.nope() == 1 || 1 / async.data.k > 0"))
    fine = declare(id="fine")(ask())
    first, second = broken.start(), fine.start()
    send_event("app/answer", {"k": 0})
    assert second.status == "completed"
    assert first.status in ("waiting", "failed")


def test_an_event_before_the_wait_is_not_seen(declare: Any) -> None:
    """Only events received after the wait exists end it."""
    send_event("app/answer", {"n": 1})
    handle = declare()(ask()).start()
    assert handle.status == "waiting"
    send_event("app/answer", {"n": 2})
    assert handle.result(0)["data"] == {"n": 2}


def test_the_event_that_started_the_run_does_not_end_its_wait(declare: Any) -> None:
    """A run that waits for the name of its own trigger waits for another such event."""
    declare(trigger="app/answer")(ask())
    send_event("app/answer", {"n": 1})
    assert Run.objects.get().status == "waiting"
    drain()
    assert Run.objects.get().status == "waiting"
    send_event("app/answer", {"n": 2})
    assert sorted(Run.objects.values_list("status", flat=True)) == ["completed", "waiting"]


def test_waits_of_one_run_take_one_event_each(declare: Any) -> None:
    """A second wait of the same run is not ended by the event that ended the first."""

    @declare()
    def twice(ctx: Any) -> Any:
        first = yield ctx.step.wait_for_event("w", event="app/answer", timeout="1h")
        second = yield ctx.step.wait_for_event("w", event="app/answer", timeout="1h")
        return [first.data["n"], second.data["n"]]

    handle = twice.start()
    send_event("app/answer", {"n": 1})
    assert handle.status == "waiting"
    send_event("app/answer", {"n": 2})
    assert handle.result(0) == [1, 2]


def test_an_expired_wait_never_matches(declare: Any) -> None:
    """An event after the time-out does not end the wait, even if nobody has noticed the time-out yet."""
    handle = declare()(ask()).start()
    clock.travel(timedelta(hours=1, seconds=1))
    send_event("app/answer")
    assert handle.status == "waiting"
    drain()
    assert handle.result(0) is None


def test_an_event_in_time_wins_over_the_time_out(declare: Any) -> None:
    """An event received in time but not routed ends the wait, though the time-out is noticed first."""
    using = get_alias()
    handle = declare()(ask()).start()
    rows = prepare_events(
        [{"name": "app/answer", "data": {"n": 1}}], source="code", make_id=lambda _: new_id()
    )
    insert_events(using, rows)  # its sender died before it routed
    clock.travel(timedelta(hours=1, seconds=1))
    due = wake_due(using, limit=10, renudge=30)
    InlineDispatcher().nudge([Nudge(run.id, run.workflow, run.queue) for run in due])
    assert handle.result(0)["data"] == {"n": 1}


@pytest.mark.parametrize("timeout", [0, "-1h"])
def test_a_wait_of_no_length_ends_at_once(declare: Any, timeout: Any) -> None:
    """A time-out of zero or less returns None and leaves no wait behind."""

    @declare()
    def hasty(ctx: Any) -> Any:
        return (yield ctx.step.wait_for_event("w", event="app/answer", timeout=timeout))

    assert hasty.start().result(0) is None
    assert Wait.objects.count() == 0


def test_more_waits_than_one_page(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All waits that an event answers end, also behind pages in which some are not open for it any more."""
    monkeypatch.setattr(answer_waits, "PAGE", 3)
    asking = declare()(ask())
    handles = [asking.start() for _ in range(10)]
    Wait.objects.filter(run_id=handles[1].id).update(after=10**9)
    send_event("app/answer")
    assert [handle.status for handle in handles].count("completed") == 9
