"""A database that a work has for itself: made, migrated, and dropped again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.core.management import call_command
from django.db import connection, connections

from benchmarks.setup import configure

SERVER = "DURABLE_TEST_POSTGRES"
DEFAULT = "postgres://postgres@127.0.0.1:5432/postgres"


def server_url() -> str:
    """Return the URL of the PostgreSQL server that DURABLE_TEST_POSTGRES names."""
    return os.environ.get(SERVER) or DEFAULT


@contextmanager
def make_database(suffix: str = "") -> Iterator[str]:
    """Give the URL of an empty database of this process's own on the server."""
    name = f"durable_benchmark_{os.getpid()}{suffix}"
    with psycopg.connect(server_url(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(server_url())._replace(path=f"/{name}"))
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def scratch_database(workflows: str = "", *, store: str = "postgres", **durable: object) -> Iterator[str]:
    """Configure Django with a migrated database of this process's own, and give its URL.

    Args:
        workflows: A module with a dispatcher called Nobody; that of ``benchmarks.setup`` if it is empty.
        store: "postgres", on the server that DURABLE_TEST_POSTGRES names, or "sqlite", in a temporary folder.
        durable: Settings of DURABLE_DJANGO.
    """
    if workflows:
        durable["DISPATCHER"] = f"{workflows}.Nobody"
    with _make_file() if store == "sqlite" else make_database() as url:
        try:
            configure(url, **durable)
            call_command("migrate", verbosity=0)
            yield url
        finally:
            connections.close_all()


@contextmanager
def _make_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="durable-benchmark-") as folder:
        yield f"sqlite:///{Path(folder) / 'store.sqlite3'}"


def empty() -> None:
    """Remove all rows of the durable tables, so that each round begins alike."""
    tables = [name for name in connection.introspection.table_names() if name.startswith("durable_django_")]
    tables = [name for name in tables if not name.endswith("_arrival")]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
            return
        for name in tables:
            cursor.execute(f"DELETE FROM {name}")


def list_servers(prefix: str = "") -> list[int]:
    """Return the ids of the server's processes that serve this database, but not this process's."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]
