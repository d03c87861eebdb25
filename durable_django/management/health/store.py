"""Probes of the database itself: there, migrated, set up for many writers, and in time."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor

from ...clock import now_sql, read_time
from .finding import Finding

SKEW_WARN = 5.0
LOWEST_POSTGRES = 140_000


def probe_connection(using: str) -> list[Finding]:
    """Ask the database for its version."""
    connection = connections[using]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        version = ".".join(str(part) for part in connection.get_database_version())
    except (DatabaseError, InterfaceError) as error:
        text = f"{using!r} cannot be reached: {str(error).strip()}"
        return [Finding(name="database", level="fail", text=text, remedy="Start it, or correct DATABASES.")]
    text = f"{using!r} is {connection.display_name} {version}"
    if connection.vendor not in ("postgresql", "sqlite"):
        remedy = "Use PostgreSQL in production, or SQLite on one host."
        return [Finding(name="database", level="fail", text=f"{text}, which is not supported", remedy=remedy)]
    if (
        connection.vendor == "postgresql"
        and getattr(connection, "pg_version", LOWEST_POSTGRES) < LOWEST_POSTGRES
    ):
        return [
            Finding(name="database", level="fail", text=text, remedy="Upgrade to PostgreSQL 14 or newer.")
        ]
    return [Finding(name="database", level="ok", text=text)]


def probe_migrations(using: str) -> list[Finding]:
    """Compare the migrations on disk with those applied."""
    executor = MigrationExecutor(connections[using])
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "durable_django"]
    missing = [
        migration.name
        for migration, _ in executor.migration_plan(targets)
        if migration.app_label == "durable_django"
    ]
    if missing:
        remedy = f"Run `manage.py migrate durable_django --database {using}`."
        text = f"not applied: {', '.join(missing)}"
        return [Finding(name="migrations", level="fail", text=text, remedy=remedy)]
    return [Finding(name="migrations", level="ok", text="all applied")]


def probe_settings(using: str) -> list[Finding]:
    """Check on SQLite that readers and writers do not shut each other out."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        journal = str(cursor.fetchone()[0]).lower()
    mode = str(connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED").upper()
    text = f"journal mode {journal}, transactions {mode}"
    if (journal, mode) == ("wal", "IMMEDIATE"):
        return [Finding(name="sqlite", level="ok", text=text)]
    remedy = (
        'Set OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20, '
        '"init_command": "PRAGMA journal_mode=WAL;"}, or writers fail with "database is locked".'
    )
    return [Finding(name="sqlite", level="warn", text=text, remedy=remedy)]


def probe_clock(using: str) -> list[Finding]:
    """Compare this host's clock with the database's, which decides."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql(connection.vendor)}", [])  # parameters, since %% stands for %
        skew = (datetime.now(UTC) - read_time(cursor.fetchone()[0])).total_seconds()
    text = f"this host is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the database"
    if abs(skew) <= SKEW_WARN:
        return [Finding(name="clock", level="ok", text=text)]
    remedy = "Leases and timers go by the database's clock; set both by NTP, or logs will mislead."
    return [Finding(name="clock", level="warn", text=text, remedy=remedy)]
