"""Prepared statements: the same results, whatever stands between us and the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DataError, connections, transaction

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
