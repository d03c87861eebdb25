"""Write the results of steps: the one statement through which a memo comes into being.

Note [A checkpoint is written once]
    (run, name, index) is unique. An insert that meets a stored result leaves it alone and the caller adopts
    what is stored; only a step that is still retrying is overwritten by its result. The same rule makes a
    repeated write harmless when the answer to a commit was lost.

Note [The fence is held while a checkpoint commits]
    The insert reads the run's token under FOR SHARE, so a take-over waits for the commit in flight and
    a write that begins after the take-over finds no row to join. Runs are locked in order of id.

Note [A relaxed checkpoint does not wait for the disk]
    ``synchronous_commit`` is read when the transaction commits, after the statement that turns it off for
    that transaction; so a relaxed batch is still one statement. The server loses such a commit only if it
    or its host crashes within a moment, and never without those that came after it; then the step runs again.
    https://www.postgresql.org/docs/current/wal-async-commit.html
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..clock import later_sql, now_sql
from .arrays import arrays_sql, write_columns
from .base import RUN, STEP, StepWrite, adapt_id, cursor, is_postgres
from .checkpoint_columns import COLUMNS, REPLACE
from .checkpoint_sqlite import write_sqlite
from .prepared import Statement
from .retrying import repeatable

_ITEM_TYPES = (
    "uuid",
    "bigint",
    "text",
    "bigint",
    "text",
    "text",
    "text",
    "text",
    "smallint",
    "float8",
    "float8",
)
_ITEM_COLUMNS = 'run_id, token, name, "index", kind, status, output, error, attempt, seconds, ready_in'


@repeatable
def write_steps(
    using: str, items: Sequence[StepWrite], relaxed: bool = False, *, held: bool = False, wait: bool = True
) -> list[bool]:
    """Store the steps whose run is still owned under their token; return for each whether it was written.

    One that was not has lost its lease or was stored before: ask ``read_step``. Without
    ``wait`` it may also be that its run is locked, see Note [The one that must wait waits alone].
    ``relaxed`` is for calls outside a transaction only, since it would relax all of it. ``held`` stores them
    although the run is to stop, see Note [A held slice stops at its next checkpoint].
    """
    if is_postgres(using):
        return _write_postgres(using, items, relaxed, held, wait)
    return write_sqlite(using, items, go=_go_sql(held))


def _go_sql(held: bool) -> str:
    return "" if held else " AND NOT hold"


def item_sql() -> str:
    """Return the SQL that turns the arrays of ``item_params`` into rows called ``item``."""
    arrays = arrays_sql((*_ITEM_TYPES, "timestamptz"))
    return (
        f"item AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS item({_ITEM_COLUMNS}, ready_at, place))"
    )


def item_params(items: Sequence[StepWrite]) -> list[str]:
    """Return the columns of the steps as arrays, in the order of ``item_sql``."""
    rows = [
        (i.run_id, i.token, i.name, i.index, i.kind, i.status, i.output, i.error)
        + (i.attempt, i.seconds, i.ready_in, i.ready_at)
        for i in items
    ]
    return write_columns((*_ITEM_TYPES, "timestamptz"), rows)


def insert_sql(source: str, *, ordered: bool = False) -> str:
    """Return the INSERT of ``item`` rows joined with ``source(id, token)``, the runs that are owned.

    ``ordered`` gives their ids in the order of the items, whatever the plan.
    """
    now = now_sql("postgresql")
    return (
        f'INSERT INTO {STEP} ({COLUMNS}) SELECT item.run_id, item.name, item."index", item.kind, item.status, '
        "item.output, item.error, item.attempt, item.token, "
        f"COALESCE(item.ready_at, {later_sql('postgresql', 'item.ready_in')}), "
        f"{later_sql('postgresql', '-item.seconds')}, "
        f"CASE WHEN item.status IN ('completed', 'failed') THEN {now} END "
        f"FROM item JOIN {source} ON {source}.id = item.run_id AND {source}.token = item.token "
        f"{'ORDER BY item.place ' if ordered else ''}{REPLACE}"
    )


def _write_postgres(
    using: str, items: Sequence[StepWrite], relaxed: bool, held: bool, wait: bool
) -> list[bool]:
    kind = (now_sql("postgresql"), relaxed, held, wait)
    if len(items) == 1:
        return [bool(_one_statement(*kind).run(using, _one_params(items[0])).count)]
    params = item_params(items)
    answer = _many_statement(*kind).run(using, [*params, params[0]])
    if answer.count == len(items):
        return [True] * len(items)
    written = {(UUID(run_id), name, int(index)) for run_id, name, index, *_ in answer.read_rows()}
    return [(item.run_id, item.name, item.index) in written for item in items]


@functools.lru_cache(maxsize=16)
def _many_statement(now: str, relaxed: bool, held: bool, wait: bool) -> Statement:
    """Return the statement of ``_write_postgres`` for several steps; ``now`` differs in tests only."""
    return Statement(
        f"WITH {item_sql()}, owned AS MATERIALIZED (SELECT id, token FROM {RUN} "
        f"WHERE id = ANY(%s::uuid[]) AND status = 'running'{_go_sql(held)} ORDER BY id FOR SHARE{_skip(wait)}) "
        f'{insert_sql("owned")} RETURNING run_id, name, "index"{_relax(relaxed)}',
        f"INSERT INTO {STEP}",
    )


def _skip(wait: bool) -> str:
    return "" if wait else " SKIP LOCKED"


def _relax(relaxed: bool) -> str:
    return ", set_config('synchronous_commit', 'off', true)" if relaxed else ""


@functools.lru_cache(maxsize=16)
def _one_statement(now: str, relaxed: bool, held: bool, wait: bool) -> Statement:
    """Return the statement of ``_write_postgres`` for a single step; ``now`` differs in tests only."""
    return Statement(
        f"INSERT INTO {STEP} ({COLUMNS}) SELECT owned.id, %s::text, %s::bigint, %s::text, "
        "i.status, %s::text, %s::text, %s::smallint, owned.token, "
        f"COALESCE(%s::timestamptz, {later_sql('postgresql', '%s')}), {later_sql('postgresql', '%s')}, "
        f"CASE WHEN i.status IN ('completed', 'failed') THEN {now} END "
        f"FROM (SELECT id, token FROM {RUN} WHERE id = %s::uuid AND token = %s::bigint "
        f"AND status = 'running'{_go_sql(held)} FOR SHARE{_skip(wait)}) owned, (SELECT %s::text AS status) i "
        f"{REPLACE} RETURNING run_id{_relax(relaxed)}",
        f"INSERT INTO {STEP}",
    )


def _one_params(i: StepWrite) -> list[Any]:
    place = [i.name, i.index, i.kind, i.output, i.error, i.attempt, i.ready_at, i.ready_in, -i.seconds]
    return [*place, i.run_id, i.token, i.status]


@repeatable
def read_step(using: str, run_id: UUID, token: int, name: str, index: int) -> tuple[bool, Any]:
    """Return whether the token still owns the run, and the stored (status, output, error) or None."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT r.status = 'running' AND r.token = %s, s.status, s.output, s.error FROM {RUN} r "
            f'LEFT JOIN {STEP} s ON s.run_id = r.id AND s.name = %s AND s."index" = %s WHERE r.id = %s',
            [token, name, index, adapt_id(using, run_id)],
        )
        row = handle.fetchone()
    if row is None:
        return False, None
    return bool(row[0]), (row[1], row[2], row[3]) if row[1] is not None else None
