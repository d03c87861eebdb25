from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from durable_django import Event, EventTrigger, StepError, send_event, step, workflow
from durable_django.conf import settings as durable
from durable_django.engine.operations import cancel_run, rerun, retry_run
from durable_django.engine.prune import Pruned, prune
from durable_django.models import AuditEntry, Run, RunResult, Step, Wait
from durable_django.testing import advance, drain, reset_clock
from tests import databases
from tests.app.models import Effect
from tests.plugins.services import need
from tests.threads import run_together

APART = "apart"
TABLES = "durable_django_"


@pytest.fixture(params=["sqlite", "postgres"])
def apart(
    request: pytest.FixtureRequest,
    settings: Any,
    tmp_path: Path,
    sqlite_database: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """The durable tables in a database of their own, found by DurableRouter alone."""
    alias = "postgres" if request.param == "postgres" else APART
    if alias == "postgres":
        need("postgres")
        request.getfixturevalue("postgres_database")
    else:
        connections.settings[APART] = {
            **connections.settings[DEFAULT_DB_ALIAS],
            "NAME": str(tmp_path / "apart.sqlite3"),
        }
    settings.DATABASE_ROUTERS = ["durable_django.router.DurableRouter"]
    settings.DURABLE_DJANGO = {**settings.DURABLE_DJANGO, "DATABASE": alias}
    with django_db_blocker.unblock():
        if alias == APART:
            call_command("migrate", "durable_django", database=APART, verbosity=0)
        yield alias
        reset_clock()
        databases.empty(DEFAULT_DB_ALIAS)
        if alias == "postgres":
            databases.empty(alias)
    if alias == APART:
        connections[APART].close()
        del connections[APART]
        del connections.settings[APART]


@pytest.fixture
def default_untouched(apart: str) -> Iterator[None]:
    """Let the test fail if the engine asked the default database anything or left a row there."""
    with CaptureQueriesContext(connections[DEFAULT_DB_ALIAS]) as captured:
        yield
    assert [query["sql"] for query in captured] == []
    assert count_rows(DEFAULT_DB_ALIAS) == {}


def count_rows(alias: str) -> dict[str, int]:
    counts = {}
    with connections[alias].cursor() as cursor:
        for name in connections[alias].introspection.table_names(cursor):
            if name.startswith(TABLES) and not name.endswith("_arrival"):
                cursor.execute(f"SELECT count(*) FROM {name}")
                counts[name] = cursor.fetchone()[0]
    return {name: count for name, count in counts.items() if count}


def declare_order() -> Any:
    @step
    def load(number: int) -> int:
        return number

    @workflow(id="order", trigger=EventTrigger("shop/order", if_exp="event.data.n > 0"))
    def order(ctx: Any) -> list[Any]:
        number = load(ctx.event.data["n"])
        ctx.step.sleep("nap", "1h")
        paid = ctx.step.wait_for_event("paid", event="shop/paid", match="data.n", timeout="1 day")
        ctx.step.send_event("tell", Event("shop/told", {"n": number}))
        return [number, paid and paid.data["n"]]

    return order


def test_an_event_becomes_a_run_that_ends(apart: str, default_untouched: None) -> None:
    """Events, runs, steps, sleeps and waits use the one alias from send to result."""
    declare_order()
    send_event("shop/order", {"n": 7})
    drain()
    advance("2h")
    send_event("shop/paid", {"n": 7})
    drain()
    assert list(Run.objects.values_list("workflow", "status")) == [("order", "completed")]
    assert RunResult.objects.get().output == "[7,7]"
    assert Step.objects.count() == 4
    assert Run.objects.db == apart


def test_handles_and_time_outs(apart: str, default_untouched: None) -> None:
    """start(), its handle and a time-out need no alias from the caller."""
    handle = declare_order().start({"n": 1}, key="once")
    assert declare_order().start({"n": 1}, key="once").id == handle.id
    advance("1h")
    advance("2 days")
    assert handle.result(timeout=60) == [1, None]
    assert set(Wait.objects.values_list("status", flat=True)) == {"expired"}


def test_async_workflows_and_failures(apart: str, default_untouched: None) -> None:
    """The asynchronous driver and the failure path know the alias as well."""

    @workflow(id="shaky", retries=1)
    async def shaky(ctx: Any) -> str:
        try:
            await ctx.step.run("divide", lambda: 1 / 0)
        except StepError as error:
            return error.name
        return ""

    handle = shaky.start()
    advance("5m")
    assert handle.result(timeout=60) == "ZeroDivisionError"


def test_an_operator_acts_on_the_alias(apart: str, default_untouched: None) -> None:
    """Cancel, retry and rerun read and write where the runs are, the operator log too."""
    handle = declare_order().start({"n": 1})
    cancel_run(handle.id, actor="user:1", reason="test")
    assert handle.status == "cancelled"
    retry_run(handle.id, actor="user:1")
    assert handle.status in ("queued", "waiting")
    again = rerun(handle.id, actor="user:1")
    advance("1h")
    advance("2 days")
    assert again.result(timeout=60) == handle.result(timeout=60) == [1, None]
    assert AuditEntry.objects.count() == 3


def test_prune_clears_the_alias(apart: str, default_untouched: None) -> None:
    """Old runs and events go from where they are, by the function and by the command."""
    cancel_run(declare_order().start({"n": 1}).id, actor="user:1")
    assert sum(prune(apart, timedelta(days=1)), Pruned()).runs == 0
    advance("2 days")
    assert sum(prune(apart, timedelta(days=1)), Pruned()).runs == 1
    assert set(count_rows(apart)) == {"durable_django_auditentry"}


def test_other_threads_use_the_alias(apart: str, default_untouched: None) -> None:
    """A worker thread, with connections of its own, writes to the same place."""
    declare_order()

    def work() -> None:
        send_event("shop/order", {"n": 3})
        drain()

    run_together([work])
    assert Run.objects.get().status == "waiting"


def test_rows_of_other_apps_stay_where_they_are(apart: str) -> None:
    """A step, atomic or not, writes the project's own rows to their database; the run's go to the alias."""

    @workflow(id="effects", retries=0)
    def effects(ctx: Any) -> int:
        return ctx.step.run("write", lambda: Effect.objects.create(key="x").n, atomic=True)

    assert effects.start({}).result(timeout=60) == 0
    assert Effect.objects.using(DEFAULT_DB_ALIAS).count() == 1
    assert count_rows(DEFAULT_DB_ALIAS) == {}


def test_the_router_keeps_our_tables_apart(apart: str) -> None:
    """Only the alias gets the durable tables; other apps are not the router's business."""
    assert router.allow_migrate(apart, "durable_django")
    assert not router.allow_migrate(DEFAULT_DB_ALIAS, "durable_django")
    assert router.allow_migrate(DEFAULT_DB_ALIAS, "testapp")
    assert router.db_for_read(Effect) == router.db_for_write(Effect) == DEFAULT_DB_ALIAS
    assert router.db_for_read(Run) == router.db_for_write(Run) == apart == durable.DATABASE
    assert router.allow_relation(Run(), Step())


def test_without_database_the_router_has_no_opinion(settings: Any) -> None:
    """Installed but not configured, it changes nothing."""
    settings.DATABASE_ROUTERS = ["durable_django.router.DurableRouter"]
    settings.DURABLE_DJANGO = {"DATABASE": None}
    assert router.db_for_write(Run) == DEFAULT_DB_ALIAS
    assert router.allow_migrate(DEFAULT_DB_ALIAS, "durable_django")
