"""End runs: status, result and the closing of open waits in one transaction (law 9)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..clock import now_sql
from .arrays import write_columns
from .base import (
    NOTES_SQL,
    OPEN,
    RESULT,
    RUN,
    WAIT,
    WAIT_KEY,
    AttemptWrite,
    Finish,
    adapt_id,
    is_postgres,
    writing,
)
from .park import attempt_params, attempt_sql
from .prepared import Statement
from .retrying import repeatable

_END = "wake_at = NULL, waits_for = '', owner = '', crash_count = 0"


@repeatable
def finish_runs(
    using: str, items: Sequence[Finish], *, attempts: Sequence[AttemptWrite] = (), wait: bool = True
) -> list[bool]:
    """End the runs that are still owned under their token; return for each whether it ended now.

    ``attempts`` are failed attempts of the first item, stored with it. Without ``wait`` runs that somebody
    has locked are passed over, see Note [The one that must wait waits alone].
    """
    if is_postgres(using):
        return _finish_postgres(using, items, attempts, wait)
    return _finish_sqlite(using, items, attempts)


def _finish_postgres(
    using: str, items: Sequence[Finish], attempts: Sequence[AttemptWrite], wait: bool
) -> list[bool]:
    rows = [
        (i.run_id, i.token, i.status, i.output, i.error, i.reason, i.notes.version, i.notes.warning)
        for i in items
    ]
    params: list[Any] = [*write_columns(("uuid", "bigint", *["text"] * 6), rows)]
    statement = _finish_statement(now_sql("postgresql"), wait, len(attempts))
    for attempt in attempts:
        params += attempt_params(attempt, items[0].token)
    ended = {UUID(run_id) for (run_id,) in statement.run(using, params).read_rows()}
    return [item.run_id in ended for item in items]


@functools.lru_cache(maxsize=16)
def _finish_statement(now: str, wait: bool, attempts: int) -> Statement:
    """Return the statement of ``_finish_postgres``; ``now`` differs in tests only."""
    sql = (
        "WITH item AS (SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], "
        "%s::text[], %s::text[], %s::text[]) "
        "AS item(run_id, token, status, output, error, reason, version, warning)), "
        "owned AS MATERIALIZED (SELECT r.id, r.token FROM item JOIN "
        f"{RUN} r ON r.id = item.run_id AND r.token = item.token WHERE r.status = 'running' "
        f"ORDER BY r.id FOR NO KEY UPDATE OF r{'' if wait else ' SKIP LOCKED'}), "
        f"ended AS (UPDATE {RUN} r SET status = item.status, ended_at = {now}, reason = item.reason, "
        f"{_END}, version = COALESCE(item.version, r.version), "
        "warning = COALESCE(item.warning, r.warning) "
        "FROM owned JOIN item ON item.run_id = owned.id WHERE r.id = owned.id RETURNING r.id), "
        f"stored AS (INSERT INTO {RESULT} (run_id, output, error) SELECT item.run_id, item.output, item.error "
        "FROM item JOIN ended ON ended.id = item.run_id ON CONFLICT (run_id) DO UPDATE "
        "SET output = EXCLUDED.output, error = EXCLUDED.error), "
        f"closed AS (UPDATE {WAIT} w SET status = 'closed', ended_at = {now} FROM ended "
        f"WHERE w.run_id = ended.id AND {OPEN} RETURNING w.id), "
        f"unkeyed AS (DELETE FROM {WAIT_KEY} k USING closed WHERE k.wait_id = closed.id)"
    )
    for number in range(attempts):
        sql += f", attempt_{number} AS ({attempt_sql('postgresql')} FROM ended)"
    return Statement(f"{sql} SELECT id FROM ended", f"UPDATE {RUN} (end)")


def _finish_sqlite(using: str, items: Sequence[Finish], attempts: Sequence[AttemptWrite]) -> list[bool]:
    with writing(using) as handle:
        ended = [_finish_one(using, handle, item) for item in items]
        if ended[0]:
            for attempt in attempts:
                params = [*attempt_params(attempt, items[0].token), adapt_id(using, items[0].run_id)]
                handle.execute(f"{attempt_sql('sqlite')} FROM {RUN} WHERE id = %s", params)
    return ended


def _finish_one(using: str, handle: Any, item: Finish) -> bool:
    now, run_id = now_sql("sqlite"), adapt_id(using, item.run_id)
    handle.execute(
        f"UPDATE {RUN} SET status = %s, ended_at = {now}, reason = %s, {_END}, {NOTES_SQL} "
        "WHERE id = %s AND token = %s AND status = 'running' RETURNING id",
        [item.status, item.reason, item.notes.version, item.notes.warning, run_id, item.token],
    )
    if handle.fetchone() is None:
        return False
    handle.execute(
        f"INSERT INTO {RESULT} (run_id, output, error) VALUES (%s, %s, %s) ON CONFLICT (run_id) "
        "DO UPDATE SET output = EXCLUDED.output, error = EXCLUDED.error",
        [run_id, item.output, item.error],
    )
    handle.execute(
        f"UPDATE {WAIT} SET status = 'closed', ended_at = {now} WHERE run_id = %s AND status = 'open' "
        "RETURNING id",
        [run_id],
    )
    handle.executemany(f"DELETE FROM {WAIT_KEY} WHERE wait_id = %s", handle.fetchall())
    return True
