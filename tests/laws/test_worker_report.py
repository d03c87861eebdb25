"""What a worker says of itself: versions, slots and the last fault, in one statement a report."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from durable_django import __version__, workflow
from durable_django.clock import read_now, read_time
from durable_django.dispatch import ticker as ticker_module
from durable_django.dispatch.kinship import Kinship
from durable_django.dispatch.local import Runner
from durable_django.engine.faults import Fault, faults
from durable_django.engine.identity import find_worker, get_owner, owned_by
from durable_django.engine.operate_workers import list_workers, worker_as_dict
from durable_django.engine.tick import report_worker
from durable_django.models import Run, Worker
from tests.acceptance.test_console_list import make_live
from tests.plugins.store import Store
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """A fault of another test is none of this one's."""
    faults.last = None
    yield
    faults.last = None


def test_a_report_is_one_statement(store: Store, configure: Any) -> None:
    """Versions, slots and fault travel with it, the first time and every time after."""
    configure(CODE_VERSION="2026.11-3fa2")
    fault = Fault(text="OperationalError: gone", at=0.0)
    for busy in (3, 0):
        with CaptureQueriesContext(connections[store.alias]) as asked:
            report_worker(store.alias, "host:1", "celery", ["a"], slots=(8, busy), fault=fault)
        assert len([each for each in asked if "durable_django_worker" in each["sql"]]) == 1
    told = worker_as_dict(list_workers(store.alias).get())
    assert (told["package"], told["code"], told["slots"], told["busy"], told["last_error"]) == (
        __version__,
        "2026.11-3fa2",
        8,
        0,
        "OperationalError: gone",
    )


def test_a_fault_is_dated_by_the_database(store: Store) -> None:
    """It happened as long before the database's present as it did before the process's; without one there is none."""
    faults.note(ValueError("a\nb"))
    assert faults.last is not None
    report_worker(store.alias, "host:1", "worker", [], fault=faults.last)
    row = Worker.objects.using(store.alias).get()
    assert row.last_error == "ValueError: a b"
    assert abs((read_now(store.alias) - read_time(row.last_error_at)).total_seconds()) < 5
    report_worker(store.alias, "host:1", "worker", [])
    row.refresh_from_db()
    assert (row.last_error, row.last_error_at) == ("", None)


def test_a_fault_shows_no_secret_and_fits_its_column(store: Store) -> None:
    """What REDACT names is masked, and an endless message is cut."""
    faults.note(RuntimeError("password=hunter2 " + "ä" * 9_000))
    assert faults.last is not None
    report_worker(store.alias, "host:1", "worker", [], fault=faults.last)
    error = Worker.objects.using(store.alias).get().last_error
    assert "hunter2" not in error
    assert error.endswith("…")
    assert len(error.encode()) <= 255


@pytest.mark.parametrize("tick", [True, False])
def test_a_worker_counts_its_slots(store: Store, configure: Any, monkeypatch: Any, tick: bool) -> None:
    """Those of the kinds of workflows that it has, and how many of them are in use, whether it ticks or not."""
    configure(DISPATCHER="local", TICK_SECONDS=0.05)
    monkeypatch.setattr(ticker_module, "REPORT_SECONDS", 0.0)
    entered, opened = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert opened.wait(60)

    @workflow(id="flow")
    def flow(ctx: Any) -> None:
        ctx.step.run("one", work)

    def read() -> tuple[int | None, int | None]:
        row = Worker.objects.using(store.alias).filter(name=get_owner()).first()
        return (row.slots, row.busy) if row else (None, None)

    runner = Runner(store.alias, threads=3, tasks=7, tick=tick)
    runner.start()
    try:
        handle = flow.start()
        assert entered.wait(60)
        wait_until(lambda: read() == (3, 1))
        opened.set()
        handle.result(60)
        wait_until(lambda: read() == (3, 0))
        assert Worker.objects.using(store.alias).filter(name="tick").exists() is tick
    finally:
        opened.set()
        runner.stop()


def test_a_tick_that_fails_is_the_fault_of_its_worker(store: Store, configure: Any, monkeypatch: Any) -> None:
    """The next report that succeeds tells of it."""
    configure(DISPATCHER="local", TICK_SECONDS=0.05)
    monkeypatch.setattr(ticker_module, "REPORT_SECONDS", 0.0)
    failing = iter([True])

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if "bulkoperation" in sql and next(failing, False):
            raise ValueError("the tick stumbled")
        return execute(sql, *rest)

    def watch(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(fail)

    from django.db.backends.signals import connection_created

    connection_created.connect(watch)
    runner = Runner(store.alias, threads=1, tasks=1)
    runner.start()
    try:
        rows = Worker.objects.using(store.alias).filter(last_error="ValueError: the tick stumbled")
        wait_until(rows.exists)
    finally:
        runner.stop()
        connection_created.disconnect(watch)
        connections[store.alias].close()


def test_what_goes_wrong_in_a_child_is_heard_by_its_worker() -> None:
    """The last one counts, however many there were, and once; a full pipe holds nobody up."""
    kin = Kinship()
    assert kin.read_fault() == ""
    for number in range(3):
        kin.tell_fault(f"Error: {number}")
    assert (kin.read_fault(), kin.read_fault()) == ("Error: 2", "")
    for _ in range(1_000):
        kin.tell_fault("x" * 255)
    assert kin.read_fault() == "x" * 255


def test_the_runs_of_children_are_those_of_their_worker(store: Store) -> None:
    """An owner's name begins with its worker's; another worker whose name begins alike has no part in it."""
    own = {make_live("running", owner=owner).pk for owner in ("web-1:47", "web-1:47+48", "web-1:47+49")}
    make_live("running", owner="web-1:471")
    assert set(Run.objects.filter(owned_by("web-1:47")).values_list("pk", flat=True)) == own
    assert [find_worker(each) for each in ("web-1:47", "web-1:47+48")] == ["web-1:47"] * 2
