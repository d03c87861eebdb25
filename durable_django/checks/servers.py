"""E010 a server that is too old, W005 SQLite without a write-ahead log: checks that open a connection.

Django runs them with ``migrate`` and with ``check --database``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Notice
from django.db import NotSupportedError, connections

from .database import find_alias


def check_servers(
    app_configs: Any = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Report what only the server itself can tell about the database of the durable tables."""
    alias = find_alias()
    if alias is None or alias not in (databases or ()):
        return []
    return _check_version(alias) or _check_journal(alias)


def _check_version(alias: str) -> list[CheckMessage]:
    try:
        connections[alias].check_database_version_supported()
    except NotSupportedError as error:
        return [
            Error(
                f"The database {alias!r} is too old for the durable tables: {error}",
                hint="Upgrade the server; PostgreSQL 14 is the oldest that works.",
                id="durable_django.E010",
            )
        ]
    return []


def _check_journal(alias: str) -> list[CheckMessage]:
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = cursor.fetchone()[0]
    if mode in ("wal", "memory"):
        return []
    return [
        Notice(
            f"The SQLite database {alias!r} has the journal mode {mode!r}: readers block writers.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['init_command'] = 'PRAGMA journal_mode=WAL;'.",
            id="durable_django.W005",
        )
    ]
