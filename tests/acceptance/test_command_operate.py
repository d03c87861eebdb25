"""The verbs by which operators steer: resolve, waits, wake, supply, rerun, cancel by condition, pause, resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from durable_django import RunHandle, workflow
from durable_django.models import AuditEntry, Run, Wait, WorkflowState
from durable_django.testing import advance, drain, reset_clock
from tests.commands import run_durable
from tests.plugins.store import Store


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Take back every ``advance`` of the test."""
    yield
    reset_clock()


@pytest.fixture
def flow(store: Store) -> Any:
    """A workflow whose event says what it does in the middle."""

    @workflow(id="flow", trigger="app/flow", backoff="1d", version="v1")
    def flow(ctx: Any) -> Any:
        one = ctx.step.run("one", lambda n: n, ctx.event.data.get("n", 1))
        if ctx.event.data.get("nap"):
            ctx.step.sleep("nap", "1d")
        if ctx.event.data.get("ask"):
            event = ctx.step.wait_for_event("ask", event="app/answer", timeout="1d")
            return event and dict(event.data)
        if ctx.event.data.get("fail"):
            return ctx.step.run("fail", lambda: 1 // 0)
        return one

    return flow


@pytest.fixture
def asking(flow: Any) -> RunHandle:
    run: RunHandle = flow.start({"ask": True})
    return run


@pytest.fixture
def wait(asking: RunHandle) -> str:
    return str(Wait.objects.get(run_id=asking.id).pk)


def count_actions() -> int:
    return AuditEntry.objects.count()


def test_waits_are_listed(flow: Any, asking: RunHandle, wait: str) -> None:
    """Open waits have a line with their number, filters narrow them, an empty list says so."""
    heading, line = run_durable("waits").out.splitlines()
    assert heading.split()[:2] == ["ID", "WORKFLOW"]
    assert line.split()[:5] == [wait, "flow", asking.id, "ask", "app/answer"]
    [told] = run_durable("waits", "--event", "app/answer", "--run", asking.id, "--json").data
    assert (str(told["id"]), told["run"], told["kind"], told["status"]) == (wait, asking.id, "event", "open")
    assert run_durable("waits", "--overdue").out == "No wait matches.\n"
    assert run_durable("waits", "--workflow", "other", "--json").data == []
    run_durable("resolve", wait, "{}")
    assert run_durable("waits").out == "Nothing is waiting.\n"


def test_resolve_with_a_value(asking: RunHandle, wait: str) -> None:
    """The wait ends with the value; a second time it is refused; the actor is the system's user."""
    said = run_durable("resolve", wait, '{"n": 1}', "--reason", "by phone", "--json").data
    assert (said["status"], said["run_status"], said["dry_run"]) == ("resolved", "completed", False)
    assert asking.result(0) == {"n": 1}
    assert "[wait_refused]" in run_durable("resolve", wait, "{}", fails=True).error
    entry = AuditEntry.objects.get()
    assert (entry.actor[:4], entry.reason) == ("cli:", "by phone")


def test_resolve_by_time(flow: Any, asking: RunHandle, wait: str) -> None:
    """The time of a wait is extended, or up now."""
    run_durable("resolve", wait, "--until", "3 days")
    advance("2 days")
    assert asking.status == "waiting"
    assert "is expired" in run_durable("resolve", wait, "--time-out").out
    assert asking.result(0) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a value"),
        (["{}", "--time-out"], "give a value"),
        (["{"], "line 1, column 2"),
        (["[]"], "[event_invalid]"),
        (["--until", "soon"], "--until"),
        (["--until", "2020-01-01T00:00:00Z"], "[instant_invalid]"),
    ],
)
def test_resolve_refuses(wait: str, arguments: list[str], said: str) -> None:
    """What cannot be meant is told, and nothing is done."""
    assert said in run_durable("resolve", wait, *arguments, fails=True).error
    assert count_actions() == 0
    assert "[wait_not_found]" in run_durable("resolve", "999999999", "{}", fails=True).error


def test_a_dry_run_changes_nothing(flow: Any, asking: RunHandle, wait: str) -> None:
    """With ``--dry-run`` each verb tells what would be, and neither does nor logs anything."""
    asleep, failing, done = flow.start({"nap": True}), flow.start({"fail": True}), flow.start()
    before = list(Run.objects.order_by("id").values())
    for arguments, said in (
        (["resolve", wait, "{}"], "is resolved"),
        (["resolve", wait, "--time-out"], "is open"),
        (["cancel", asking.id], "would be cancelled"),
        (["cancel", "--workflow", "flow"], "Would cancel 3 of 3"),
        (["wake", asleep.id], "would be queued"),
        (["supply", failing.id, "fail", "1"], "would be queued"),
        (["rerun", done.id, "--from-step", "one"], "would be queued"),
        (["pause", "flow", "--stop"], "it would be paused flow: stop"),
        (["pause", "flow", "--cancel"], "cancels those begun"),
        (["pause", "flow", "--skip"], "new ones are skipped"),
    ):
        assert said in run_durable(*arguments, "--dry-run").out
    assert list(Run.objects.order_by("id").values()) == before
    assert (count_actions(), WorkflowState.objects.count()) == (0, 0)
    assert Wait.objects.get(pk=wait).status == "open"
    assert "[operation_refused]" in run_durable("cancel", done.id, "--dry-run", fails=True).error


def test_wake_and_supply(flow: Any) -> None:
    """A sleeping run is woken, a failing step gets its result; what does not fit is refused."""
    asleep, failing = flow.start({"nap": True}), flow.start({"fail": True})
    assert run_durable("wake", asleep.id).out == f"Woken flow {asleep.id}, now completed.\n"
    assert "[operation_refused]" in run_durable("wake", asleep.id, fails=True).error
    assert "[step_not_found]" in run_durable("supply", failing.id, "nope", "1", fails=True).error
    assert "column 1" in run_durable("supply", failing.id, "fail", "one", fails=True).error
    [said] = run_durable("supply", failing.id, "fail", '{"n": 1}', "--json").data
    assert (said["status"], failing.result(0)) == ("completed", {"n": 1})


def test_retry_with_few_attempts(flow: Any) -> None:
    """``--attempts`` limits how often what failed is tried; more than declared is refused."""
    failing = flow.start({"fail": True})
    for _ in range(5):
        advance("30d")
    assert failing.status == "failed"
    assert "[invalid_attempts]" in run_durable("retry", failing.id, "--attempts", "6", fails=True).error
    run_durable("retry", failing.id, "--attempts", "1")
    assert failing.status == "failed"
    run_durable("retry", failing.id)
    assert failing.status == "waiting"


def test_rerun_with_data_and_from_a_step(flow: Any) -> None:
    """The new run has the edited event, or begins at the step with the edited input."""
    run = flow.start({"n": 1})
    [said] = run_durable("rerun", run.id, "--data", '{"n": 5}', "--json").data
    assert RunHandle(said["run"]).result(0) == 5
    [said] = run_durable("rerun", run.id, "--from-step", "one", "--input", "[7]", "--json").data
    assert RunHandle(said["run"]).result(0) == 7
    shown = run_durable("show", said["run"], "--json").data
    assert (shown["rerun_of"], shown["rerun_from"]) == (run.id, "one")
    assert "[step_not_found]" in run_durable("rerun", run.id, "--from-step", "two", fails=True).error
    assert "--from-step" in run_durable("rerun", run.id, "--input", "[]", fails=True).error


def test_rerun_and_the_key(flow: Any) -> None:
    """The new run takes another key; ``--unless-held`` refuses while a run that has not ended has it."""
    run = flow.start({"ask": True}, key="k")
    assert "[key_in_use_refused]" in run_durable("rerun", run.id, "--unless-held", fails=True).error
    [said] = run_durable("rerun", run.id, "--unless-held", "--key", "other", "--json").data
    assert Run.objects.get(id=said["run"]).key == "other"
    [said] = run_durable("rerun", run.id, "--json").data
    assert Run.objects.get(id=said["run"]).key == "k"


def test_cancel_with_children(store: Store) -> None:
    """``--children`` cancels what the run has started too."""

    @workflow(id="child")
    def child(ctx: Any) -> None:
        ctx.step.sleep("nap", "1d")

    @workflow(id="parent")
    def parent(ctx: Any) -> None:
        ctx.step.invoke("call", function=child)

    run = parent.start()
    run_durable("cancel", run.id, "--children")
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}


def test_cancel_by_condition(flow: Any) -> None:
    """Of a workflow those live runs are cancelled whose event meets the condition."""
    runs = [flow.start({"nap": True, "n": n}) for n in range(4)]
    said = run_durable("cancel", "--workflow", "flow", "--if", "event.data.n >= 2", "--since", "1h", "--json")
    assert said.data == {"workflow": "flow", "dry_run": False, "examined": 4, "cancelled": 2, "undecided": 0}
    assert [run.status for run in runs] == ["waiting"] * 2 + ["cancelled"] * 2
    for arguments, text in (
        ([], "give runs"),
        (["--workflow", "flow", "--if", "event."], "[expression_invalid]"),
        ([runs[0].id, "--workflow", "flow"], "give runs"),
        ([runs[0].id, "--if", "true"], "go with --workflow"),
        (["--workflow", "flow", "--children"], "goes with runs"),
    ):
        assert text in run_durable("cancel", *arguments, fails=True).error


def test_pause_and_resume(flow: Any) -> None:
    """A paused workflow is listed as such and holds its runs until it is resumed."""
    said = run_durable("pause", "flow", "--stop", "--reason", "deploy", "--json").data
    assert (said["workflow"], said["running"], said["result"]) == ("flow", "stop", "stop, 0 queued runs held")
    run = flow.start()
    assert "is paused" in run_durable("show", run.id).out
    assert "durable resume flow" in run_durable("show", run.id).out
    assert "[workflow_refused]" in run_durable("pause", "flow", "--stop", fails=True).error
    [listed] = run_durable("workflows", "--paused", "--json").data
    assert (listed["id"], listed["paused"], listed["declared"], listed["version"]) == (
        "flow",
        True,
        True,
        "v1",
    )
    assert "paused by cli:" in run_durable("workflows").out
    assert run_durable("resume", "flow").out == "Resumed flow: 1 runs queued.\n"
    drain()
    assert run.result(0) == 1
    assert "Did you mean 'flow'?" in run_durable("pause", "flwo", fails=True).error
    assert run_durable("workflows", "--paused").out == "No workflow is paused.\n"


def test_workflows_without_code_are_listed(flow: Any, registry: Any) -> None:
    """A workflow that only the database knows is listed as one without code here."""
    run_durable("pause", "flow")
    registry.restore({})
    [listed] = run_durable("workflows", "--json").data
    assert (listed["id"], listed["declared"], listed["paused"]) == ("flow", False, True)
    run_durable("resume", "flow")
    assert "no code here" in run_durable("workflows").out


def test_a_dry_run_of_an_event(flow: Any, asking: RunHandle, wait: str) -> None:
    """``send --dry-run`` tells what the event would start and end, and why not more; nothing is sent."""
    said = run_durable("send", "app/answer", "{}", "--dry-run")
    assert "It would start no run, end 1 waits and cancel 0 runs." in said.out
    assert f"ends wait {wait} of step 'ask' in flow {asking.id}" in said.out
    assert "[no_workflow]" in said.out
    told = run_durable("send", "app/flow", '{"n": 1}', "--dry-run", "--json").data
    assert (told["starts"], told["ends"], told["dry_run"]) == (["flow"], [], True)
    assert (Run.objects.count(), asking.status, count_actions()) == (1, "waiting", 0)
    assert "one event" in run_durable("send", "--file", "x", "--dry-run", fails=True).error
