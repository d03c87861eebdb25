"""Move the end of a step's waits, and the next look at its run with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ..clock import now_sql
from .base import RUN, STEP, WAIT, adapt_id, adapt_time, is_postgres, writing
from .wake import count_ended, queue_waiting


def move_wait(using: str, run_id: UUID, name: str, index: int, until: datetime) -> None:
    """Let the open waits of a step end at another instant, in a transaction that holds the run."""
    with writing(using) as handle:
        _move(handle, "%s", [adapt_time(using, until)], [adapt_id(using, run_id), name, index])
        # Other branches may be due sooner; sleeps that are over keep their rows.
        now = now_sql("postgresql" if is_postgres(using) else "sqlite")
        handle.execute(
            f"UPDATE {RUN} SET wake_at = COALESCE((SELECT MIN(s.ready_at) FROM {STEP} s "
            f"WHERE s.run_id = {RUN}.id AND s.status IN ('waiting', 'retrying') AND s.ready_at > {now}), wake_at) "
            "WHERE id = %s AND status = 'waiting' AND waits_for NOT IN ('retry', 'code', 'start')",
            [adapt_id(using, run_id)],
        )


def end_waiting(
    using: str, run_id: UUID, name: str, index: int, *, renudge: float
) -> list[tuple[UUID, str, str]]:
    """Let the time of a step's open waits be up now, in a transaction that holds the run; return it if it woke."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with writing(using) as handle:
        _move(handle, now, [], [adapt_id(using, run_id), name, index])
        count_ended(using, handle, run_id)
        return queue_waiting(using, handle, run_id, renudge)


def _move(handle: Any, moment: str, params: list[Any], place: list[Any]) -> None:
    for table, column, status in ((WAIT, "expires_at", "open"), (STEP, "ready_at", "waiting")):
        handle.execute(
            f"UPDATE {table} SET {column} = {moment} "
            f"WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = '{status}'",
            [*params, *place],
        )
