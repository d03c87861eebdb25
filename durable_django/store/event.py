"""Store events, stamp their arrival, and start runs for them.

Note [Arrival is stamped after the commit]
    A sequence number taken inside the sender's transaction says nothing about when that transaction
    commits. So ``arrival`` is taken by the routing, which begins after the commit, and a wait remembers
    the last number handed out before it was stored; events above it count. Before a wait is stored, events
    of its name that are visible but not stamped yet (their sender died, or routing lags) are stamped, so
    they stay below it. An event that neither saw is found by the look that follows the wait's commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from ..clock import later_sql, now_sql, read_now
from .arrays import write_array, write_columns
from .base import (
    ARRIVAL_SEQUENCE,
    EVENT,
    RUN,
    WAIT,
    EventRow,
    adapt_id,
    cursor,
    is_postgres,
    read_id,
    writing,
)
from .paused import paused_sql
from .prepared import Statement
from .retrying import repeatable

_LAST_ARRIVAL = f"(SELECT last_value FROM {ARRIVAL_SEQUENCE})"
_COLUMNS = "id, name, data, extra, external_id, ts, source"
_MILLISECONDS = "FLOOR(EXTRACT(EPOCH FROM {}) * 1000)::bigint"
PART = 400
"""Events in one INSERT of SQLite: 7 parameters each, under its limit of 32,766."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRow:
    """A run to be inserted; ``start_in`` is seconds from now, 0 for at once; see Note [Deadlines]."""

    id: UUID
    workflow: str
    event_id: UUID
    start_key: UUID | None
    key: str
    origin: str
    queue: str
    start_in: float = 0.0
    version: str = ""
    rerun_of: UUID | None = None
    start_within: float | None = None
    finish_within: float | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """What routing did: runs started, as (id, workflow, queue), and events asked for, with their arrivals."""

    started: list[tuple[UUID, str, str]]
    asked: list[tuple[UUID, int]]


Reasons = Mapping[UUID, str | None]


@repeatable
def insert_events(using: str, events: Sequence[EventRow], *, routed: bool = False) -> list[EventRow]:
    """Store the events in the transaction that is open, or all or none in one of their own.

    Known ids are left alone.

    Returns:
        The events, with the database's time in place of a ``ts`` of 0, as they are stored.
    """
    if not events:
        return []
    if is_postgres(using):
        return _set_time(events, _insert_postgres(using, events, routed))
    events = _set_time(events, int(read_now(using).timestamp() * 1000))
    parts = [events[start : start + PART] for start in range(0, len(events), PART)]
    with cursor(using) if len(parts) == 1 else writing(using) as handle:
        for part in parts:
            _insert_part(using, handle, part, routed)
    return events


def _set_time(events: Sequence[EventRow], now: int) -> list[EventRow]:
    return [each if each.ts else replace(each, ts=now) for each in events]


def _insert_postgres(using: str, events: Sequence[EventRow], routed: bool) -> int:
    rows = [(e.id, e.name, e.data, e.extra, e.external_id, e.ts, e.source) for e in events]
    params = write_columns(("uuid", *["text"] * 4, "bigint", "text"), rows)
    with cursor(using) as handle:
        _insert_statement(now_sql("postgresql"), routed).execute(using, handle, params)
        return int(handle.fetchone()[0])


@lru_cache(maxsize=16)
def _insert_statement(now: str, routed: bool) -> Statement:
    columns = _COLUMNS.replace("ts", f"COALESCE(NULLIF(ts, 0), {_MILLISECONDS.format(now)})")
    return Statement(
        f"WITH stored AS (INSERT INTO {EVENT} ({_COLUMNS}, created_at, routed_at) "
        f"SELECT {columns}, {now}, {now if routed else 'NULL::timestamptz'} FROM unnest(%s::uuid[], %s::text[], "
        f"%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[]) AS sent({_COLUMNS}) "
        f"ON CONFLICT (id) DO NOTHING) SELECT {_MILLISECONDS.format(now)}",
        f"INSERT INTO {EVENT}",
    )


def _insert_part(using: str, handle: Any, part: Sequence[EventRow], routed: bool) -> None:
    now = now_sql("sqlite")
    row = f"(%s, %s, %s, %s, %s, %s, %s, {now}, {now if routed else 'NULL'})"
    rows = [(adapt_id(using, e.id), e.name, e.data, e.extra, e.external_id, e.ts, e.source) for e in part]
    handle.execute(
        f"INSERT INTO {EVENT} ({_COLUMNS}, created_at, routed_at) "
        f"VALUES {', '.join([row] * len(part))} ON CONFLICT (id) DO NOTHING",
        [value for values in rows for value in values],
    )


def find_sent(using: str, ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return name and sender's id of the stored events that have one of these ids."""
    with writing(using) as handle:
        if is_postgres(using):
            # A table that has just been filled has no statistics, and would be read whole for each batch.
            handle.execute("SET LOCAL enable_seqscan = off")
        handle.execute(
            f"SELECT name, external_id FROM {EVENT} WHERE external_id IN ({_marks(ids)})", list(ids)
        )
        return {(row[0], row[1]) for row in handle.fetchall()}


def count_unrouted(using: str, *, limit: int) -> int:
    """Return how many events wait to be routed; ``limit`` stands for any number above it."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {EVENT} WHERE routed_at IS NULL LIMIT %s) waiting", [limit]
        )
        return int(handle.fetchone()[0])


_STAMP = Statement(
    f"WITH late AS MATERIALIZED (SELECT id, created_at FROM {EVENT} WHERE name = ANY(%s::text[]) "
    "AND arrival IS NULL AND routed_at IS NULL ORDER BY id FOR UPDATE), "
    f"numbered AS MATERIALIZED (SELECT id, nextval('{ARRIVAL_SEQUENCE}') AS arrival "
    "FROM (SELECT id FROM late ORDER BY created_at, id) listed) "
    f"UPDATE {EVENT} e SET arrival = n.arrival FROM numbered n WHERE e.id = n.id RETURNING e.id",
    f"UPDATE {EVENT} (stamp)",
)


@repeatable
def stamp_events(using: str, names: Sequence[str]) -> None:
    """Stamp the arrival of visible events of these names that routing has not reached yet."""
    if is_postgres(using):
        _STAMP.run(using, [write_array("text", names)])
        return
    with writing(using) as handle:
        marks = ",".join(["%s"] * len(names))
        handle.execute(
            f"SELECT id FROM {EVENT} WHERE name IN ({marks}) AND arrival IS NULL AND routed_at IS NULL "
            "ORDER BY created_at, id",
            names,
        )
        for (event_id,) in handle.fetchall():
            arrival = _next_arrival_sqlite(handle)
            handle.execute(f"UPDATE {EVENT} SET arrival = %s WHERE id = %s", [arrival, event_id])


def _next_arrival_sqlite(handle: Any) -> int:
    handle.execute(f"UPDATE {ARRIVAL_SEQUENCE} SET last_value = last_value + 1 RETURNING last_value")
    return int(handle.fetchone()[0])


@repeatable
def start_runs(
    using: str,
    events: Sequence[UUID],
    runs: Sequence[StartRow],
    *,
    renudge: float,
    reasons: Reasons | None = None,
) -> Routed:
    """Stamp the events, start the runs, and mark as routed each event that no open wait asks for.

    Doing it again starts nothing: a run is found by its ``start_key``. ``reasons`` are kept with the events.
    """
    route = _start_postgres if is_postgres(using) else _start_sqlite
    return route(using, events, runs, renudge, reasons or {})


def _start_postgres(
    using: str, events: Sequence[UUID], runs: Sequence[StartRow], renudge: float, reasons: Reasons
) -> Routed:
    params: list[Any] = [list(events), list(events), [reasons.get(event) for event in events]]
    if runs:
        params += _insert_params(runs, renudge)
    with cursor(using) as handle:
        _start_statement(now_sql("postgresql"), bool(runs)).execute(using, handle, params)
        rows = handle.fetchall()
    return Routed([(r[0], r[1], r[2]) for r in rows if r[1]], [(r[0], r[3]) for r in rows if not r[1]])


@lru_cache(maxsize=16)
def _start_statement(now: str, runs: bool) -> Statement:
    """Return the statement of ``_start_postgres``; ``now`` differs in tests only."""
    asked = f"EXISTS (SELECT 1 FROM {WAIT} w WHERE w.status = 'open' AND w.event_name = e.name)"
    sql = (
        f"WITH late AS MATERIALIZED (SELECT id, arrival FROM {EVENT} WHERE id = ANY(%s::uuid[]) "
        "AND routed_at IS NULL ORDER BY id FOR UPDATE), numbered AS MATERIALIZED (SELECT id, "
        f"COALESCE(arrival, nextval('{ARRIVAL_SEQUENCE}')) AS arrival, reasons FROM (SELECT late.id, "
        "late.arrival, sent.reasons FROM late JOIN unnest(%s::uuid[], %s::text[]) WITH ORDINALITY "
        "AS sent(id, reasons, place) ON sent.id = late.id ORDER BY place) listed), "
        f"stamped AS (UPDATE {EVENT} e SET arrival = n.arrival, reasons = COALESCE(n.reasons, e.reasons), "
        f"routed_at = CASE WHEN {asked} THEN NULL ELSE {now} END "
        "FROM numbered n WHERE e.id = n.id RETURNING e.id, e.routed_at, e.arrival)"
    )
    started = "SELECT NULL::uuid, NULL, NULL, NULL::bigint WHERE FALSE"
    if runs:
        sql += f", started AS ({_insert_sql()})"
        started = "SELECT id, workflow, queue, NULL::bigint FROM started"
    found = "SELECT id, NULL, NULL, arrival FROM stamped WHERE routed_at IS NULL"
    return Statement(f"{sql} {started} UNION ALL {found}", f"UPDATE {EVENT}")


def _insert_sql() -> str:
    wake = later_sql("postgresql", "CASE WHEN i.start_in > 0 THEN i.start_in ELSE %s::float8 END")
    return (
        f"INSERT INTO {RUN} (id, workflow, event_id, start_key, key, origin, queue, rerun_of, status, "
        "waits_for, wake_at, created_at, version, token, owner, attempt, attempt_steps, crash_count, wakeups, "
        "reason, deadline_at, finish_within, arrival) SELECT i.id, i.workflow, i.event_id, i.start_key, i.key, "
        "i.origin, i.queue, i.rerun_of, "
        f"CASE WHEN i.start_in > 0 THEN 'waiting' WHEN {paused_sql('i.workflow')} THEN 'paused' ELSE 'queued' END, "
        f"CASE WHEN i.start_in > 0 THEN 'start' ELSE '' END, {wake}, {now_sql('postgresql')}, "
        f"i.version, 0, '', 0, 0, 0, 0, '', {_deadline_sql('postgresql')}, i.finish_within, "
        f"CASE WHEN i.origin <> 'event' THEN {_LAST_ARRIVAL} END "
        f"FROM unnest({', '.join(f'%s::{name}[]' for name in _RUN_TYPES)}) "
        "WITH ORDINALITY AS i(id, workflow, event_id, start_key, key, origin, queue, rerun_of, start_in, version, "
        # Equal keys: the first of the list starts the run. All keys in one order: two batches do not deadlock.
        "start_within, finish_within, place) ORDER BY i.start_key, i.place "
        "ON CONFLICT (start_key) DO NOTHING RETURNING id, workflow, queue"
    )


def _deadline_sql(vendor: str) -> str:
    if vendor == "sqlite":
        return later_sql(vendor, "%s + %s")
    return later_sql(vendor, "GREATEST(i.start_in, 0) + i.start_within")


_RUN_TYPES = (
    "uuid",
    "text",
    "uuid",
    "uuid",
    "text",
    "text",
    "text",
    "uuid",
    "float8",
    "text",
    "float8",
    "float8",
)


def _insert_params(runs: Sequence[StartRow], renudge: float) -> list[Any]:
    rows = [
        (r.id, r.workflow, r.event_id, r.start_key, r.key, r.origin, r.queue)
        + (r.rerun_of, r.start_in, r.version, r.start_within, r.finish_within)
        for r in runs
    ]
    return [renudge, *write_columns(_RUN_TYPES, rows)]


def _start_sqlite(
    using: str, events: Sequence[UUID], runs: Sequence[StartRow], renudge: float, reasons: Reasons
) -> Routed:
    now, asked, started = now_sql("sqlite"), [], []
    with writing(using) as handle:
        for run in runs:
            if _insert_sqlite(using, handle, run, renudge):
                started.append((run.id, run.workflow, run.queue))
        for event_id in events:
            handle.execute(
                f"UPDATE {EVENT} AS e SET arrival = COALESCE(arrival, %s), reasons = COALESCE(%s, reasons), "
                f"routed_at = CASE WHEN EXISTS (SELECT 1 FROM {WAIT} w "
                f"WHERE w.status = 'open' AND w.event_name = e.name) THEN NULL ELSE {now} END "
                "WHERE id = %s AND routed_at IS NULL RETURNING routed_at, arrival",
                [_next_arrival_sqlite(handle), reasons.get(event_id), adapt_id(using, event_id)],
            )
            row = handle.fetchone()
            if row and row[0] is None:
                asked.append((event_id, row[1]))
    return Routed(started, asked)


def _insert_sqlite(using: str, handle: Any, run: StartRow, renudge: float) -> bool:
    later = run.start_in > 0
    arrival = "NULL" if run.origin == "event" else _LAST_ARRIVAL
    handle.execute(
        f"INSERT INTO {RUN} (id, workflow, event_id, start_key, key, origin, queue, rerun_of, status, "
        "waits_for, wake_at, created_at, version, token, owner, attempt, attempt_steps, crash_count, wakeups, "
        f"reason, deadline_at, finish_within, arrival) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, "
        f"CASE WHEN %s > 0 THEN 'waiting' WHEN {paused_sql('%s')} THEN 'paused' ELSE 'queued' END, %s, "
        f"{later_sql('sqlite', '%s')}, {now_sql('sqlite')}, %s, 0, '', 0, 0, 0, 0, '', {_deadline_sql('sqlite')}, "
        f"%s, {arrival}) ON CONFLICT (start_key) DO NOTHING RETURNING id",
        [adapt_id(using, run.id), run.workflow, adapt_id(using, run.event_id)]
        + [run.start_key and adapt_id(using, run.start_key), run.key, run.origin, run.queue]
        + [run.rerun_of and adapt_id(using, run.rerun_of)]
        + [run.start_in, run.workflow, "start" if later else "", run.start_in if later else renudge]
        + [run.version, max(run.start_in, 0.0), run.start_within, run.finish_within],
    )
    return handle.fetchone() is not None


@repeatable
def read_unrouted(
    using: str, *, name: str | None = None, limit: int, older_than: float = 0.0
) -> list[EventRow]:
    """Return events, of one name or of all, that were stored ``older_than`` seconds ago and not routed."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    condition = f"created_at <= {later_sql(vendor, '%s')}"
    params: list[Any] = [-older_than]
    if name is not None:
        condition += " AND name = %s"
        params.append(name)
    with cursor(using) as handle:
        handle.execute(
            f"SELECT id, name, data, ts, external_id, extra, source FROM {EVENT} "
            f"WHERE routed_at IS NULL AND {condition} ORDER BY created_at, id LIMIT %s",
            [*params, limit],
        )
        return [
            EventRow(
                id=read_id(r[0]), name=r[1], data=r[2], ts=r[3], external_id=r[4], extra=r[5], source=r[6]
            )
            for r in handle.fetchall()
        ]


@repeatable
def expire_start_keys(using: str, keys: Sequence[UUID], *, hours: float, events: Sequence[UUID] = ()) -> None:
    """Free the start keys of runs that were created more than ``hours`` ago, but not by these events.

    An event that is routed again, however late, must find the run that it started.
    """
    if not keys:
        return
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    adapted = [adapt_id(using, key) for key in (*keys, *events)]
    others = f" AND event_id NOT IN ({_marks(events)})" if events else ""
    with cursor(using) as handle:
        handle.execute(
            f"UPDATE {RUN} SET start_key = NULL WHERE start_key IN ({_marks(keys)}){others} "
            f"AND created_at < {later_sql(vendor, '%s')}",
            [*adapted, -hours * 3600],
        )


def _marks(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


@repeatable
def find_started(using: str, start_key: UUID) -> UUID | None:
    """Return the run that holds a start key."""
    with cursor(using) as handle:
        handle.execute(f"SELECT id FROM {RUN} WHERE start_key = %s", [adapt_id(using, start_key)])
        row = handle.fetchone()
    return read_id(row[0]) if row else None
