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
from .arrays import write_columns, write_ids
from .base import RUN, STEP, StepWrite, adapt_id, adapt_time, cursor, is_postgres, read_id, writing
from .prepared import Statement
from .retrying import repeatable

Key = tuple[UUID, str, int]

COLUMNS = 'run_id, name, "index", kind, status, output, error, attempt, token, ready_at, started_at, ended_at'
REPLACE = (
    'ON CONFLICT (run_id, name, "index") DO UPDATE SET status = EXCLUDED.status, output = EXCLUDED.output, '
    "error = EXCLUDED.error, attempt = EXCLUDED.attempt, token = EXCLUDED.token, "
    "ready_at = EXCLUDED.ready_at, ended_at = EXCLUDED.ended_at "
    f"WHERE {STEP}.status = 'retrying'"
)
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
) -> set[Key]:
    """Store the steps whose run is still owned under their token; return the keys that were written.

    A key that is missing from the answer lost its lease or was stored before: ask ``read_step``. Without
    ``wait`` it may also be that its run is locked, see Note [The one that must wait waits alone].
    ``relaxed`` is for calls outside a transaction only, since it would relax all of it. ``held`` stores them
    although the run is to stop, see Note [A held slice stops at its next checkpoint].
    """
    if is_postgres(using):
        return _write_postgres(using, items, relaxed, held, wait)
    return _write_sqlite(using, items, held)


def _go_sql(held: bool) -> str:
    return "" if held else " AND NOT hold"


def item_sql() -> str:
    """Return the SQL that turns the arrays of ``item_params`` into rows called ``item``."""
    arrays = ", ".join(f"%s::{name}[]" for name in (*_ITEM_TYPES, "timestamptz"))
    return f"item AS (SELECT * FROM unnest({arrays}) AS item({_ITEM_COLUMNS}, ready_at))"


def item_params(items: Sequence[StepWrite]) -> list[str]:
    """Return the columns of the steps as arrays, in the order of ``item_sql``."""
    rows = [
        (i.run_id, i.token, i.name, i.index, i.kind, i.status, i.output, i.error)
        + (i.attempt, i.seconds, i.ready_in, i.ready_at)
        for i in items
    ]
    return write_columns((*_ITEM_TYPES, "timestamptz"), rows)


def insert_sql(source: str) -> str:
    """Return the INSERT of ``item`` rows joined with ``source(id, token)``, the runs that are owned."""
    now = now_sql("postgresql")
    return (
        f'INSERT INTO {STEP} ({COLUMNS}) SELECT item.run_id, item.name, item."index", item.kind, item.status, '
        "item.output, item.error, item.attempt, item.token, "
        f"COALESCE(item.ready_at, {later_sql('postgresql', 'item.ready_in')}), "
        f"{later_sql('postgresql', '-item.seconds')}, "
        f"CASE WHEN item.status IN ('completed', 'failed') THEN {now} END "
        f"FROM item JOIN {source} ON {source}.id = item.run_id AND {source}.token = item.token {REPLACE}"
    )


def _write_postgres(
    using: str, items: Sequence[StepWrite], relaxed: bool, held: bool, wait: bool
) -> set[Key]:
    kind = (now_sql("postgresql"), relaxed, held, wait)
    with cursor(using) as handle:
        if len(items) == 1:
            _one_statement(*kind).execute(using, handle, _one_params(items[0]))
            return {_key(items[0])} if handle.rowcount else set()
        params = [*item_params(items), write_ids({item.run_id for item in items})]
        handle.execute(_many_sql(*kind), params)
        if handle.rowcount == len(items):
            return set(map(_key, items))
        return {(read_id(row[0]), row[1], row[2]) for row in handle.fetchall()}


@functools.lru_cache(maxsize=16)
def _many_sql(now: str, relaxed: bool, held: bool, wait: bool) -> str:
    """Return the statement of ``_write_postgres`` for several steps; ``now`` differs in tests only."""
    return (
        f"WITH {item_sql()}, owned AS MATERIALIZED (SELECT id, token FROM {RUN} "
        f"WHERE id = ANY(%s::uuid[]) AND status = 'running'{_go_sql(held)} ORDER BY id FOR SHARE{_skip(wait)}) "
        f'{insert_sql("owned")} RETURNING run_id, name, "index"{_relax(relaxed)}'
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


def _write_sqlite(using: str, items: Sequence[StepWrite], held: bool) -> set[Key]:
    go = _go_sql(held)
    with writing(using) as handle:
        return {_key(item) for item in items if insert_sqlite(using, handle, item, status="running", go=go)}


def insert_sqlite(using: str, handle: Any, item: StepWrite, *, status: str, go: str = "") -> bool:
    """Insert one step if its run has the token and the status, and ``go`` holds; tell whether a row was written."""
    ended = now_sql("sqlite") if item.status in ("completed", "failed") else "NULL"
    ready = "%s" if item.ready_in is None else later_sql("sqlite", "%s")
    run_id = adapt_id(using, item.run_id)
    handle.execute(
        f"INSERT INTO {STEP} ({COLUMNS}) SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, {ready}, "
        f"{later_sql('sqlite', '%s')}, {ended} FROM {RUN} "
        f"WHERE id = %s AND token = %s AND status = %s{go} {REPLACE} RETURNING id",
        [run_id, item.name, item.index, item.kind, item.status, item.output, item.error, item.attempt]
        + [item.token, adapt_time(using, item.ready_at) if item.ready_in is None else item.ready_in]
        + [-item.seconds, run_id, item.token, status],
    )
    return handle.fetchone() is not None


def _key(item: StepWrite) -> Key:
    return item.run_id, item.name, item.index


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
