"""Lock runs, and queue a run because a wait of it ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from ..clock import later_sql
from .base import RUN, adapt_id, is_postgres, read_id


def lock_runs(using: str, handle: Any, run_ids: Iterable[UUID]) -> None:
    """Lock the rows of runs in order of id; what later statements read of them cannot change any more.

    SQLite has no row locks: there the transaction excludes every other writer.
    """
    if is_postgres(using):
        sql = f"SELECT id FROM {RUN} WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
        handle.execute(sql, [sorted(set(run_ids))])


def count_ended(using: str, handle: Any, run_id: UUID) -> None:
    """Let a slice that is under way notice that a wait of its run ended."""
    handle.execute(
        f"UPDATE {RUN} SET wakeups = wakeups + 1 WHERE id = %s "
        "AND status IN ('queued', 'running', 'waiting')",
        [adapt_id(using, run_id)],
    )


def queue_waiting(using: str, handle: Any, run_id: UUID, renudge: float) -> list[tuple[UUID, str, str]]:
    """Queue the run if it is waiting; return its (id, workflow, queue), or nothing."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    handle.execute(
        f"UPDATE {RUN} SET status = 'queued', waits_for = '', wake_at = {later_sql(vendor, '%s')} "
        "WHERE id = %s AND status = 'waiting' RETURNING id, workflow, queue",
        [renudge, adapt_id(using, run_id)],
    )
    return [(read_id(row[0]), row[1], row[2]) for row in handle.fetchall()]
