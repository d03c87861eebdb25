"""Load what a resumed run knows: all its memos in one query, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..clock import now_sql
from .base import RUN, STEP, Memo, adapt_id, cursor, is_postgres, read_id
from .deadline import in_time_sql
from .retrying import repeatable

MOST_ROWS = 2_000
"""Memos that are loaded for several runs at once, so that a long one does not hold up the others."""


@repeatable
def load_memos(using: str, run_id: UUID) -> list[Memo]:
    """Return the memos of a run in the order in which they were first written."""
    with cursor(using) as handle:
        handle.execute(f"{_select_sql(using)} WHERE run_id = %s ORDER BY id", [adapt_id(using, run_id)])
        return [_read(row) for row in handle.fetchall()]


@repeatable
def load_memos_of(using: str, run_ids: Sequence[UUID]) -> dict[UUID, list[Memo]]:
    """Return the memos of those runs whose memos come first among MOST_ROWS; the rest load their own."""
    marks = ", ".join(["%s"] * len(run_ids))
    with cursor(using) as handle:
        handle.execute(
            f"{_select_sql(using)} WHERE run_id IN ({marks}) ORDER BY run_id, id LIMIT %s",
            [*(adapt_id(using, run_id) for run_id in run_ids), MOST_ROWS + 1],
        )
        return _split(handle.fetchall(), run_ids)


def _select_sql(using: str) -> str:
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    now = now_sql(vendor)
    left = (
        f"EXTRACT(EPOCH FROM ready_at - {now})"
        if vendor == "postgresql"
        else f"((julianday(ready_at) - julianday({now})) * 86400.0)"
    )
    return (
        f'SELECT name, "index", kind, status, output, error, attempt, ready_at <= {now}, {left}, run_id, input '
        f"FROM {STEP}"
    )


def _split(rows: list[Any], ids: Sequence[UUID]) -> dict[UUID, list[Memo]]:
    found: dict[UUID, list[Memo]] = {}
    for row in rows[:MOST_ROWS]:
        found.setdefault(read_id(row[9]), []).append(_read(row))
    if len(rows) <= MOST_ROWS:
        return {each: found.get(each, []) for each in ids}
    found.pop(read_id(rows[MOST_ROWS][9]), None)  # it may be cut off
    return found


def _read(row: Any) -> Memo:
    return Memo(
        name=row[0],
        index=row[1],
        kind=row[2],
        status=row[3],
        output=row[4],
        error=row[5],
        attempt=row[6],
        due=bool(row[7]) if row[7] is not None else True,
        ready_in=float(row[8]) if row[8] is not None else None,
        input=row[10],
    )


@repeatable
def is_owned(using: str, run_id: UUID, token: int) -> bool:
    """Tell whether the token owns the run and may go on: not when cancelled, taken over, overdue or held."""
    in_time = in_time_sql("postgresql" if is_postgres(using) else "sqlite")
    with cursor(using) as handle:
        handle.execute(
            f"SELECT 1 FROM {RUN} WHERE id = %s AND token = %s AND status = 'running' AND NOT hold AND {in_time}",
            [adapt_id(using, run_id), token],
        )
        return handle.fetchone() is not None


@repeatable
def is_held(using: str, run_id: UUID, token: int) -> bool:
    """Tell whether the token owns the run, but is to stop before the next step."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT 1 FROM {RUN} WHERE id = %s AND token = %s AND status = 'running' AND hold",
            [adapt_id(using, run_id), token],
        )
        return handle.fetchone() is not None
