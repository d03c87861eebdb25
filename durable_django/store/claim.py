"""Claim queued runs: take the lease, count the attempt, hand over all that a fresh run needs.

Note [A crash is counted before user code runs]
    A process that dies cannot report its death. So the claim itself raises ``crash_count``, in its own
    commit, and every orderly end of the slice (park, finish, release) sets it back to 0.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..clock import later_sql, now_sql
from .base import EVENT, RUN, Claimed, EventRow, Parent, adapt_id, cursor, is_postgres, read_id, writing
from .deadline import deadline_sql, in_time_sql
from .paused import held_sql
from .prepared import Statement
from .retrying import repeatable

_COLUMNS = (
    "r.id, r.workflow, r.token, r.attempt, r.attempt_steps, r.crash_count, r.wakeups, r.queue, "
    "e.id, e.name, e.data, e.ts, e.external_id, e.extra, e.source, "
    "r.origin, r.depth, r.parent_id, r.parent_step, r.parent_index, r.version"
)


@repeatable
def claim_runs(
    using: str,
    *,
    owner: str,
    lease: float,
    ids: Sequence[UUID] | None = None,
    queue: str | None = None,
    limit: int = 1,
    including: Sequence[str] | None = None,
    excluding: Sequence[str] = (),
    deaths: range | None = None,
) -> list[Claimed]:
    """Take up to ``limit`` queued runs, of a queue or of a list of ids, oldest first.

    ``lease`` is in seconds. ``including`` and ``excluding`` are workflow ids; ``deaths`` are the deaths of
    workers in a row that a run may have seen. Runs that another worker is just taking are passed over, and
    so are those of paused workflows.
    """
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    condition, params = "queue = %s", [queue]
    if ids is not None:
        condition, params = _any_of(using, "id", [adapt_id(using, each) for each in ids], "uuid")
    condition += f" AND {in_time_sql(vendor)} AND NOT {held_sql(RUN)}"
    if including is not None:
        some, values = _any_of(using, "workflow", including, "text")
        condition, params = f"{condition} AND {some}", [*params, *values]
    if excluding:
        some, values = _any_of(using, "workflow", excluding, "text")
        condition, params = f"{condition} AND NOT {some}", [*params, *values]
    if deaths is not None:
        condition += f" AND crash_count BETWEEN {deaths.start:d} AND {deaths.stop - 1:d}"
    take = _take_postgres if is_postgres(using) else _take_sqlite
    return [_read(row) for row in take(using, condition, params, owner, lease, limit)]


def _any_of(using: str, column: str, values: Sequence[Any], kind: str) -> tuple[str, list[Any]]:
    """Return the condition that a column has one of the values, its text the same for any number of them."""
    if is_postgres(using):
        return f"{column} = ANY(%s::{kind}[])", [list(values)]
    return f"{column} IN ({', '.join(['%s'] * len(values))})", list(values)


def _set_sql(vendor: str) -> str:
    return (
        "status = 'running', token = r.token + 1, hold = FALSE, crash_count = r.crash_count + 1, owner = %s, "
        f"waits_for = '', wake_at = {later_sql(vendor, '%s')}, {deadline_sql(vendor)}, "
        f"started_at = COALESCE(r.started_at, {now_sql(vendor)})"
    )


def _take_postgres(
    using: str, condition: str, params: list[Any], owner: str, lease: float, limit: int
) -> list[Any]:
    with cursor(using) as handle:
        _take_statement(condition, now_sql("postgresql")).execute(
            using, handle, [*params, limit, owner, lease]
        )
        return list(handle.fetchall())


@functools.lru_cache(maxsize=32)
def _take_statement(condition: str, now: str) -> Statement:
    """Return the claim under a condition; ``now`` differs in tests only."""
    return Statement(
        f"WITH due AS MATERIALIZED (SELECT id FROM {RUN} WHERE status = 'queued' AND {condition} "
        "ORDER BY id LIMIT %s::bigint FOR UPDATE SKIP LOCKED) "
        f"UPDATE {RUN} AS r SET {_set_sql('postgresql')} FROM due, {EVENT} e "
        f"WHERE r.id = due.id AND e.id = r.event_id RETURNING {_COLUMNS}",
        f"UPDATE {RUN} (claim)",
    )


def _take_sqlite(
    using: str, condition: str, params: list[Any], owner: str, lease: float, limit: int
) -> list[Any]:
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {RUN} AS r SET {_set_sql('sqlite')} WHERE id IN (SELECT id FROM {RUN} "
            f"WHERE status = 'queued' AND {condition} ORDER BY id LIMIT %s) RETURNING id",
            [owner, lease, *params, limit],
        )
        taken = [row[0] for row in handle.fetchall()]
        if not taken:
            return []
        marks = ",".join(["%s"] * len(taken))
        handle.execute(
            f"SELECT {_COLUMNS} FROM {RUN} r JOIN {EVENT} e ON e.id = r.event_id WHERE r.id IN ({marks})",
            taken,
        )
        return list(handle.fetchall())


def _read(row: Sequence[Any]) -> Claimed:
    event = EventRow(
        id=read_id(row[8]),
        name=row[9],
        data=row[10],
        ts=row[11],
        external_id=row[12],
        extra=row[13],
        source=row[14],
    )
    return Claimed(
        id=read_id(row[0]),
        workflow=row[1],
        token=row[2],
        attempt=row[3],
        attempt_steps=row[4],
        crash_count=row[5],
        wakeups=row[6],
        queue=row[7],
        event=event,
        origin=row[15],
        depth=row[16],
        parent=Parent(read_id(row[17]), row[18], row[19]) if row[17] is not None else None,
        version=row[20],
    )
