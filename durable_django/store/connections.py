"""Connections of the threads that an engine keeps: used again for as long as they work.

Note [A worker keeps its connections]
    Django closes a connection after each request unless CONN_MAX_AGE says otherwise. A worker's thread
    is not a request: opening a connection costs many times a step, so it is closed only when it is broken, or
    older than a CONN_MAX_AGE that the project did set. With CONN_HEALTH_CHECKS it is asked before its first
    use in a slice, as Django does in a request.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import connections


def refresh_connections() -> None:
    """Close what is broken or too old among the connections of this thread, outside of transactions."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            continue
        connection.health_check_done = False  # type: ignore[attr-defined]  # the stubs lack it
        if _is_spent(connection):
            connection.close()


def _is_spent(connection: Any) -> bool:
    if connection.connection is None:
        return False
    limited = connection.settings_dict["CONN_MAX_AGE"] and connection.close_at is not None
    if limited and time.monotonic() >= connection.close_at:
        return True
    if not connection.errors_occurred:
        return False
    connection.errors_occurred = not connection.is_usable()
    return bool(connection.errors_occurred)
