"""Several waits in one step, whose ends race: one decides, none is lost."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from durable_django import EventWait, send_event, send_signal
from durable_django.exceptions import SignalNotAwaited
from durable_django.models import Run, Step, Wait
from durable_django.testing import drain
from tests.blocked import count_blocked
from tests.interleave import before
from tests.laws.test_wait_any_all import GO, PAID, SHIPPED, only_def, send, wait_for
from tests.plugins.store import Store
from tests.threads import run_together
from tests.waiting import wait_until

__all__ = ["wait_for"]  # the fixtures


only_postgres = pytest.mark.parametrize("store", ["postgres"], indirect=True)


@only_postgres
@only_def
@pytest.mark.parametrize("mode", ["any", "all"])
def test_branches_that_end_at_once(wait_for: Any, store: Store, mode: str) -> None:
    """Events of several branches at one moment: together they complete "all", one of them ends "any"."""
    workflow = wait_for(mode, [EventWait(event=f"app/e{n}", match="data.k") for n in range(4)])
    for k in range(4):
        handle = workflow.start({"k": k})
        run_together([lambda n=n, k=k: send_event(f"app/e{n}", {"k": k, "n": n}) for n in range(4)])
        drain()
        result = handle.result(timeout=1)
        if mode == "all":
            assert result == [[f"app/e{n}", n] for n in range(4)]
        else:
            assert result == [result[0], [f"app/e{result[0]}", result[0]]]
            waits = Wait.objects.using(store.alias).filter(run_id=handle.id)
            assert sorted(wait.status for wait in waits) == ["closed"] * 3 + ["matched"]


@only_postgres
@only_def
@pytest.mark.parametrize("place", ["FOR NO KEY UPDATE", "SET status = %s, event_id", "SET output"])
def test_the_last_two_branches_see_each_other(
    wait_for: Any, store: Store, elsewhere: Any, place: str
) -> None:
    """However two ends of branches interleave, one of them is the last and completes the step."""
    handle = wait_for("all", [PAID, SHIPPED]).start({"k": 1})
    others: list[Future[Any]] = []

    def send_other() -> None:
        others.append(pool.submit(elsewhere, send_event, "app/shipped", {"k": 1, "n": 2}))
        if place == "FOR NO KEY UPDATE":
            others[0].result(60)
        else:  # the run is locked by this thread, and the other one has to wait for it
            wait_until(lambda: elsewhere(count_blocked, store.alias), what="the other end being blocked")

    with ThreadPoolExecutor(1) as pool:
        with before(store.alias, place, send_other):
            send_event("app/paid", {"k": 1, "n": 1})
        others[0].result(60)
    drain()
    assert handle.result(timeout=1) == [["app/paid", 1], ["app/shipped", 2]]


@only_postgres
@only_def
def test_the_last_branch_against_the_time_out(wait_for: Any, store: Store) -> None:
    """The result has the last event or None in its place, and the rows agree with it."""
    workflow = wait_for("all", [PAID, SHIPPED])
    for k in range(6):
        handle = workflow.start({"k": k})
        send("paid", 1, k=k)
        Step.objects.using(store.alias).filter(run_id=handle.id).update(ready_at="2020-01-01T00:00Z")
        Run.objects.using(store.alias).filter(id=handle.id).update(wake_at="2020-01-01T00:00Z")
        run_together([drain, lambda k=k: send_event("app/shipped", {"k": k, "n": 2})])
        drain()
        last = Wait.objects.using(store.alias).get(run_id=handle.id, branch=1).status
        expected = {"matched": ["app/shipped", 2], "expired": None}[last]
        assert handle.result(timeout=1) == [["app/paid", 1], expected]


@only_postgres
@only_def
def test_an_event_and_a_signal_at_once(wait_for: Any, store: Store) -> None:
    """Of an event and a signal for one any-step one wins; a sender who lost is told so."""
    workflow = wait_for("any", [PAID, GO])

    def signal() -> bool:
        try:
            return bool(send_signal("go", 2))
        except SignalNotAwaited:
            return False

    for k in range(6):
        handle = workflow.start({"k": k})
        _, heard = run_together([lambda k=k: send_event("app/paid", {"k": k, "n": 1}), signal])
        drain()
        assert handle.result(timeout=1) == ([1, ["go", 2]] if heard else [0, ["app/paid", 1]])
