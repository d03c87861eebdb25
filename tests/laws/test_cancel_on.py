"""Cancel rules: events that end the runs of a workflow, wherever they stand (F65, I10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable_django import Cancel, clock, send_event, send_events, workflow
from durable_django.checks.cancel import check_cancel_rules
from durable_django.engine import slice
from durable_django.engine.look import look
from durable_django.engine.operations import rerun
from durable_django.exceptions import InvalidDefinition
from durable_django.models import Run, Wait, WaitKey
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.plugins.store import Store
from tests.quiet import QUIET


def effect(key: str) -> str:
    Effect.objects.create(key=key)
    return key


def effects() -> list[str]:
    return list(Effect.objects.order_by("id").values_list("key", flat=True))


def statuses() -> list[str]:
    return list(Run.objects.order_by("id").values_list("status", flat=True))


def rules() -> list[str]:
    return list(Wait.objects.filter(kind="cancel").order_by("index").values_list("status", flat=True))


@pytest.fixture
def declare_order(declare: Any) -> Callable[..., Any]:
    """Declare a workflow that waits a day for its payment, with the given rules."""

    def make(*given: Cancel, **options: Any) -> Any:
        @declare(id="order", trigger="shop/ordered", cancel_on=given, **options)
        def order(ctx: Any) -> Any:
            yield ctx.step.run("begin", effect, "begin")
            yield ctx.step.wait_for_event("paid", event="shop/paid", match="data.id", timeout="1d")
            yield ctx.step.run("end", effect, "end")

        return order

    return make


# --- the definition -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"match": "data.id", "if_exp": "true"}, {"timeout": 0}, {"timeout": "soon"}, {"timeout": "400 days"}],
)
def test_a_rule_that_cannot_work_is_refused(options: Any) -> None:
    """Wrong options are an error where the rule is written."""
    with pytest.raises(InvalidDefinition, match="Cancel"):
        Cancel("shop/stopped", **options)


@pytest.mark.parametrize("event", ["", "shop/*", "x" * 256])
def test_a_rule_names_one_event(event: str) -> None:
    """A rule needs an exact name."""
    with pytest.raises(InvalidDefinition, match="exact event name"):
        Cancel(event)


@pytest.mark.parametrize("given", [[Cancel("a")] * 6, ["a"], "shop/stopped"])
def test_a_workflow_takes_up_to_five_rules(given: Any) -> None:
    """More rules, and what is none, are refused."""
    with pytest.raises(InvalidDefinition):
        workflow(id="wrong", cancel_on=given)(lambda ctx: None)


@pytest.mark.parametrize(
    ("rule", "reported"),
    [
        (Cancel("a", if_exp="async.data.n =="), True),
        (Cancel("a", if_exp="async.data.n + 1"), True),
        (Cancel("a", match="data..id"), True),
        (Cancel("a", if_exp="async.data.n == event.data.n"), False),
        (Cancel("a", match="data.id"), False),
        (Cancel("a"), False),
    ],
)
def test_a_condition_that_does_not_compile_is_a_check_error(
    rule: Cancel, reported: bool, registry: Any
) -> None:
    """``manage.py check`` names the rule, which would never cancel anything."""
    registry.restore({})
    workflow(id="checked", cancel_on=rule)(lambda ctx: None)
    assert [each.id for each in check_cancel_rules()] == ["durable_django.E019"] * reported


# --- what cancels ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "data", "hit"),
    [
        (Cancel("shop/stopped", match="data.id"), {"id": 1}, True),
        (Cancel("shop/stopped", match="data.id"), {"id": 2}, False),
        (Cancel("shop/stopped", match="data.id"), {}, False),
        (Cancel("shop/stopped", if_exp="async.data.total > event.data.total"), {"total": 11}, True),
        (Cancel("shop/stopped", if_exp="async.data.total > event.data.total"), {"total": 9}, False),
        (Cancel("shop/stopped"), {}, True),
        (Cancel("shop/other"), {"id": 1}, False),
    ],
)
def test_an_event_cancels_what_it_matches(declare_order: Any, rule: Cancel, data: Any, hit: bool) -> None:
    """``match``, ``if_exp`` or no condition decide, bound to the event that started the run."""
    declare_order(rule)
    send_event("shop/ordered", {"id": 1, "total": 10})
    drain()
    send_event("shop/stopped", data)
    drain()
    assert statuses() == ["cancelled" if hit else "waiting"]
    if hit:
        run = Run.objects.get()
        assert (run.reason, run.wake_at) == ("cancelled by event shop/stopped", None)
        assert set(Wait.objects.values_list("status", flat=True)) == {"matched", "closed"}
        assert not WaitKey.objects.exists()


def test_without_a_condition_all_runs_are_cancelled(declare_order: Any) -> None:
    """One event cancels every run of the workflow, and none of another."""
    declare_order(Cancel("shop/closed"))
    workflow(id="other", trigger="shop/ordered")(lambda ctx: ctx.step.sleep("nap", "1d"))
    for number in range(4):
        send_event("shop/ordered", {"id": number})
    drain()
    send_event("shop/closed")
    assert (
        sorted(Run.objects.values_list("workflow", "status"))
        == [("order", "cancelled")] * 4 + [("other", "waiting")] * 4
    )


@pytest.mark.parametrize("number", range(5))
def test_each_of_five_rules_cancels(declare_order: Any, number: int) -> None:
    """Any of the rules ends the run; the others are closed with it."""
    declare_order(*(Cancel(f"shop/stop{n}", match="data.id") for n in range(5)))
    send_event("shop/ordered", {"id": 1})
    drain()
    assert rules() == ["open"] * 5
    send_event(f"shop/stop{number}", {"id": 1})
    assert statuses() == ["cancelled"]
    assert rules() == ["matched" if n == number else "closed" for n in range(5)]


def test_a_rule_whose_field_is_missing_is_not_armed(declare_order: Any, caplog: Any) -> None:
    """A trigger without the field arms the other rules only, and the reason is logged."""
    declare_order(Cancel("shop/stopped", match="data.customer"), Cancel("shop/stopped", match="data.id"))
    send_event("shop/ordered", {"id": 1})
    assert len(rules()) == 1
    assert [each.code for each in caplog.records if each.getMessage() == "a cancel rule is not armed"] == [
        "match_unbound"
    ]
    send_event("shop/stopped", {"customer": None})
    assert statuses() == ["waiting"]
    send_event("shop/stopped", {"id": 1})
    assert statuses() == ["cancelled"]


def test_a_rule_ends_at_its_time_out(declare_order: Any) -> None:
    """After ``timeout`` the event does not cancel the run any more."""
    declare_order(Cancel("shop/stopped", match="data.id", timeout="1h"))
    for number in (1, 2):
        send_event("shop/ordered", {"id": number})
    drain()
    advance("59m")
    send_event("shop/stopped", {"id": 1})
    advance("2m")
    send_event("shop/stopped", {"id": 2})
    assert statuses() == ["cancelled", "waiting"]


def test_an_older_event_is_ignored(declare_order: Any, store: Store) -> None:
    """The event must be newer than the run, also if it is looked for again later."""
    declare_order(Cancel("shop/stopped", match="data.id"))
    send_event("shop/stopped", {"id": 1})
    send_event("shop/ordered", {"id": 1})
    drain()
    look(store.alias, Run.objects.get().id)
    assert statuses() == ["waiting"]
    send_event("shop/stopped", {"id": 1})
    assert statuses() == ["cancelled"]


def test_the_trigger_does_not_cancel_its_own_run(declare: Any) -> None:
    """With one name for both, each event starts a run and cancels the one before it."""

    @declare(id="latest", trigger="app/latest", cancel_on=Cancel("app/latest", match="data.id"))
    def latest(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1d")

    for _ in range(3):
        send_event("app/latest", {"id": 1})
    drain()
    assert statuses() == ["cancelled", "cancelled", "waiting"]


def test_one_batch_starts_and_cancels(declare_order: Any) -> None:
    """Of events sent together, those that cancel are not newer than the runs that the others start."""
    declare_order(Cancel("shop/stopped", match="data.id"))
    send_event("shop/ordered", {"id": 1})
    send_events(
        [{"name": "shop/stopped", "data": {"id": n}} for n in (1, 2)]
        + [{"name": "shop/ordered", "data": {"id": 2}}]
    )
    drain()
    assert statuses() == ["cancelled", "waiting"]


def test_an_event_that_also_ends_a_wait_cancels(declare: Any) -> None:
    """If one event would resume and cancel a run, it is cancelled."""

    @declare(id="both", trigger="app/begin", cancel_on=Cancel("app/answer"))
    def both(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1d")
        yield ctx.step.run("after", effect, "after")

    send_event("app/begin")
    drain()
    send_event("app/answer")
    drain()
    assert (statuses(), effects()) == (["cancelled"], [])


# --- where the run stands -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["event", "start", "rerun", "delayed"])
def test_a_queued_run_never_begins(declare_order: Any, configure: Any, store: Store, way: str) -> None:
    """However it was started, a run that no worker has taken is cancelled and nothing of it is executed."""
    order = declare_order(Cancel("shop/stopped", match="data.id"))
    configure(DISPATCHER=QUIET)
    if way == "start":
        order.start({"id": 1})
    elif way == "delayed":
        later = clock.read_now(store.alias) + timedelta(hours=1)
        send_event({"name": "shop/ordered", "data": {"id": 1}, "ts": int(later.timestamp() * 1000)})
    else:
        send_event("shop/ordered", {"id": 1})
    if way == "rerun":
        first = Run.objects.get()
        rerun(first.id, actor="test")
        first.delete()
    send_event("shop/stopped", {"id": 1})
    advance("2h")
    assert (statuses(), effects()) == (["cancelled"], [])


@pytest.mark.parametrize("what", ["sleep", "wait", "signal", "retry", "child", "group"])
def test_a_waiting_run_is_cancelled(declare: Any, what: str) -> None:
    """Whatever the run waits for, the event ends it, and nothing of it goes on."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        yield ctx.step.run("effect", effect, "child")

    def fail() -> None:
        raise ValueError("again")

    @declare(id="waiter", trigger="app/begin", cancel_on=Cancel("app/stop"))
    def waiter(ctx: Any) -> Any:
        if what == "sleep":
            yield ctx.step.sleep("nap", "1h")
        elif what == "wait":
            yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1h")
        elif what == "signal":
            yield ctx.step.wait_for_signal("answer", signal="answer", timeout="1h")
        elif what == "retry":
            yield ctx.step.run("fail", fail, backoff="1h", retries=1)
        elif what == "child":
            yield ctx.step.invoke("ask", function=child)
        else:
            sleeps = [lambda n=n: ctx.step.sleep(f"nap{n}", "1h") for n in range(3)]
            yield ctx.group.parallel(sleeps)
        yield ctx.step.run("after", effect, "after")

    send_event("app/begin")
    drain()
    send_event("app/stop")
    advance("2h")
    run = Run.objects.get(workflow="waiter")
    assert (run.status, run.waits_for) == ("cancelled", "")
    assert effects() == (["child"] if what == "child" else [])
    assert not Wait.objects.filter(status="open").exists()


@pytest.mark.parametrize("grouped", [False, True])
def test_a_running_step_may_finish_and_nothing_follows(
    declare: Any, monkeypatch: pytest.MonkeyPatch, elsewhere: Any, grouped: bool
) -> None:
    """An event that comes while a step runs lets it finish; no later step begins, in no branch."""
    monkeypatch.setattr(slice, "OWNED_FOR", -1.0)

    def stop() -> None:
        effect("running")
        elsewhere(send_event, "app/stop")

    @declare(id="busy", trigger="app/begin", cancel_on=Cancel("app/stop"))
    def busy(ctx: Any) -> Any:
        if grouped:
            yield ctx.group.parallel([lambda: ctx.step.run("stop", stop)])
        else:
            yield ctx.step.run("stop", stop)
        yield ctx.step.run("after", effect, "after")

    send_event("app/begin")
    drain()
    assert (statuses(), effects()) == (["cancelled"], ["running"])


def test_an_ended_run_is_left_alone(declare: Any) -> None:
    """A run that has completed keeps its result."""

    @declare(id="quick", trigger="app/begin", cancel_on=Cancel("app/stop"))
    def quick(ctx: Any) -> Any:
        return 1

    send_event("app/begin")
    drain()
    send_event("app/stop")
    assert statuses() == ["completed"]
    assert rules() == ["closed"]
