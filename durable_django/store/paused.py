"""Paused workflows: whose runs may not be begun, and what happens to those that exist.

Note [A pause holds runs at the claim]
    The claim, which every execution begins with, passes over the runs of a paused workflow, and the start and
    the sweep store them as paused; both read the pause in the statement that they send anyway. So a pause
    needs no lock against them: a run that slips through as queued is not claimed, and is paused when it is
    looked at next. A paused run is looked at too, so one that a resumption has missed is queued again (law 2).

Note [A held slice stops at its next checkpoint]
    Pausing with "stop" marks the running runs of the workflow with ``hold``. The checkpoint does not take
    the result of a step while the mark is there, as if the lease were lost; the second look, which such a
    refusal is given in any case, stores it nevertheless and tells the slice to stop. So the step in progress
    is kept, nothing follows it, and the hot path has no further statement. The next claim takes the mark away.

Note [Skipped runs are stored first]
    A pause may say that new runs are skipped. They are stored as paused like all others, so that the start costs
    the same and says the same. The sweep, which looks at each paused run after its first RENUDGE_SECONDS, cancels
    those that have come since the pause began; a resumption does so with the rest before it releases the others.

Note [A step elsewhere is held with the run that asked]
    A run of the engine's own that carries out a step is held while the workflow of its parent is stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from ..clock import later_sql, now_sql
from .base import RUN, WORKFLOW, adapt_id, cursor, is_postgres, read_id, writing
from .retrying import repeatable

LOOK_SECONDS: Final = 900.0
"""How often it is looked whether a paused run's workflow is paused still."""
ELSEWHERE: Final = "step"
"""The origin of the runs that carry out a step for another run."""

Row = tuple[UUID, str, str]


def held_sql(run: str) -> str:
    """Return the condition that the run may not be begun now; a subquery that a planner cannot turn into a join."""
    asker = f"(SELECT asking.workflow FROM {RUN} asking WHERE asking.id = {run}.parent_id)"
    return (
        f"COALESCE((SELECT s.pause_running = 'stop' OR {run}.started_at IS NULL AND {run}.origin <> '{ELSEWHERE}' "
        f"FROM {WORKFLOW} s WHERE s.paused_at IS NOT NULL "
        f"AND s.id = CASE WHEN {run}.origin = '{ELSEWHERE}' THEN {asker} ELSE {run}.workflow END), FALSE)"
    )


def paused_sql(workflow: str) -> str:
    """Return the condition that a run of the workflow that starts now is to be stored as paused."""
    return f"EXISTS (SELECT 1 FROM {WORKFLOW} s WHERE s.id = {workflow} AND s.paused_at IS NOT NULL)"


def save_pause(using: str, workflow: str, *, by: str, reason: str, running: str, new: str) -> bool:
    """Note that a workflow is paused, or paused in another way; return False if it was so already."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with writing(using) as handle:
        handle.execute(
            f"INSERT INTO {WORKFLOW} AS s (id, paused_at, paused_by, pause_reason, pause_running, pause_new) "
            f"VALUES (%s, {now}, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET paused_at = EXCLUDED.paused_at, "
            "paused_by = EXCLUDED.paused_by, pause_reason = EXCLUDED.pause_reason, "
            "pause_running = EXCLUDED.pause_running, pause_new = EXCLUDED.pause_new "
            "WHERE s.paused_at IS NULL OR s.pause_running <> EXCLUDED.pause_running "
            "OR s.pause_new <> EXCLUDED.pause_new RETURNING id",
            [workflow, by, reason, running, new],
        )
        return handle.fetchone() is not None


def clear_pause(using: str, workflow: str) -> bool:
    """Note that a workflow is paused no more; return False if it was not."""
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {WORKFLOW} SET paused_at = NULL, paused_by = '', pause_reason = '', pause_running = '', "
            "pause_new = '' "
            "WHERE id = %s AND paused_at IS NOT NULL RETURNING id",
            [workflow],
        )
        return handle.fetchone() is not None


@repeatable
def hold_runs(using: str, workflow: str) -> int:
    """Pause the queued runs that a paused workflow holds, and mark the running ones; return how many were paused.

    A claim that is under way is waited for, so its run is found among the running ones then.
    """
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    later = later_sql(vendor, "%s")
    with writing(using) as handle:
        paused = _move(
            using,
            handle,
            f"{_of('r')} AND r.status = 'queued' AND {held_sql('r')}",
            f"status = 'paused', wake_at = {later}",
            [workflow, workflow, LOOK_SECONDS],
        )
        _move(
            using,
            handle,
            f"r.workflow = %s AND r.status = 'running' AND {held_sql('r')}",
            "hold = TRUE",
            [workflow],
        )
    return paused


@repeatable
def release_runs(using: str, workflow: str) -> int:
    """Queue the paused runs of a workflow, due at once, and take the mark from the running ones; count the first."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with writing(using) as handle:
        released = _move(
            using,
            handle,
            f"{_of('r')} AND r.status = 'paused' AND NOT {held_sql('r')}",
            f"status = 'queued', wake_at = {now}",
            [workflow, workflow],
        )
        running = "r.workflow = %s AND r.status = 'running' AND r.hold"
        _move(using, handle, running, "hold = FALSE", [workflow])
    return released


@repeatable
def find_skipped(using: str, *, ids: Sequence[UUID] = (), workflow: str = "", limit: int) -> list[UUID]:
    """Return paused runs, of a list of ids or of a workflow, that are to be skipped."""
    condition, params = "r.workflow = %s", [workflow]
    if ids:
        condition = f"r.id IN ({', '.join(['%s'] * len(ids))})"
        params = [adapt_id(using, each) for each in ids]
    with cursor(using) as handle:
        handle.execute(
            f"SELECT r.id FROM {RUN} r JOIN {WORKFLOW} s ON s.id = r.workflow AND s.pause_new = 'skip' "
            f"AND s.paused_at IS NOT NULL WHERE {condition} AND r.status = 'paused' AND r.started_at IS NULL "
            "AND r.created_at > s.paused_at ORDER BY r.id LIMIT %s",
            [*params, limit],
        )
        return [read_id(row[0]) for row in handle.fetchall()]


def _of(run: str) -> str:
    asked = f"SELECT 1 FROM {RUN} asking WHERE asking.id = {run}.parent_id AND asking.workflow = %s"
    return f"({run}.workflow = %s OR {run}.origin = '{ELSEWHERE}' AND EXISTS ({asked}))"


def _move(using: str, handle: Any, condition: str, change: str, params: list[Any]) -> int:
    # Locked in order of id, as everybody does who locks several runs.
    pick = f"SELECT r.id FROM {RUN} r WHERE {condition}"
    if is_postgres(using):
        chosen = f"WITH chosen AS MATERIALIZED ({pick} ORDER BY r.id FOR NO KEY UPDATE OF r) "
        handle.execute(f"{chosen}UPDATE {RUN} SET {change} WHERE id IN (SELECT id FROM chosen)", params)
    else:
        conditions = condition.count("%s")
        ordered = [*params[conditions:], *params[:conditions]]
        handle.execute(f"UPDATE {RUN} SET {change} WHERE id IN ({pick})", ordered)
    return int(handle.rowcount)


@repeatable
def find_queued(using: str, workflow: str, *, limit: int) -> list[Row]:
    """Return queued runs of a workflow, the oldest first."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT id, workflow, queue FROM {RUN} WHERE workflow = %s AND status = 'queued' ORDER BY id LIMIT %s",
            [workflow, limit],
        )
        return [(read_id(row[0]), row[1], row[2]) for row in handle.fetchall()]
