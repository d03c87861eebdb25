"""Counts of runs by workflow and minute, for the figures of the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..clock import read_time
from .base import RESULT, ROLLUP, RUN, adapt_time, cursor, is_postgres

SAMPLE: Final = 1_000
"""Failed runs of one pass whose errors are read; in a flood the first thousand name the cause."""
GAUGED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Count:
    """So many runs of a workflow met ``what`` in a minute, with a time in that bucket."""

    workflow: str
    at: datetime
    what: str
    bucket: int
    number: int


def claim_minute(using: str, at: datetime) -> bool:
    """Insert the sum's row of a minute, and tell whether it was not there.

    Whoever finds another process at it leaves it to that one: the insert would wait for the other's transaction,
    for ever if that process is frozen, and with it the tick.
    """
    with cursor(using) as handle:
        if is_postgres(using):
            handle.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [ROLLUP])
            if not handle.fetchone()[0]:
                return False
        handle.execute(
            f"INSERT INTO {ROLLUP} (workflow, span, at, started, completed, failed, cancelled, "
            "queued, running, waiting, delays, durations, errors) "
            "VALUES ('', 1, %s, 0, 0, 0, 0, 0, 0, 0, '{}', '{}', '{}') "
            "ON CONFLICT (workflow, span, at) DO NOTHING RETURNING at",
            [adapt_time(using, at)],
        )
        return handle.fetchone() is not None


def count_starts(using: str, begin: datetime, end: datetime) -> list[Count]:
    """Count the runs that began to execute, by how long they had waited for it."""
    return _count(using, "started_at", "'started'", begin, end)


def count_ends(using: str, begin: datetime, end: datetime) -> list[Count]:
    """Count the runs that ended, by status and by how long they had lasted."""
    return _count(using, "ended_at", "status", begin, end)


def _count(using: str, column: str, what: str, begin: datetime, end: datetime) -> list[Count]:
    minute, bucket = _minute_sql(using, column), _bucket_sql(using, column)
    with cursor(using) as handle:
        handle.execute(
            f"SELECT workflow, {minute}, {what}, {bucket}, COUNT(*) FROM {RUN} "
            f"WHERE {column} >= %s AND {column} < %s GROUP BY 1, 2, 3, 4",
            [adapt_time(using, begin), adapt_time(using, end)],
        )
        return [Count(name, read_time(at), *rest) for name, at, *rest in handle.fetchall()]


def read_errors(using: str, begin: datetime, end: datetime) -> Sequence[tuple[str, datetime, str]]:
    """Return workflow, minute and stored error of runs that failed, the first ones of the time."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT r.workflow, {_minute_sql(using, 'r.ended_at')}, e.error FROM {RUN} r "
            f"JOIN {RESULT} e ON e.run_id = r.id WHERE r.ended_at >= %s AND r.ended_at < %s "
            "AND r.status = 'failed' AND e.error IS NOT NULL ORDER BY r.ended_at LIMIT %s",
            [adapt_time(using, begin), adapt_time(using, end), SAMPLE],
        )
        return [(name, read_time(at), error) for name, at, error in handle.fetchall()]


def read_gauges(using: str) -> dict[str, int]:
    """Return how many unfinished runs there are of each status, counting no further than GAUGED."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT status, COUNT(*) FROM (SELECT status FROM {RUN} WHERE wake_at IS NOT NULL "
            "LIMIT %s) live GROUP BY status",
            [GAUGED],
        )
        return dict(handle.fetchall())


def _minute_sql(using: str, column: str) -> str:
    if is_postgres(using):
        return f"date_trunc('minute', {column})"
    return f"substr({column}, 1, 16) || ':00'"


def _bucket_sql(using: str, column: str) -> str:
    """Return the SQL of ``histogram.find_bucket``: quarters of powers of two of milliseconds."""
    if is_postgres(using):
        seconds, whole = f"EXTRACT(EPOCH FROM {column} - created_at)::float8", "floor"
    else:
        seconds, whole = f"((julianday({column}) - julianday(created_at)) * 86400.0)", ""
    return (
        f"CASE WHEN {seconds} <= 0.001 THEN 0 "
        f"ELSE CAST({whole}(LN({seconds} * 1000.0) / LN(2.0) * 4.0) AS integer) END"
    )
