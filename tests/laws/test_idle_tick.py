"""A tick without work asks one question; a tick with work does all of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from durable_django import send_event
from durable_django.engine import rollup
from durable_django.engine.tick import tick
from durable_django.models import Event, Run
from durable_django.store.due import find_due, take_tick
from tests.plugins.store import Store
from tests.quiet import QUIET


@pytest.fixture
def quiet(configure: Any, monkeypatch: Any) -> None:
    """Nobody executes runs, and the figures of the minute are written."""
    configure(DISPATCHER=QUIET)
    monkeypatch.setattr(rollup, "_due", {"default": float("inf"), "postgres": float("inf")})


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_an_idle_tick_is_one_statement(store: Store, quiet: None) -> None:
    """Claiming the tick and seeing that nothing is due is one statement."""
    tick(store.alias, period=0.0, force=True)
    with CaptureQueriesContext(connections[store.alias]) as captured:
        assert tick(store.alias, period=0.0) is not None
    assert len(captured) == 1


def test_one_of_many_ticks_is_let_through(store: Store, quiet: None) -> None:
    """Within a period only the first one has the tick, also when nobody ever ticked."""
    assert take_tick(store.alias, period=60, route_after=1) is not None
    assert take_tick(store.alias, period=60, route_after=1) is None
    assert take_tick(store.alias, period=0, route_after=1) is not None


def test_what_is_due_is_seen(store: Store, quiet: None, declare: Any) -> None:
    """A run that is due, an event left unrouted and a passed deadline are each seen, and nothing else is."""

    @declare(trigger="app/x")
    def flow(ctx: Any) -> Any:
        return 1

    assert find_due(store.alias, route_after=1).left is None
    send_event("app/x")
    found = find_due(store.alias, route_after=1)
    assert (found.overdue, found.unrouted, found.waking) == (False, False, False)
    assert found.left is not None
    Run.objects.update(wake_at="2000-01-01T00:00:00Z")
    assert find_due(store.alias, route_after=1).waking
    Run.objects.update(deadline_at="2000-01-01T00:00:00Z")
    assert find_due(store.alias, route_after=1).overdue
    Event.objects.update(routed_at=None)
    assert not find_due(store.alias, route_after=60).unrouted
    Event.objects.update(created_at="2000-01-01T00:00:00Z")
    assert find_due(store.alias, route_after=60).unrouted


def test_a_tick_says_when_the_next_run_is_due(store: Store, quiet: None, declare: Any) -> None:
    """After a tick without work its ``left`` is the time until the next run is due."""

    @declare(trigger="app/x")
    def flow(ctx: Any) -> Any:
        return 1

    send_event("app/x")
    swept = tick(store.alias, period=0.0, force=True)
    assert swept is not None
    assert swept.quiet
    assert swept.left is not None
    assert 0 < swept.left <= 30.001  # SQLite counts days, as floats
