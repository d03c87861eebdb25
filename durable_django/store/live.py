"""What unfinished runs there are, counted in the database: the screens ask for numbers, not for rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..clock import later_sql, now_sql, read_time
from .base import ATTEMPT, RUN, WAIT, cursor, is_postgres

OFTEN: Final = 6
"""Failed attempts after which somebody should look at a run that is still retried."""


@dataclass(frozen=True, slots=True)
class Live:
    """Unfinished runs that are alike.

    ``oldest`` is when the first of them was created, ``due`` and ``last`` when the first and the last are to be
    looked at; ``late`` is the number of those that should have been long ago, ``often`` of those with a step
    that failed OFTEN times.
    """

    workflow: str
    status: str
    waits_for: str
    queue: str
    owner: str
    count: int
    late: int
    often: int
    oldest: datetime
    due: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """Open waits whose time is over: how many, and since when the first of them is."""

    count: int = 0
    since: datetime | None = None


def count_live(using: str, *, limit: int, late: float) -> list[Live]:
    """Return the unfinished runs in groups, of no more than the ``limit`` that are due first.

    Args:
        late: The seconds after which a run that is due counts as late.
    """
    return _read_live(using, limit, late, "0, NULL", "", [])[0]


def count_live_and_overdue(using: str, *, limit: int, late: float, soon: float) -> tuple[list[Live], Overdue]:
    """Return the same, and the waits that are overdue, in the same query.

    Args:
        soon: The seconds within which a run that is executed or queued is looked at again; that bounds the search.
    """
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    waits = (
        f", (SELECT COUNT(*) AS number, MIN(expires_at) AS since FROM (SELECT w.expires_at FROM {RUN} r "
        f"JOIN {WAIT} w ON w.run_id = r.id WHERE r.wake_at <= {later_sql(vendor, '%s')} AND w.status = 'open' "
        f"AND w.kind <> 'cancel' AND w.expires_at <= {now_sql(vendor)} LIMIT %s) each_wait) waits"
    )
    return _read_live(using, limit, late, "waits.number, waits.since", waits, [soon, limit])


def _read_live(
    using: str, limit: int, late: float, more: str, beside: str, params: list[Any]
) -> tuple[list[Live], Overdue]:
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    groups = "workflow, status, waits_for, queue, owner"
    often = (
        f"CASE WHEN waits_for = 'retry' AND EXISTS (SELECT 1 FROM {ATTEMPT} a WHERE a.run_id = live.id "
        "AND a.number >= %s) THEN 1 ELSE 0 END"
    )
    with cursor(using) as handle:
        handle.execute(
            f"SELECT {more}, {groups}, COUNT(*), COUNT(*) FILTER (WHERE wake_at < {later_sql(vendor, '%s')}), "
            f"SUM({often}), MIN(created_at), MIN(wake_at), MAX(wake_at) FROM (SELECT id, {groups}, wake_at, created_at "
            f"FROM {RUN} WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT %s) live{beside} "
            f"GROUP BY {groups}{', ' + more if beside else ''}",
            [-late, OFTEN - 1, limit, *params],
        )
        rows = handle.fetchall()
    number, since = rows[0][:2] if rows else (0, None)
    overdue = Overdue(int(number), read_time(since) if since is not None else None)
    return [Live(*_read(row[2:])) for row in rows], overdue


def _read(row: Sequence[Any]) -> tuple[Any, ...]:
    *told, oldest, due, last = row
    return *told, read_time(oldest), read_time(due), read_time(last)
