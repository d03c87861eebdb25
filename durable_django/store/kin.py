"""Which runs belong to a family in which somebody is still alive."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from .base import RUN, adapt_id, cursor, is_postgres, read_id
from .retrying import repeatable


@repeatable
def find_kin_of_live(using: str, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the runs that a run which has not ended invoked, at any depth, or was invoked by."""
    if not ids:
        return set()
    mark = "(%s::uuid)" if is_postgres(using) else "(%s)"
    live = "r.ended_at IS NULL"
    with cursor(using) as handle:
        handle.execute(
            f"WITH RECURSIVE asked(id) AS (VALUES {', '.join([mark] * len(ids))}), "
            f"below(top, id, live) AS (SELECT a.id, r.id, {live} FROM asked a JOIN {RUN} r ON r.parent_id = a.id "
            f"UNION SELECT b.top, r.id, {live} FROM below b JOIN {RUN} r ON r.parent_id = b.id), "
            f"above(top, id, parent_id, live) AS (SELECT a.id, r.id, r.parent_id, {live} FROM asked a "
            f"JOIN {RUN} own ON own.id = a.id JOIN {RUN} r ON r.id = own.parent_id "
            f"UNION SELECT b.top, r.id, r.parent_id, {live} FROM above b JOIN {RUN} r ON r.id = b.parent_id) "
            "SELECT top FROM below WHERE live UNION SELECT top FROM above WHERE live",
            [adapt_id(using, each) for each in ids],
        )
        return {read_id(row[0]) for row in handle.fetchall()}
