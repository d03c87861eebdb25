"""Load what a resumed run knows: all its memos in one query, whatever their number."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ..clock import now_sql
from .base import RUN, STEP, Memo, adapt_id, cursor, is_postgres
from .deadline import in_time_sql
from .retrying import repeatable


@repeatable
def load_memos(using: str, run_id: UUID) -> list[Memo]:
    """Return the memos of a run in the order in which they were first written."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    now = now_sql(vendor)
    left = (
        f"EXTRACT(EPOCH FROM ready_at - {now})"
        if vendor == "postgresql"
        else f"((julianday(ready_at) - julianday({now})) * 86400.0)"
    )
    with cursor(using) as handle:
        handle.execute(
            f'SELECT name, "index", kind, status, output, error, attempt, ready_at <= {now}, {left} '
            f"FROM {STEP} WHERE run_id = %s ORDER BY id",
            [adapt_id(using, run_id)],
        )
        return [_read(row) for row in handle.fetchall()]


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
    )


@repeatable
def is_owned(using: str, run_id: UUID, token: int) -> bool:
    """Tell whether the token still owns the run: not after a cancellation, a take-over or its deadline."""
    in_time = in_time_sql("postgresql" if is_postgres(using) else "sqlite")
    with cursor(using) as handle:
        handle.execute(
            f"SELECT 1 FROM {RUN} WHERE id = %s AND token = %s AND status = 'running' AND {in_time}",
            [adapt_id(using, run_id), token],
        )
        return handle.fetchone() is not None
