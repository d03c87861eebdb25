from __future__ import annotations

from django.db import connections


def count_blocked(alias: str = "postgres") -> int:
    """Return how many sessions of the present PostgreSQL database wait for a lock."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees the sessions of its first look
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])
