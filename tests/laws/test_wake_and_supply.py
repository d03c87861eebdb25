"""What operators do to a run in the middle: end its sleep or pause now, give the result of a failing step."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography.fernet import Fernet

from durable_django import EventTrigger, NonRetriableError, StepError, send_event, workflow
from durable_django.contrib.encryption import EncryptionHook
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import cancel_run, supply_step, wake_run
from durable_django.exceptions import (
    OperationRefused,
    RunNotFound,
    StepNotFound,
    StepRefused,
    Unserializable,
)
from durable_django.models import AuditEntry, Run, Step
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.quiet import QUIET
from tests.threads import run_together


@pytest.fixture
def calls() -> list[Any]:
    return []


@pytest.fixture
def sleeper(declare: Any) -> Any:
    @declare(id="sleeper")
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1d")
        return "awake"

    return sleeper


@pytest.fixture
def failing(declare: Any, calls: list[Any]) -> Any:
    """A step that always fails, with a day between its attempts, or for ever at once."""

    @declare(id="failing", backoff="1d")
    def failing(ctx: Any) -> Any:
        def work() -> None:
            calls.append("work")
            raise (NonRetriableError if ctx.event.data.get("fatal") else ValueError)("no")

        if ctx.event.data.get("caught"):
            try:
                yield ctx.step.run("before", work)
            except StepError:
                calls.append("caught")
        got = yield ctx.step.run("work", work)
        yield ctx.step.run("last", lambda: calls.append(["last", got]))
        return got

    return failing


def test_a_sleeping_run_is_woken(sleeper: Any) -> None:
    """The sleep ends now, the step says who ended it, and the end of the time changes nothing more."""
    run = sleeper.start()
    wake_run(run.id, actor="ann", reason="now")
    assert run.result(0) == "awake"
    assert Step.objects.get().supplied_by == "ann"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason, str(entry.run_id)) == ("wake", "ann", "now", run.id)
    advance("2d")
    assert run.result(0) == "awake"


def test_a_retry_is_made_now(failing: Any, calls: list[Any]) -> None:
    """A step that waits for its next attempt is tried at once, with the attempts that it has left."""
    run = failing.start()
    for _ in range(2):
        wake_run(run.id, actor="me")
    assert (run.status, calls) == ("waiting", ["work"] * 3)
    assert Step.objects.get().attempt == 3


def test_a_segment_is_tried_now(declare: Any, calls: list[Any]) -> None:
    """Code between steps that waits for its next attempt is executed at once."""

    @declare(backoff="1d")
    def flow(ctx: Any) -> Any:
        calls.append("try")
        if len(calls) == 1:
            raise ValueError("once")
        if False:
            yield
        return "done"

    run = flow.start()
    assert wake_run(run.id, actor="me").result(0) == "done"


def test_a_scheduled_run_starts_now(sleeper: Any, store: Any) -> None:
    """A run that is to start later starts at once."""
    workflow(id="later", trigger=EventTrigger("app/later"))(lambda ctx: "done")
    send_event({"name": "app/later", "ts": int((time.time() + 3_600) * 1000)})
    run = Run.objects.get()
    assert (run.status, run.waits_for) == ("waiting", "start")
    assert wake_run(run.id, actor="me").result(0) == "done"


def test_all_branches_that_sleep_are_woken(declare: Any) -> None:
    """Of a group every sleep ends; what waits for an event goes on waiting."""

    @declare()
    def flow(ctx: Any) -> Any:
        branches = [
            lambda: ctx.step.sleep("a", "1d"),
            lambda: ctx.step.sleep("b", "2d"),
            lambda: ctx.step.wait_for_event("c", event="app/c", timeout="3d"),
        ]
        yield ctx.group.parallel(branches)
        return "done"

    run = flow.start()
    wake_run(run.id, actor="me")
    assert run.status == "waiting"
    assert set(Step.objects.exclude(supplied_by="").values_list("name", flat=True)) == {"a", "b"}
    with pytest.raises(OperationRefused):
        wake_run(run.id, actor="me")


def test_what_does_not_sleep_is_not_woken(sleeper: Any, declare: Any, configure: Any) -> None:
    """A run that waits for an event, is queued or has ended is refused; nothing is logged."""

    @declare()
    def asking(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("ask", event="app/ask", timeout="1d")

    waiting, ended = asking.start(), sleeper.start()
    wake_run(ended.id, actor="me")
    configure(DISPATCHER=QUIET)
    for run in (waiting, ended, sleeper.start()):
        with pytest.raises(OperationRefused):
            wake_run(run.id, actor="me")
    with pytest.raises(RunNotFound):
        wake_run("nonsense", actor="me")
    assert AuditEntry.objects.count() == 1


def test_of_two_who_wake_one_does(sleeper: Any, configure: Any) -> None:
    """Of several operators at the same moment one wakes the run, the others are told; it goes on once."""
    run = sleeper.start()
    configure(DISPATCHER=QUIET)

    def act() -> str:
        try:
            wake_run(run.id, actor="me")
        except OperationRefused:
            return "refused"
        return "acted"

    assert sorted(run_together([act] * 4)) == ["acted"] + ["refused"] * 3
    drain()
    assert (run.result(0), AuditEntry.objects.count()) == ("awake", 1)


def test_the_result_of_a_retrying_step_is_supplied(failing: Any, calls: list[Any]) -> None:
    """The workflow goes on with exactly the value, the step is not tried again, and says who supplied it."""
    run = failing.start()
    supply_step(run.id, "work", 0, {"by": "hand"}, actor="ann", reason="skip it")
    assert run.result(0) == {"by": "hand"}
    step = Step.objects.get(name="work")
    assert (step.status, step.supplied_by, step.attempt) == ("completed", "ann", 1)
    advance("10d")
    assert calls == ["work", ["last", {"by": "hand"}]]
    assert list(AuditEntry.objects.values_list("action", "reason")) == [("supply", "skip it")]


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_result_of_a_step_that_failed_its_run_is_supplied(
    failing: Any, calls: list[Any], cancelled: bool
) -> None:
    """A run that a step has failed, or that was cancelled while one failed, goes on after that step."""
    run = failing.start({"fatal": not cancelled})
    if cancelled:
        cancel_run(run.id, actor="me")
    supply_step(run.id, "work", 0, 7, actor="me")
    assert (run.result(0), calls) == (7, ["work", ["last", 7]])


def test_a_failure_that_was_caught_is_history(failing: Any, calls: list[Any]) -> None:
    """A failed step that the workflow has dealt with gets no other result."""
    run = failing.start({"fatal": True, "caught": True})
    assert (run.status, calls) == ("failed", ["work", "caught", "work"])
    with pytest.raises(StepRefused, match="failed"):
        supply_step(run.id, "before", 0, 1, actor="me")
    assert (run.status, AuditEntry.objects.count()) == ("failed", 0)
    supply_step(run.id, "work", 0, 1, actor="me")
    assert run.result(0) == 1


def test_what_is_no_failing_step_is_refused(failing: Any, sleeper: Any) -> None:
    """A step that is done, sleeps, or is not stored gets no result; an unknown value changes nothing."""
    run = failing.start()
    asleep = sleeper.start()
    with pytest.raises(Unserializable):
        supply_step(run.id, "work", 0, object(), actor="me")
    with pytest.raises(StepRefused):
        supply_step(asleep.id, "nap", 0, None, actor="me")
    for name, use in (("nonsense", 0), ("work", 5)):
        with pytest.raises(StepNotFound):
            supply_step(run.id, name, use, 1, actor="me")
    supply_step(run.id, "work", 0, 1, actor="me")
    with pytest.raises(StepRefused, match="completed"):
        supply_step(run.id, "work", 0, 2, actor="me")
    assert run.result(0) == 1


def test_a_supplied_result_passes_the_hooks(failing: Any, configure: Any) -> None:
    """Under encryption a supplied result is stored encrypted."""
    configure(HOOKS=[EncryptionHook([Fernet.generate_key()], outputs=True)])
    run = failing.start()
    supply_step(run.id, "work", 0, "geheim", actor="me")
    assert run.result(0) == "geheim"
    assert "geheim" not in (Step.objects.get(name="work").output or "")


def test_the_result_of_a_child_that_failed_is_supplied(declare: Any) -> None:
    """A run that failed since the run that it had invoked failed goes on with the operator's result."""

    @declare(id="child", retries=0)
    def child(ctx: Any) -> Any:
        if True:
            raise ValueError("no")
        yield

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        return (yield ctx.step.invoke("call", function=child))

    run = parent.start()
    assert run.status == "failed"
    supply_step(run.id, "call", 0, "by hand", actor="me")
    assert run.result(0) == "by hand"
    assert Run.objects.filter(workflow="child").count() == 1


def test_the_answer_of_a_model_is_supplied(declare: Any) -> None:
    """For a wrapped call the value is what the call returns, not the memo around it."""

    def ask(question: str) -> str:
        raise ValueError("busy")

    @declare(backoff="1d")
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.ai.wrap("ask", ask, "why"))

    run = flow.start()
    supply_step(run.id, "ask", 0, "because", actor="me")
    assert run.result(0) == "because"


def test_a_worker_that_is_just_trying_adopts_the_result(
    declare: Any, elsewhere: Any, configure: Any, store: Any
) -> None:
    """A worker whose attempt ends after an operator gave the result takes that result (law 4)."""
    attempts: list[int] = []

    def work(id: str) -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("first")
        elsewhere(lambda: supply_step(id, "work", 0, "operator", actor="me"))
        return "worker"

    @declare(backoff="1s")
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.run("work", work, ctx.run_id))

    run = flow.start()
    advance("2s")
    assert (run.result(0), len(attempts)) == ("operator", 2)


def test_a_zombie_cannot_undo_a_supplied_result(failing: Any, store: Any, configure: Any) -> None:
    """A worker that lost its lease before the result was supplied stores nothing when it comes back."""
    run = failing.start()
    configure(DISPATCHER=QUIET)
    wake_run(run.id, actor="me")
    [zombie] = claim_runs(store.alias, owner="zombie", lease=0.0, queue="durable")
    Run.objects.update(status="waiting", token=zombie.token + 1, wake_at="2099-01-01T00:00:00Z", owner="")
    supply_step(run.id, "work", 0, "operator", actor="me")
    before = list(Step.objects.values())
    execute_run(store.alias, zombie)
    assert list(Step.objects.values()) == before
    drain()
    assert run.result(0) == "operator"
