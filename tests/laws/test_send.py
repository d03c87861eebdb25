"""``step.send_event``: the events and the memo are one commit, so they are sent exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from durable_django import Event
from durable_django.models import Event as StoredEvent
from durable_django.models import Run
from durable_django.testing import advance
from tests.plugins.store import Store


def test_events_of_a_step_are_sent_once(declare: Any) -> None:
    """A replayed send sends nothing and returns the same ids, for one event or several."""
    seen: list[Any] = []

    @declare()
    def sender(ctx: Any) -> Any:
        one = yield ctx.step.send_event("one", Event("app/x", {"n": 1}))
        many = yield ctx.step.send_event("many", [{"name": "app/x"}, Event("app/y", id="mine")])
        seen.append((one, many))
        yield ctx.step.sleep("nap", "1m")

    sender.start()
    advance("2m")
    assert seen[0] == seen[1]
    assert (len(seen[0][0]), len(seen[0][1])) == (1, 2)
    stored = {str(event.id) for event in StoredEvent.objects.filter(source="run")}
    assert stored == {*seen[0][0], *seen[0][1]}


def test_a_sent_event_starts_runs_and_ends_waits(declare: Any) -> None:
    """What a run sends is routed like any other event, also to waits of other runs."""

    @declare(id="receiver", trigger="app/x")
    def receiver(ctx: Any) -> Any:
        return ctx.event.data["n"]

    @declare(id="waiter")
    def waiter(ctx: Any) -> Any:
        return (yield ctx.step.wait_for_event("w", event="app/x", timeout="1h")).data["n"]

    @declare(id="sender")
    def sender(ctx: Any) -> Any:
        yield ctx.step.send_event("send", {"name": "app/x", "data": {"n": 7}})
        return "sent"

    waiting = waiter.start()
    assert sender.start().result(0) == "sent"
    assert waiting.result(0) == 7
    assert Run.objects.get(workflow="receiver").result.output == "7"


class Killed(KeyboardInterrupt):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("table", ["durable_django_step", "durable_django_event"])
def test_a_crash_inside_the_send_leaves_nothing(store: Store, declare: Any, table: str) -> None:
    """A worker that dies in a send leaves neither event nor memo; later both are there once."""

    @declare()
    def sender(ctx: Any) -> Any:
        yield ctx.step.send_event("send it", {"name": "app/x"})

    def kill(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if f"INSERT INTO {table}" in sql and ("app/x" in str(params) or "send it" in str(params)):
            raise Killed
        return execute(sql, params, *rest)

    with connections[store.alias].execute_wrapper(kill), pytest.raises(Killed):
        sender.start()
    assert StoredEvent.objects.filter(name="app/x").count() == 0
    advance("1m")
    assert Run.objects.get().status == "completed"
    assert StoredEvent.objects.filter(name="app/x").count() == 1
