"""What operators do: cancel, retry, rerun; each checks, acts and leaves an audit row (law 12)."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import send_event
from durable_django.engine.operations import cancel_run, rerun, retry_run
from durable_django.exceptions import InvalidAttempts, OperationRefused, RunCancelled, RunNotFound
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


def run_out() -> None:
    for _ in range(6):
        advance("1m")


@pytest.mark.parametrize("place", ["step", "code"])
@pytest.mark.parametrize("given", [1, 3, 5])
def test_a_retry_may_be_given_fewer_attempts(declare: Any, place: str, given: int) -> None:
    """What failed is tried as often as the operator says, with the delays that follow the attempts it had."""
    calls: list[int] = []

    def work(attempt: int) -> None:
        calls.append(attempt)
        raise ValueError("broken")

    @declare(retries=4, backoff=["1s", "2s", "3s", "4s"])
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        if place == "step":
            yield ctx.step.run("two", lambda: work(ctx.attempt))
        work(ctx.attempt)

    handle = failing.start()
    run_out()
    assert (handle.status, calls) == ("failed", [0, 1, 2, 3, 4])
    retry_run(handle.id, actor="me", attempts=given)
    run_out()
    assert (handle.status, calls[5:]) == ("failed", [0, 1, 2, 3, 4][-given:])
    assert AuditEntry.objects.get().result == f"queued, at most {given} attempts"


@pytest.mark.parametrize("given", [0, -1, 3, True, 10**9])
def test_more_attempts_than_declared_cannot_be_given(declare: Any, given: Any) -> None:
    """A number that the code does not allow is refused, and the run stays failed."""

    @declare(retries=1, backoff="1s")
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("one", lambda: 1 // 0)

    handle = failing.start()
    run_out()
    with pytest.raises(InvalidAttempts, match="step 'one' declares 2 attempts"):
        retry_run(handle.id, actor="me", attempts=given)
    assert (handle.status, AuditEntry.objects.count()) == ("failed", 0)


def test_attempts_of_a_run_that_did_not_fail_by_itself_cannot_be_limited(flow: Flow, configure: Any) -> None:
    """A cancelled run has no attempts to count."""
    handle = flow.bring("sleeping", configure)
    cancel_run(handle.id, actor="me")
    with pytest.raises(InvalidAttempts, match="no attempt of a step or of code failed"):
        retry_run(handle.id, actor="me", attempts=1)
    assert handle.status == "cancelled"


def test_a_step_that_succeeds_leaves_the_others_their_attempts(declare: Any) -> None:
    """A number of attempts is given to what failed, not to what comes after it."""
    calls: list[str] = []

    def work(name: str) -> None:
        calls.append(name)
        if name == "later" or calls.count(name) < 4:
            raise ValueError("broken")

    @declare(retries=2, backoff="1s")
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("first", work, "first")
        yield ctx.step.run("later", work, "later")

    handle = failing.start()
    run_out()
    retry_run(handle.id, actor="me", attempts=1)
    run_out()
    assert (calls.count("first"), calls.count("later"), handle.status) == (4, 3, "failed")


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


@pytest.fixture
def tree(declare: Any) -> Any:
    """A workflow that invokes one that invokes a third, which sleeps."""

    @declare(id="leaf")
    def leaf(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare(id="middle")
    def middle(ctx: Any) -> Any:
        yield ctx.step.invoke("call", function=leaf, timeout=ctx.event.data.get("timeout", "1d"))

    @declare(id="root")
    def root(ctx: Any) -> Any:
        yield ctx.step.invoke("call", function=middle, data=dict(ctx.event.data))

    return root


def list_statuses() -> dict[str, str]:
    return dict(Run.objects.values_list("workflow", "status"))


def test_a_run_is_cancelled_with_its_children(tree: Any) -> None:
    """All that a run has started, at any depth, ends with it if asked for; each leaves its audit row."""
    run, other = tree.start(), tree.start()
    cancel_run(run.id, actor="me", reason="all of it", children=True)
    family = Run.objects.exclude(id=other.id).filter(status="cancelled")
    assert sorted(family.values_list("workflow", "reason")) == [
        (name, "all of it") for name in ("leaf", "middle", "root")
    ]
    assert Run.objects.filter(status="waiting").count() == 3
    assert AuditEntry.objects.filter(action="cancel", reason="all of it").count() == 3
    assert AuditEntry.objects.filter(result=f"cancelled with {run.id}").count() == 2
    with pytest.raises(OperationRefused):
        cancel_run(run.id, actor="me", children=True)


def test_children_go_on_unless_asked(tree: Any) -> None:
    """Without it the children of a cancelled run go on."""
    run = tree.start()
    cancel_run(run.id, actor="me")
    assert list_statuses() == {"root": "cancelled", "middle": "waiting", "leaf": "waiting"}


def test_what_goes_on_below_an_ended_child_is_cancelled(tree: Any) -> None:
    """A grandchild whose own parent has ended already is found and cancelled too."""
    run = tree.start()
    # As after the time-out of its own step, which leaves the grandchild running.
    ended = {"status": "completed", "ended_at": "2020-01-01T00:00:00Z", "wake_at": None}
    Run.objects.filter(workflow="middle").update(**ended)
    cancel_run(run.id, actor="me", children=True)
    assert list_statuses() == {"root": "cancelled", "middle": "completed", "leaf": "cancelled"}
