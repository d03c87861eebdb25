"""Write steps on SQLite, where one transaction at a time writes.

Note [A batch is one statement on SQLite too]
    Passing a statement through Django and the driver costs several times as much as the row it inserts. So the steps
    of a batch travel as one JSON text, and the text of the statement is the same for any number of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from ..clock import later_sql, now_sql
from .base import RUN, STEP, StepWrite, adapt_id, adapt_time, writing
from .checkpoint_columns import COLUMNS, REPLACE

_FIELDS: Final = ("run_id", "name", '"index"', "kind", "status", "output", "error", "attempt", "token")
_ENDED: Final = ("completed", "failed")


def write_sqlite(using: str, items: Sequence[StepWrite], *, go: str) -> list[bool]:
    """Insert the steps whose run is running under their token, and ``go`` holds; tell for each whether it was."""
    with writing(using) as handle:
        if len(items) == 1:
            return [insert_sqlite(using, handle, items[0], status="running", go=go)]
        handle.execute(_batch_sql(go), [json.dumps([_to_row(using, item) for item in items])])
        written = set(handle.fetchall())
    return [(adapt_id(using, item.run_id), item.name, item.index) in written for item in items]


def _to_row(using: str, item: StepWrite) -> list[Any]:
    return [
        adapt_id(using, item.run_id),
        item.name,
        item.index,
        item.kind,
        item.status,
        item.output,
        item.error,
        item.attempt,
        item.token,
        -item.seconds,
        item.ready_in,
        adapt_time(using, item.ready_at),
    ]


def _batch_sql(go: str) -> str:
    columns = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(_FIELDS))
    return (
        f"WITH item AS MATERIALIZED (SELECT {columns}, json_extract(value, '$[9]') AS began, "
        "json_extract(value, '$[10]') AS ready_in, json_extract(value, '$[11]') AS ready_at FROM json_each(%s)) "
        f'INSERT INTO {STEP} ({COLUMNS}) SELECT item.run_id, item.name, item."index", item.kind, item.status, '
        "item.output, item.error, item.attempt, item.token, "
        f"COALESCE(item.ready_at, {later_sql('sqlite', 'item.ready_in')}), {later_sql('sqlite', 'item.began')}, "
        f"CASE WHEN item.status IN {_ENDED} THEN {now_sql('sqlite')} END "
        f"FROM item CROSS JOIN {RUN} r WHERE r.id = item.run_id AND r.token = item.token AND r.status = 'running'"
        f'{go} {REPLACE} RETURNING run_id, name, "index"'
    )


def insert_sqlite(using: str, handle: Any, item: StepWrite, *, status: str, go: str = "") -> bool:
    """Insert one step if its run has the token and the status, and ``go`` holds; tell whether a row was written."""
    ended = now_sql("sqlite") if item.status in _ENDED else "NULL"
    delayed = item.ready_at is None and item.ready_in is not None
    ready = later_sql("sqlite", "%s") if delayed else "%s"
    run_id = adapt_id(using, item.run_id)
    handle.execute(
        f"INSERT INTO {STEP} ({COLUMNS}) SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, {ready}, "
        f"{later_sql('sqlite', '%s')}, {ended} FROM {RUN} "
        f"WHERE id = %s AND token = %s AND status = %s{go} {REPLACE} RETURNING id",
        [run_id, item.name, item.index, item.kind, item.status, item.output, item.error, item.attempt]
        + [item.token, item.ready_in if delayed else adapt_time(using, item.ready_at)]
        + [-item.seconds, run_id, item.token, status],
    )
    return handle.fetchone() is not None
