"""Connections of the threads that an engine keeps: used again for as long as they work.

Note [A worker keeps its connections]
    Django closes a connection after each request unless CONN_MAX_AGE says otherwise. A worker's thread
    is not a request: opening a connection costs many times a step, so it is closed only when it is broken, or
    older than a CONN_MAX_AGE that the project did set. With CONN_HEALTH_CHECKS it is asked before its first
    use in a slice, as Django does in a request, unless it was asked within the last second and its socket has
    nothing to tell: that would be a round trip for every run. A session that the server ended has something to tell.
"""

from __future__ import annotations

import select
import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import connections

ASK_SECONDS: Final = 1.0
_asked: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def refresh_connections() -> None:
    """Close what is broken or too old among the connections of this thread, outside of transactions."""
    now = time.monotonic()
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            continue
        if now - _asked.get(connection, float("-inf")) >= ASK_SECONDS or _has_news(connection):
            _asked[connection] = now
            connection.health_check_done = False  # type: ignore[attr-defined]  # the stubs lack it
        if _is_spent(connection):
            connection.close()


def _has_news(connection: Any) -> bool:
    """Tell whether the server has said something to a session that asked nothing, such as that it ends."""
    if connection.connection is None or connection.vendor != "postgresql":
        return False
    from psycopg import Error

    try:
        poll = select.poll()
        poll.register(connection.connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except (AttributeError, OSError, Error):  # no such call here, or the connection is closed already
        return True


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
