"""Deadlines of runs, and the runs that are past theirs.

Note [Deadlines]
    ``deadline_at`` is when a run is cancelled if it has not got further: until its first claim, the end of
    the time that it may wait for its start; from then on, the end of the time that it may take. Claims and
    the questions between steps pass over a run whose deadline is past, and the sweep ends it. Both columns
    are null for a workflow without time-outs, so the partial index holds no row of it.
"""

from __future__ import annotations

from uuid import UUID

from ..clock import later_sql, now_sql
from .base import RUN, cursor, is_postgres, read_id
from .retrying import repeatable


def deadline_sql(vendor: str) -> str:
    """Return the assignment that a claim of ``r`` makes: the first one begins the time to finish."""
    begun = "r.started_at IS NOT NULL AND r.deadline_at IS NOT NULL"
    limit = later_sql(vendor, "r.finish_within")
    return f"deadline_at = CASE WHEN {begun} THEN r.deadline_at ELSE {limit} END"


def in_time_sql(vendor: str) -> str:
    """Return the condition that the deadline of a run is not past."""
    return f"(deadline_at IS NULL OR deadline_at > {now_sql(vendor)})"


@repeatable
def find_overdue(using: str, *, limit: int) -> list[UUID]:
    """Return up to ``limit`` runs that have not ended and are past their deadline, the most overdue first."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with cursor(using) as handle:
        handle.execute(
            f"SELECT id FROM {RUN} WHERE deadline_at <= {now} AND ended_at IS NULL "
            "ORDER BY deadline_at LIMIT %s",
            [limit],
        )
        return [read_id(row[0]) for row in handle.fetchall()]
