"""Signals: one waiter a name, one run resumed, nothing stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from durable_django import asend_signal, send_event, send_signal
from durable_django.engine.operations import cancel_run, retry_run
from durable_django.exceptions import InvalidSignal, RunFailed, SignalNotAwaited, Unserializable
from durable_django.models import Event, Step, Wait, WaitKey
from durable_django.testing import advance, drain
from tests.plugins.store import Store

only_def = pytest.mark.parametrize("kind", ["def"], indirect=True)


@pytest.fixture
def approve(declare: Any) -> Any:
    """A workflow that waits for the signal that its data names."""

    @declare()
    def approve(ctx: Any) -> Any:
        asked = ctx.event.data
        return (
            yield ctx.step.wait_for_signal(
                "ok",
                signal=asked.get("signal", "go"),
                timeout=asked.get("timeout", "1h"),
                on_conflict=asked.get("on_conflict", "fail"),
            )
        )

    return approve


def read_code(handle: Any) -> str:
    with pytest.raises(RunFailed) as caught:
        handle.result(timeout=1)
    return str(caught.value.details["told"]["code"])


def list_open(store: Store) -> list[str]:
    return list(Wait.objects.using(store.alias).filter(status="open").values_list("signal", flat=True))


@pytest.mark.parametrize("data", [None, 1, "text", {"a": [1, None]}, [], True, 2**70])
def test_a_signal_resumes_its_run_with_its_data(approve: Any, data: Any) -> None:
    """The run gets the name and the data, the sender the id of the run."""
    handle = approve.start({})
    assert send_signal("go", data) == handle.id
    drain()
    assert handle.result(timeout=1) == {"signal": "go", "data": data}


def test_no_signal_is_none_at_the_time_out(approve: Any, store: Store) -> None:
    """The time-out ends the wait with None, and afterwards nobody waits."""
    handle = approve.start({})
    advance("2h")
    assert handle.result(timeout=1) is None
    assert not list_open(store)
    with pytest.raises(SignalNotAwaited):
        send_signal("go")


def test_no_time_to_wait_is_none_at_once(approve: Any, store: Store) -> None:
    """A time-out of 0 claims no name."""
    approve.start({})
    handle = approve.start({"timeout": 0})
    assert handle.result(timeout=1) is None
    assert list_open(store) == ["go"]


def test_signals_are_not_stored(approve: Any, store: Store) -> None:
    """A signal that nobody waits for is an error, and a later wait does not get it."""
    events = Event.objects.using(store.alias).count()
    with pytest.raises(SignalNotAwaited) as caught:
        send_signal("go", 1)
    assert caught.value.code == "signal_not_awaited"
    assert Event.objects.using(store.alias).count() == events
    assert approve.start({}).status == "waiting"


def test_a_signal_is_used_up(approve: Any) -> None:
    """The second of two signals finds nobody."""
    handle = approve.start({})
    send_signal("go", 1)
    with pytest.raises(SignalNotAwaited):
        send_signal("go", 2)
    drain()
    assert handle.result(timeout=1)["data"] == 1


def test_a_wait_that_is_overdue_takes_no_signal(approve: Any, store: Store) -> None:
    """Once its time-out has passed a wait is over, even if no worker has looked at it yet."""
    approve.start({})
    Wait.objects.using(store.alias).update(expires_at="2020-01-01T00:00Z")
    with pytest.raises(SignalNotAwaited):
        send_signal("go")
    assert list_open(store) == ["go"]


def test_a_name_of_an_overdue_wait_is_free(approve: Any, store: Store) -> None:
    """A new run may wait for a name whose waiter has timed out but was not woken yet; that one gets None."""
    first = approve.start({})
    Wait.objects.using(store.alias).update(expires_at="2020-01-01T00:00Z")
    second = approve.start({})
    drain()
    assert first.result(timeout=1) is None
    assert second.status == "waiting"
    assert send_signal("go") == second.id


def test_a_signal_rolled_back_was_never_sent(approve: Any, store: Store) -> None:
    """send_signal belongs to the caller's transaction."""
    handle = approve.start({})
    with transaction.atomic(using=store.alias):
        send_signal("go", 1)
        transaction.set_rollback(True, using=store.alias)
    drain()
    assert handle.status == "waiting"
    with transaction.atomic(using=store.alias):
        send_signal("go", 2)
        assert handle.status == "queued"  # nudged after the commit only
    drain()
    assert handle.result(timeout=1)["data"] == 2


def test_a_conflict_fails_the_new_run_without_retry(approve: Any, store: Store) -> None:
    """on_conflict="fail": the newcomer fails with a code, the holder still waits."""
    first, second = approve.start({}), approve.start({})
    assert read_code(second) == "signal_conflict"
    assert first.status == "waiting"
    assert not Step.objects.using(store.alias).filter(run_id=second.id).exists()
    assert send_signal("go", 1) == first.id


def test_a_replaced_wait_ends_as_at_its_time_out(approve: Any, store: Store) -> None:
    """on_conflict="replace": the older run gets None at once, the newer one the signal."""
    first = approve.start({})
    second = approve.start({"on_conflict": "replace"})
    drain()
    assert first.result(timeout=1) is None
    statuses = Wait.objects.using(store.alias).order_by("id").values_list("status", flat=True)
    assert list(statuses) == ["displaced", "open"]
    assert send_signal("go", 1) == second.id
    drain()
    assert second.result(timeout=1)["data"] == 1


def test_a_failed_run_that_is_retried_asks_again(approve: Any) -> None:
    """After a conflict an operator's retry succeeds once the name is free."""
    first, second = approve.start({}), approve.start({})
    assert read_code(second) == "signal_conflict"
    send_signal("go", 1)
    retry_run(second.id, actor="test")
    drain()
    assert send_signal("go", 2) == second.id
    drain()
    assert [first.result(timeout=1)["data"], second.result(timeout=1)["data"]] == [1, 2]


def test_the_end_of_a_run_frees_its_names(declare: Any, approve: Any, store: Store) -> None:
    """Cancelled, failed and completed runs hold no name, and a retried one asks again."""
    handle = approve.start({})
    cancel_run(handle.id, actor="test")
    with pytest.raises(SignalNotAwaited):
        send_signal("go")
    other = approve.start({})
    cancel_run(other.id, actor="test")
    retry_run(handle.id, actor="test")
    drain()
    assert send_signal("go", 3) == handle.id
    drain()
    assert handle.result(timeout=1)["data"] == 3


def test_one_run_may_wait_for_a_name_again(declare: Any) -> None:
    """A loop over one step id takes one signal a turn."""

    @declare()
    def listener(ctx: Any) -> Any:
        heard = []
        for _ in range(3):
            found = yield ctx.step.wait_for_signal("next", signal="word", timeout="1h")
            heard.append(found["data"])
        return heard

    handle = listener.start()
    for n in range(3):
        send_signal("word", n)
        drain()
    assert handle.result(timeout=1) == [0, 1, 2]


@pytest.mark.parametrize(
    "wrong",
    [{"signal": ""}, {"signal": "x" * 256}, {"signal": "\x00"}, {"signal": 7}, {"signal": "\ud800"}],
)
def test_a_malformed_name_is_refused_on_both_sides(approve: Any, wrong: dict[str, Any]) -> None:
    """A name that cannot be stored fails the run with a code, and is an error for the sender."""
    assert read_code(approve.start(wrong)) == "signal_invalid"
    with pytest.raises(InvalidSignal):
        send_signal(wrong["signal"])


def test_on_conflict_is_fail_or_replace(approve: Any) -> None:
    """Another policy fails the run with a code."""
    assert read_code(approve.start({"on_conflict": "queue"})) == "step_usage"


def test_data_that_cannot_be_stored_leaves_the_wait(approve: Any, configure: Callable[..., None]) -> None:
    """A signal with unusable or too much data is refused as a whole."""
    configure(EVENT_BYTES=1_000)
    handle = approve.start({})
    with pytest.raises(Unserializable):
        send_signal("go", object())
    with pytest.raises(InvalidSignal, match="bytes"):
        send_signal("go", "x" * 1_001)
    assert handle.status == "waiting"


@pytest.mark.parametrize("name", ["a.b/c:d", "%s {0}", "'; --", "漢字 😀", "x" * 255, "😀" * 255])
def test_names_are_any_text(approve: Any, name: str) -> None:
    """A signal's name is not interpreted."""
    handle = approve.start({"signal": name})
    assert send_signal(name) == handle.id


def test_a_signal_has_nothing_to_do_with_an_event_of_its_name(approve: Any, store: Store) -> None:
    """Neither ends the wait for the other, and a signal wait has no keys."""
    handle = approve.start({})
    send_event("go", {})
    drain()
    assert handle.status == "waiting"
    assert not WaitKey.objects.using(store.alias).exists()


@only_def
def test_async_code_sends_signals(approve: Any, store: Store) -> None:
    """asend_signal is send_signal for async callers."""
    handle = approve.start({})

    async def send() -> str:
        try:
            return await asend_signal("go", 1)
        finally:
            await asyncio.get_running_loop().run_in_executor(None, connections.close_all)

    assert asyncio.run(send()) == handle.id
    drain()
    assert handle.result(timeout=1)["data"] == 1


@only_def
def test_two_branches_of_a_run_cannot_wait_for_one_name(declare: Any, store: Store) -> None:
    """Waits for one name in one parking are a conflict, whatever the policy."""

    @declare()
    def both(ctx: Any) -> Any:
        def ask(id: str) -> Any:
            return lambda: ctx.step.wait_for_signal(id, signal="go", timeout="1h", on_conflict="replace")

        yield ctx.group.parallel((ask("a"), ask("b")))

    assert read_code(both.start()) == "signal_conflict"
    assert not list_open(store)


@only_def
def test_a_run_may_replace_its_own_wait(declare: Any, store: Store) -> None:
    """A later wait of the same run displaces the earlier one, and both branches go on."""

    @declare()
    def both(ctx: Any) -> Any:
        def late() -> Any:
            ctx.step.sleep("gap", "1m")
            return ctx.step.wait_for_signal("b", signal="go", timeout="1h", on_conflict="replace")

        first = lambda: ctx.step.wait_for_signal("a", signal="go", timeout="1h")  # noqa: E731
        return (yield ctx.group.parallel((first, late)))

    handle = both.start()
    advance("2m")
    assert list_open(store) == ["go"]
    assert Step.objects.using(store.alias).get(name="a").status == "completed"
    send_signal("go", 1)
    drain()
    assert handle.result(timeout=1) == [None, {"signal": "go", "data": 1}]
