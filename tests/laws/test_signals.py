"""Signals: one waiter a name, one run resumed, nothing stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction

from durable_django import asend_signal, send_event, send_signal
from durable_django.engine.operations import cancel_run, retry_run
from durable_django.exceptions import InvalidSignal, RunFailed, SignalNotAwaited, Unserializable
from durable_django.ids import new_id
from durable_django.models import Event, Run, Step, Wait, WaitKey
from durable_django.store.signal import Delivery, deliver_signal
from durable_django.testing import advance, drain
from tests.interleave import before
from tests.plugins.store import Store
from tests.threads import run_together
from tests.waiting import wait_until

only_postgres = pytest.mark.parametrize("store", ["postgres"], indirect=True)
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


# --- races ----------------------------------------------------------------------------------------


@only_postgres
@only_def
def test_of_runs_that_claim_a_name_at_once_one_gets_it(approve: Any, store: Store) -> None:
    """However the parkings interleave, one run waits and the others fail with the code."""
    for turn in range(4):
        signal = f"go-{turn}"
        handles = run_together([lambda signal=signal: approve.start({"signal": signal})] * 4)
        waiting = [handle for handle in handles if handle.status == "waiting"]
        assert len(waiting) == 1
        assert {read_code(handle) for handle in handles if handle not in waiting} == {"signal_conflict"}
        assert send_signal(signal) == waiting[0].id


@only_postgres
@only_def
def test_of_runs_that_replace_each_other_one_is_left(approve: Any, store: Store) -> None:
    """Each of the others gets None, and the one that is left gets the signal."""
    for turn in range(4):
        asked = {"signal": f"go-{turn}", "on_conflict": "replace"}
        handles = run_together([lambda asked=asked: approve.start(asked)] * 4)
        drain()
        (left,) = [handle for handle in handles if handle.status == "waiting"]
        assert [handle.result(timeout=1) for handle in handles if handle is not left] == [None] * 3
        assert send_signal(asked["signal"]) == left.id


@only_postgres
@only_def
@pytest.mark.parametrize("policy", ["fail", "replace"])
@pytest.mark.parametrize("place", ["FOR NO KEY UPDATE", "WITH parked", "INTO durable_django_wait"])
def test_a_rival_that_parks_in_between(
    approve: Any, store: Store, elsewhere: Any, place: str, policy: str
) -> None:
    """A rival that takes the name after this run has looked is noticed by the constraint."""
    rivals: list[Any] = []
    asked = {"on_conflict": policy}
    with before(store.alias, place, lambda: rivals.append(elsewhere(approve.start, {}))):
        handle = approve.start(asked)
    drain()
    if policy == "fail":
        assert read_code(handle) == "signal_conflict"
        assert send_signal("go") == rivals[0].id
    else:
        assert rivals[0].result(timeout=1) is None
        assert send_signal("go") == handle.id


@only_postgres
@only_def
def test_a_parking_waits_for_one_that_is_not_committed(approve: Any, store: Store, elsewhere: Any) -> None:
    """A rival whose wait is stored but not committed is waited for, then it is the holder."""
    first: list[Any] = []
    with transaction.atomic(using=store.alias):
        first.append(approve.start({}))
        drain()
        assert first[0].status == "waiting"
        # The other one cannot see this transaction and must not take the name.
        pool = ThreadPoolExecutor(1)
        second = pool.submit(_start_and_close, approve)
        wait_until(lambda: _ask_blocked(elsewhere, store), what="the second parking being blocked")
    assert read_code(second.result(20)) == "signal_conflict"
    pool.shutdown()
    assert send_signal("go") == first[0].id


def _start_and_close(approve: Any) -> Any:
    try:
        return approve.start({})
    finally:
        connections.close_all()


def _count_blocked(store: Store) -> int:
    with store.connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


@only_postgres
@only_def
def test_of_senders_at_once_one_is_heard(approve: Any, store: Store) -> None:
    """Of many senders one gets the run's id; the others hear that nobody waits."""

    def send(n: int) -> Any:
        try:
            return n, send_signal("go", n)
        except SignalNotAwaited:
            return None

    for _ in range(4):
        handle = approve.start({})
        done = [each for each in run_together([lambda n=n: send(n) for n in range(4)]) if each]
        drain()
        assert [run_id for _, run_id in done] == [handle.id]
        assert handle.result(timeout=1)["data"] == done[0][0]


@only_postgres
@only_def
@pytest.mark.parametrize("place", ["FOR NO KEY UPDATE", "SET status = 'expired'"])
def test_a_signal_while_the_wait_times_out(approve: Any, store: Store, elsewhere: Any, place: str) -> None:
    """At the same instant either the sender is refused and the run gets None, or the run gets the signal."""
    handle = approve.start({})
    sent: list[Any] = []

    def send() -> None:
        sent.append(pool.submit(_send_and_close, 1))
        if place == "FOR NO KEY UPDATE":
            sent[0].result(10)
        else:  # the run is locked by the time-out: the sender has to wait for it
            wait_until(lambda: _ask_blocked(elsewhere, store), what="the sender being blocked")

    with ThreadPoolExecutor(1) as pool:
        _let_time_out(store)
        with before(store.alias, place, send):
            drain()
        drain()
        answer = sent[0].result(10)
    if place == "FOR NO KEY UPDATE":
        assert (answer, handle.result(timeout=1)) == (handle.id, {"signal": "go", "data": 1})
    else:
        assert (answer, handle.result(timeout=1)) == (None, None)


@only_postgres
@only_def
def test_signals_and_time_outs_at_once(approve: Any, store: Store) -> None:
    """Whoever wins, the sender and the run agree on it."""
    for n in range(8):
        handle = approve.start({})
        _let_time_out(store)
        _, answer = run_together([drain, lambda n=n: _send_and_close(n)])
        drain()
        expected = None if answer is None else {"signal": "go", "data": n}
        assert handle.result(timeout=1) == expected


def _send_and_close(n: int) -> str | None:
    try:
        return send_signal("go", n)
    except SignalNotAwaited:
        return None
    finally:
        connections.close_all()


def _ask_blocked(elsewhere: Any, store: Store) -> bool:
    return bool(elsewhere(_count_blocked, store))


def _let_time_out(store: Store) -> None:
    # The wait itself still accepts: it is the instant at which both are in the right.
    Step.objects.using(store.alias).filter(status="waiting").update(ready_at="2020-01-01T00:00Z")
    Run.objects.using(store.alias).filter(status="waiting").update(wake_at="2020-01-01T00:00Z")


@only_postgres
@only_def
def test_a_lost_answer_to_the_commit_of_a_signal(approve: Any, store: Store) -> None:
    """A sender whose connection dies right after the commit is told the run, not that nobody waits."""
    handle = approve.start({})
    delivery = Delivery(id=new_id(), signal="go", output='{"signal":"go","data":1}')
    first = deliver_signal(store.alias, delivery, renudge=0.0)
    again = deliver_signal(store.alias, delivery, renudge=0.0)
    assert first is not None
    assert again is not None
    assert str(first[0]) == str(again[0]) == handle.id
    drain()
    assert handle.result(timeout=1)["data"] == 1
