"""``since="run"``: a wait also takes events that were received since its run was created."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from durable_django import Event, clock, send_event, send_events
from durable_django.engine.operations import rerun
from durable_django.engine.receive import prepare_events
from durable_django.engine.route import route_events
from durable_django.exceptions import RunFailed
from durable_django.ids import new_id
from durable_django.models import Run, Wait, WaitKey, WaitStatus
from durable_django.store.event import insert_events
from durable_django.store.lease import wake_due
from durable_django.testing import advance, drain
from tests.interleave import before
from tests.plugins.store import Store


@pytest.fixture
def ask(declare: Any) -> Callable[..., Any]:
    """A workflow that sends out for an answer, and waits for it when the answer may have come already."""

    def make(since: str | None = "run", timeout: Any = "1h", **options: Any) -> Any:
        @declare(id="ask", **options)
        def ask(ctx: Any) -> Any:
            yield ctx.step.run("pause", lambda: None)
            yield ctx.step.sleep("gap", "1m")
            found = yield ctx.step.wait_for_event(
                "reply", event="app/reply", match="data.k", timeout=timeout, since=since
            )
            return found and found.data["n"]

        return ask

    return make


def reply(n: int, k: int = 1) -> str:
    return send_event("app/reply", {"k": k, "n": n})


@pytest.mark.parametrize(("since", "expected"), [("run", 1), (None, None)])
def test_an_event_before_the_wait_counts_only_with_since(
    ask: Any, since: str | None, expected: int | None
) -> None:
    """An early answer is found by a wait that looks back, and by no other."""
    handle = ask(since).start({"k": 1})
    reply(1)
    advance("2m")
    assert handle.status == ("completed" if since else "waiting")
    advance("2h")
    assert handle.result(timeout=1) == expected


def test_the_earliest_event_that_matches_is_taken(ask: Any) -> None:
    """Of several early answers the first that matches wins, in the order of arrival."""
    handle = ask().start({"k": 1})
    reply(0, k=2)
    for n in (1, 2, 3):
        reply(n)
    advance("2m")
    assert handle.result(timeout=1) == 1


def test_events_before_the_run_do_not_count(ask: Any) -> None:
    """A look back ends at the creation of the run."""
    reply(1)
    handle = ask().start({"k": 1})
    advance("2m")
    assert handle.status == "waiting"
    reply(2)
    drain()
    assert handle.result(timeout=1) == 2


def test_a_look_back_still_waits_for_later_events(ask: Any) -> None:
    """With nothing to be found the wait is like any other: an event ends it, or the time-out."""
    handle = ask().start({"k": 1})
    advance("2m")
    assert handle.status == "waiting"
    advance("2h")
    assert handle.result(timeout=1) is None


def test_the_trigger_does_not_answer_itself(declare: Any, store: Store) -> None:
    """A run that looks back for events of its trigger's name does not find its own trigger."""

    @declare(id="echo", trigger="app/ping")
    def echo(ctx: Any) -> Any:
        found = yield ctx.step.wait_for_event("next", event="app/ping", timeout="1h", since="run")
        return found and found.data["n"]

    send_event("app/ping", {"n": 1})
    drain()
    assert list(Run.objects.using(store.alias).values_list("status", flat=True)) == ["waiting"]
    send_event("app/ping", {"n": 2})
    drain()
    first, second = Run.objects.using(store.alias).order_by("event__arrival").select_related("result")
    assert (first.status, first.result.output, second.status) == ("completed", "2", "waiting")


@pytest.mark.parametrize("together", [True, False])
def test_an_answer_sent_with_the_trigger_counts(ask: Any, store: Store, together: bool) -> None:
    """Trigger and answer in one call, or in one transaction: the answer is received after the trigger."""
    ask(trigger="app/question")
    for n in range(5):
        events = [Event("app/question", {"k": n}), Event("app/reply", {"k": n, "n": n})]
        with transaction.atomic(using=store.alias):
            send_events(events) if together else [send_event(each) for each in events]
    drain()
    advance("2m")
    outputs = Run.objects.using(store.alias).order_by("id").values_list("result__output", flat=True)
    assert sorted(outputs, key=str) == ["0", "1", "2", "3", "4"]


def test_an_answer_sent_before_the_trigger_in_one_call_does_not_count(ask: Any, store: Store) -> None:
    """The order of a list of events is the order in which they are received."""
    ask(trigger="app/question")
    send_events([Event("app/reply", {"k": 1, "n": 1}), Event("app/question", {"k": 1})])
    advance("2m")
    assert Run.objects.using(store.alias).get().status == "waiting"


def test_the_order_of_a_list_outlives_its_sender(ask: Any, store: Store) -> None:
    """If the sender dies before routing, the sweep receives the events in the order of their list."""
    ask(trigger="app/question")
    pairs = [[Event("app/question", {"k": n}), Event("app/reply", {"k": n, "n": n})] for n in range(16)]
    for pair in pairs:
        insert_events(store.alias, prepare_events(pair, source="code", make_id=lambda _: new_id()))
    drain()
    advance("2m")
    statuses = Run.objects.using(store.alias).values_list("status", flat=True)
    assert list(statuses) == ["completed"] * 16


def test_a_rerun_does_not_find_what_the_first_run_was_sent(ask: Any, store: Store) -> None:
    """A rerun has the old trigger but looks back to its own creation only."""
    ask(trigger="app/question")
    send_event("app/question", {"k": 1})
    reply(1)
    advance("2m")
    again = rerun(Run.objects.using(store.alias).get().id, actor="test")
    advance("2m")
    assert again.status == "waiting"
    reply(2)
    drain()
    assert again.result(timeout=1) == 2


def test_a_loop_takes_each_event_once_and_in_order(declare: Any, store: Store) -> None:
    """The same id in a loop is a queue: nothing is lost between the turns and nothing comes twice."""

    @declare()
    def listener(ctx: Any) -> Any:
        heard = []
        while len(heard) < 4:
            found = yield ctx.step.wait_for_event("next", event="app/word", timeout="1h", since="run")
            if found is None:
                return heard
            heard.append(found.data["n"])
            yield ctx.step.sleep("digest", "1m")
        return heard

    handle = listener.start()
    for n in range(3):
        send_event("app/word", {"n": n})
    for _ in range(4):
        advance("2m")
    assert handle.status == "waiting"
    send_event("app/word", {"n": 3})
    advance("2m")
    assert handle.result(timeout=1) == [0, 1, 2, 3]


def test_two_ids_may_both_find_one_event(declare: Any) -> None:
    """One event ends all waits that match it; only later uses of the same id pass it over."""

    @declare()
    def twice(ctx: Any) -> Any:
        yield ctx.step.sleep("gap", "1m")
        one = yield ctx.step.wait_for_event("one", event="app/word", timeout="1h", since="run")
        two = yield ctx.step.wait_for_event("two", event="app/word", timeout="1h", since="run")
        return [one.data, two.data]

    handle = twice.start()
    send_event("app/word", {"n": 1})
    advance("2m")
    assert handle.result(timeout=1) == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize(("early", "expected"), [(True, 7), (False, None)])
def test_no_time_to_wait_still_looks_back(ask: Any, early: bool, expected: int | None) -> None:
    """With a time-out of 0 the wait asks once whether the answer is there."""
    handle = ask(timeout=0).start({"k": 1})
    if early:
        reply(7)
    advance("2m")
    drain()
    assert handle.result(timeout=1) == expected


@pytest.mark.parametrize("since", ["start", "", 0, True])
def test_since_is_run_or_nothing(declare: Any, since: Any) -> None:
    """Any other value fails the run at once with a code."""

    @declare()
    def wrong(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("w", event="app/x", timeout="1h", since=since)

    with pytest.raises(RunFailed) as caught:
        wrong.start().result(timeout=1)
    assert caught.value.details["told"]["code"] == "step_usage"


def test_an_ended_look_back_leaves_no_keys(ask: Any, store: Store) -> None:
    """A wait that its look ended is closed like any other: no key of it is left."""
    handle = ask().start({"k": 1})
    reply(1)
    advance("2m")
    assert handle.result(timeout=1) == 1
    assert Wait.objects.using(store.alias).get().status == WaitStatus.MATCHED
    assert not WaitKey.objects.using(store.alias).exists()


PLACES = ["(stamp)", "(park)", "(settle)"]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("kind", ["def"], indirect=True)
@pytest.mark.parametrize("routed", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_an_event_between_any_two_statements_of_parking_is_found(
    declare: Any, store: Store, elsewhere: Any, place: str, routed: bool
) -> None:
    """Wherever the answer falls in the parking, routed or not, it is found at once."""

    @declare()
    def racer(ctx: Any) -> Any:
        found = yield ctx.step.wait_for_event("w", event="app/r", timeout="1h", since="run")
        return found.data["n"]

    def send() -> None:
        rows = prepare_events([Event("app/r", {"n": 1})], source="code", make_id=lambda _: new_id())
        insert_events(store.alias, rows)
        if routed:
            route_events(store.alias, rows)

    with before(store.alias, place, lambda: elsewhere(send)):
        handle = racer.start()
    drain()
    assert handle.result(timeout=1) == 1


@pytest.mark.parametrize("kind", ["def"], indirect=True)
def test_a_due_wait_whose_look_was_cut_off_looks_before_it_times_out(ask: Any, store: Store) -> None:
    """A worker that dies between parking and looking cannot turn an early answer into a time-out."""
    handle = ask().start({"k": 1})
    reply(5)
    clock.travel(timedelta(minutes=2))
    wake_due(store.alias, limit=1, renudge=30)
    with pytest.raises(Killed), before(store.alias, "(e.arrival, w.id)", die):
        drain()
    assert handle.status in ("waiting", "running")  # PostgreSQL had stored the wait, SQLite had not
    advance("2h")
    assert handle.result(timeout=1) == 5


class Killed(KeyboardInterrupt):
    """Stands for SIGKILL: no handler of the engine runs after it."""


def die() -> None:
    raise Killed
