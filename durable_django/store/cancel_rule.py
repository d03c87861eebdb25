"""Cancel rules: waits that belong to a run as a whole and end it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..clock import later_sql
from .base import WAIT, WAIT_KEY, StepWrite, WaitWrite, adapt_id, cursor, is_postgres, writing
from .park_waits import insert_wait, insert_waits_postgres

Rule = tuple[UUID, WaitWrite, float]
"""A run, its rule, and the seconds for which it holds."""


def arm_rules(using: str, rules: Sequence[Rule]) -> None:
    """Store the rules in the transaction that starts their runs."""
    if is_postgres(using):
        insert_waits_postgres(using, rules)
        return
    with writing(using) as handle:
        for run_id, rule, seconds in rules:
            insert_wait(using, handle, adapt_id(using, run_id), rule, _date(run_id, rule, seconds))


def _date(run_id: UUID, rule: WaitWrite, seconds: float) -> StepWrite:
    return StepWrite(
        run_id=run_id, token=0, name=rule.name, index=rule.index, kind="cancel", status="", ready_in=seconds
    )


def claim_rules(using: str, pairs: Sequence[tuple[int, UUID]]) -> set[int]:
    """Let events end open rules, as (wait, event), in a transaction that holds their runs; return those."""
    if not pairs:
        return set()
    if is_postgres(using):
        return _claim_postgres(using, pairs)
    with cursor(using) as handle:
        return {wait_id for wait_id, event_id in pairs if _claim_sqlite(using, handle, wait_id, event_id)}


def _claim_postgres(using: str, pairs: Sequence[tuple[int, UUID]]) -> set[int]:
    with cursor(using) as handle:
        handle.execute(
            f"WITH claimed AS (UPDATE {WAIT} w SET status = 'matched', event_id = hit.event_id, "
            f"ended_at = {later_sql('postgresql', '0')} FROM unnest(%s::bigint[], %s::uuid[]) "
            "AS hit(wait_id, event_id) WHERE w.id = hit.wait_id AND w.status = 'open' RETURNING w.id), "
            f"unkeyed AS (DELETE FROM {WAIT_KEY} k USING claimed WHERE k.wait_id = claimed.id) "
            "SELECT id FROM claimed",
            [list(column) for column in zip(*pairs, strict=True)],
        )
        return {row[0] for row in handle.fetchall()}


def _claim_sqlite(using: str, handle: Any, wait_id: int, event_id: UUID) -> bool:
    handle.execute(
        f"UPDATE {WAIT} SET status = 'matched', event_id = %s, ended_at = {later_sql('sqlite', '0')} "
        "WHERE id = %s AND status = 'open' RETURNING id",
        [adapt_id(using, event_id), wait_id],
    )
    if handle.fetchone() is None:
        return False
    handle.execute(f"DELETE FROM {WAIT_KEY} WHERE wait_id = %s", [wait_id])
    return True
