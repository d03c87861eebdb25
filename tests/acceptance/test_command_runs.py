from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from durable_django import NonRetriableError, RunHandle, send_event, workflow
from durable_django.ids import new_id
from durable_django.models import AuditEntry, Run
from durable_django.testing import advance, reset_clock
from tests.commands import run_durable
from tests.plugins.store import Store
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Take back every ``advance`` of the test."""
    yield
    reset_clock()


KEYS = {
    "id", "workflow", "status", "waits_for", "queue", "key", "origin", "version", "worker", "failed_attempts",
    "reason", "event_id", "rerun_of", "rerun_from", "warning", "next_look_at", "created_at", "started_at", "ended_at",
}  # fmt: skip


@pytest.fixture
def good() -> Any:
    @workflow(id="good")
    def good(ctx: Any) -> Any:
        return ctx.step.run("one", lambda: {"n": 1})

    return good


@pytest.fixture
def bad() -> Any:
    @workflow(id="bad")
    def bad(ctx: Any) -> None:
        def fail() -> None:
            raise NonRetriableError("the carrier is on strike")

        ctx.step.run("ship", fail)

    return bad


@pytest.fixture
def asking() -> Any:
    @workflow(id="asking")
    def asking(ctx: Any) -> Any:
        ctx.step.run("one", lambda: 1)
        answer = ctx.step.wait_for_event("payment", event="paid", match="data.order", timeout="2 days")
        return answer.data

    return asking


@pytest.fixture
def asleep(asking: Any) -> RunHandle:
    """A run of ``asking`` that waits."""
    return asking.start({"order": 17})


def start(flow: Any) -> str:
    """Start a run and let its millisecond pass: ids are in order of time, and random within one."""
    run = UUID(flow.start().id)
    wait_until(lambda: new_id().int >> 80 > run.int >> 80, what="the next millisecond")
    return str(run)


def ids(said: Any) -> list[str]:
    return [run["id"] for run in said.data]


def test_list_is_newest_first(store: Store, good: Any, bad: Any) -> None:
    """Runs come newest first, with stable keys."""
    started = [start(good), start(bad), start(good)]
    said = run_durable("list", "--json")
    assert ids(said) == started[::-1]
    assert all(set(run) == KEYS for run in said.data)
    assert datetime.fromisoformat(said.data[0]["created_at"]).tzinfo is not None


def test_list_filters(store: Store, good: Any, bad: Any, asleep: RunHandle) -> None:
    """Status, workflow and limit narrow the list; statuses add up."""
    first, failed, last = start(good), start(bad), start(good)
    assert ids(run_durable("list", "--status", "failed", "--json")) == [failed]
    assert ids(run_durable("list", "--status", "failed", "--status", "waiting", "--json")) == [
        failed,
        asleep.id,
    ]
    assert ids(run_durable("list", "--workflow", "good", "--json")) == [last, first]
    assert ids(run_durable("list", "--limit", "1", "--json")) == [last]


def test_list_since(store: Store, good: Any) -> None:
    """``--since`` takes an age and an instant."""
    old, new = start(good), start(good)
    Run.objects.filter(id=old).update(created_at=timezone.now() - timedelta(hours=3))
    an_hour_ago = (timezone.now() - timedelta(hours=1)).isoformat()
    assert ids(run_durable("list", "--since", "1h", "--json")) == [new]
    assert ids(run_durable("list", "--since", an_hour_ago, "--json")) == [new]
    assert ids(run_durable("list", "--since", "1 day", "--json")) == [new, old]


def test_list_for_people(store: Store, good: Any) -> None:
    """Without ``--json`` there is a line a run, or a sentence if there is none."""
    assert run_durable("list").out == "No run matches.\n"
    run = good.start()
    headings, line = run_durable("list").out.splitlines()
    assert headings.split()[:3] == ["ID", "WORKFLOW", "STATUS"]
    assert line.split()[:3] == [run.id, "good", "completed"]


def test_list_of_a_mistyped_workflow(store: Store, good: Any) -> None:
    """An empty list because of a mistyped id is refused with the nearest one."""
    assert "Did you mean 'good'?" in run_durable("list", "--workflow", "godo", fails=True).error


@pytest.mark.parametrize("since", ["yesterday", "2024-13-01", ""])
def test_list_refuses_a_bad_age(store: Store, since: str) -> None:
    """An age that cannot be read is wrong usage."""
    assert "--since" in run_durable("list", "--since", since, fails=True).error


def test_show_tells_the_wait_in_words(store: Store, asleep: RunHandle) -> None:
    """A waiting run says which event it waits for, with which value, and until when."""
    said = run_durable("show", asleep.id).out
    assert "step 'payment' waits for event 'paid' with data.order = 17 until " in said
    assert "(in 1d 23h)" in said or "(in 2d)" in said


def test_show_does_not_tell_a_sleep_that_is_over(store: Store) -> None:
    """A run that slept and now waits names the wait alone."""

    @workflow(id="nap-then-ask")
    def nap_then_ask(ctx: Any) -> None:
        ctx.step.sleep("nap", "1ms")
        ctx.step.wait_for_event("answer", event="never", timeout="1h")

    run = nap_then_ask.start()
    advance("1s")
    said = run_durable("show", run.id, "--json").data["in_words"]
    assert "'never'" in said
    assert "nap" not in said


def test_show_json(store: Store, asleep: RunHandle) -> None:
    """``--json`` has the run, its event, steps, attempts, waits, actions and result under stable keys."""
    said = run_durable("show", asleep.id, "--json").data
    more = {"in_words", "why", "event", "steps", "attempts", "waits", "actions", "output", "error"}
    assert set(said) == KEYS | more
    assert said["event"]["data"] == {"order": 17}
    assert [(step["name"], step["status"]) for step in said["steps"]] == [
        ("one", "completed"),
        ("payment", "waiting"),
    ]
    assert said["waits"][0]["event_name"] == "paid"
    send_event("paid", {"order": 17})
    said = run_durable("show", asleep.id, "--json").data
    assert (said["status"], said["output"]) == ("completed", {"order": 17})


def test_show_tells_the_error_and_the_attempts(store: Store, bad: Any) -> None:
    """A failed run shows its error and its failed attempts, with tracebacks if asked."""
    run = bad.start()
    short, full = run_durable("show", run.id).out, run_durable("show", run.id, "--full").out
    assert "the carrier is on strike" in short
    assert "ship, attempt 1" in short
    assert "Traceback" not in short
    assert "in fail" in full
    said = run_durable("show", run.id, "--json").data
    assert said["attempts"][0]["error_type"].endswith("NonRetriableError")
    assert said["error"]["message"]


def test_show_by_the_end_of_the_id(store: Store, good: Any) -> None:
    """The last characters of a recent id are enough."""
    run = good.start()
    assert run_durable("show", run.id.replace("-", "")[-8:], "--json").data["id"] == run.id


@pytest.mark.parametrize("id", ["01890000-0000-7000-8000-000000000000", "abc", "not-an-id", "zzzzzzzz"])
@pytest.mark.parametrize("verb", ["show", "cancel", "retry", "rerun"])
def test_unknown_run(store: Store, good: Any, verb: str, id: str) -> None:
    """A run that is not stored is an error with its code."""
    good.start()
    assert "[run_not_found]" in run_durable(verb, id, fails=True).error


def test_cancel(store: Store, asleep: RunHandle) -> None:
    """Cancel ends a waiting run; user and reason are in the log, which ``show`` tells."""
    said = run_durable("cancel", asleep.id, "--reason", "not wanted", "--json").data
    assert said == [
        {"given": asleep.id, "run": asleep.id, "workflow": "asking", "status": "cancelled", "error": None}
    ]
    assert asleep.status == "cancelled"
    entry = AuditEntry.objects.get(run_id=asleep.id, action="cancel")
    assert entry.actor.startswith("cli:")
    assert entry.reason == "not wanted"
    assert "not wanted" in run_durable("show", asleep.id).out


def test_cancel_of_an_ended_run_is_refused(store: Store, good: Any, asleep: RunHandle) -> None:
    """What can be cancelled is, the rest is told, and the whole is a failure."""
    done = good.start()
    said = run_durable("cancel", done.id, asleep.id, fails=True)
    assert "[operation_refused]" in said.error
    assert asleep.id in said.out
    assert (done.status, asleep.status) == ("completed", "cancelled")


def test_retry_goes_on(store: Store, bad: Any, registry: Any) -> None:
    """Retry lets a failed run go on, with the code of now."""
    run = bad.start()
    assert run.status == "failed"
    registry.restore({})

    @workflow(id="bad")
    def mended(ctx: Any) -> str:
        return str(ctx.step.run("ship", lambda: "shipped"))

    said = run_durable("retry", run.id, "--json").data
    assert said[0]["run"] == run.id
    assert run.result(timeout=5) == "shipped"


def test_retry_of_a_completed_run_is_refused(store: Store, good: Any) -> None:
    """Retry needs a failed or cancelled run."""
    assert "[operation_refused]" in run_durable("retry", good.start().id, fails=True).error


def test_rerun_starts_a_new_run(store: Store, good: Any) -> None:
    """Rerun starts another run with the same event and names it."""
    run = good.start({"a": 1})
    said = run_durable("rerun", run.id, "--json").data[0]
    again = Run.objects.get(id=said["run"])
    assert str(again.id) != run.id
    assert str(again.rerun_of) == run.id
    assert f"now {again.status}" in run_durable("rerun", run.id).out


def test_run_without_code_says_so(
    store: Store, asleep: RunHandle, registry: Any, configure: Callable[..., None]
) -> None:
    """A live run whose workflow nobody declares says that its code is missing."""
    registry.restore({})
    send_event("paid", {"order": 17})
    assert "no workflow is registered as 'asking'" in run_durable("show", asleep.id).out
