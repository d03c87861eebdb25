"""Renew leases, give them back, and let the sweep take over what nobody looks after.

Note [A locked run keeps no other lease from being renewed]
    Somebody may hold a run's row for long, such as a caller of ``cancel_run`` in a transaction that goes on. So
    locked rows are passed over and tried again for a moment. One that stays locked counts as owned: nobody
    can take it over meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from ..clock import later_sql, now_sql
from .arrays import write_array
from .base import EVENT, OPEN, RUN, WAIT, adapt_id, cursor, is_postgres, read_id, writing
from .paused import LOOK_SECONDS, held_sql
from .prepared import Statement
from .retrying import repeatable

_PAUSES: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2)
"""Seconds before each look at a run that is locked; a checkpoint holds its run for much less."""


@dataclass(frozen=True, slots=True)
class Due:
    """A run that the sweep put into its queue; ``was`` is the status that it had before.

    ``paused`` says that it is not queued, since its workflow is paused.
    """

    id: UUID
    workflow: str
    queue: str
    was: str
    paused: bool = False


@repeatable
def renew_leases(using: str, held: Sequence[tuple[UUID, int]], lease: float) -> set[UUID]:
    """Extend the leases by ``lease`` seconds from now; return the runs that are still owned."""
    held = sorted(held)
    if is_postgres(using):
        return _renew_postgres(using, held, lease)
    with writing(using) as handle:
        return {run_id for run_id, token in held if _renew_sqlite(using, handle, run_id, token, lease)}


def _renew_postgres(using: str, held: Sequence[tuple[UUID, int]], lease: float) -> set[UUID]:
    sql = (
        "WITH item AS (SELECT * FROM unnest(%s::uuid[], %s::bigint[]) AS item(id, token)), "
        f"free AS MATERIALIZED (SELECT r.id FROM {RUN} r JOIN item ON r.id = item.id AND r.token = item.token "
        "WHERE r.status = 'running' ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED), "
        f"renewed AS (UPDATE {RUN} r SET wake_at = {later_sql('postgresql', '%s')} FROM free "
        "WHERE r.id = free.id RETURNING r.id) "
        f"SELECT r.id, renewed.id IS NOT NULL FROM item JOIN {RUN} r ON r.id = item.id "
        "AND r.token = item.token AND r.status = 'running' LEFT JOIN renewed ON renewed.id = r.id"
    )
    owned: set[UUID] = set()
    left = dict(held)
    for pause in _PAUSES:
        time.sleep(pause)
        with cursor(using) as handle:
            handle.execute(sql, [list(left), list(left.values()), lease])
            rows = handle.fetchall()
        owned -= set(left)
        owned |= {read_id(row[0]) for row in rows}
        left = {
            run_id: left[run_id]
            for run_id, renewed in ((read_id(row[0]), row[1]) for row in rows)
            if not renewed
        }
        if not left:
            break
    return owned


def _renew_sqlite(using: str, handle: Any, run_id: UUID, token: int, lease: float) -> bool:
    handle.execute(
        f"UPDATE {RUN} SET wake_at = {later_sql('sqlite', '%s')} "
        "WHERE id = %s AND token = %s AND status = 'running' RETURNING id",
        [lease, adapt_id(using, run_id), token],
    )
    return handle.fetchone() is not None


@repeatable
def release_leases(using: str, held: Sequence[tuple[UUID, int]]) -> int:
    """Give the runs back to their queues at once, without counting a crash; return how many were."""
    released = 0
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    with writing(using) as handle:
        for run_id, token in sorted(held):
            handle.execute(
                f"UPDATE {RUN} SET status = 'queued', owner = '', crash_count = 0, "
                f"wake_at = {now_sql(vendor)} WHERE id = %s AND token = %s AND status = 'running'",
                [adapt_id(using, run_id), token],
            )
            released += handle.rowcount
    return released


@repeatable
def wake_due(using: str, *, limit: int, renudge: float) -> list[Due]:
    """Queue up to ``limit`` runs whose ``wake_at`` has passed: the one sweep of law 2.

    Sleepers and retries are due, waits timed out, workers lost their lease, nudges got lost; in each
    case the run is queued and nudged, and looked at again after ``renudge`` seconds if nothing happens.
    Runs of paused workflows become, or stay, paused; see Note [A pause holds runs at the claim].
    """
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    pick = (
        f"SELECT id, workflow, queue, status, {held_sql(RUN)} AS held FROM {RUN} "
        f"WHERE wake_at <= {now_sql(vendor)} ORDER BY wake_at LIMIT %s"
    )
    if vendor == "postgresql":
        seconds = "CASE WHEN due.held AND due.status = 'paused' THEN %s::float8 ELSE %s::float8 END"
        sql = (
            f"WITH due AS MATERIALIZED ({pick} FOR UPDATE SKIP LOCKED) UPDATE {RUN} r SET "
            "status = CASE WHEN due.held THEN 'paused' ELSE 'queued' END, "
            f"waits_for = '', owner = '', wake_at = {later_sql(vendor, seconds)} FROM due "
            "WHERE r.id = due.id RETURNING r.id, r.workflow, r.queue, due.status, due.held"
        )
        with cursor(using) as handle:
            handle.execute(sql, [limit, LOOK_SECONDS, renudge])
            rows = handle.fetchall()
    else:
        change = f"status = %s, waits_for = '', owner = '', wake_at = {later_sql(vendor, '%s')}"
        with writing(using) as handle:
            handle.execute(pick, [limit])
            rows = list(handle.fetchall())
            handle.executemany(
                f"UPDATE {RUN} SET {change} WHERE id = %s",
                [
                    ("paused", LOOK_SECONDS if row[3] == "paused" else renudge, row[0])
                    if row[4]
                    else ("queued", renudge, row[0])
                    for row in rows
                ],
            )
    return [Due(read_id(row[0]), row[1], row[2], row[3], bool(row[4])) for row in rows]


@repeatable
def seconds_to_next(using: str) -> float | None:
    """Return the seconds until the next run is due (0 or less: now), or None if none ever is."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    now = now_sql(vendor)
    left = (
        f"EXTRACT(EPOCH FROM MIN(wake_at) - {now})"
        if vendor == "postgresql"
        else f"(julianday(MIN(wake_at)) - julianday({now})) * 86400.0"
    )
    with cursor(using) as handle:
        handle.execute(f"SELECT {left} FROM {RUN} WHERE wake_at IS NOT NULL", [])
        row = handle.fetchone()
    return float(row[0]) if row and row[0] is not None else None


@repeatable
def settle_wait(using: str, run_id: UUID, token: int, wake_in: float, names: Sequence[str]) -> bool:
    """After a park: set the real time-out unless an event came in that the new waits may accept.

    Returns False if such an event is stored, so that the caller looks at it now.
    """
    params = [wake_in, run_id, token, write_array("text", names)]
    return bool(_settle_statement(now_sql("postgresql")).run(using, params).count)


@lru_cache(maxsize=16)
def _settle_statement(now: str) -> Statement:
    """Return the statement of ``settle_wait``; ``now`` differs in tests only."""
    return Statement(
        f"UPDATE {RUN} r SET crash_count = 0, wake_at = {later_sql('postgresql', '%s')} "
        "WHERE r.id = %s::uuid AND r.token = %s::bigint AND r.status = 'waiting' AND NOT EXISTS (SELECT 1 "
        f"FROM {WAIT} w JOIN {EVENT} e ON e.name = w.event_name "
        f"AND (e.arrival > w.after OR e.arrival IS NULL) WHERE w.run_id = r.id AND {OPEN} "
        "AND w.event_name = ANY(%s::text[])) RETURNING r.id",
        f"UPDATE {RUN} (settle)",
    )
