"""Pausing and resuming against deaths, other workers and each other: nothing is lost or done twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_django import step, workflow
from durable_django.engine.execute import execute_run
from durable_django.engine.identity import get_owner
from durable_django.engine.operations import (
    pause_workflow,
    resume_workflow,
)
from durable_django.exceptions import WorkflowRefused
from durable_django.models import AuditEntry, Run, WorkflowState
from durable_django.models.run import ENDED
from durable_django.store.claim import claim_runs
from durable_django.store.lease import release_leases, wake_due
from durable_django.testing import advance, drain
from tests.interleave import before
from tests.laws.test_pause import calls, flow, list_statuses
from tests.quiet import QUIET
from tests.threads import run_together

__all__ = ["calls", "flow"]  # the fixtures


def test_a_run_whose_worker_died_is_held(flow: Any, store: Any, configure: Any, calls: list[Any]) -> None:
    """A run whose lease ends during the pause is taken over after it."""
    configure(DISPATCHER=QUIET)
    run = flow.start()
    assert claim_runs(store.alias, owner="dead", lease=0.0, queue="durable")
    pause_workflow("flow", actor="me", running="stop")
    advance("1s")
    assert (run.status, calls) == ("paused", [])
    resume_workflow("flow", actor="me")
    drain()
    assert run.result(0) == "done"


ELSEWHERE: list[str] = []


@step
def work_elsewhere(name: str) -> str:
    ELSEWHERE.append(name)
    return name


def test_steps_on_other_workers_are_held_too(kind: str, store: Any, configure: Any) -> None:
    """Steps that a stopped run has given to other workers are not begun during the pause, and are after it."""
    ELSEWHERE.clear()
    configure(DISPATCHER=QUIET)

    def make(ctx: Any) -> list[Callable[[], Any]]:
        return [lambda name=name: work_elsewhere(name) for name in "ab"]

    if kind == "def":

        @workflow(id="wide")
        def wide(ctx: Any) -> Any:
            return ctx.group.parallel(make(ctx), where="workers")

    else:

        @workflow(id="wide")
        async def wide(ctx: Any) -> Any:
            return await ctx.group.parallel(make(ctx), where="workers")

    run = wide.start()
    [claimed] = claim_runs(store.alias, owner=get_owner(), lease=30, queue="durable")
    execute_run(store.alias, claimed)
    pause_workflow("wide", actor="me", running="stop")
    drain()
    assert (ELSEWHERE, Run.objects.filter(workflow="durable/step", status="paused").count()) == ([], 2)
    resume_workflow("wide", actor="me")
    drain()
    assert (list(run.result(0)), sorted(ELSEWHERE)) == (["a", "b"], ["a", "b"])


def test_paused_runs_are_looked_at_seldom(flow: Any, store: Any) -> None:
    """The sweep looks at a paused run, leaves it paused, and does not announce it."""
    pause_workflow("flow", actor="me")
    flow.start()
    Run.objects.update(wake_at="2020-01-01T00:00:00Z")
    for _ in range(2):
        [due] = wake_due(store.alias, limit=10, renudge=30)
        assert (due.was, due.paused, list_statuses()) == ("paused", True, ["paused"])
        assert wake_due(store.alias, limit=10, renudge=30) == []
        Run.objects.update(wake_at="2020-01-01T00:00:00Z")


def test_a_run_that_a_resumption_missed_is_queued_by_the_sweep(flow: Any, store: Any) -> None:
    """A run that was stored as paused by a transaction that began before the resumption is not lost."""
    pause_workflow("flow", actor="me")
    run = flow.start()
    WorkflowState.objects.update(paused_at=None)
    assert run.status == "paused"
    advance("31s")
    assert run.result(0) == "done"


def test_a_run_that_a_pause_missed_is_not_executed(flow: Any, configure: Any, calls: list[Any]) -> None:
    """A run that was stored as queued by a transaction that began before the pause is held at its claim."""
    configure(DISPATCHER=QUIET)
    run = flow.start()
    WorkflowState.objects.create(id="flow", paused_at="2020-01-01T00:00:00Z", pause_running="finish")
    drain()
    assert (run.status, calls) == ("queued", [])
    advance("31s")
    assert (run.status, calls) == ("paused", [])


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("first", ["claim", "pause"])
def test_claim_and_pause_at_once(flow: Any, store: Any, configure: Any, calls: list[Any], first: str) -> None:
    """A claim that meets a pause comes before it, and its slice is marked, or after it, and gets nothing."""
    configure(DISPATCHER=QUIET)
    flow.start()

    def claim() -> Any:
        return claim_runs(store.alias, owner=get_owner(), lease=30, queue="durable")

    def pause() -> None:
        pause_workflow("flow", actor="me", running="stop")

    def apart(act: Callable[[], Any], found: list[Any]) -> Callable[[], None]:
        return lambda: found.extend(run_together([act])[0] or [])

    claimed: list[Any] = []
    if first == "claim":
        with before(store.alias, "WITH chosen", apart(claim, claimed)):
            pause()
        assert len(claimed) == 1
        assert Run.objects.get().hold
        release_leases(store.alias, [(each.id, each.token) for each in claimed])
    else:
        with before(store.alias, "(claim)", apart(lambda: pause(), claimed)):
            claimed = claim()
        assert claimed == []
    drain()
    advance("31s")
    assert (list_statuses(), calls) == (["paused"], [])


def test_of_two_who_pause_one_does(flow: Any) -> None:
    """Of several operators at the same moment one pauses the workflow and one resumes it; the others are told."""

    def attempt(operation: Callable[..., Any]) -> Callable[[], str]:
        def act() -> str:
            try:
                operation("flow", actor="me")
            except WorkflowRefused:
                return "refused"
            return "acted"

        return act

    for operation in (pause_workflow, resume_workflow):
        assert sorted(run_together([attempt(operation)] * 4)) == ["acted"] + ["refused"] * 3
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["pause", "resume"]


def test_pausing_and_resuming_under_load_loses_nothing(flow: Any, configure: Any, calls: list[Any]) -> None:
    """While runs start and are executed, any sequence of pauses leaves no run behind and no step done twice."""
    configure(DISPATCHER=QUIET)

    def start() -> None:
        for _ in range(10):
            flow.start()

    def toggle() -> None:
        for running in ("stop", "finish", "stop"):
            pause_workflow("flow", actor="me", running=running)
            resume_workflow("flow", actor="me")

    def work() -> None:
        for _ in range(5):
            drain()

    run_together([start, start, toggle, work, work])
    for _ in range(10):
        drain()
        if Run.objects.exclude(status__in=ENDED).count() == 0:
            break
        advance("31s")
    assert set(list_statuses()) == {"completed"}
    assert (calls.count("one"), calls.count("two")) == (20, 20)
