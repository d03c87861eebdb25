"""Find the waits that a batch of events may end, page by page, without a look at any other wait.

Note [A page costs what it holds]
    Each key of the batch is one probe of the index on (key, wait), which stops at the size of the page. So
    a page costs what it holds, however many waits are open and whatever the planner believes of their
    number: the joins are bound to run from the page to the rows by their primary keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from .base import EVENT, PATH_SET, RUN, WAIT, WAIT_KEY, adapt_id, cursor, is_postgres, read_id
from .resolve import accepts_sql
from .retrying import repeatable


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An open wait, and the arrival numbers of the events of the batch that it may take, in order."""

    wait_id: int
    run_id: UUID
    name: str
    index: int
    match: str
    expression: str
    bound: str
    mode: str
    kind: str
    arrivals: Sequence[int]


@repeatable
def read_path_sets(using: str, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the path-sets by which waits for events of these names are keyed."""
    found: dict[str, list[Any]] = {}
    with cursor(using) as handle:
        marks = ", ".join(["%s"] * len(names))
        handle.execute(f"SELECT event_name, paths FROM {PATH_SET} WHERE event_name IN ({marks})", list(names))
        for name, paths in handle.fetchall():
            found.setdefault(name, []).append(json.loads(paths))
    return found


@repeatable
def find_asked(
    using: str, keys: Mapping[UUID, Sequence[int]], *, above: int, limit: int
) -> tuple[list[Asked], int | None]:
    """Look at up to ``limit`` waits, with ids above ``above``, that are found under the keys of the events.

    Returns those that are open for any of the events, and the highest id looked at, None after the last
    page: a page may hold waits that are not open for them, so its length says nothing.
    """
    pairs = [(key, event_id) for event_id, listed in keys.items() for key in listed]
    sql, params = build_query(using, pairs, above=above, limit=limit)
    with cursor(using) as handle:
        handle.execute(sql, params)
        rows = handle.fetchall()
    number, last = rows[0][:2]
    return [_read(row[2:]) for row in rows if row[2] is not None], last if number == limit else None


def build_query(
    using: str, pairs: Sequence[tuple[int, UUID]], *, above: int, limit: int
) -> tuple[str, list[Any]]:
    """Return the query of a page with its parameters, for pairs of a key and the event that has it."""
    if is_postgres(using):
        columns = [list(column) for column in zip(*pairs, strict=True)]
        return _sql(_POSTGRES), [*columns, above, limit, limit]
    text = json.dumps([(key, adapt_id(using, event_id)) for key, event_id in pairs])
    return _sql(_SQLITE), [text, above, limit]


# OFFSET 0 keeps the planner from turning a look-up by key into a scan of the whole table.
_POSTGRES = (
    (
        "WITH sent AS MATERIALIZED (SELECT u.key, e.id, e.name, e.arrival, e.created_at "
        "FROM unnest(%s::bigint[], %s::uuid[]) AS u(key, id) CROSS JOIN LATERAL (SELECT id, name, "
        f"arrival, created_at FROM {EVENT} WHERE id = u.id OFFSET 0) e), "
        "hit AS MATERIALIZED (SELECT k.wait_id, u.key FROM (SELECT DISTINCT key FROM sent) u CROSS JOIN LATERAL "
        f"(SELECT k.wait_id FROM {WAIT_KEY} k WHERE k.key = u.key AND k.wait_id > %s "
        "ORDER BY k.wait_id LIMIT %s) k), "
        "page AS MATERIALIZED (SELECT DISTINCT wait_id FROM hit ORDER BY wait_id LIMIT %s), "
        "asked AS MATERIALIZED (SELECT w.* FROM page CROSS JOIN LATERAL (SELECT w.*, r.event_id AS started_by "
        f"FROM {WAIT} w JOIN {RUN} r ON r.id = w.run_id WHERE w.id = page.wait_id OFFSET 0) w)"
    ),
    "array_agg(DISTINCT e.arrival)",
)
_SQLITE = (
    (
        "WITH sent AS MATERIALIZED (SELECT json_extract(u.value, '$[0]') AS key, e.id, e.name, e.arrival, "
        f"e.created_at FROM json_each(%s) u CROSS JOIN {EVENT} e "
        "WHERE e.id = json_extract(u.value, '$[1]')), "
        "hit AS MATERIALIZED (SELECT DISTINCT k.wait_id, k.key FROM (SELECT DISTINCT key FROM sent) u "
        f"CROSS JOIN {WAIT_KEY} k WHERE k.key = u.key AND k.wait_id > %s), "
        "page AS MATERIALIZED (SELECT DISTINCT wait_id FROM hit ORDER BY wait_id LIMIT %s), "
        "asked AS MATERIALIZED (SELECT w.*, r.event_id AS started_by FROM page "
        f"CROSS JOIN {WAIT} w CROSS JOIN {RUN} r WHERE w.id = page.wait_id AND r.id = w.run_id)"
    ),
    "group_concat(DISTINCT e.arrival)",
)
_COLUMNS = 'w.id, w.run_id, w.name, w."index", w.match, w.expression, w.bound, w.mode, w.kind'


def _sql(parts: tuple[str, str]) -> str:
    tables, arrivals = parts
    return (
        f"{tables}, pairs AS (SELECT w.id, {arrivals} AS arrivals FROM asked w "
        f"JOIN hit ON hit.wait_id = w.id JOIN sent e ON e.key = hit.key "
        f"WHERE {accepts_sql('w.started_by')} GROUP BY w.id) "
        f"SELECT seen.number, seen.last, {_COLUMNS}, w.arrivals "
        "FROM (SELECT count(*) AS number, max(wait_id) AS last FROM page) seen "
        "LEFT JOIN (SELECT w.*, pairs.arrivals FROM asked w JOIN pairs ON pairs.id = w.id) w ON TRUE "
        "ORDER BY w.id"
    )


def _read(row: Any) -> Asked:
    arrivals = row[9].split(",") if isinstance(row[9], str) else row[9]
    return Asked(
        wait_id=row[0],
        run_id=read_id(row[1]),
        name=row[2],
        index=row[3],
        match=row[4],
        expression=row[5],
        bound=row[6],
        mode=row[7],
        kind=row[8],
        arrivals=sorted(map(int, arrivals)),
    )
