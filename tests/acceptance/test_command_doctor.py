from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from durable_django import RunHandle, workflow
from durable_django.engine.tick import report_worker
from durable_django.management.health import vacuum
from durable_django.models import Event, Run, Worker
from durable_django.store.payload_search import PAYLOAD_INDEX
from tests.commands import run_durable
from tests.plugins.store import Store
from tests.waiting import wait_until


@pytest.fixture
def healthy(store: Store) -> Store:
    """A store that was ticked just now, with a worker that was seen just now."""
    run_durable("tick")
    report_worker(store.alias, name="host:1", kind="worker", queues=["durable"])
    return store


@pytest.fixture
def sleeping(store: Store) -> RunHandle:
    @workflow(id="sleeper")
    def sleeper(ctx: Any) -> None:
        ctx.step.sleep("nap", "1h")

    return sleeper.start()


def look(*, fails: bool = False) -> dict[str, Any]:
    said = run_durable("doctor", "--json", fails=fails).data
    assert said["ok"] is not fails
    return {check["name"]: check for check in said["checks"]}


def test_all_is_well(healthy: Store) -> None:
    """With a tick and a worker everything is ok; each check has stable keys."""
    checks = look()
    assert {check["level"] for check in checks.values()} == {"ok"}
    assert all(set(check) == {"name", "level", "text", "remedy"} for check in checks.values())
    expected = {"database", "migrations", "clock", "tick", "workers", "due", "events", "queues", "code"}
    assert set(checks) - {"sqlite", "search", "vacuum"} == expected
    assert ("sqlite" in checks) is (healthy.vendor == "sqlite")
    assert ("search" in checks) is ("vacuum" in checks) is (healthy.vendor == "postgresql")


def test_lines_for_people(healthy: Store) -> None:
    """Without ``--json`` each check is a line that begins with its level."""
    lines = run_durable("doctor").out.splitlines()
    assert all(line.split()[0] == "ok" for line in lines)
    assert any("database" in line for line in lines)


def test_quiet_says_nothing_on_success(healthy: Store) -> None:
    """``--quiet`` is silent if nothing fails."""
    said = run_durable("doctor", "--quiet")
    assert (said.out, said.err) == ("", "")
    assert run_durable("doctor", "--quiet", "--json").out == ""


def test_quiet_tells_failures(healthy: Store, sleeping: RunHandle) -> None:
    """``--quiet`` tells what fails with its remedy, and nothing that is ok."""
    make_late(sleeping, minutes=5)
    said = run_durable("doctor", "--quiet", fails=True)
    assert "due" in said.error
    assert "fail" in said.out
    assert "durable worker" in said.out
    assert "ok" not in said.out.split()


def make_late(run: RunHandle, *, minutes: float) -> None:
    Run.objects.filter(id=run.id).update(wake_at=timezone.now() - timedelta(minutes=minutes))


@pytest.mark.parametrize(("minutes", "level"), [(0.05, "ok"), (0.5, "warn"), (5, "fail")])
def test_late_runs(healthy: Store, sleeping: RunHandle, minutes: float, level: str) -> None:
    """The oldest due run is graded by how late it is."""
    make_late(sleeping, minutes=minutes)
    assert look(fails=level == "fail")["due"]["level"] == level


def test_nobody_ticks(store: Store, sleeping: RunHandle) -> None:
    """Live runs that nobody ticks for are a failure, an idle store without tick is a warning."""
    assert look(fails=True)["tick"]["level"] == "fail"
    run_durable("cancel", sleeping.id)
    assert look()["tick"]["level"] == "warn"


def test_tick_stopped(healthy: Store, sleeping: RunHandle) -> None:
    """A tick that was long ago fails while there are live runs."""
    Worker.objects.filter(name="tick").update(seen_at=timezone.now() - timedelta(hours=1))
    assert look(fails=True)["tick"]["level"] == "fail"


def test_queue_that_no_worker_serves(healthy: Store, sleeping: RunHandle) -> None:
    """A queue with work that no live worker serves is named."""
    Run.objects.filter(id=sleeping.id).update(status="queued", waits_for="", queue="slow")
    check = look()["workers"]
    assert check["level"] == "warn"
    assert "none serves slow" in check["text"]
    assert "-q slow" in check["remedy"]


def test_no_worker_for_queued_runs(store: Store, sleeping: RunHandle, configure: Callable[..., None]) -> None:
    """Queued runs without any live worker fail where workers report themselves."""
    run_durable("tick")
    configure(DISPATCHER="local")
    Run.objects.filter(id=sleeping.id).update(status="queued", waits_for="")
    checks = look(fails=True)
    assert checks["workers"]["level"] == "fail"
    assert checks["queues"]["text"] == "durable: 1"


def test_unrouted_events(healthy: Store) -> None:
    """An event that was never routed is told by its age."""
    Event.objects.create(name="a/b", ts=1, created_at=timezone.now() - timedelta(minutes=5))
    assert look(fails=True)["events"]["level"] == "fail"


def test_runs_without_code(healthy: Store, sleeping: RunHandle, registry: Any) -> None:
    """Live runs whose workflow is not registered are named with their number."""
    registry.restore({})
    check = look()["code"]
    assert check["level"] == "warn"
    assert "sleeper (1 runs)" in check["text"]


@pytest.fixture
def unmigrated(store: Store) -> Iterator[str]:
    recorder = MigrationRecorder(store.connection)
    applied = sorted(name for app, name in recorder.applied_migrations() if app == "durable_django")
    recorder.record_unapplied("durable_django", applied[-1])
    yield applied[-1]
    recorder.record_applied("durable_django", applied[-1])


def test_missing_migrations(unmigrated: str) -> None:
    """A migration that is not applied fails, and what needs the tables is not asked."""
    checks = look(fails=True)
    assert unmigrated in checks["migrations"]["text"]
    assert "manage.py migrate" in checks["migrations"]["remedy"]
    assert "due" not in checks


def test_sqlite_without_immediate(healthy: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite, transactions that do not begin IMMEDIATE are a warning with the setting to make."""
    if healthy.vendor != "sqlite":
        assert "sqlite" not in look()
        return
    monkeypatch.delitem(healthy.connection.settings_dict["OPTIONS"], "transaction_mode")
    check = look()["sqlite"]
    assert check["level"] == "warn"
    assert "IMMEDIATE" in check["remedy"]


def test_unreachable_database(
    store: Store, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that does not answer is one failure with a remedy, not a traceback."""
    nowhere = {**connections["default"].settings_dict, "NAME": "/no/such/folder/db.sqlite3"}
    monkeypatch.setitem(connections.settings, "nowhere", nowhere)
    configure(DATABASE="nowhere")
    checks = look(fails=True)
    assert set(checks) == {"database"}
    assert "cannot be reached" in checks["database"]["text"]


def test_broker(healthy: Store, configure: Callable[..., None], settings: Any) -> None:
    """With Celery as dispatcher, a broker that does not answer fails, one that does is ok."""
    configure(DISPATCHER="celery")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        settings.CELERY_BROKER_URL = f"redis://:secret@127.0.0.1:{port}/0"
        check = look(fails=True)["broker"]
        assert "secret" not in check["text"]
        server.listen()
        assert look()["broker"]["level"] == "ok"


@pytest.mark.parametrize("url", ["", "memory://", "sqs://"])
def test_broker_without_an_address(
    healthy: Store, configure: Callable[..., None], settings: Any, url: str
) -> None:
    """A broker whose address names no host is a warning, since it cannot be asked."""
    configure(DISPATCHER="celery")
    settings.CELERY_BROKER_URL = url
    assert look()["broker"]["level"] == "warn"


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_payloads_without_an_index(healthy: Store) -> None:
    """Many events without the index are a warning with the statement that makes it; an index cures it."""
    with connections[healthy.alias].cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = 2e6 WHERE oid = 'durable_django_event'::regclass")
        found = look()["search"]
        assert (found["level"], "2,000,000" in found["text"]) == ("warn", True)
        cursor.execute(PAYLOAD_INDEX.replace(" CONCURRENTLY", ""))
        try:
            assert look()["search"]["level"] == "ok"
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'durable_event_payload'::regclass"
            )
            broken = look()["search"]
            assert (broken["level"], "DROP INDEX" in broken["remedy"]) == ("warn", True)
        finally:
            cursor.execute("DROP INDEX durable_event_payload")
            cursor.execute("ANALYZE durable_django_event")
    assert PAYLOAD_INDEX in found["remedy"]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_dead_rows_that_nobody_takes_away(healthy: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is mostly dead rows is named with its numbers and the way out."""
    assert look()["vacuum"]["level"] == "ok"
    monkeypatch.setattr(vacuum, "MANY", 10)
    Event.objects.create(name="a/b", ts=0)
    with healthy.connection.cursor() as cursor:
        for _ in range(20):
            Event.objects.update(name="a/c")

        def is_told() -> dict[str, Any]:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            found = look()["vacuum"]
            return found if found["level"] == "warn" else {}

        told = wait_until(is_told, what="statistics of the dead rows")
    assert re.search(r"mostly dead rows in durable_django_event \(\d+ dead rows, \d+ live\)", told["text"])
    assert told["remedy"]
