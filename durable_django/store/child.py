"""Runs that other runs wait for: link them at their start, answer their parent at their end.

Note [A child answers its parent as it ends]
    The parent's wait, its memo and its wake-up are written in the transaction in which the child ends, so
    there is no moment at which the child has ended and the parent does not know. Parent and child are
    locked in order of id before either is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ..clock import now_sql
from .base import RUN, STEP, WAIT, EventRow, Parent, adapt_id, cursor, is_postgres, writing
from .event import StartRow, insert_events, start_runs
from .retrying import repeatable
from .wake import count_ended, queue_waiting

Row = tuple[UUID, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStart:
    """A run to be started by a step that waits for its end."""

    event: EventRow
    start: StartRow
    parent: Parent
    depth: int


def start_children(using: str, children: Sequence[ChildStart], *, renudge: float) -> list[Row]:
    """Start runs in the caller's transaction, in which their parent is parked; return those started."""
    insert_events(using, [child.event for child in children], routed=True)
    started = start_runs(using, [], [child.start for child in children], renudge=renudge).started
    with writing(using) as handle:
        handle.executemany(
            f"UPDATE {RUN} SET parent_id = %s, parent_step = %s, parent_index = %s, depth = %s WHERE id = %s",
            [
                (
                    adapt_id(using, child.parent.run_id),
                    child.parent.step,
                    child.parent.index,
                    child.depth,
                    adapt_id(using, child.start.id),
                )
                for child in children
            ],
        )
    return started


@repeatable
def is_asked(using: str, parent: Parent) -> bool:
    """Tell whether the step still waits for its child."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT 1 FROM {WAIT} WHERE run_id = %s AND name = %s AND \"index\" = %s AND kind = 'child' "
            "AND status = 'open'",
            [adapt_id(using, parent.run_id), parent.step, parent.index],
        )
        return handle.fetchone() is not None


def answer_parent(
    using: str, parent: Parent, *, status: str, output: str | None, error: str | None, renudge: float
) -> list[Row]:
    """End the parent's wait in the caller's transaction, which holds both runs; return the run if it woke.

    A wait whose time-out has passed is over, even if no worker has looked at it yet.
    """
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    key = [adapt_id(using, parent.run_id), parent.step, parent.index]
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {WAIT} SET status = 'matched', ended_at = {now} WHERE run_id = %s AND name = %s "
            f"AND \"index\" = %s AND kind = 'child' AND status = 'open' AND expires_at > {now} RETURNING id",
            key,
        )
        if handle.fetchone() is None:
            return []
        handle.execute(
            f"UPDATE {STEP} SET status = %s, output = %s, error = %s, ended_at = {now} "
            "WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'waiting'",
            [status, output, error, *key],
        )
        count_ended(using, handle, parent.run_id)
        return queue_waiting(using, handle, parent.run_id, renudge)
