"""Groups whose steps other workers carry out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_django import NonRetriableError, StepError, step, workflow
from durable_django.engine.alias import get_alias
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import cancel_run, retry_run
from durable_django.engine.remote import WORKFLOW_ID
from durable_django.exceptions import UnknownWorkflow
from durable_django.models import Run, Step
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.plugins.store import Store
from tests.quiet import QUIET


@step(retries=2, backoff="1s")
def double(number: int) -> int:
    """Fail at the first attempt of 3, and for ever at 13."""
    if number == 13:
        raise NonRetriableError("unlucky")
    return number * 2


@step(atomic=True)
def mark(key: str) -> str:
    """Leave a row."""
    Effect.objects.create(key=key, run="")
    return key


def local_double(number: int) -> int:
    return number * 2


Start = Callable[..., Any]


@pytest.fixture
def flow(kind: str) -> Start:
    """Start a workflow that runs the branches that ``make(ctx)`` returns on workers, after one step here."""

    def start(make: Callable[[Any], list[Callable[[], Any]]], drained: bool = True) -> Any:
        if kind == "def":

            @workflow(id="flow")
            def flow(ctx: Any) -> Any:
                ctx.step.run("here", lambda: 0)
                return ctx.group.parallel(make(ctx), where="workers")

        else:

            @workflow(id="flow")
            async def flow(ctx: Any) -> Any:
                await ctx.step.run("here", lambda: 0)
                return await ctx.group.parallel(make(ctx), where="workers")

        handle = flow.start()
        if drained:
            drain()
        return handle

    return start


def test_each_step_is_a_run_of_its_own(store: Store, flow: Start) -> None:
    """The results come back in order, from one run a step, under the ids that the steps have here."""
    handle = flow(lambda ctx: [lambda number=number: double(number) for number in range(5)])
    assert handle.result(60) == [0, 2, 4, 6, 8]
    runs = Run.objects.using(store.alias)
    assert runs.filter(workflow=WORKFLOW_ID, status="completed", parent_id=handle.id).count() == 5
    own = Step.objects.using(store.alias).filter(run_id=handle.id, name="double")
    assert sorted(own.values_list("status", "kind")) == [("completed", "run")] * 5


def test_an_atomic_step_elsewhere_happens_once(store: Store, flow: Start) -> None:
    """An atomic step commits its rows with its result wherever it is carried out."""
    handle = flow(lambda ctx: [lambda key=key: mark(key) for key in "abc"])
    assert handle.result(60) == ["a", "b", "c"]
    assert sorted(Effect.objects.using(store.alias).values_list("key", flat=True)) == ["a", "b", "c"]


def test_a_failure_elsewhere_is_the_steps_failure(store: Store, flow: Start) -> None:
    """The step that failed raises its StepError when the group is awaited; the others are done."""
    handle = flow(lambda ctx: [lambda: double(1), lambda: double(13)])
    drain()
    assert handle.status == "failed"
    done = Step.objects.using(store.alias).filter(run_id=handle.id, name="double").order_by("index")
    assert list(done.values_list("status", flat=True)) == ["completed", "failed"]
    with pytest.raises(Exception, match="unlucky"):
        handle.result(1)


def test_what_cannot_travel_is_done_here(store: Store, flow: Start) -> None:
    """A function without a name that others know is carried out by the worker that has the run."""
    handle = flow(lambda ctx: [lambda: ctx.step.run("own", local_double, 4), lambda: double(2)])
    assert handle.result(60) == [8, 4]
    assert Run.objects.using(store.alias).filter(workflow=WORKFLOW_ID).count() == 1


def test_branches_go_on_here_after_their_step_elsewhere(store: Store, flow: Start, kind: str) -> None:
    """A branch may sleep and take further steps; each goes on as soon as its own step has ended."""

    def make(ctx: Any) -> list[Callable[[], Any]]:
        def branch(number: int) -> Any:
            first = double(number)
            ctx.step.sleep("nap", "1m")
            return double(first)

        async def abranch(number: int) -> Any:
            first = await double(number)  # type: ignore[misc]
            await ctx.step.sleep("nap", "1m")
            return await double(first)  # type: ignore[misc]

        chosen = branch if kind == "def" else abranch
        return [lambda number=number: chosen(number) for number in (1, 2)]

    handle = flow(make)
    advance("2m")
    assert handle.result(60) == [4, 8]


def test_an_unknown_place_is_refused(store: Store) -> None:
    """``where`` names the workers or here."""

    @workflow(id="flow")
    def flow(ctx: Any) -> Any:
        return ctx.group.parallel([lambda: 1], where="there")

    handle = flow.start()
    with pytest.raises(Exception, match="where is 'there'"):
        handle.result(60)


def test_nobody_starts_the_engines_workflow(store: Store) -> None:
    """The engine's own workflow is no workflow of the project: it cannot be invoked or triggered by name."""

    @workflow(id="flow")
    def flow(ctx: Any) -> Any:
        try:
            ctx.step.invoke_by_id("sneak", function_id=WORKFLOW_ID, data={"function": "os:system"})
        except StepError as error:
            return error.error_code

    assert flow.start().result(60) == UnknownWorkflow.code


def start_quietly(flow: Start, configure: Any, numbers: range) -> Any:
    """Start a flow whose steps elsewhere are queued and taken by nobody."""
    configure(DISPATCHER=QUIET)
    handle = flow(lambda ctx: [lambda n=n: double(n) for n in numbers], drained=False)
    ids = list(Run.objects.values_list("id", flat=True))
    [claimed] = claim_runs(get_alias(), owner="test", lease=60.0, ids=ids, limit=1)
    execute_run(get_alias(), claimed)
    return handle


def test_a_cancelled_run_begins_no_step_elsewhere(store: Store, flow: Start, configure: Any) -> None:
    """Steps that no worker has begun when their run is cancelled are cancelled with it."""
    handle = start_quietly(flow, configure, range(3))
    cancel_run(handle.id, actor="test")
    drain()
    found = Run.objects.filter(workflow=WORKFLOW_ID)
    assert {(run.status, run.reason) for run in found} == {
        ("cancelled", "the run that asked for the step has ended")
    }
    assert not Step.objects.filter(run__in=found).exists()


def test_a_retried_run_goes_back_to_its_steps_elsewhere(store: Store, flow: Start, configure: Any) -> None:
    """What is queued is waited for again, what completed is taken, what was cancelled is carried out here."""
    handle = start_quietly(flow, configure, range(3))
    first, second, _ = Run.objects.filter(workflow=WORKFLOW_ID).order_by("parent_index")
    [claimed] = claim_runs(get_alias(), owner="test", lease=60.0, ids=[first.id], limit=1)
    cancel_run(handle.id, actor="test")
    cancel_run(second.id, actor="test")
    retry_run(handle.id, actor="test")
    drain()
    assert handle.status == "waiting"
    execute_run(get_alias(), claimed)
    drain()
    assert handle.result(0) == [0, 2, 4]


def test_steps_elsewhere_are_no_news(store: Store, flow: Start) -> None:
    """A listener to all ends hears of the run, not of each of its steps."""
    heard: list[str] = []

    @workflow(id="listener", trigger="durable/run.finished")
    def listener(ctx: Any) -> None:
        heard.append(ctx.event.data["workflow"])

    flow(lambda ctx: [lambda n=n: double(n) for n in range(3)])
    assert heard == ["flow"]
