"""The waits of a parking, any number of them in the same statement.

Note [A look back takes each event once]
    A wait with ``looks_from`` also accepts events that arrived after its run's trigger. In a loop the same
    step id would find the first of them again and again, so an event that ended an earlier use of the id, in
    the same branch of the workflow, is passed over. ``looks_from`` is the index of that id's first use there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..clock import later_sql
from ..ids import hash_text
from .base import (
    ARRIVAL_SEQUENCE,
    EVENT,
    PATH_SET,
    RUN,
    WAIT,
    WAIT_KEY,
    StepWrite,
    WaitWrite,
    adapt_time,
    cursor,
    is_postgres,
)

_COLUMNS = (
    'run_id, name, "index", branch, kind, status, event_name, match, expression, bound, mode, signal, '
    'looks_from, "after", expires_at, created_at'
)
# last_value is not transactional: it covers each number that was handed out before this statement,
# also those of routings that have not committed yet.
_AFTER = f"(SELECT last_value FROM {ARRIVAL_SEQUENCE})"
_WAIT_TYPES = ("text", "bigint", "int", "text", "text", "text", "text", "text", "text", "text", "bigint")
_VALUES = 'name, "index", branch, kind, event_name, match, expression, bound, mode, signal, looks_from'


def _after_sql(run: str) -> str:
    trigger = f"SELECT e.arrival FROM {EVENT} e WHERE e.id = {run}.event_id"
    return f"COALESCE({run}.arrival, ({trigger}), {_AFTER})"


def waits_sql() -> str:
    """Return CTEs that insert waits with their keys, after ``parked(id)`` and the ``item`` rows of steps."""
    arrays = ", ".join(f"%s::{name}[]" for name in _WAIT_TYPES)
    expires = f"COALESCE(item.ready_at, {later_sql('postgresql', 'item.ready_in')})"
    return (
        f", asked AS (SELECT * FROM unnest({arrays}) "
        f"AS asked({_VALUES})), "
        f'waits AS (INSERT INTO {WAIT} ({_COLUMNS}) SELECT parked.id, a.name, a."index", a.branch, a.kind, '
        "'open', a.event_name, a.match, a.expression, a.bound, a.mode, a.signal, a.looks_from, "
        f"CASE WHEN a.looks_from IS NULL THEN {_AFTER} ELSE {_after_sql('parked')} END, {expires}, "
        f"{later_sql('postgresql', '0')} FROM parked, asked a "
        'JOIN item ON item.name = a.name AND item."index" = a."index" ON CONFLICT DO NOTHING '
        'RETURNING id, name, "index", branch), '
        f"keys AS (INSERT INTO {WAIT_KEY} (wait_id, key) SELECT waits.id, k.key FROM waits "
        'JOIN unnest(%s::text[], %s::bigint[], %s::int[], %s::bigint[]) AS k(name, "index", branch, key) '
        'USING (name, "index", branch)), '
        f"paths AS (INSERT INTO {PATH_SET} (event_name, digest, paths) SELECT p.event_name, p.digest, p.paths "
        "FROM parked, unnest(%s::text[], %s::bigint[], %s::text[]) AS p(event_name, digest, paths) "
        "ON CONFLICT DO NOTHING)"
    )


def waits_params(waits: Sequence[WaitWrite]) -> list[Any]:
    """Return the parameters of ``waits_sql``."""
    rows = [tuple(_values(wait)) for wait in waits]
    keys = [(w.name, w.index, w.branch, key) for w in waits for key in w.keys]
    paths = sorted({(w.event_name, hash_text(text), text) for w in waits for text in w.path_sets})
    return [*_columns(rows, len(_WAIT_TYPES)), *_columns(keys, 4), *_columns(paths, 3)]


def _values(wait: WaitWrite) -> list[Any]:
    place = [wait.name, wait.index, wait.branch, wait.kind, wait.event_name, wait.match, wait.expression]
    return [*place, wait.bound, wait.mode, wait.signal, wait.looks_from]


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def insert_waits_postgres(using: str, rules: Sequence[tuple[UUID, WaitWrite, float]]) -> None:
    """Insert waits of any number of runs, each with the seconds until it expires, with their keys."""
    rows = [(run_id, seconds, *_values(wait)) for run_id, wait, seconds in rules]
    keys = [(run_id, w.name, w.index, w.branch, key) for run_id, w, _ in rules for key in w.keys]
    paths = sorted({(w.event_name, hash_text(text), text) for _, w, _ in rules for text in w.path_sets})
    arrays = ", ".join(f"%s::{name}[]" for name in ("uuid", "float8", *_WAIT_TYPES))
    now = later_sql("postgresql", "0")
    with cursor(using) as handle:
        handle.execute(
            f'WITH waits AS (INSERT INTO {WAIT} ({_COLUMNS}) SELECT r.id, a.name, a."index", a.branch, a.kind, '
            "'open', a.event_name, a.match, a.expression, a.bound, a.mode, a.signal, a.looks_from, "
            f"CASE WHEN a.looks_from IS NULL THEN {_AFTER} ELSE {_after_sql('r')} END, "
            f"{later_sql('postgresql', 'a.seconds')}, {now} FROM unnest({arrays}) AS a(run_id, seconds, "
            f"{_VALUES}) JOIN {RUN} r ON r.id = a.run_id ON CONFLICT DO NOTHING "
            'RETURNING id, run_id, name, "index", branch), '
            f"keys AS (INSERT INTO {WAIT_KEY} (wait_id, key) SELECT waits.id, k.key FROM waits JOIN unnest("
            '%s::uuid[], %s::text[], %s::bigint[], %s::int[], %s::bigint[]) AS k(run_id, name, "index", branch, '
            'key) USING (run_id, name, "index", branch)) '
            f"INSERT INTO {PATH_SET} (event_name, digest, paths) SELECT * FROM "
            "unnest(%s::text[], %s::bigint[], %s::text[]) ON CONFLICT DO NOTHING",
            [*_columns(rows, len(_WAIT_TYPES) + 2), *_columns(keys, 5), *_columns(paths, 3)],
        )


def insert_wait(using: str, handle: Any, run_id: Any, wait: WaitWrite, step: StepWrite) -> None:
    """Insert one wait of a run with its keys, in the caller's transaction, on either store."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    expires = "%s" if step.ready_in is None else later_sql(vendor, "%s")
    until = adapt_time(using, step.ready_at) if step.ready_in is None else step.ready_in
    after = _AFTER if wait.looks_from is None else _after_sql("r")
    handle.execute(
        f"INSERT INTO {WAIT} ({_COLUMNS}) SELECT r.id, %s, %s, %s, %s, 'open', %s, %s, %s, %s, %s, %s, %s, "
        f"{after}, {expires}, {later_sql(vendor, '0')} FROM {RUN} r WHERE r.id = %s "
        "ON CONFLICT DO NOTHING RETURNING id",
        [*_values(wait), until, run_id],
    )
    row = handle.fetchone()
    if row is None:
        return
    handle.executemany(
        f"INSERT INTO {WAIT_KEY} (wait_id, key) VALUES (%s, %s)", [(row[0], key) for key in wait.keys]
    )
    handle.executemany(
        f"INSERT INTO {PATH_SET} (event_name, digest, paths) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [(wait.event_name, hash_text(paths), paths) for paths in wait.path_sets],
    )
