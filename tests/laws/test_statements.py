"""The hot path in statements, as house.md states it; none of them grows with other rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from durable_django import send_event
from durable_django.engine.execute import execute_run
from durable_django.models import Run, Step
from durable_django.store.claim import claim_runs
from durable_django.store.lease import wake_due
from tests.quiet import QUIET

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)
ALIAS = "postgres"
CONTROL = re.compile(r"^(BEGIN|COMMIT|SAVEPOINT|RELEASE|ROLLBACK)", re.IGNORECASE)


def count(work: Callable[[], Any]) -> int:
    """Return how many statements a piece of work sends, transaction control apart."""
    with CaptureQueriesContext(connections[ALIAS]) as captured:
        work()
    statements = [query["sql"] for query in captured if not CONTROL.match(query["sql"])]
    for statement in statements:
        print(statement[:150])
    return len(statements)


def look() -> None:
    """Claim and execute what is queued, as a worker does that was nudged."""
    for claimed in claim_runs(ALIAS, owner="me", lease=30, queue="durable", limit=10):
        execute_run(ALIAS, claimed)


@pytest.fixture
def crowd(declare: Any, configure: Any) -> Callable[[], None]:
    """Fill the tables with other runs, memos, waits and events."""

    @declare(id="crowd", trigger="other/start")
    def crowd(ctx: Any) -> Any:
        for _ in range(5):
            yield ctx.step.run("x", int)
        yield ctx.step.wait_for_event("w", event="other/never", match="data.n", timeout="1d")

    def fill() -> None:
        configure(DISPATCHER="inline")
        for number in range(6):
            send_event("other/start", {"n": number})
        configure(DISPATCHER=QUIET)

    configure(DISPATCHER=QUIET)
    return fill


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_run_from_event_to_end(declare: Any, crowd: Any, steps: int, crowded: bool) -> None:
    """Store event 1, start run 1, claim 1, one per step, finish 1."""

    @declare(trigger="app/x")
    def flow(ctx: Any) -> Any:
        for _ in range(steps):
            yield ctx.step.run("x", int)

    if crowded:
        crowd()
    assert count(lambda: send_event("app/x")) == 2
    assert count(look) == 1 + steps + 1
    assert Run.objects.get(workflow="flow").status == "completed"


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("memos", [1, 30])
def test_a_resumed_run(declare: Any, crowd: Any, memos: int, crowded: bool) -> None:
    """Resume: the claim and one query for all memos; a sleep that is over costs nothing."""

    @declare()
    def flow(ctx: Any) -> Any:
        for _ in range(memos):
            yield ctx.step.run("x", int)
        yield ctx.step.sleep("nap", "1h")
        yield ctx.step.run("last", int)

    flow.start()
    assert count(look) == 1 + memos + 1
    if crowded:
        crowd()
    Run.objects.filter(workflow="flow").update(wake_at="2000-01-01T00:00:00Z")
    Step.objects.filter(name="nap").update(ready_at="2000-01-01T00:00:00Z")
    wake_due(ALIAS, limit=10, renudge=30)
    assert count(look) == 1 + 1 + 1 + 1
    assert Run.objects.get(workflow="flow").status == "completed"


@pytest.mark.parametrize("crowded", [False, True])
def test_a_wait_and_its_event(declare: Any, crowd: Any, crowded: bool) -> None:
    """Parking with a wait and the event that ends it cost the same however many other waits there are."""

    @declare()
    def flow(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("w", event="app/answer", match="data.n", timeout="1d")

    if crowded:
        crowd()
    flow.start({"n": 1})
    assert count(look) == 1 + 3  # claim; stamp, park, look
    assert count(lambda: send_event("app/answer", {"n": 1})) <= 6
    assert count(look) == 1 + 1 + 1
    assert Run.objects.get(workflow="flow").status == "completed"


def test_starting_a_run_by_hand(declare: Any, crowd: Any) -> None:
    """start() stores the run and its input in two statements of one transaction."""

    @declare()
    def flow(ctx: Any) -> Any:
        return 1

    assert count(flow.start) == 2
