"""A paused workflow: new runs queue up, active ones finish or stop before their next step, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_django import send_event
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
from durable_django.models import AuditEntry, BulkOperation, Event, Run, Step, WorkflowState
from durable_django.testing import advance, drain
from tests.quiet import QUIET


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


def test_a_pause_may_cancel_what_has_begun(flow: Any, declare: Any, calls: list[Any], configure: Any) -> None:
    """Runs in the middle are cancelled by a bulk operation; those that have not begun, and other flows, are not."""

    @declare(id="other")
    def other(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    asleep, asking, away = flow.start({"nap": True}), flow.start({"ask": True}), other.start()
    configure(DISPATCHER=QUIET)
    queued = flow.start()
    pause_workflow("flow", running="cancel", actor="ann", reason="wrong price")
    late = flow.start()
    drain()
    assert {asleep.status, asking.status} == {"cancelled"}
    assert [away.status, queued.status, late.status] == ["waiting", "paused", "paused"]
    bulk = BulkOperation.objects.get()
    assert (bulk.done, bulk.actor, bulk.reason) == (2, "ann", "wrong price")
    entry = AuditEntry.objects.get(action="pause")
    assert entry.result == f"cancel, 1 queued runs held, bulk operation {bulk.pk} cancels those begun"
    pause_workflow("flow", running="cancel", actor="ann")  # once more, for what has begun in between
    with pytest.raises(WorkflowRefused):
        pause_workflow("flow", running="stop", actor="ann")
    resume_workflow("flow", actor="ann")
    drain()
    assert [queued.status, late.status] == ["completed", "completed"]


@pytest.mark.parametrize("way", list(WAYS))
def test_new_runs_may_be_skipped(flow: Any, calls: list[Any], configure: Any, way: str) -> None:
    """What starts in such a pause is cancelled by the sweep; what queued before it starts with the resumption."""
    configure(DISPATCHER=QUIET)
    before = flow.start()
    configure(DISPATCHER="inline")
    pause_workflow("flow", new="skip", actor="ann")
    advance("1s")  # SQLite's clock tells milliseconds; what came in that of the pause is not skipped
    WAYS[way](flow)
    assert list_statuses() == ["paused", "paused"]
    drain()
    assert list_statuses() == ["paused", "paused"]
    advance("1m")
    assert list_statuses() == ["paused", "cancelled"]
    skipped = Run.objects.order_by("id")[1]
    assert skipped.reason == "skipped: flow was paused"
    resume_workflow("flow", actor="ann")
    drain()
    assert (before.status, calls) == ("completed", ["one", "two"])
    retry_run(skipped.id, actor="ann")
    drain()
    assert calls == ["one", "two"] * 2


def test_a_resumption_skips_what_was_not_looked_at_yet(flow: Any, calls: list[Any]) -> None:
    """No run that came in such a pause slips through its end, however fast that comes."""
    pause_workflow("flow", new="skip", actor="ann")
    advance("1s")
    runs = [flow.start() for _ in range(3)]
    resume_workflow("flow", actor="ann")
    after = flow.start()
    drain()
    assert {run.status for run in runs} == {"cancelled"}
    assert (after.status, calls) == ("completed", ["one", "two"])


def test_an_active_run_is_never_skipped(flow: Any, calls: list[Any]) -> None:
    """A run that began before such a pause goes on, or is held and goes on after it, whatever it does meanwhile."""
    asleep = flow.start({"nap": True})
    pause_workflow("flow", new="skip", running="stop", actor="ann")
    for _ in range(3):
        advance("61m")
    assert asleep.status == "paused"
    resume_workflow("flow", actor="ann")
    drain()
    assert asleep.status == "completed"


def test_the_parent_of_a_skipped_run_goes_on(declare: Any) -> None:
    """A run that invokes a skipping workflow sees its child cancelled, as if somebody had done so."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        yield ctx.step.run("one", int)

    @declare(id="parent", retries=0)
    def parent(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke("child", function=child)
        except StepError as error:
            return error.name
        return "done"

    pause_workflow("child", new="skip", actor="ann")
    run = parent.start()
    drain()
    assert run.status == "waiting"
    advance("1m")
    drain()
    assert run.result(0) != "done"


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
