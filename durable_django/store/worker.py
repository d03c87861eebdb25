"""The rows by which processes report themselves, and the claim of a tick."""

from __future__ import annotations

from typing import Any

from ..clock import later_sql, now_sql
from .base import WORKER, is_postgres, writing
from .retrying import repeatable

TICK = "tick"


@repeatable
def claim_tick(using: str, *, period: float) -> bool:
    """Take the tick, and tell so, unless somebody has taken it within the last ``period`` seconds."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    now, before = now_sql(vendor), later_sql(vendor, "%s")
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {WORKER} SET seen_at = {now} WHERE name = %s AND seen_at <= {before} RETURNING name",
            [TICK, -period],
        )
        if handle.fetchone() is not None:
            return True
        handle.execute(
            f"INSERT INTO {WORKER} (name, kind, queues, started_at, seen_at) "
            f"SELECT %s, %s, '', {now}, {now} WHERE NOT EXISTS (SELECT 1 FROM {WORKER} WHERE name = %s) "
            "ON CONFLICT (name) DO NOTHING RETURNING name",
            [TICK, TICK, TICK],
        )
        return handle.fetchone() is not None


@repeatable
def save_worker(using: str, *, name: str, kind: str, queues: str) -> None:
    """Note that a process was seen now, and at its first report that it began."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with writing(using) as handle:
        handle.execute(
            f"INSERT INTO {WORKER} (name, kind, queues, started_at, seen_at) "
            f"VALUES (%s, %s, %s, {now}, {now}) "
            "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, queues = excluded.queues, "
            "seen_at = excluded.seen_at",
            [name, kind, queues],
        )


@repeatable
def delete_workers(using: str, *, name: str = "", silent: float | None = None) -> int:
    """Forget the process of that name, and those that were silent for ``silent`` seconds; return how many."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    condition = "name = %s"
    params: list[Any] = [name]
    if silent is not None:
        condition += f" OR (name <> %s AND seen_at <= {later_sql(vendor, '%s')})"
        params += [TICK, -silent]
    with writing(using) as handle:
        handle.execute(f"DELETE FROM {WORKER} WHERE {condition}", params)
        return int(handle.rowcount)
