"""The clock: SQL that reads the database's time, and the one place where tests shift it.

Note [The database's clock is the clock]
    Leases, timers and windows compare with the time that the deciding statement reads from the
    database, so a host with a wrong clock does no harm (law 10). On PostgreSQL that is
    STATEMENT_TIMESTAMP(), on SQLite the host's own clock, since there is only one host.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import DateTimeField, Func

_offset = timedelta(0)


def travel(delta: timedelta) -> None:
    """Shift the clock of this process by ``delta``; for tests only."""
    global _offset
    _offset += delta


def reset() -> None:
    """Undo every ``travel``."""
    global _offset
    _offset = timedelta(0)


def now_sql(vendor: str) -> str:
    """Return the SQL for the present instant."""
    return later_sql(vendor, "0") if _offset or vendor == "sqlite" else "STATEMENT_TIMESTAMP()"


def later_sql(vendor: str, seconds: str) -> str:
    """Return the SQL for the present plus ``seconds``, itself an SQL expression or a placeholder."""
    shift = _offset.total_seconds()
    if vendor == "sqlite":
        modifier = f"(({seconds}) + {shift!r}) || ' seconds'"
        return f"(strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', {modifier}) || '000')"
    return f"(STATEMENT_TIMESTAMP() + (({seconds})::float8 + {shift!r}) * interval '1 second')"


class Now(Func):
    """ORM expression for the database's present instant, shifted in tests."""

    template = ""
    output_field = DateTimeField()

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        return now_sql(connection.vendor), []


def read_now(using: str) -> datetime:
    """Return the database's present instant, in one query."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        return datetime.now(UTC) + _offset
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql(connection.vendor)}")
        return read_time(cursor.fetchone()[0])


def read_time(value: Any) -> datetime:
    """Return an aware datetime from what a raw cursor gave for a timestamp column."""
    moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
