"""Prepared statements: the same results, whatever stands between us and the server."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

from durable_django.store import prepared
from durable_django.store.prepared import USES, Statement

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)
ALIAS = "postgres"
ADD = Statement("SELECT %s::int + %s::int", "a sum")


@pytest.fixture(autouse=True)
def fresh(store: Any) -> Iterator[None]:
    """A connection that knows no statement, and nothing remembered from another test."""
    connections[ALIAS].close()
    prepared._off = False
    prepared._lost = prepared.count(1)
    yield
    prepared._off = False
    prepared._lost = prepared.count(1)


def add(one: int, other: int) -> int:
    with connections[ALIAS].cursor() as cursor:
        ADD.execute(ALIAS, cursor, [one, other])
        return int(cursor.fetchone()[0])


def run(one: int, other: int) -> list[tuple[str, ...]]:
    return ADD.run(ALIAS, [one, other]).read_rows()


def list_prepared() -> list[str]:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements WHERE name LIKE 'durable\\_%%'", [])
        return [name for (name,) in cursor.fetchall()]


def use(times: int) -> None:
    for number in range(times):
        assert add(number, 1) == number + 1


def test_it_is_prepared_when_it_is_used_again() -> None:
    """A connection that lives for one statement pays for no preparation; a lasting one prepares once."""
    use(1)
    assert list_prepared() == []
    use(USES + 3)
    assert len(list_prepared()) == 1


def test_a_statement_that_the_server_forgot_is_sent_as_it_is() -> None:
    """Behind a pooler the next server connection may not know the name; the result is the same."""
    use(USES + 1)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    use(1)
    assert list_prepared() == []


def test_a_name_that_another_client_prepared_is_used() -> None:
    """Behind a pooler another client may have prepared it on this server connection: it is the same statement."""
    use(1)
    connections[ALIAS].connection.execute(ADD._prepare)
    use(USES + 1)
    assert len(list_prepared()) == 1


def test_preparing_ends_where_names_keep_getting_lost() -> None:
    """Where names are never known for long, no more is prepared."""
    for _ in range(prepared.LONGEST_PATIENCE):
        use(USES)
        connections[ALIAS].connection.execute("DEALLOCATE ALL")
        use(1)
    use(USES + 1)
    assert list_prepared() == []


def test_nothing_is_prepared_in_a_transaction() -> None:
    """An unknown name would end the caller's transaction, so there the statement is sent as it is."""
    use(USES)
    with transaction.atomic(using=ALIAS):
        connections[ALIAS].connection.execute("DEALLOCATE ALL")
        use(1)


def test_other_errors_are_those_of_the_statement() -> None:
    """An error of the statement itself reaches the caller, and it is not sent twice."""
    use(USES)
    with pytest.raises(DataError) as raised:
        add(2**31 - 1, 1)
    assert isinstance(raised.value.__cause__, psycopg.errors.NumericValueOutOfRange)
    assert len(list_prepared()) == 1


def test_parameters_that_the_server_binds_go_with_the_statement(monkeypatch: Any) -> None:
    """With Django's option server_side_binding the statement is sent as it is, and gives the same."""
    options = {**connections[ALIAS].settings_dict["OPTIONS"], "server_side_binding": True}
    monkeypatch.setitem(connections[ALIAS].settings_dict, "OPTIONS", options)
    connections[ALIAS].close()
    try:
        use(USES + 2)
        assert list_prepared() == []
    finally:
        connections[ALIAS].close()


@pytest.fixture
def passed(monkeypatch: Any) -> list[str]:
    """The names of the statements that went past the cursor."""
    names: list[str] = []
    real = prepared._exec_prepared

    def note(raw: Any, name: str, params: Any) -> Any:
        names.append(name)
        return real(raw, name, params)

    monkeypatch.setattr(prepared, "_exec_prepared", note)
    return names


def test_the_hottest_statements_go_past_the_cursor(passed: list[str]) -> None:
    """A statement that is prepared and that nobody watches goes to the server without a cursor."""
    assert [run(number, 1) for number in range(4)] == [[(str(number + 1),)] for number in range(4)]
    assert len(passed) == 4 - USES + 1


def test_a_single_use_past_the_cursor_prepares_nothing(passed: list[str]) -> None:
    """A connection that lives for one statement pays for no preparation here either."""
    assert run(1, 1) == [("2",)]
    assert (passed, list_prepared()) == ([], [])


def test_who_watches_sees_them(passed: list[str]) -> None:
    """An execute wrapper, the log of queries and a transaction get every statement by the cursor."""
    for number in range(USES):
        run(number, 1)
    passed.clear()
    seen: list[str] = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connections[ALIAS].execute_wrapper(watch):
        assert run(1, 2) == [("3",)]
    with CaptureQueriesContext(connections[ALIAS]) as captured:
        assert run(2, 2) == [("4",)]
    with transaction.atomic(using=ALIAS):
        assert run(3, 2) == [("5",)]
    assert (len(seen), len(captured), passed) == (1, 1, [])


def test_where_the_driver_waits_in_python_so_do_we(passed: list[str], monkeypatch: Any) -> None:
    """Under gevent and its like a thread that waited inside libpq would stop all the others."""
    from psycopg import waiting

    monkeypatch.setattr("psycopg.waiting.wait", functools.partial(waiting.wait))
    assert [run(number, 1) for number in range(4)] == [[(str(number + 1),)] for number in range(4)]
    assert passed == []


def test_errors_past_the_cursor_are_those_of_django(passed: list[str]) -> None:
    """The server's error comes with its code, and one of a value before it is sent."""
    for number in range(USES):
        run(number, 1)
    with pytest.raises(DataError) as raised:
        run(2**31 - 1, 1)
    assert isinstance(raised.value.__cause__, psycopg.errors.NumericValueOutOfRange)
    with pytest.raises(DataError, match="NUL"):
        ADD.run(ALIAS, ["1\x00", 1])
    assert run(1, 1) == [("2",)]


def test_a_name_that_is_lost_past_the_cursor_is_sent_as_it_is(passed: list[str]) -> None:
    """Behind a pooler the next server connection may not know the name; the result is the same."""
    for number in range(USES):
        run(number, 1)
    connections[ALIAS].connection.execute("DEALLOCATE ALL")
    assert run(4, 4) == [("8",)]


def test_a_connection_that_is_lost_past_the_cursor_is_told(passed: list[str], elsewhere: Any) -> None:
    """What the server ended is an OperationalError without a code, after which a verb is repeated."""
    for number in range(USES):
        run(number, 1)

    def end_session(pid: int) -> None:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    elsewhere(end_session, connections[ALIAS].connection.info.backend_pid)
    with pytest.raises(OperationalError):
        run(1, 1)
    connections[ALIAS].close()
    assert run(1, 1) == [("2",)]
