"""A paused workflow: new runs queue up, active ones finish or stop before their next step, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_django import send_event, step, workflow
from durable_django.engine.execute import execute_run
from durable_django.engine.identity import get_owner
from durable_django.engine.operations import (
    cancel_run,
    invoke_workflow,
    pause_workflow,
    rerun,
    resume_workflow,
    retry_run,
    wake_run,
)
from durable_django.exceptions import StepError, UnknownWorkflow, WorkflowRefused
from durable_django.models import AuditEntry, Event, Run, Step, WorkflowState
from durable_django.models.run import ENDED
from durable_django.store.claim import claim_runs
from durable_django.store.lease import release_leases, wake_due
from durable_django.testing import advance, drain
from tests.interleave import before
from tests.quiet import QUIET
from tests.threads import run_together


@pytest.fixture
def calls() -> list[Any]:
    return []


@pytest.fixture
def flow(declare: Any, calls: list[Any]) -> Any:
    """Two steps with a sleep between them if the event says so."""

    @declare(id="flow", trigger="app/flow")
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("one", lambda: calls.append("one"))
        if ctx.event.data.get("nap"):
            yield ctx.step.sleep("nap", "1h")
        if ctx.event.data.get("ask"):
            yield ctx.step.wait_for_event("ask", event="app/answer", timeout="5h")
        yield ctx.step.run("two", lambda: calls.append("two"))
        return "done"

    return flow


def list_statuses() -> list[str]:
    return list(Run.objects.order_by("id").values_list("status", flat=True))


WAYS: dict[str, Callable[[Any], Any]] = {
    "start": lambda flow: flow.start(),
    "event": lambda flow: send_event("app/flow"),
    "invoke": lambda flow: invoke_workflow("flow", {}, actor="me"),
}


@pytest.mark.parametrize("running", ["finish", "stop"])
@pytest.mark.parametrize("way", list(WAYS))
def test_new_runs_queue_up(flow: Any, calls: list[Any], way: str, running: str) -> None:
    """While a workflow is paused its new runs are stored as paused; when it is resumed they are executed."""
    pause_workflow("flow", running=running, actor="ann", reason="deploy")
    for _ in range(3):
        WAYS[way](flow)
    drain()
    advance("1h")
    assert (list_statuses(), calls) == (["paused"] * 3, [])
    state = resume_workflow("flow", actor="ben")
    drain()
    assert (list_statuses(), calls.count("two")) == (["completed"] * 3, 3)
    assert (state.paused_at, state.paused_by) == (None, "")
    actions = AuditEntry.objects.exclude(action="invoke").order_by("id")
    assert list(actions.values_list("action", "actor", "workflow", "reason")) == [
        ("pause", "ann", "flow", "deploy"),
        ("resume", "ben", "flow", ""),
    ]


def test_other_workflows_go_on(flow: Any, declare: Any) -> None:
    """A pause concerns one workflow."""

    @declare()
    def other(ctx: Any) -> Any:
        yield ctx.step.run("one", int)

    pause_workflow("flow", actor="me", running="stop")
    assert other.start().status == "completed"


def test_queued_runs_are_held_and_active_ones_finish(flow: Any, configure: Any, calls: list[Any]) -> None:
    """With "finish" a run that has begun goes on to its end, after a sleep too; one that has not waits."""
    asleep = flow.start({"nap": True})
    configure(DISPATCHER=QUIET)
    queued = flow.start()
    pause_workflow("flow", actor="me")
    assert (asleep.status, queued.status) == ("waiting", "paused")
    advance("61m")
    assert (asleep.status, queued.status) == ("completed", "paused")


def test_stopped_runs_do_not_begin_a_step(flow: Any, calls: list[Any]) -> None:
    """With "stop" sleeps end and events come, but no step follows; all goes on when it is resumed."""
    asleep, asking = flow.start({"nap": True}), flow.start({"ask": True})
    pause_workflow("flow", actor="me", running="stop")
    send_event("app/answer")
    advance("61m")
    advance("31s")
    assert ("two" in calls, asleep.status, asking.status) == (False, "paused", "paused")
    resume_workflow("flow", actor="me")
    drain()
    assert (asleep.status, asking.status, calls.count("two")) == ("completed", "completed", 2)
    assert calls.count("one") == 2


def test_a_running_slice_stops_before_its_next_step(declare: Any, elsewhere: Any) -> None:
    """The step in progress is kept, none of the following is begun, and none is done twice after all."""
    calls: list[int] = []

    @declare(id="long")
    def long(ctx: Any) -> Any:
        def work(number: int) -> int:
            calls.append(number)
            if number == 2:
                elsewhere(lambda: pause_workflow("long", actor="me", running="stop"))
            return number

        done = []
        for number in range(5):
            done.append((yield ctx.step.run("work", work, number)))
        return done

    run = long.start()
    assert calls == [0, 1, 2]
    assert Step.objects.filter(status="completed").count() == 3
    drain()
    assert run.status == "paused"
    resume_workflow("long", actor="me")
    drain()
    assert (run.result(0), calls) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert not Run.objects.get().hold


@pytest.fixture
def pausing(declare: Any, elsewhere: Any, calls: list[Any]) -> Any:
    """A workflow during a step of which it is paused; the event says which kind of step that is."""

    def work(way: str) -> None:
        calls.append("work")
        if way == "atomic":
            WorkflowState.objects.create(id="row")
        elsewhere(lambda: pause_workflow("flow", actor="me", running="stop"))
        if way == "failing":
            raise ValueError("no")

    @declare(id="flow", retries=0)
    def flow(ctx: Any) -> Any:
        way = ctx.event.data["way"]
        try:
            yield ctx.step.run("work", work, way, atomic=way == "atomic")
        except StepError as error:
            calls.append(error.message)
        if way == "send":
            yield ctx.step.send_event("send", {"name": "app/sent"})
        if way != "last":
            yield ctx.step.run("next", lambda: calls.append("next"))
        return "done"

    return flow


@pytest.mark.parametrize("way", ["plain", "send", "failing", "last"])
def test_what_a_step_did_is_kept_when_a_pause_comes(pausing: Any, calls: list[Any], way: str) -> None:
    """A result, a caught failure and the end of a run are stored as if there were no pause; nothing follows."""
    run = pausing.start({"way": way})
    assert "next" not in calls
    assert not Event.objects.filter(name="app/sent").exists()
    if way == "last":
        assert run.result(0) == "done"
        return
    drain()
    assert run.status == "paused"
    resume_workflow("flow", actor="me")
    drain()
    assert (run.result(0), calls.count("work"), calls.count("next")) == ("done", 1, 1)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_the_rows_of_an_atomic_step_are_kept_when_a_pause_comes(pausing: Any, calls: list[Any]) -> None:
    """The rows and the checkpoint of an atomic step are committed together, pause or not."""
    run = pausing.start({"way": "atomic"})
    assert WorkflowState.objects.filter(id="row").count() == 1
    drain()
    assert (run.status, calls) == ("paused", ["work"])
    resume_workflow("flow", actor="me")
    drain()
    assert (run.result(0), calls) == ("done", ["work", "next"])


def test_a_second_pause_is_refused_and_a_stricter_one_taken(flow: Any) -> None:
    """The same pause twice is refused, another kind of pause replaces it, and so with resuming."""
    asleep = flow.start({"nap": True})
    pause_workflow("flow", actor="ann")
    with pytest.raises(WorkflowRefused, match="is paused"):
        pause_workflow("flow", actor="ben")
    pause_workflow("flow", actor="ben", running="stop")
    advance("61m")
    assert asleep.status == "paused"
    pause_workflow("flow", actor="ann", running="finish")
    drain()
    assert asleep.status == "completed"
    resume_workflow("flow", actor="ann")
    with pytest.raises(WorkflowRefused, match="not paused"):
        resume_workflow("flow", actor="ann")
    assert AuditEntry.objects.count() == 4


def test_an_unknown_workflow_cannot_be_paused(flow: Any) -> None:
    """An id that neither the code nor a run has is refused with the nearest one; one without code can be paused."""
    for operation in (pause_workflow, resume_workflow):
        with pytest.raises(UnknownWorkflow, match="'flow'"):
            operation("flwo", actor="me")
    with pytest.raises(ValueError, match="running"):
        pause_workflow("flow", actor="me", running="now")
    assert not AuditEntry.objects.exists()


def test_a_paused_run_can_be_cancelled_and_retried(flow: Any, calls: list[Any]) -> None:
    """Cancelling ends a paused run; a retry and a rerun of runs of a paused workflow wait for its end."""
    failed = flow.start({"nap": True})
    cancel_run(failed.id, actor="me")
    pause_workflow("flow", actor="me", running="stop")
    paused = flow.start()
    cancel_run(paused.id, actor="me")
    calls.clear()
    retry_run(failed.id, actor="me")
    again = rerun(failed.id, actor="me")
    drain()
    advance("31s")
    assert (paused.status, failed.status, again.status, calls) == ("cancelled", "paused", "paused", [])
    resume_workflow("flow", actor="me")
    drain()
    advance("2h")
    assert (failed.status, again.status) == ("completed", "completed")


def test_a_woken_run_waits_for_the_end_of_the_pause(flow: Any, calls: list[Any]) -> None:
    """An operator who wakes a run of a stopped workflow does not get past the pause."""
    run = flow.start({"nap": True})
    pause_workflow("flow", actor="me", running="stop")
    wake_run(run.id, actor="me")
    assert "two" not in calls
    resume_workflow("flow", actor="me")
    drain()
    assert run.result(0) == "done"


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


def test_a_child_is_held_and_its_parent_waits(declare: Any) -> None:
    """A paused workflow that another invokes is not begun; the other waits."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        return (yield ctx.step.run("one", lambda: 1))

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        return (yield ctx.step.invoke("call", function=child))

    pause_workflow("child", actor="me")
    run = parent.start()
    assert (run.status, Run.objects.get(workflow="child").status) == ("waiting", "paused")
    resume_workflow("child", actor="me")
    drain()
    assert run.result(0) == 1


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
        with before(store.alias, "WITH due", apart(lambda: pause(), claimed)):
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
