"""Whatever operators do, the oracle of the data finds nothing wrong afterwards, nor in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_django import Cancel, send_event
from durable_django.clock import read_now
from durable_django.engine.invariants import find_violations
from durable_django.engine.operations import (
    StepRef,
    cancel_run,
    extend_wait,
    pause_workflow,
    rerun,
    resend_event,
    resolve_wait,
    resume_workflow,
    retry_run,
    supply_step,
    time_out_wait,
    wake_run,
)
from durable_django.models import Run, Wait
from durable_django.models.run import ENDED
from durable_django.testing import advance, drain
from tests.databases import forget_figures


@pytest.fixture
def flow(declare: Any) -> Any:
    """A workflow that fails, sleeps, asks, asks another run, and can be cancelled by an event."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "2h")

    @declare(id="flow", trigger="app/flow", backoff="1h", cancel_on=[Cancel(event="app/stop")])
    def flow(ctx: Any) -> Any:
        failed: list[int] = []

        def work() -> int:
            if ctx.attempt == 0 and not failed:
                raise ValueError("once")
            return 1

        yield ctx.step.run("work", work)
        yield ctx.step.sleep("nap", "1h")
        yield ctx.step.wait_for_event("ask", event="app/answer", timeout="5h", since="run")
        yield ctx.step.wait_for_signal("sign", signal=f"sign-{ctx.run_id}", timeout="5h")
        yield ctx.step.invoke("call", function=child)
        return "done"

    return flow


def check(store: Any, *, live: bool = True) -> None:
    forget_figures(store.alias)
    assert [(each.id, each.rows) for each in find_violations(store.alias, live=live)] == []


def find_wait(run: Any, name: str) -> int:
    found: int = Wait.objects.get(run_id=run.id, name=name, status="open").pk
    return found


def test_all_operations_leave_whole_data(flow: Any, store: Any) -> None:
    """Each operation in turn, on several runs, with pauses in between."""
    send_event("app/flow")
    run, other = Run.objects.get(), flow.start()
    wake_run(run.id, actor="me")
    supply_step(other.id, "work", 0, 5, actor="me")
    check(store)
    pause_workflow("flow", actor="me", running="stop")
    for each in (run, other):
        wake_run(each.id, actor="me")
    resend_event(run.event_id, actor="me")
    check(store)
    advance("31s")
    check(store)
    resume_workflow("flow", actor="me")
    drain()
    extend_wait(find_wait(run, "ask"), read_now(store.alias) + timedelta(hours=9), actor="me")
    resolve_wait(find_wait(run, "ask"), {"n": 1}, actor="me")
    time_out_wait(find_wait(other, "ask"), actor="me")
    check(store)
    again = rerun(run.id, actor="me", from_step=StepRef("ask"), data={"n": 2})
    edited = rerun(run.id, actor="me", from_step=StepRef("work"), step_input=[])
    check(store)
    cancel_run(run.id, actor="me", children=True)
    retry_run(run.id, actor="me")
    check(store)
    for each in (run, other, again):
        if Wait.objects.filter(run_id=each.id, name="ask", status="open").exists():
            time_out_wait(find_wait(each, "ask"), actor="me")
        resolve_wait(find_wait(each, "sign"), None, actor="me")
    resolve_wait(find_wait(other, "call"), "early", actor="me")
    cancel_run(edited.id, actor="me", children=True)
    check(store)
    for _ in range(8):
        advance("6h")
    assert set(Run.objects.values_list("status", flat=True)) <= set(ENDED)
    check(store)
    check(store, live=False)
