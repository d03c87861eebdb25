"""Handlers and lifecycle events under crashes: part of a run's end, or made up for."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.engine import end
from durable_django.engine.execute import execute_run
from durable_django.engine.route import route_stored
from durable_django.engine.sweep import sweep
from durable_django.models import Event, Run, RunStatus
from durable_django.testing import advance, drain
from tests.interleave import before
from tests.laws.test_lifecycle import ENDINGS, claim, fragile, handler, notes, runs
from tests.plugins.store import Store
from tests.quiet import QUIET

__all__ = ["fragile", "handler"]  # the fixtures


class Broken(Exception):
    """Stands for the death of the process."""


def test_a_crash_inside_the_end_leaves_neither(fragile: Any, configure: Any, store: Store) -> None:
    """The end and its event are one transaction: after a crash in it the run has not ended; then it ends once."""
    configure(DISPATCHER=QUIET)
    fragile.start({"n": 1, "fail": True})

    def fail() -> None:
        raise Broken

    with pytest.raises(Broken), before(store.alias, "INSERT INTO durable_django_event ", fail):
        execute_run(store.alias, claim(store))
    assert (runs("fragile"), Event.objects.filter(name__in=ENDINGS).count()) == (["running"], 0)
    advance("2m")
    assert notes() == ["failed: fragile 1 wrong"]


def test_a_crash_after_the_end_is_made_up_for(
    fragile: Any, configure: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the commit and the routing leaves an event that the tick routes, once."""
    configure(DISPATCHER=QUIET)

    def die(using: str, rows: Any) -> None:
        return  # the process is gone before its on_commit

    fragile.start({"n": 2, "fail": True})
    monkeypatch.setattr(end, "route_after_commit", die)
    execute_run(store.alias, claim(store))
    monkeypatch.undo()
    assert (runs("fragile"), runs("fragile/on-failure")) == (["failed"], [])
    advance("2s")
    for _ in range(3):
        sweep(store.alias)
        route_stored(store.alias)
        drain()
    assert notes() == ["failed: fragile 2 wrong"]
    assert runs("fragile/on-failure") == ["completed"]


def test_a_failed_routing_fails_nobody(
    fragile: Any, configure: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the routing after the commit is logged; the run has ended, and the tick routes its event."""
    configure(DISPATCHER=QUIET)
    fragile.start({"n": 3, "fail": True})
    claimed = claim(store)

    def fail() -> None:
        raise Broken

    routing = {"postgres": "/* UPDATE durable_django_event */", "sqlite": "start_key, key, origin"}
    with before(store.alias, routing[store.name], fail):
        execute_run(store.alias, claimed)
    assert (runs("fragile"), runs("fragile/on-failure")) == (["failed"], [])
    advance("2s")
    sweep(store.alias)
    drain()
    assert notes() == ["failed: fragile 3 wrong"]


def test_an_end_of_somebody_else_s_run_tells_nobody(fragile: Any, configure: Any, store: Store) -> None:
    """A slice whose lease was lost neither ends the run nor stores an event."""
    configure(DISPATCHER=QUIET)
    fragile.start({"n": 4, "fail": True})
    claimed = claim(store)
    Run.objects.update(token=99)
    execute_run(store.alias, claimed)
    assert not Event.objects.filter(name__in=ENDINGS).exists()
    Run.objects.update(status=RunStatus.QUEUED, token=99)
    drain()
    assert len(notes()) == 1
