"""End waits by events: find the pairs that may belong together, then claim each wait once (law 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ..clock import later_sql, now_sql
from .base import (
    EVENT,
    RUN,
    STEP,
    WAIT,
    WAIT_KEY,
    EventRow,
    adapt_id,
    cursor,
    is_postgres,
    read_id,
    writing,
)
from .retrying import repeatable
from .wake import count_ended, queue_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An open wait and an event of its name that arrived after it."""

    wait_id: int
    run_id: UUID
    name: str
    index: int
    match: str
    expression: str
    bound: str
    event: EventRow
    arrival: int
    mode: str
    kind: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A wait that an event ends; ``output`` is the encoded value that the step returns."""

    wait_id: int
    run_id: UUID
    name: str
    index: int
    event_id: UUID
    output: str


_COLUMNS = (
    'SELECT w.id, w.run_id, w.name, w."index", w.match, w.expression, w.bound, '
    "e.id, e.name, e.data, e.ts, e.external_id, e.extra, e.source, e.arrival, w.mode, w.kind"
)


def accepts_sql(started_by: str) -> str:
    """Return when the wait ``w`` takes the event ``e``; ``started_by`` is the event that started its run."""
    return (
        "w.status = 'open' AND w.event_name = e.name AND e.arrival > w.\"after\" "
        f"AND e.created_at < w.expires_at AND {started_by} <> e.id "
        # Note [A look back takes each event once]
        f"AND (w.looks_from IS NULL OR NOT EXISTS (SELECT 1 FROM {WAIT} p WHERE p.run_id = w.run_id "
        "AND p.name = w.name AND p.event_id = e.id AND p.looks_from = w.looks_from "
        'AND p."index" < w."index"))'
    )


@repeatable
def find_candidates_of_run(
    using: str, run_id: UUID, *, above: tuple[int, int], limit: int
) -> list[Candidate]:
    """Return up to ``limit`` stored events that may end an open wait of the run, by (arrival, wait)."""
    sql = (
        f"{_COLUMNS} FROM {WAIT} w JOIN {RUN} r ON r.id = w.run_id JOIN {EVENT} e ON e.name = w.event_name "
        f"WHERE w.run_id = %s AND {accepts_sql('r.event_id')} AND (e.arrival, w.id) > (%s, %s) "
        "ORDER BY e.arrival, w.id LIMIT %s"
    )
    with cursor(using) as handle:
        handle.execute(sql, [adapt_id(using, run_id), *above, limit])
        return [_read(row) for row in handle.fetchall()]


def _read(row: Any) -> Candidate:
    event = EventRow(
        id=read_id(row[7]),
        name=row[8],
        data=row[9],
        ts=row[10],
        external_id=row[11],
        extra=row[12],
        source=row[13],
    )
    return Candidate(
        wait_id=row[0],
        run_id=read_id(row[1]),
        name=row[2],
        index=row[3],
        match=row[4],
        expression=row[5],
        bound=row[6],
        event=event,
        arrival=row[14],
        mode=row[15],
        kind=row[16],
    )


@repeatable
def end_waits(using: str, hits: Sequence[Hit], *, routed: Sequence[UUID], renudge: float) -> list[Any]:
    """Claim the waits that are still open, memoize their events, wake their runs, mark events as routed.

    Returns (id, workflow, queue) of each run that was waiting and is queued now.
    """
    end = _end_postgres if is_postgres(using) else _end_sqlite
    return end(using, hits, routed, renudge)


def _end_postgres(using: str, hits: Sequence[Hit], routed: Sequence[UUID], renudge: float) -> list[Any]:
    now = now_sql("postgresql")
    rows = [(h.wait_id, h.run_id, h.event_id) for h in hits]
    columns = [list(c) for c in zip(*rows, strict=True)] if rows else [[], [], []]
    outputs = {h.event_id: h.output for h in hits}  # an event may end very many waits
    with cursor(using) as handle:
        handle.execute(
            "WITH hit AS (SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[]) "
            "AS hit(wait_id, run_id, event_id)), "
            "sent AS (SELECT * FROM unnest(%s::uuid[], %s::text[]) AS sent(event_id, output)), "
            f"locked AS MATERIALIZED (SELECT id FROM {RUN} WHERE id = ANY(%s) "
            "ORDER BY id FOR NO KEY UPDATE), "
            f"ended AS (UPDATE {WAIT} w SET status = 'matched', event_id = hit.event_id, ended_at = {now} "
            "FROM hit JOIN locked ON locked.id = hit.run_id WHERE w.id = hit.wait_id AND w.status = 'open' "
            'RETURNING w.id, w.run_id, w.name, w."index", w.event_id), '
            f"unkeyed AS (DELETE FROM {WAIT_KEY} k USING ended WHERE k.wait_id = ended.id), "
            f"memo AS (UPDATE {STEP} s SET status = 'completed', output = sent.output, ended_at = {now} "
            "FROM ended JOIN sent ON sent.event_id = ended.event_id "
            "WHERE s.run_id = ended.run_id AND s.name = ended.name "
            'AND s."index" = ended."index" AND s.status = \'waiting\'), '
            f"woken AS (UPDATE {RUN} r SET wakeups = r.wakeups + n.ended, "
            "waits_for = CASE WHEN r.status = 'waiting' THEN '' ELSE r.waits_for END, "
            f"wake_at = CASE WHEN r.status = 'waiting' THEN {later_sql('postgresql', '%s')} ELSE r.wake_at END, "
            "status = CASE WHEN r.status = 'waiting' THEN 'queued' ELSE r.status END "
            "FROM (SELECT run_id, count(*) AS ended FROM ended GROUP BY run_id) n "
            "WHERE r.id = n.run_id AND r.status IN ('queued', 'running', 'waiting') "
            "RETURNING r.id, r.workflow, r.queue, r.status), "
            f"routed AS (UPDATE {EVENT} SET routed_at = {now} WHERE id = ANY(%s) AND routed_at IS NULL) "
            "SELECT id, workflow, queue FROM woken WHERE status = 'queued'",
            [
                *columns,
                list(outputs),
                list(outputs.values()),
                sorted({h.run_id for h in hits}),
                renudge,
                list(routed),
            ],
        )
        return list(handle.fetchall())


def _end_sqlite(using: str, hits: Sequence[Hit], routed: Sequence[UUID], renudge: float) -> list[Any]:
    now = now_sql("sqlite")
    woken: list[Any] = []
    with writing(using) as handle:
        for hit in hits:
            handle.execute(
                f"UPDATE {WAIT} SET status = 'matched', event_id = %s, ended_at = {now} "
                "WHERE id = %s AND status = 'open' RETURNING id",
                [adapt_id(using, hit.event_id), hit.wait_id],
            )
            if handle.fetchone() is None:
                continue
            handle.execute(f"DELETE FROM {WAIT_KEY} WHERE wait_id = %s", [hit.wait_id])
            run_id = adapt_id(using, hit.run_id)
            handle.execute(
                f"UPDATE {STEP} SET status = 'completed', output = %s, ended_at = {now} "
                "WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'waiting'",
                [hit.output, run_id, hit.name, hit.index],
            )
            count_ended(using, handle, hit.run_id)
            woken += queue_waiting(using, handle, hit.run_id, renudge)
        for event_id in routed:
            handle.execute(
                f"UPDATE {EVENT} SET routed_at = {now} WHERE id = %s AND routed_at IS NULL",
                [adapt_id(using, event_id)],
            )
    return woken
