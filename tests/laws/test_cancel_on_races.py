"""Cancel rules under crashes and races: each cancels once, and goes with its run (F65, I10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from durable_django import Cancel, clock, send_event
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import retry_run
from durable_django.engine.prune import prune
from durable_django.models import Run
from durable_django.store.claim import claim_runs
from durable_django.testing import drain
from tests.interleave import before
from tests.laws.test_cancel_on import declare_order, effects, rules, statuses
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.threads import run_together

__all__ = ["declare_order"]  # the fixtures


def claim(store: Store) -> Any:
    ids = list(Run.objects.filter(status="queued").values_list("id", flat=True))
    [claimed] = claim_runs(store.alias, owner="test", lease=60.0, ids=ids, limit=1)
    return claimed


def test_a_duplicate_event_arms_nothing_twice(declare_order: Any) -> None:
    """Events with the id of one that started a run neither start nor arm anything."""
    declare_order(Cancel("shop/stopped", match="data.id"))
    for _ in range(3):
        send_event({"name": "shop/ordered", "data": {"id": 1}, "id": "the-order"})
    assert len(rules()) == len(statuses()) == 1


class Broken(Exception):
    """Stands for the death of the process."""


def test_run_and_rules_are_stored_together(declare_order: Any, store: Store, configure: Any) -> None:
    """A crash between the start and the rules leaves neither; the tick makes up for both."""
    configure(DISPATCHER=QUIET)
    declare_order(Cancel("shop/stopped", match="data.id"))

    def fail() -> None:
        raise Broken

    with before(store.alias, "INSERT INTO durable_django_wait ", fail):
        send_event("shop/ordered", {"id": 1})
    assert (statuses(), rules()) == ([], [])
    drain()
    assert (statuses(), rules()) == (["waiting"], ["open"])


def test_a_crash_in_the_cancellation_is_made_up_for(declare_order: Any, store: Store) -> None:
    """If the process dies while it cancels, the event is not counted as routed, and the tick repeats it."""
    declare_order(Cancel("shop/stopped", match="data.id"))
    send_event("shop/ordered", {"id": 1})
    drain()

    def fail() -> None:
        raise Broken

    with before(store.alias, 'INTO "durable_django_runresult"', fail):
        send_event("shop/stopped", {"id": 1})
    assert (statuses(), rules()) == (["waiting"], ["open"])
    drain()
    assert (statuses(), rules()) == (["cancelled"], ["matched"])


def test_two_events_at_once_cancel_once(declare_order: Any, store: Store) -> None:
    """Of many events that match at the same moment one is the reason."""
    declare_order(Cancel("shop/stopped", match="data.id"), Cancel("shop/refused", match="data.id"))
    send_event("shop/ordered", {"id": 1})
    drain()
    names = ["shop/stopped", "shop/refused"] * 2
    run_together([lambda name=name: send_event(name, {"id": 1}) for name in names])
    assert statuses() == ["cancelled"]
    assert sorted(rules()) == ["closed", "matched"]


def test_end_and_cancellation_at_once_have_one_winner(declare: Any, store: Store, configure: Any) -> None:
    """A run that completes while it is cancelled has ended in one of the two ways."""
    configure(DISPATCHER=QUIET)

    @declare(id="quick", trigger="app/begin", cancel_on=Cancel("app/stop"))
    def quick(ctx: Any) -> Any:
        return 1

    for _ in range(5):
        Run.objects.all().delete()
        send_event("app/begin")
        claimed = claim(store)
        run_together([lambda each=claimed: execute_run(store.alias, each), lambda: send_event("app/stop")])
        assert statuses() in (["completed"], ["cancelled"])
        assert rules() == ["closed" if statuses() == ["completed"] else "matched"]


def test_a_rolled_back_event_cancels_nothing(declare_order: Any, store: Store) -> None:
    """An event belongs to its sender's transaction."""
    declare_order(Cancel("shop/stopped", match="data.id"))
    send_event("shop/ordered", {"id": 1})
    with transaction.atomic(using=store.alias):
        send_event("shop/stopped", {"id": 1})
        transaction.set_rollback(True, using=store.alias)
    drain()
    assert statuses() == ["waiting"]


def test_a_retried_run_can_be_cancelled_again(declare_order: Any) -> None:
    """The rules are armed anew: the event that cancelled the run is old, a new one cancels it again."""
    declare_order(Cancel("shop/stopped", match="data.id"), Cancel("shop/refused", match="data.id"))
    send_event("shop/ordered", {"id": 1})
    drain()
    for name in ("shop/stopped", "shop/stopped", "shop/refused"):
        send_event(name, {"id": 1})
        assert statuses() == ["cancelled"]
        retry_run(Run.objects.get().id, actor="test")
        drain()
        assert (statuses(), rules()) == (["waiting"], ["open", "open"])
    send_event("shop/paid", {"id": 1})
    drain()
    assert effects() == ["begin", "end"]


def test_rules_go_with_their_run(declare_order: Any, store: Store) -> None:
    """Pruning deletes the rules of runs that have ended."""
    declare_order(Cancel("shop/stopped"))
    send_event("shop/ordered", {"id": 1})
    drain()
    send_event("shop/stopped")
    clock.travel(timedelta(days=2))
    list(prune(store.alias, timedelta(days=1)))
    assert (statuses(), rules()) == ([], [])
