"""The steps of one run in a few numbers, whatever their number: by place in the run, and by name.

Note [One statement sums up a run]
    Both sums are asked for together, so a page costs one statement for them. Steps are numbered in the order in
    which they were first stored; each part has as many of them as any other. They are ordered by a sum, which is
    no key, so that they are found through their run and not along the keys of all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..clock import now_sql, read_time
from .base import STEP, adapt_id, cursor, is_postgres


@dataclass(frozen=True, slots=True)
class StepCount:
    """Steps that are alike: ``place`` is their part of the run, or -1 if they were counted by ``name``.

    ``state`` is their status, "sleeping" for sleeps that last and "completed" for those that are over; ``first``
    is the lowest key, ``begin`` the first start.
    """

    place: int
    name: str
    state: str
    count: int
    first: int
    begin: datetime


def count_steps_of_run(using: str, run_id: UUID, *, parts: int, names: int) -> list[StepCount]:
    """Count a run's steps by equal parts of the run and by name, each by state.

    Args:
        parts: Into how many parts the run is divided.
        names: How many names are told, those with the most steps; a name that occurs once is not.
    """
    with cursor(using) as handle:
        handle.execute(_write_sql(using), [parts, adapt_id(using, run_id), names])
        return [_read(row) for row in handle.fetchall()]


def _write_sql(using: str) -> str:
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    over = f"CASE WHEN ready_at <= {now} THEN 'completed' ELSE 'sleeping' END"
    state = f"CASE WHEN kind = 'sleep' AND status = 'waiting' THEN {over} ELSE status END"
    told = "COUNT(*), MIN(id), MIN(started_at)"
    return (
        f"WITH steps AS (SELECT id, name, started_at, {state} AS state, NTILE(%s) OVER (ORDER BY id + 0) - 1 AS place "
        f"FROM {STEP} WHERE run_id = %s), often AS (SELECT name FROM steps GROUP BY name HAVING COUNT(*) > 1 "
        "ORDER BY COUNT(*) DESC, name LIMIT %s) "
        f"SELECT place, '' AS name, state, {told} FROM steps GROUP BY place, state "
        f"UNION ALL SELECT -1, name, state, {told} FROM steps "
        "WHERE name IN (SELECT name FROM often) GROUP BY name, state ORDER BY 1, 2, 3"
    )


def _read(row: Sequence[Any]) -> StepCount:
    place, name, state, count, first, begin = row
    return StepCount(place, name, state, count, first, read_time(begin))
