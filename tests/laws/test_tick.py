from __future__ import annotations

from durable_django.engine.tick import report_worker, tick, withdraw_worker
from durable_django.models import Worker
from tests.plugins.store import Store
from tests.threads import run_together


def test_of_many_who_tick_at_once_one_sweeps(store: Store) -> None:
    """A tick serves all processes for its period, the very first one included."""
    done = run_together([lambda: tick(store.alias, period=60.0)] * 6)
    assert sum(swept is not None for swept in done) == 1
    assert tick(store.alias, period=60.0) is None


def test_a_tick_is_due_again_after_its_period(store: Store) -> None:
    """Whoever comes first after the period sweeps; force never waits."""
    assert tick(store.alias, period=60.0) is not None
    assert tick(store.alias, period=60.0, force=True) is not None
    assert tick(store.alias, period=0.0) is not None


def test_a_forced_tick_keeps_others_from_sweeping(store: Store) -> None:
    """What was swept by force need not be swept again by a period's tick."""
    tick(store.alias, period=0.0, force=True)
    assert tick(store.alias, period=60.0) is None


def test_a_worker_reports_itself_and_leaves(store: Store) -> None:
    """A worker has one row, seen again at each report, and none once it left."""
    report_worker(store.alias, "host:1", "celery", ["a"])
    first = Worker.objects.using(store.alias).get(name="host:1")
    report_worker(store.alias, "host:1", "celery", ["a", "b"])
    again = Worker.objects.using(store.alias).get(name="host:1")
    assert (again.queues, again.started_at) == ("a,b", first.started_at)
    assert again.seen_at >= first.seen_at
    withdraw_worker(store.alias, "host:1")
    assert not Worker.objects.using(store.alias).exists()


def test_a_silent_worker_is_forgotten_but_never_the_tick(store: Store) -> None:
    """Rows of processes that died without a word go when another leaves; the tick's stays for the doctor."""
    tick(store.alias, period=0.0)
    report_worker(store.alias, "dead:1", "celery", [])
    Worker.objects.using(store.alias).update(seen_at="2020-01-01T00:00:00Z")
    withdraw_worker(store.alias, "host:2")
    assert list(Worker.objects.using(store.alias).values_list("name", flat=True)) == ["tick"]
