"""Whatever a step does to its database connection, the engine's next write is sound (F73)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections, transaction

from durable_django import StepError
from durable_django.models import Run, Step
from durable_django.store.connections import refresh_connections
from durable_django.testing import advance
from tests.app.models import Effect
from tests.plugins.store import Store


def open_atomic(alias: str) -> None:
    transaction.atomic(using=alias).__enter__()
    Effect.objects.create(key="lost")


def open_two(alias: str) -> None:
    transaction.atomic(using=alias).__enter__()
    open_atomic(alias)


def turn_autocommit_off(alias: str) -> None:
    connections[alias].set_autocommit(False)
    Effect.objects.create(key="lost")


def close(alias: str) -> None:
    connections[alias].close()


def close_driver(alias: str) -> None:
    # On SQLite nothing but the code itself can close the connection to a file.
    if connections[alias].vendor == "postgresql":
        connections[alias].ensure_connection()
        connections[alias].connection.close()


def raise_inside(alias: str) -> None:
    with transaction.atomic(using=alias):
        Effect.objects.create(key="lost")
        raise ValueError("inside")


def raise_open(alias: str) -> None:
    open_atomic(alias)
    raise ValueError("open")


HARM = [open_atomic, open_two, turn_autocommit_off, close, close_driver, raise_inside, raise_open]


@pytest.mark.parametrize("harm", HARM, ids=lambda each: each.__name__)
@pytest.mark.parametrize("place", ["step", "workflow"])
def test_a_harmed_connection_is_mended(
    store: Store, declare: Any, elsewhere: Any, kind: str, harm: Any, place: str
) -> None:
    """A transaction left open is given up, a closed connection opened; each checkpoint is committed."""
    if place == "workflow" and kind == "async":
        place = "step"  # an async function has no connection of its own to harm

    @declare(retries=0)
    def careless(ctx: Any) -> Any:
        yield ctx.step.run("before", int)
        try:
            if place == "step":
                yield ctx.step.run("harm", harm, store.alias)
            else:
                harm(store.alias)
        except (StepError, ValueError):
            return "caught"
        if place == "step":
            yield ctx.step.run("after", int)
        return "done"

    careless.start()
    expected = "caught" if harm in (raise_inside, raise_open) else "done"
    assert elsewhere(lambda: Run.objects.get().result.output) == f'"{expected}"'
    assert elsewhere(Effect.objects.count) == 0
    assert not connections[store.alias].in_atomic_block
    assert connections[store.alias].get_autocommit()


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_server_that_ends_the_session_is_survived(store: Store, declare: Any, elsewhere: Any) -> None:
    """If the server ends the connection while a step runs, its checkpoint is written over a new one."""

    def end_sessions(pid: int) -> None:
        with connections[store.alias].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    @declare()
    def unlucky(ctx: Any) -> Any:
        def work() -> str:
            with connections[store.alias].cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                elsewhere(end_sessions, cursor.fetchone()[0])
            return "done"

        return (yield ctx.step.run("work", work))

    assert unlucky.start().result(0) == "done"
    assert Step.objects.count() == 1


def test_the_store_failing_is_not_the_workflows_error(store: Store, declare: Any) -> None:
    """No workflow can catch that its checkpoint was not stored; the segment is tried again."""
    wrong: list[str] = []
    failing = [True]

    def refuse(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if failing and "INSERT INTO durable_django_step" in sql and "fragile" in str(params):
            failing.clear()
            raise ValueError("the driver is broken")
        return execute(sql, params, *rest)

    @declare(backoff="1s")
    def careful(ctx: Any) -> Any:
        try:
            yield ctx.step.run("fragile", lambda: "kept")
        except BaseException as error:
            if isinstance(error, Exception):
                wrong.append(repr(error))
            raise
        return "done"

    with connections[store.alias].execute_wrapper(refuse):
        handle = careful.start()
    assert (handle.status, wrong) == ("waiting", [])
    advance("2s")
    assert handle.result(0) == "done"


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_health_checks_spare_a_step_the_dead_connection(store: Store, elsewhere: Any) -> None:
    """With CONN_HEALTH_CHECKS, a session that the server ended between two slices costs no attempt."""
    connection = connections[store.alias]
    connection.ensure_connection()
    connection.health_check_enabled = True

    def end_session(pid: int) -> None:
        with connections[store.alias].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            elsewhere(end_session, cursor.fetchone()[0])
        refresh_connections()
        assert Run.objects.using(store.alias).count() == 0
    finally:
        connection.health_check_enabled = False


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_busy_connection_is_not_asked_at_each_slice(store: Store, monkeypatch: Any) -> None:
    """A connection that was asked a moment ago is used as it is; one that lay idle is asked again."""
    monkeypatch.setattr("durable_django.store.connections.ASK_SECONDS", 3_600.0)
    connection = connections[store.alias]
    refresh_connections()
    connection.health_check_done = True
    refresh_connections()
    assert connection.health_check_done
    monkeypatch.setattr("durable_django.store.connections.ASK_SECONDS", 0.0)
    refresh_connections()
    assert not connection.health_check_done
