"""See in one statement whether anything is due, so that a tick without work asks for nothing else.

Note [An idle tick is one statement]
    The claim of the tick, the questions whether a deadline is past, an event is left unrouted, a run is due or
    a bulk operation is free, and the time until the next run is due are one statement; each part reads the
    first entry of its partial index. What becomes due a moment later is seen by the next tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..clock import later_sql, now_sql
from .base import BULK, EVENT, RUN, WORKER, cursor, is_postgres, writing
from .retrying import repeatable
from .worker import TICK, claim_tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is due; ``left`` is the time in seconds until a run is due, None if none ever is."""

    overdue: bool
    unrouted: bool
    bulk: bool
    left: float | None

    @property
    def waking(self) -> bool:
        """Tell whether a run is due."""
        return self.left is not None and self.left <= 0


@repeatable
def find_due(using: str, *, route_after: float) -> Found:
    """Return what is due; events count when they were stored ``route_after`` seconds ago."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    with cursor(using) as handle:
        handle.execute(f"SELECT {_look_sql(vendor)}", [-route_after])
        return _read(handle.fetchone())


@repeatable
def take_tick(using: str, *, period: float, route_after: float) -> Found | None:
    """Claim the tick and return what is due, or None if somebody has claimed it within ``period`` seconds."""
    if not is_postgres(using):
        with writing(using):
            return find_due(using, route_after=route_after) if claim_tick(using, period=period) else None
    now, before = now_sql("postgresql"), later_sql("postgresql", "%s")
    with cursor(using) as handle:
        handle.execute(
            f"WITH taken AS (UPDATE {WORKER} SET seen_at = {now} WHERE name = %s AND seen_at <= {before} "
            f"RETURNING 1) SELECT {_look_sql('postgresql')}, EXISTS (SELECT 1 FROM taken), "
            f"EXISTS (SELECT 1 FROM {WORKER} WHERE name = %s)",
            [TICK, -period, -route_after, TICK],
        )
        *found, taken, known = handle.fetchone()
    if not taken and (known or not claim_tick(using, period=period)):
        return None
    return _read(found)


def _look_sql(vendor: str) -> str:
    now = now_sql(vendor)
    left = (
        f"EXTRACT(EPOCH FROM MIN(wake_at) - {now})"
        if vendor == "postgresql"
        else f"(julianday(MIN(wake_at)) - julianday({now})) * 86400.0"
    )
    return (
        f"EXISTS (SELECT 1 FROM {RUN} WHERE deadline_at <= {now} AND ended_at IS NULL), "
        f"EXISTS (SELECT 1 FROM {EVENT} WHERE routed_at IS NULL AND created_at <= {later_sql(vendor, '%s')}), "
        f"EXISTS (SELECT 1 FROM {BULK} WHERE state = 'running' AND (lease_until IS NULL OR lease_until <= {now})), "
        f"(SELECT {left} FROM {RUN} WHERE wake_at IS NOT NULL)"
    )


def _read(row: Any) -> Found:
    left = float(row[3]) if row[3] is not None else None
    return Found(overdue=bool(row[0]), unrouted=bool(row[1]), bulk=bool(row[2]), left=left)
