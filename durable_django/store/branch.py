"""End one wait under the lock of its run, and its step if nothing more is to come.

Note [The branches of a step end under the lock of their run]
    A step with several waits ends with the first of them ("any") or the last ("all"). Two transactions that
    each end one branch must see each other's, or neither would be the last. So the run's row is locked by a
    statement of its own, those that look at the siblings come later, and each end also changes the run's
    row, so that an isolation level with one snapshot for the transaction refuses instead of being wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ..clock import now_sql
from .base import STEP, WAIT, WAIT_KEY, adapt_id, is_postgres, writing
from .retrying import repeatable
from .wake import count_ended, lock_runs, queue_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchEnd:
    """How a wait ends; ``output`` is the encoded value that came, None if none did."""

    wait_id: int
    run_id: UUID
    status: str
    output: str | None = None
    event_id: UUID | None = None


@repeatable
def end_branches(using: str, ends: Sequence[BranchEnd], *, renudge: float) -> list[tuple[UUID, str, str]]:
    """End the waits that are still open, in order; return (id, workflow, queue) of the runs queued by it."""
    woken: list[tuple[UUID, str, str]] = []
    with writing(using) as handle:
        lock_runs(using, handle, [end.run_id for end in ends])
        for end in ends:
            if end_branch(using, handle, end):
                woken += queue_waiting(using, handle, end.run_id, renudge)
    return woken


def end_branch(using: str, handle: Any, end: BranchEnd, *, counted: bool = True) -> bool:
    """End a wait whose run is locked; tell whether its step has ended with it.

    ``counted`` is False only for a wait of the run that is being parked in the same transaction.
    """
    wait = _claim(using, handle, end)
    if wait is None:
        return False
    if counted:
        count_ended(using, handle, end.run_id)
    kind, mode, branch, *place = wait
    value = None if end.output is None else end.output if not mode else f'{{"{kind}":{end.output}}}'
    if mode == "all":
        _keep_output(handle, end.wait_id, value)
    if mode == "any" and value is not None:
        _close_siblings(using, handle, place)
    elif mode and _has_open(handle, place):
        return False
    _complete(using, handle, place, _compose(handle, mode, branch, value, place))
    return True


def _claim(using: str, handle: Any, end: BranchEnd) -> Any:
    event_id = end.event_id and adapt_id(using, end.event_id)
    handle.execute(
        f"UPDATE {WAIT} SET status = %s, event_id = %s, ended_at = {_now(using)} "
        "WHERE id = %s AND status = 'open' RETURNING kind, mode, branch, run_id, name, \"index\"",
        [end.status, event_id, end.wait_id],
    )
    wait = handle.fetchone()
    if wait is not None:
        handle.execute(f"DELETE FROM {WAIT_KEY} WHERE wait_id = %s", [end.wait_id])
    return wait


def _keep_output(handle: Any, wait_id: int, value: str | None) -> None:
    handle.execute(f"UPDATE {WAIT} SET output = %s WHERE id = %s", [value, wait_id])


def _close_siblings(using: str, handle: Any, place: Sequence[Any]) -> None:
    handle.execute(
        f"UPDATE {WAIT} SET status = 'closed', ended_at = {_now(using)} "
        "WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'open' RETURNING id",
        place,
    )
    handle.executemany(f"DELETE FROM {WAIT_KEY} WHERE wait_id = %s", handle.fetchall())


def _has_open(handle: Any, place: Sequence[Any]) -> bool:
    handle.execute(
        f"SELECT 1 FROM {WAIT} WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'open'",
        place,
    )
    return handle.fetchone() is not None


def _compose(handle: Any, mode: str, branch: int, value: str | None, place: Sequence[Any]) -> str:
    if mode == "all":
        return compose_all(handle, place)
    if mode == "any" and value is not None:
        return f'{{"branch":{branch},"value":{value}}}'
    return "null" if value is None else value


def compose_all(handle: Any, place: Sequence[Any]) -> str:
    """Return what the branches of (run, step, index) gave, in order, as one encoded list."""
    handle.execute(
        f'SELECT output FROM {WAIT} WHERE run_id = %s AND name = %s AND "index" = %s ORDER BY branch', place
    )
    return "[" + ",".join(row[0] or "null" for row in handle.fetchall()) + "]"


def _complete(using: str, handle: Any, place: Sequence[Any], output: str) -> None:
    handle.execute(
        f"UPDATE {STEP} SET status = 'completed', output = %s, ended_at = {_now(using)} "
        "WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'waiting'",
        [output, *place],
    )


def _now(using: str) -> str:
    return now_sql("postgresql" if is_postgres(using) else "sqlite")
