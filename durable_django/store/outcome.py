"""What is kept of events beside what they started: the reasons why they did not start more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from .base import EVENT, RUN, adapt_id, cursor, is_postgres, read_id, writing
from .retrying import repeatable


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that holds a start key, and the event that started it."""

    run_id: UUID
    event_id: UUID


@repeatable
def find_holders(using: str, keys: Sequence[UUID]) -> dict[UUID, Holder]:
    """Return the runs that hold the start keys."""
    if not keys:
        return {}
    marks = ", ".join(["%s"] * len(keys))
    with cursor(using) as handle:
        handle.execute(
            f"SELECT start_key, id, event_id FROM {RUN} WHERE start_key IN ({marks})",
            [adapt_id(using, key) for key in keys],
        )
        return {read_id(key): Holder(read_id(run), read_id(event)) for key, run, event in handle.fetchall()}


@repeatable
def save_reasons(using: str, texts: Mapping[UUID, str]) -> None:
    """Replace the reasons of the events."""
    if not texts:
        return
    if is_postgres(using):
        with cursor(using) as handle:
            handle.execute(
                "WITH told AS MATERIALIZED (SELECT e.id, t.text FROM unnest(%s::uuid[], %s::text[]) AS "
                f"t(id, text) JOIN {EVENT} e ON e.id = t.id ORDER BY e.id FOR NO KEY UPDATE OF e) "
                f"UPDATE {EVENT} e SET reasons = told.text FROM told WHERE e.id = told.id",
                [list(texts), list(texts.values())],
            )
        return
    with writing(using) as handle:
        handle.executemany(
            f"UPDATE {EVENT} SET reasons = %s WHERE id = %s",
            [(text, adapt_id(using, event_id)) for event_id, text in texts.items()],
        )
