"""Copy what a run has completed into another run: the beginning of a rerun from a step.

Note [A rerun from a step begins with copies]
    The new run gets the memos that were written before that step, in their order, so that its replay comes
    to the step as the old one did; the old run is not touched. Its token is raised once, since a run that
    was never claimed is taken to have no memos. Of a look back the events that were taken are copied too.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from ..clock import now_sql
from .base import RUN, STEP, WAIT, adapt_id, cursor, is_postgres, writing

_OVER = "status IN ('completed', 'failed') OR kind = 'sleep' AND status = 'waiting' AND ready_at <= {now}"
_WAIT_COLUMNS = (
    'name, "index", branch, kind, status, mode, event_name, signal, match, expression, bound, output, '
    '"after", looks_from, expires_at, created_at, ended_at, event_id'
)


def copy_steps(using: str, source: UUID, target: UUID, *, before: int) -> int:
    """Copy the finished steps of ``source`` that were first written before a row, in a transaction; count them.

    Args:
        before: The primary key of the step that the target begins at.
    """
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    old, new = adapt_id(using, source), adapt_id(using, target)
    with writing(using) as handle:
        handle.execute(
            f'INSERT INTO {STEP} (run_id, name, "index", kind, status, output, error, supplied_by, attempt, '
            'token, ready_at, started_at, ended_at) SELECT %s, name, "index", kind, '
            "CASE WHEN status = 'waiting' THEN 'completed' ELSE status END, "
            "CASE WHEN status = 'waiting' THEN 'null' ELSE output END, error, supplied_by, 0, 0, "
            f"ready_at, started_at, COALESCE(ended_at, ready_at) FROM {STEP} "
            f"WHERE run_id = %s AND id < %s AND ({_OVER.format(now=now)}) ORDER BY id",
            [new, old, before],
        )
        copied = int(handle.rowcount)
        handle.execute(
            f"INSERT INTO {WAIT} (run_id, {_WAIT_COLUMNS}) SELECT %s, {_WAIT_COLUMNS} FROM {WAIT} w "
            "WHERE run_id = %s AND event_id IS NOT NULL AND looks_from IS NOT NULL AND EXISTS (SELECT 1 "
            f'FROM {STEP} s WHERE s.run_id = %s AND s.name = w.name AND s."index" = w."index")',
            [new, old, new],
        )
    return copied


def count_copies(using: str, source: UUID, *, before: int) -> int:
    """Return how many steps ``copy_steps`` would copy now."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    with cursor(using) as handle:
        handle.execute(
            f"SELECT COUNT(*) FROM {STEP} WHERE run_id = %s AND id < %s AND ({_OVER.format(now=now)})",
            [adapt_id(using, source), before],
        )
        return int(handle.fetchone()[0])


def begin_at(using: str, run_id: UUID, name: str, index: int) -> None:
    """Note with a run that was just started which step it begins at."""
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {RUN} SET token = 1, rerun_from = %s, rerun_index = %s WHERE id = %s",
            [name, index, adapt_id(using, run_id)],
        )


def replace_outputs(using: str, outputs: Sequence[tuple[int, str]]) -> None:
    """Write other text in place of the outputs of steps, given as (primary key, text)."""
    with writing(using) as handle:
        handle.executemany(
            f"UPDATE {STEP} SET output = %s WHERE id = %s", [(text, pk) for pk, text in outputs]
        )
