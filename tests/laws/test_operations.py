"""What operators do: cancel, retry, rerun; each checks, acts and leaves an audit row (law 12)."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import send_event
from durable_django.engine.operations import cancel_run, rerun, retry_run
from durable_django.exceptions import OperationRefused, RunCancelled, RunNotFound
from durable_django.models import AuditEntry, Run, RunStatus, Wait, WaitKey
from durable_django.testing import advance
from tests.quiet import QUIET

PLACES = ["queued", "sleeping", "waiting", "retrying", "running"]


class Flow:
    """A workflow that comes to rest in a place of choice, and what its steps have done."""

    def __init__(self, declare: Any, elsewhere: Any) -> None:
        self.calls: list[str] = []
        self.cancelling: list[Any] = []
        calls, cancelling = self.calls, self.cancelling

        @declare(id="flow", backoff="1s")
        def flow(ctx: Any) -> Any:
            place = ctx.event.data["place"]

            def work() -> None:
                calls.append("one")
                if cancelling:
                    elsewhere(cancelling.pop(), ctx.run_id)
                if place == "retrying" and len(calls) < 3:
                    raise ValueError("again")

            yield ctx.step.run("one", work)
            if place == "sleeping":
                yield ctx.step.sleep("nap", "1h")
            if place == "waiting":
                yield ctx.step.wait_for_event("w", event="app/go", timeout="1h")
            yield ctx.step.run("two", calls.append, "two")
            return "done"

        self.workflow = flow

    def bring(self, place: str, configure: Any) -> Any:
        """Start a run and return its handle when it stands in the place."""
        if place == "queued":
            configure(DISPATCHER=QUIET)
        if place == "running":
            self.cancelling.append(lambda run_id: cancel_run(run_id, actor="me", reason="enough"))
        return self.workflow.start({"place": place})


@pytest.fixture
def flow(declare: Any, elsewhere: Any) -> Flow:
    return Flow(declare, elsewhere)


@pytest.mark.parametrize("place", PLACES)
def test_a_cancelled_run_does_nothing_more(flow: Flow, configure: Any, place: str) -> None:
    """Wherever a run stands, cancelling ends it once; no step follows and no wait stays open."""
    handle = flow.bring(place, configure)
    if place != "running":
        cancel_run(handle.id, actor="me", reason="enough")
    configure(DISPATCHER="inline")
    assert "two" not in flow.calls
    done = list(flow.calls)
    send_event("app/go")
    advance("3h")
    assert flow.calls == done
    with pytest.raises(RunCancelled, match="enough"):
        handle.result(0)
    run = Run.objects.get()
    assert (run.status, run.wake_at, run.owner, run.waits_for) == (RunStatus.CANCELLED, None, "", "")
    assert Wait.objects.filter(status="open").count() == WaitKey.objects.count() == 0
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.run_id, entry.reason) == ("me", "cancel", run.id, "enough")


@pytest.mark.parametrize("place", PLACES)
def test_a_cancelled_run_can_go_on(flow: Flow, configure: Any, place: str) -> None:
    """After a retry a cancelled run goes on where it stopped: steps stay done, waits are asked again."""
    handle = flow.bring(place, configure)
    if place != "running":
        cancel_run(handle.id, actor="me")
    configure(DISPATCHER="inline")
    ones = flow.calls.count("one")
    retry_run(handle.id, actor="you", reason="go on")
    send_event("app/go")
    for _ in range(3):
        advance("61m")
    assert handle.result(0) == "done"
    assert flow.calls.count("two") == 1
    if place in ("sleeping", "waiting"):
        assert flow.calls.count("one") == ones == 1
    assert list(AuditEntry.objects.order_by("id").values_list("action", "actor")) == [
        ("cancel", "me"),
        ("retry", "you"),
    ]


def test_a_failed_step_is_tried_again_with_all_its_attempts(declare: Any) -> None:
    """Retrying a run that a step failed runs that step again, and no step that was completed."""
    calls: list[str] = []
    broken = [True]

    @declare(retries=0)
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("one", calls.append, "one")

        def work() -> str:
            calls.append("two")
            if broken:
                raise ValueError("broken")
            return "mended"

        return (yield ctx.step.run("two", work))

    handle = failing.start()
    assert handle.status == "failed"
    retry_run(handle.id, actor="me")
    assert (handle.status, calls) == ("failed", ["one", "two", "two"])
    broken.clear()
    retry_run(handle.id, actor="me")
    assert handle.result(0) == "mended"
    assert calls == ["one", "two", "two", "two"]


def test_a_failed_segment_is_tried_again(declare: Any) -> None:
    """Retrying a run that failed between steps executes that code again with a new budget."""
    broken = [True]

    @declare(retries=0)
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        if broken:
            raise ValueError("broken")
        return "mended"

    handle = failing.start()
    broken.clear()
    assert retry_run(handle.id, actor="me").result(0) == "mended"


def test_rerun_starts_anew_with_the_same_event(declare: Any) -> None:
    """A rerun is a new run with the event of the old one, which stays as it is; it can be repeated."""
    calls: list[int] = []

    @declare(trigger="app/x")
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("one", lambda: calls.append(1))
        return ctx.event.data["n"]

    send_event("app/x", {"n": 5})
    first = Run.objects.get()
    again = [rerun(first.id, actor="me", reason="look again") for _ in range(2)]
    assert [handle.result(0) for handle in again] == [5, 5]
    assert len(calls) == 3
    assert set(Run.objects.exclude(id=first.id).values_list("rerun_of", "origin")) == {(first.id, "rerun")}
    assert AuditEntry.objects.filter(action="rerun", run_id=first.id).count() == 2


@pytest.mark.parametrize("operation", [cancel_run, retry_run, rerun])
@pytest.mark.parametrize("id", ["0190b9a5-0000-7000-8000-000000000000", "nonsense", ""])
def test_an_unknown_run_is_a_coded_error(store: Any, operation: Any, id: Any) -> None:
    """An id that no run has, or that is no id, is refused without an audit row."""
    with pytest.raises(RunNotFound):
        operation(id, actor="me")
    assert AuditEntry.objects.count() == 0


def test_what_does_not_fit_the_state_is_refused(declare: Any) -> None:
    """An ended run cannot be cancelled, a completed or live one not be retried; nothing is written."""

    @declare()
    def flow(ctx: Any) -> Any:
        if ctx.event.data:
            yield ctx.step.sleep("nap", "1h")

    done, live = flow.start(), flow.start({"sleep": True})
    for operation, handle in ((cancel_run, done), (retry_run, done), (retry_run, live)):
        with pytest.raises(OperationRefused):
            operation(handle.id, actor="me")
    assert AuditEntry.objects.count() == 0
    assert (done.status, live.status) == ("completed", "waiting")
