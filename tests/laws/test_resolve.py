"""What operators do to waits: answer them, end their time, extend it; each wait still ends once (laws 7 and 12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from durable_django import Cancel, EventWait, SignalWait, send_event, send_signal, step, workflow
from durable_django.clock import read_now
from durable_django.contrib.encryption import EncryptionHook
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import cancel_run, extend_wait, resolve_wait, time_out_wait
from durable_django.exceptions import (
    DurableError,
    InvalidEvent,
    InvalidInstant,
    NaiveDatetime,
    OperationRefused,
    RunNotFound,
    SignalNotAwaited,
    WaitNotFound,
    WaitRefused,
)
from durable_django.ids import new_id
from durable_django.models import AuditEntry, Run, Step, Wait, WaitKey
from durable_django.store.base import EventRow
from durable_django.store.claim import claim_runs
from durable_django.store.event import insert_events
from durable_django.testing import advance, drain
from tests.quiet import QUIET
from tests.threads import run_together


@pytest.fixture
def asking(declare: Any) -> Any:
    @declare(id="asking")
    def asking(ctx: Any) -> Any:
        answer = yield ctx.step.wait_for_event("ask", event="app/answer", timeout="1h")
        return None if answer is None else [answer.name, answer.data]

    return asking


def get_wait(run: Any, **fields: Any) -> Wait:
    return Wait.objects.get(run_id=run.id, **fields)


def list_actions() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("action", "actor"))


def test_a_wait_is_resolved_with_a_value(asking: Any) -> None:
    """The step returns an event with exactly the data that was given, and says who supplied it."""
    run = asking.start()
    resolve_wait(get_wait(run).id, {"yes": True}, actor="ann", reason="by phone")
    assert run.result(0) == ["app/answer", {"yes": True}]
    assert Step.objects.get(run_id=run.id).supplied_by == "ann"
    assert (get_wait(run).status, WaitKey.objects.count()) == ("resolved", 0)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason, str(entry.run_id)) == (
        "resolve",
        "ann",
        "by phone",
        run.id,
    )


def test_the_value_reaches_nobody_else(asking: Any) -> None:
    """A resolved wait sends no event: other waits for the same name stay open."""
    first, second = asking.start(), asking.start()
    resolve_wait(get_wait(first).id, {}, actor="me")
    assert (first.status, second.status) == ("completed", "waiting")


@pytest.mark.parametrize("act", [resolve_wait, time_out_wait, extend_wait])
def test_a_second_submit_is_refused(asking: Any, act: Any) -> None:
    """Once a wait has ended nothing more can be done to it, and nothing is logged."""
    run = asking.start()
    wait = get_wait(run)
    resolve_wait(wait.id, {}, actor="me")
    more = {resolve_wait: ({},), time_out_wait: (), extend_wait: (datetime(2099, 1, 1, tzinfo=UTC),)}[act]
    with pytest.raises(WaitRefused, match="resolved"):
        act(wait.id, *more, actor="me")
    assert list_actions() == [("resolve", "me")]


@pytest.mark.parametrize("id", [0, -1, 10**30, "nonsense", None])
def test_an_unknown_wait_is_a_coded_error(store: Any, id: Any) -> None:
    """A number that no wait has, or that is none, is refused without an audit row."""
    with pytest.raises(WaitNotFound):
        resolve_wait(id, {}, actor="me")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("value", [1, "text", [], object()])
def test_a_value_that_does_not_fit_changes_nothing(asking: Any, value: Any) -> None:
    """The data of an event is an object; anything else is refused and the wait stays open."""
    run = asking.start()
    with pytest.raises(DurableError):
        resolve_wait(get_wait(run).id, value, actor="me")
    assert (run.status, get_wait(run).status) == ("waiting", "open")
    with pytest.raises(InvalidEvent):
        resolve_wait(get_wait(run).id, [], actor="me")


def test_a_signal_is_resolved(declare: Any) -> None:
    """A wait for a signal ends with the value as its data; the name is free then."""

    @declare()
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.wait_for_signal("ask", signal="s1", timeout="1h"))

    run = flow.start()
    resolve_wait(get_wait(run).id, [1, 2], actor="me")
    assert run.result(0) == {"signal": "s1", "data": [1, 2]}
    with pytest.raises(SignalNotAwaited):
        send_signal("s1")


def test_a_child_is_resolved(declare: Any) -> None:
    """A wait for another run ends with the value as its result; that run goes on, and is heard no more."""

    @declare()
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        return "late"

    @declare()
    def parent(ctx: Any) -> Any:
        return (yield ctx.step.invoke("call", function=child))

    run = parent.start()
    resolve_wait(get_wait(run).id, "early", actor="me")
    assert run.result(0) == "early"
    advance("2h")
    assert Run.objects.get(workflow="child").status == "completed"
    assert run.result(0) == "early"


def test_branches_are_resolved_one_by_one(declare: Any) -> None:
    """Of a step with several waits, "any" ends with the first that is resolved, "all" with the last."""

    @declare(id="several")
    def several(ctx: Any) -> Any:
        waits = [EventWait(event="app/a"), SignalWait(signal="b")]
        if ctx.event.data["any"]:
            branch, answer = yield ctx.step.wait_for_any("ask", waits, timeout="1h")
            return [branch, answer]
        event, signal = yield ctx.step.wait_for_all("ask", waits, timeout="1h")
        return [event.data, signal]

    every = several.start({"any": False})
    resolve_wait(get_wait(every, branch=1).id, "two", actor="me")
    assert every.status == "waiting"
    resolve_wait(get_wait(every, branch=0).id, {"n": 1}, actor="me")
    assert every.result(0) == [{"n": 1}, {"signal": "b", "data": "two"}]

    one = several.start({"any": True})
    resolve_wait(get_wait(one, branch=1).id, "two", actor="me")
    assert one.result(0) == [1, {"signal": "b", "data": "two"}]
    assert get_wait(one, branch=0).status == "closed"


def test_what_is_supplied_passes_the_hooks(declare: Any, configure: Any) -> None:
    """Under encryption a supplied value is stored encrypted, and the workflow gets it in clear."""
    configure(HOOKS=[EncryptionHook([Fernet.generate_key()], outputs=True, events="data")])

    @declare()
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare(id="hooked")
    def hooked(ctx: Any) -> Any:
        event = yield ctx.step.wait_for_event("one", event="app/one", timeout="1h")
        signal = yield ctx.step.wait_for_signal("two", signal="two", timeout="1h")
        result = yield ctx.step.invoke("three", function=child)
        return [event.data, signal["data"], result]

    run = hooked.start()
    for value in ({"word": "geheim"}, "geheim", "geheim"):
        resolve_wait(get_wait(run, status="open").id, value, actor="me")
    assert run.result(0) == [{"word": "geheim"}, "geheim", "geheim"]
    assert not any("geheim" in (output or "") for output in Step.objects.values_list("output", flat=True))


def test_the_time_of_a_wait_is_up_now(asking: Any) -> None:
    """The step returns what it returns on time-out; the action cannot be done twice."""
    run = asking.start()
    time_out_wait(get_wait(run).id, actor="me")
    assert run.result(0) is None
    assert get_wait(run).status == "expired"
    assert list_actions() == [("time out", "me")]


def test_the_time_is_up_once(asking: Any, configure: Any) -> None:
    """Before a worker has looked, the second operator is told that the time is up."""
    run = asking.start()
    configure(DISPATCHER=QUIET)
    time_out_wait(get_wait(run).id, actor="me")
    with pytest.raises(WaitRefused, match="over"):
        time_out_wait(get_wait(run).id, actor="you")
    with pytest.raises(WaitRefused, match="over"):
        extend_wait(get_wait(run).id, datetime(2099, 1, 1, tzinfo=UTC), actor="you")
    drain()
    assert run.result(0) is None


def test_a_child_that_is_timed_out_fails_the_step(declare: Any) -> None:
    """The time-out of an invoked run raises in the workflow, as if it had passed by itself."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare()
    def parent(ctx: Any) -> Any:
        yield ctx.step.invoke("call", function=child)

    run = parent.start()
    time_out_wait(get_wait(run).id, actor="me")
    assert run.status == "failed"


def test_an_event_that_came_before_the_time_was_up_counts(asking: Any, configure: Any, store: Any) -> None:
    """An event that is stored but not routed when an operator ends the time still answers the wait."""
    run = asking.start()
    row = EventRow(id=new_id(), name="app/answer", data='{"n":1}', ts=1)
    insert_events(store.alias, [row])
    time_out_wait(get_wait(run).id, actor="me")
    assert run.result(0) == ["app/answer", {"n": 1}]


@pytest.mark.parametrize("hours", [0.5, 3])
def test_a_wait_is_extended_or_shortened(asking: Any, store: Any, hours: float) -> None:
    """The wait ends at the new instant, not at the old one, and until then it can be answered."""
    run, other = asking.start(), asking.start()
    until = read_now(store.alias) + timedelta(hours=hours)
    for each in (run, other):
        extend_wait(get_wait(each).id, until, actor="me")
    advance(timedelta(hours=hours) - timedelta(minutes=5))
    assert run.status == "waiting"
    resolve_wait(get_wait(other).id, {}, actor="me")
    assert other.status == "completed"
    advance("10m")
    assert run.result(0) is None


def test_an_extension_must_be_in_the_future(asking: Any, store: Any) -> None:
    """An instant that is past, too far away or without time zone is refused."""
    wait = get_wait(asking.start())
    now = read_now(store.alias)
    for until in (now - timedelta(seconds=1), now + timedelta(days=367)):
        with pytest.raises(InvalidInstant):
            extend_wait(wait.id, until, actor="me")
    with pytest.raises(NaiveDatetime):
        extend_wait(wait.id, datetime(2099, 1, 1), actor="me")
    assert not AuditEntry.objects.exists()


def test_an_overdue_wait_can_be_resolved(asking: Any, configure: Any) -> None:
    """While no worker has ended a wait whose time is up, an operator's answer ends it."""
    run = asking.start()
    configure(DISPATCHER=QUIET)
    Wait.objects.update(expires_at="2020-01-01T00:00:00Z")
    Step.objects.update(ready_at="2020-01-01T00:00:00Z")
    resolve_wait(get_wait(run).id, {"n": 1}, actor="me")
    drain()
    assert run.result(0) == ["app/answer", {"n": 1}]


def test_a_cancel_rule_is_no_wait_of_a_step(declare: Any) -> None:
    """The rule that cancels a run cannot be resolved."""

    @declare(cancel_on=[Cancel(event="app/stop")])
    def flow(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    run = flow.start()
    with pytest.raises(WaitRefused, match="cancel rule"):
        resolve_wait(get_wait(run, kind="cancel").id, {}, actor="me")
    assert run.status == "waiting"


@step
def work_elsewhere(name: str) -> str:
    return name


def test_a_step_on_another_worker_has_no_time(kind: str, store: Any, configure: Any) -> None:
    """The wait for a step that another worker carries out can be answered, not timed out: it would run twice."""
    configure(DISPATCHER=QUIET)

    def make(ctx: Any) -> Any:
        return ctx.group.parallel([lambda: work_elsewhere("a")], where="workers")

    if kind == "def":
        wide = workflow(id="wide")(lambda ctx: list(make(ctx)))
    else:

        @workflow(id="wide")
        async def wide(ctx: Any) -> Any:
            return list(await make(ctx))

    run = wide.start()
    [claimed] = claim_runs(store.alias, owner="me", lease=30, queue="durable")
    execute_run(store.alias, claimed)
    for act in (time_out_wait, lambda id, **who: extend_wait(id, datetime(2099, 1, 1, tzinfo=UTC), **who)):
        with pytest.raises(WaitRefused, match="another worker"):
            act(get_wait(run).id, actor="me")
    resolve_wait(get_wait(run).id, "by hand", actor="me")
    drain()
    assert run.result(0) == ["by hand"]


def attempt(act: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a call that tells what became of the action."""

    def call() -> str:
        try:
            act(*args, **kwargs)
        except (OperationRefused, RunNotFound):
            return "refused"
        return "acted"

    return call


@pytest.mark.parametrize("rival", ["resolve", "event", "time out", "cancel"])
def test_of_many_ends_at_once_one_counts(asking: Any, configure: Any, rival: str) -> None:
    """Whatever else ends the wait in the same moment, it ends once and the run with what ended it."""
    for _ in range(3):
        configure(DISPATCHER="inline")
        run = asking.start()
        wait = get_wait(run)
        configure(DISPATCHER=QUIET)
        rivals = {
            "resolve": attempt(resolve_wait, wait.id, {"by": "rival"}, actor="rival"),
            "event": lambda: send_event("app/answer", {"by": "rival"}),
            "time out": attempt(time_out_wait, wait.id, actor="rival"),
            "cancel": attempt(cancel_run, run.id, actor="rival"),
        }
        mine, other = run_together([attempt(resolve_wait, wait.id, {"by": "me"}, actor="me"), rivals[rival]])
        drain()
        wait.refresh_from_db()
        if rival == "cancel":
            assert (run.status, other) == ("cancelled", "acted")
            continue
        won = run.result(0)
        if mine == "acted":
            assert (won, wait.status) == (["app/answer", {"by": "me"}], "resolved")
        else:
            assert won == (None if rival == "time out" else ["app/answer", {"by": "rival"}])
        if rival == "resolve":
            assert sorted([mine, other]) == ["acted", "refused"]
        Wait.objects.all().delete()
