"""Signals that race: claims, senders and time-outs at once; one of them wins, nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction

from durable_django import send_signal
from durable_django.exceptions import SignalNotAwaited
from durable_django.ids import new_id
from durable_django.models import Run, Step
from durable_django.store.signal import Delivery, deliver_signal
from durable_django.testing import drain
from tests.blocked import count_blocked
from tests.interleave import before
from tests.laws.test_signals import approve, only_def, read_code
from tests.plugins.store import Store
from tests.threads import run_together
from tests.waiting import wait_until

__all__ = ["approve"]  # the fixtures


only_postgres = pytest.mark.parametrize("store", ["postgres"], indirect=True)


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
@pytest.mark.parametrize("place", ["FOR NO KEY UPDATE", "(park)", "INTO durable_django_wait"])
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
    assert read_code(second.result(60)) == "signal_conflict"
    pool.shutdown()
    assert send_signal("go") == first[0].id


def _start_and_close(approve: Any) -> Any:
    try:
        return approve.start({})
    finally:
        connections.close_all()


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
            sent[0].result(60)
        else:  # the run is locked by the time-out: the sender has to wait for it
            wait_until(lambda: _ask_blocked(elsewhere, store), what="the sender being blocked")

    with ThreadPoolExecutor(1) as pool:
        _let_time_out(store)
        with before(store.alias, place, send):
            drain()
        drain()
        answer = sent[0].result(60)
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
    return bool(elsewhere(count_blocked, store.alias))


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
