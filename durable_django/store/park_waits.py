"""The waits of a parking, any number of them in the same statement.

Note [Waits are numbered in the order in which they stand]
    Of several waits that one event fits the first one gets it, which is the one with the lowest id. So the
    INSERT orders its rows: a plan of a join may bring them in any order, and a prepared one does.

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
from .arrays import arrays_sql, write_columns
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
_KEY_TYPES = ("text", "bigint", "int", "bigint")
_PATH_TYPES = ("text", "bigint", "text")
_RULE_TYPES = ("uuid", "float8", *_WAIT_TYPES)
_VALUES = 'name, "index", branch, kind, event_name, match, expression, bound, mode, signal, looks_from'


def _after_sql(run: str) -> str:
    trigger = f"SELECT e.arrival FROM {EVENT} e WHERE e.id = {run}.event_id"
    return f"COALESCE({run}.arrival, ({trigger}), {_AFTER})"


def waits_sql() -> str:
    """Return CTEs that insert waits with their keys, after ``parked(id)`` and the ``item`` rows of steps."""
    expires = f"COALESCE(item.ready_at, {later_sql('postgresql', 'item.ready_in')})"
    return (
        f", asked AS (SELECT * FROM unnest({arrays_sql(_WAIT_TYPES)}) WITH ORDINALITY AS asked({_VALUES}, place)), "
        f'waits AS (INSERT INTO {WAIT} ({_COLUMNS}) SELECT parked.id, a.name, a."index", a.branch, a.kind, '
        "'open', a.event_name, a.match, a.expression, a.bound, a.mode, a.signal, a.looks_from, "
        f"CASE WHEN a.looks_from IS NULL THEN {_AFTER} ELSE {_after_sql('parked')} END, {expires}, "
        f"{later_sql('postgresql', '0')} FROM parked, asked a "
        'JOIN item ON item.name = a.name AND item."index" = a."index" ORDER BY a.place ON CONFLICT DO NOTHING '
        'RETURNING id, name, "index", branch), '
        f"keys AS (INSERT INTO {WAIT_KEY} (wait_id, key) SELECT waits.id, k.key FROM waits "
        f'JOIN unnest({arrays_sql(_KEY_TYPES)}) AS k(name, "index", branch, key) '
        'USING (name, "index", branch)), '
        f"paths AS (INSERT INTO {PATH_SET} (event_name, digest, paths) SELECT p.event_name, p.digest, p.paths "
        f"FROM parked, unnest({arrays_sql(_PATH_TYPES)}) AS p(event_name, digest, paths) "
        "ON CONFLICT DO NOTHING)"
    )


def waits_params(waits: Sequence[WaitWrite]) -> list[str]:
    """Return the parameters of ``waits_sql``."""
    rows = [tuple(_values(wait)) for wait in waits]
    keys = [(w.name, w.index, w.branch, key) for w in waits for key in w.keys]
    paths = sorted({(w.event_name, hash_text(text), text) for w in waits for text in w.path_sets})
    return (
        write_columns(_WAIT_TYPES, rows) + write_columns(_KEY_TYPES, keys) + write_columns(_PATH_TYPES, paths)
    )


def _values(wait: WaitWrite) -> list[Any]:
    place = [wait.name, wait.index, wait.branch, wait.kind, wait.event_name, wait.match, wait.expression]
    return [*place, wait.bound, wait.mode, wait.signal, wait.looks_from]


def insert_waits_postgres(using: str, rules: Sequence[tuple[UUID, WaitWrite, float]]) -> None:
    """Insert waits of any number of runs, each with the seconds until it expires, with their keys."""
    rows = [(run_id, seconds, *_values(wait)) for run_id, wait, seconds in rules]
    keys = [(run_id, w.name, w.index, w.branch, key) for run_id, w, _ in rules for key in w.keys]
    paths = sorted({(w.event_name, hash_text(text), text) for _, w, _ in rules for text in w.path_sets})
    now = later_sql("postgresql", "0")
    with cursor(using) as handle:
        handle.execute(
            f'WITH waits AS (INSERT INTO {WAIT} ({_COLUMNS}) SELECT r.id, a.name, a."index", a.branch, a.kind, '
            "'open', a.event_name, a.match, a.expression, a.bound, a.mode, a.signal, a.looks_from, "
            f"CASE WHEN a.looks_from IS NULL THEN {_AFTER} ELSE {_after_sql('r')} END, "
            f"{later_sql('postgresql', 'a.seconds')}, {now} "
            f"FROM unnest({arrays_sql(_RULE_TYPES)}) AS a(run_id, seconds, {_VALUES}) "
            f"JOIN {RUN} r ON r.id = a.run_id ON CONFLICT DO NOTHING "
            'RETURNING id, run_id, name, "index", branch), '
            f"keys AS (INSERT INTO {WAIT_KEY} (wait_id, key) SELECT waits.id, k.key FROM waits JOIN unnest("
            f'{arrays_sql(("uuid", *_KEY_TYPES))}) AS k(run_id, name, "index", branch, key) '
            'USING (run_id, name, "index", branch)) '
            f"INSERT INTO {PATH_SET} (event_name, digest, paths) SELECT * FROM "
            f"unnest({arrays_sql(_PATH_TYPES)}) ON CONFLICT DO NOTHING",
            write_columns(_RULE_TYPES, rows)
            + write_columns(("uuid", *_KEY_TYPES), keys)
            + write_columns(_PATH_TYPES, paths),
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
