"""Making, emptying and dropping the two test databases."""

from __future__ import annotations

import shutil
import time
from typing import Any
from urllib.parse import quote

import django
import psycopg
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import SESSION_NAME
from tests.services import SERVICES
from tests.settings import DATABASE_PREFIX, SCRATCH

# Rows that `migrate` writes; all other rows are some test's.
KEPT = {"django_migrations", "django_content_type", "auth_permission", "durable_django_event_arrival"}
LOCK_WAIT = "20s"
STALE_SECONDS = 2 * 60 * 60


def create(alias: str) -> None:
    SCRATCH.mkdir(exist_ok=True)
    if alias == "postgres":
        drop_stale()
    # Up to Django 6.0 every row would be serialized unless told otherwise; 6.1 deprecates the word.
    options = {"serialize": False} if django.VERSION < (6, 1) else {}
    connections[alias].creation.create_test_db(verbosity=0, autoclobber=True, **options)


def destroy(alias: str) -> None:
    connection = connections[alias]
    if alias == "postgres":
        end_other_sessions(connection)
    connection.creation.destroy_test_db(None, verbosity=0)
    connection.close()
    if alias == "default":
        shutil.rmtree(SCRATCH)


def empty(alias: str) -> None:
    """Delete every row that a test may have written.

    DELETE, because TRUNCATE makes new files for every table, which takes far longer on tables this small.
    The foreign keys are checked at commit, so the order of the tables does not matter.
    """
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A transaction that a test forgot must make its next test fail, not hang.
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        for statement in _deletes(connection):
            cursor.execute(statement)


def _deletes(connection: BaseDatabaseWrapper) -> list[str]:
    known = _STATEMENTS.get(connection.alias)
    if known is None:
        names = sorted(set(connection.introspection.table_names()) - KEPT)
        known = [f"DELETE FROM {connection.ops.quote_name(name)}" for name in names]
        if connection.vendor == "postgresql":
            known = ["; ".join(known)]
        _STATEMENTS[connection.alias] = known
    return known


_STATEMENTS: dict[str, list[str]] = {}


def make_url(alias: str) -> str:
    """Return the address of the test database behind ``alias``, as DATABASE_URL of another process."""
    given: dict[str, Any] = connections[alias].settings_dict
    if connections[alias].vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    user = quote(given["USER"], safe="")
    password = f":{quote(given['PASSWORD'], safe='')}" if given["PASSWORD"] else ""
    port = f":{given['PORT']}" if given["PORT"] else ""
    return f"postgres://{user}{password}@{given['HOST']}{port}/{given['NAME']}"


def forget_figures(alias: str) -> None:
    """Let the server forget what its tables held in earlier tests, of which its statistics tell for a while."""
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_stat_reset()")


def end_sessions_of_processes(alias: str) -> None:
    """End what the server still does for processes that were killed: a last statement of theirs may come late.

    It would find the rows of the next test, claim its runs, say, for a worker that is dead.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [SESSION_NAME],
        )


def end_other_sessions(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def drop_stale() -> None:
    """Drop the databases of runs that were killed before they could."""
    with psycopg.connect(SERVICES["postgres"].url, autocommit=True) as server:
        names = server.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{DATABASE_PREFIX}%"]
        )
        for (name,) in names.fetchall():
            if _is_stale(name):
                server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _is_stale(name: str) -> bool:
    born = name.removeprefix(DATABASE_PREFIX).partition("_")[0]
    try:
        return int(born, 16) < time.time() - STALE_SECONDS
    except ValueError:  # made by hand, for something else
        return False
