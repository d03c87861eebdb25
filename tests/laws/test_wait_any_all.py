"""Several waits in one step: the first ends it (any), or the last (all)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from durable_django import EventWait, SignalWait, send_event, send_events, send_signal
from durable_django.engine.operations import cancel_run, retry_run
from durable_django.exceptions import RunFailed, SignalNotAwaited
from durable_django.models import Step, Wait, WaitKey
from durable_django.testing import advance, drain
from durable_django.types import Event
from tests.plugins.store import Store

only_def = pytest.mark.parametrize("kind", ["def"], indirect=True)

PAID = EventWait(event="app/paid", match="data.k")
SHIPPED = EventWait(event="app/shipped", if_exp="async.data.k == event.data.k && async.data.n >= 0")
GO = SignalWait(signal="go")
WAITS = (PAID, SHIPPED, GO)


def show(came: Any) -> Any:
    if isinstance(came, Event):
        return came.name, came.data["n"]
    return came and (came["signal"], came["data"])


@pytest.fixture
def wait_for(declare: Any) -> Any:
    """A workflow that makes one step of several waits and returns what came."""

    def make(mode: str, waits: Sequence[Any] = WAITS, timeout: Any = "1h") -> Any:
        @declare(id="several")
        def several(ctx: Any) -> Any:
            if mode == "any":
                first = yield ctx.step.wait_for_any("w", waits, timeout=timeout)
                return first and [first[0], show(first[1])]
            return [show(came) for came in (yield ctx.step.wait_for_all("w", waits, timeout=timeout))]

        return several

    return make


def send(name: str, n: int, k: int = 1) -> None:
    send_event(f"app/{name}", {"k": k, "n": n})
    drain()


def read_code(handle: Any) -> str:
    with pytest.raises(RunFailed) as caught:
        handle.result(timeout=1)
    return str(caught.value.details["told"]["code"])


def list_statuses(store: Store) -> list[str]:
    return list(Wait.objects.using(store.alias).order_by("branch").values_list("status", flat=True))


def count_keys(store: Store) -> int:
    return WaitKey.objects.using(store.alias).count()


def test_one_step_has_a_row_and_its_waits_are_branches(wait_for: Any, store: Store) -> None:
    """Whatever the number of waits, the step is one memo and counts once."""
    wait_for("all").start({"k": 1})
    assert Step.objects.using(store.alias).count() == 1
    rows = Wait.objects.using(store.alias).order_by("branch").values_list("branch", "kind", "mode")
    assert list(rows) == [(0, "event", "all"), (1, "event", "all"), (2, "signal", "all")]


@pytest.mark.parametrize(
    ("number", "expected"), [(0, [0, ["app/paid", 5]]), (1, [1, ["app/shipped", 5]]), (2, [2, ["go", 5]])]
)
def test_any_ends_with_the_first_and_closes_the_others(
    wait_for: Any, store: Store, number: int, expected: Any
) -> None:
    """The result is the number of the wait and what came; the siblings end in the same transaction."""
    handle = wait_for("any").start({"k": 1})
    send("paid", 9, k=2)
    assert handle.status == "waiting"
    if number == 2:
        send_signal("go", 5)
    else:
        send(["paid", "shipped"][number], 5)
    statuses = ["closed"] * 3
    statuses[number] = "matched"
    assert list_statuses(store) == statuses
    assert count_keys(store) == 0
    with pytest.raises(SignalNotAwaited):
        send_signal("go")
    drain()
    assert handle.result(timeout=1) == expected


def test_all_ends_with_the_last_and_keeps_the_order(wait_for: Any, store: Store) -> None:
    """The result is a list in the order of the waits, whatever the order of arrival."""
    handle = wait_for("all").start({"k": 1})
    send_signal("go", 3)
    send("shipped", 2)
    assert handle.status == "waiting"
    send("shipped", 8)  # that wait has ended
    assert handle.status == "waiting"
    send("paid", 1)
    assert handle.result(timeout=1) == [["app/paid", 1], ["app/shipped", 2], ["go", 3]]
    assert (list_statuses(store), count_keys(store)) == (["matched"] * 3, 0)


def test_any_times_out_with_none(wait_for: Any, store: Store) -> None:
    """If nothing came, there is neither a number nor a value, and no wait is left."""
    handle = wait_for("any").start({"k": 1})
    advance("2h")
    assert handle.result(timeout=1) is None
    assert (list_statuses(store), count_keys(store)) == (["expired"] * 3, 0)


def test_all_times_out_with_what_came(wait_for: Any, store: Store) -> None:
    """What came until the time-out is kept; None stands for the rest."""
    handle = wait_for("all").start({"k": 1})
    send("shipped", 2)
    advance("2h")
    assert handle.result(timeout=1) == [None, ["app/shipped", 2], None]
    assert (list_statuses(store), count_keys(store)) == (["expired", "matched", "expired"], 0)


@pytest.mark.parametrize(("mode", "expected"), [("any", None), ("all", [None, None, None])])
def test_no_time_to_wait_ends_at_once(wait_for: Any, store: Store, mode: str, expected: Any) -> None:
    """A time-out of 0 stores no wait and claims no name."""
    handle = wait_for(mode, timeout=0).start({"k": 1})
    assert handle.result(timeout=1) == expected
    assert not Wait.objects.using(store.alias).exists()


def test_one_event_may_end_several_waits_of_all(wait_for: Any) -> None:
    """Waits of one step are independent: an event ends each that it matches."""
    again = EventWait(event="app/paid")
    handle = wait_for("all", [PAID, again]).start({"k": 1})
    send("paid", 1)
    assert handle.result(timeout=1) == [["app/paid", 1], ["app/paid", 1]]


def test_one_event_that_fits_several_waits_of_any_is_the_first_of_them(wait_for: Any) -> None:
    """With several waits for it the event belongs to the one that stands first, however parking is planned.

    PostgreSQL plans a prepared statement anew for its first executions, and then once for all.
    """
    again = EventWait(event="app/paid")
    several = wait_for("any", [again, PAID])
    for number in range(10):
        handle = several.start({"k": 1})
        send("paid", number)
        assert handle.result(timeout=1) == [0, ["app/paid", number]]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("any", [1, ["app/shipped", 1]]), ("all", [["app/paid", 2], ["app/shipped", 1], None])],
)
def test_several_waits_look_back(declare: Any, mode: str, expected: Any) -> None:
    """Waits with since="run" find earlier events; of several the earliest ends an any-step."""
    waits = (
        EventWait(event="app/paid", since="run"),
        EventWait(event="app/shipped", since="run"),
        EventWait(event="app/paid", match="data.k"),
    )

    @declare()
    def late(ctx: Any) -> Any:
        yield ctx.step.sleep("gap", "1m")
        if mode == "any":
            first = yield ctx.step.wait_for_any("w", waits, timeout="1h")
            return [first[0], show(first[1])]
        return [show(came) for came in (yield ctx.step.wait_for_all("w", waits, timeout="1h"))]

    handle = late.start({"k": 1})
    send("shipped", 1)
    send("paid", 2)
    advance("2m")
    advance("2h")
    assert handle.result(timeout=1) == expected


def test_a_displaced_wait_leaves_the_others_of_its_step(wait_for: Any, declare: Any) -> None:
    """A step of several waits goes on without the signal that it lost, and ends when nothing is left."""

    @declare()
    def thief(ctx: Any) -> Any:
        yield ctx.step.wait_for_signal("s", signal="go", timeout="5h", on_conflict="replace")

    several = wait_for("all", [PAID, GO]).start({"k": 1})
    thief.start()
    drain()
    assert several.status == "waiting"
    send("paid", 1)
    assert several.result(timeout=1) == [["app/paid", 1], None]


def test_a_step_that_lost_all_its_signals_ends(wait_for: Any, declare: Any) -> None:
    """An any-step whose only wait is displaced ends as at its time-out."""

    @declare()
    def thief(ctx: Any) -> Any:
        yield ctx.step.wait_for_any("s", [SignalWait(signal="go", on_conflict="replace"), PAID], timeout="5h")

    handle = wait_for("any", [GO]).start({})
    thief.start({"k": 1})
    drain()
    assert handle.result(timeout=1) is None


@pytest.mark.parametrize("mode", ["any", "all"])
def test_a_conflict_fails_the_run_and_leaves_no_wait(wait_for: Any, store: Store, mode: str) -> None:
    """A signal that is taken fails the run, and the other waits of the step are not stored."""
    workflow = wait_for(mode, [PAID, GO])
    workflow.start({"k": 1})
    second = workflow.start({"k": 2})
    assert read_code(second) == "signal_conflict"
    assert list_statuses(store) == ["open", "open"]


def test_cancel_and_retry_of_a_half_done_all(wait_for: Any, store: Store) -> None:
    """A cancelled step's waits are closed; after a retry it asks again only for what had not come."""
    handle = wait_for("all").start({"k": 1})
    send("paid", 1)
    cancel_run(handle.id, actor="test")
    assert (list_statuses(store), count_keys(store)) == (["matched", "closed", "closed"], 0)
    send("shipped", 7)
    retry_run(handle.id, actor="test")
    drain()
    send_signal("go", 3)
    send("shipped", 2)
    assert handle.result(timeout=1) == [["app/paid", 1], ["app/shipped", 2], ["go", 3]]


@pytest.mark.parametrize("mode", ["any", "all"])
@pytest.mark.parametrize(
    "waits",
    [
        [],
        [PAID] * 21,
        [GO, GO],
        ["app/paid"],
        [None],
        [PAID, EventWait(event="app/x", since="ever")],  # type: ignore[arg-type]
        [EventWait(event="app/x", match="data.k", if_exp="true")],
        [SignalWait(signal="go", on_conflict="wait")],  # type: ignore[arg-type]
    ],
)
def test_waits_that_make_no_sense_fail_the_run(wait_for: Any, store: Store, mode: str, waits: Any) -> None:
    """Too few, too many, doubled or unknown waits are refused with a code before anything is stored."""
    assert read_code(wait_for(mode, waits).start({"k": 1})) == "step_usage"
    assert not Wait.objects.using(store.alias).exists()


@pytest.mark.parametrize(
    ("wait", "code"),
    [
        (EventWait(event=""), "event_invalid"),
        (EventWait(event="app/x", match="data.nothing"), "match_unbound"),
        (EventWait(event="app/x", if_exp="1 +"), "expression_invalid"),
        (SignalWait(signal=""), "signal_invalid"),
    ],
)
def test_each_wait_is_checked_like_one_of_its_own(wait_for: Any, wait: Any, code: str) -> None:
    """The errors are those of wait_for_event and wait_for_signal."""
    assert read_code(wait_for("any", [PAID, wait]).start({"k": 1})) == code


def test_twenty_waits_work(wait_for: Any) -> None:
    """The largest number of waits in one step."""
    waits = [EventWait(event="app/n", if_exp=f"async.data.n == {n}") for n in range(20)]
    handle = wait_for("all", waits).start({"k": 1})
    send_events([Event("app/n", {"n": n}) for n in reversed(range(20))])
    drain()
    assert handle.result(timeout=1) == [["app/n", n] for n in range(20)]


@only_def
@pytest.mark.parametrize("how", ["event", "signal"])
@pytest.mark.parametrize("mode", ["any", "all"])
def test_a_wait_that_ends_while_its_run_is_executed_is_noticed(
    declare: Any, store: Store, mode: str, how: str
) -> None:
    """A branch ends a wait of its sibling: the slice does not park until the sibling has gone on."""
    waits = [EventWait(event="app/e") if how == "event" else GO]

    def answer() -> None:
        if how == "event":
            send_event("app/e", {})
        else:
            send_signal("go")

    @declare()
    def siblings(ctx: Any) -> Any:
        def asks() -> Any:
            tool = ctx.step.wait_for_any if mode == "any" else ctx.step.wait_for_all
            tool("w", waits, timeout="5h")
            return ctx.step.run("after", lambda: "went on")

        def answers() -> None:
            ctx.step.sleep("gap", "1m")
            ctx.step.run("answer", answer)
            ctx.step.sleep("long", "4h")

        yield ctx.group.parallel((asks, answers))

    siblings.start()
    advance("2m")
    assert Step.objects.using(store.alias).get(name="after").status == "completed"
