"""Reads with a limit of time, for screens that let people ask anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError, connections, transaction

from .base import is_postgres

PROGRESS: Final = 10_000
"""Instructions of SQLite's machine between two looks at the clock; well below a millisecond."""


class TimeLimitReached(Exception):
    """A read took longer than it may."""


@contextmanager
def time_limit(using: str, seconds: float) -> Iterator[None]:
    """Let each statement inside take so many seconds; all of them read, and are rolled back if one is late.

    Raises:
        TimeLimitReached: A statement took longer.
    """
    limit = _limit_postgres if is_postgres(using) else _limit_sqlite
    try:
        with limit(using, seconds):
            yield
    except OperationalError as error:
        if _is_late(error):
            raise TimeLimitReached from error
        raise


@contextmanager
def _limit_postgres(using: str, seconds: float) -> Iterator[None]:
    outer = connections[using].in_atomic_block  # of a request, say: then the limit would outlive this
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        before = _read_limit(cursor) if outer else ""
        cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
        yield
        if outer:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])


def _read_limit(cursor: Any) -> str:
    cursor.execute("SELECT current_setting('statement_timeout')")
    return str(cursor.fetchone()[0])


@contextmanager
def _limit_sqlite(using: str, seconds: float) -> Iterator[None]:
    connection = connections[using]
    connection.ensure_connection()
    raw: Any = connection.connection
    end = time.monotonic() + seconds
    raw.set_progress_handler(lambda: int(time.monotonic() > end), PROGRESS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def _is_late(error: OperationalError) -> bool:
    # 57014 is "query canceled": https://www.postgresql.org/docs/current/errcodes-appendix.html
    return getattr(error.__cause__, "sqlstate", "") == "57014" or "interrupted" in str(error)
