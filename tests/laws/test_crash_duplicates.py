"""An event that starts nothing says why, whenever its process dies."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from durable_django import send_event
from durable_django.engine.invariants import find_violations
from durable_django.models import Event, Run
from durable_django.testing import advance
from tests.databases import forget_figures
from tests.laws.test_crash import Killed, Killer
from tests.plugins.store import Store


@pytest.mark.parametrize("key", ["id", "expression"])
def test_a_duplicate_keeps_its_reason(store: Store, declare: Any, key: str) -> None:
    """A process that dies while it routes the second of two equal events leaves the reason, or the routing."""

    @declare(
        id="once", trigger="app/twice", **({"idempotency": "event.data.n"} if key == "expression" else {})
    )
    def once(ctx: Any) -> Any:
        return (yield ctx.step.run("a", int))

    number = 0
    while True:
        number += 1
        sent = {"name": "app/twice", "data": {"n": number}} | ({"id": f"e{number}"} if key == "id" else {})
        send_event(sent)
        killer = Killer(number)
        with connections[store.alias].execute_wrapper(killer):
            try:
                send_event(sent)
            except Killed:
                connections[store.alias].close()
        advance("2m")
        assert Run.objects.count() == number
        twins = [event for event in Event.objects.filter(name="app/twice") if f'"n":{number}' in event.data]
        assert [
            event.reasons
            for event in twins
            if not event.runs.exists() and "duplicate" not in (event.reasons or "")
        ] == []
        forget_figures(store.alias)
        assert find_violations(store.alias, live=False) == [], f"killed at statement {number}"
        if not killer.killed:
            break
    assert number > 4
