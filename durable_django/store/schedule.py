"""Read, add and move schedules; a move and the events of the times that it passes are one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..clock import now_sql, read_time
from .base import SCHEDULE, EventRow, adapt_id, adapt_time, cursor, is_postgres, read_id, writing
from .event import insert_events
from .retrying import repeatable


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule to be stored."""

    key: UUID
    workflow: str
    cron: str
    tz: str
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From the time at which a schedule was found to the next one, with the events in between."""

    key: UUID
    found_at: datetime
    next_at: datetime
    last_at: datetime | None
    events: Sequence[EventRow]


@repeatable
def read_schedules(using: str, keys: Sequence[UUID]) -> tuple[dict[UUID, datetime], datetime | None]:
    """Return when the schedules of these keys are due, and the present instant if any of them is stored."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with cursor(using) as handle:
        handle.execute(
            f"SELECT key, next_at, {now} FROM {SCHEDULE} WHERE key IN ({', '.join(['%s'] * len(keys))})",
            [adapt_id(using, key) for key in keys],
        )
        rows = handle.fetchall()
    found = {read_id(row[0]): read_time(row[1]) for row in rows}
    return found, read_time(rows[0][2]) if rows else None


@repeatable
def insert_schedules(using: str, rows: Sequence[ScheduleRow]) -> None:
    """Store schedules; one that is stored already is left alone."""
    rows = sorted(rows, key=lambda row: row.key)
    params = [value for row in rows for value in _params(using, row)]
    with cursor(using) as handle:
        handle.execute(
            f"INSERT INTO {SCHEDULE} (key, workflow, cron, tz, next_at) "
            f"VALUES {', '.join(['(%s, %s, %s, %s, %s)'] * len(rows))} ON CONFLICT (key) DO NOTHING",
            params,
        )


def _params(using: str, row: ScheduleRow) -> list[Any]:
    return [adapt_id(using, row.key), row.workflow, row.cron, row.tz, adapt_time(using, row.next_at)]


@repeatable
def move_schedules(using: str, moves: Sequence[Move]) -> list[EventRow]:
    """Make the moves that nobody else has made, and return the events that were stored with them."""
    stored: list[EventRow] = []
    with writing(using) as handle:
        for move in sorted(moves, key=lambda move: move.key):
            handle.execute(
                f"UPDATE {SCHEDULE} SET next_at = %s, last_at = COALESCE(%s, last_at) "
                "WHERE key = %s AND next_at = %s",
                [adapt_time(using, move.next_at), adapt_time(using, move.last_at)]
                + [adapt_id(using, move.key), adapt_time(using, move.found_at)],
            )
            if handle.rowcount and move.events:
                insert_events(using, move.events)
                stored += move.events
    return stored
