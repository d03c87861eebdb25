"""What processes report of the workflows that they have code for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..clock import now_sql
from .base import WORKFLOW, cursor, is_postgres, writing
from .retrying import repeatable


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRow:
    """A workflow as its code has it; ``config`` is JSON."""

    id: str
    module: str
    file: str
    line: int
    version: str
    config: str


PART = 1_000
"""Workflows in one statement: 6 parameters each, under SQLite's limit of 32,766."""


@repeatable
def save_workflows(using: str, rows: Sequence[WorkflowRow]) -> None:
    """Note what the code says of workflows and that it was seen now; whether they are paused stays as it is."""
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    # In order of id, so that two processes that report at once do not wait for each other in a circle.
    ordered = sorted(rows, key=lambda row: row.id)
    # No transaction: a process that freezes in one would hold up the reports, and the tick, of all others.
    with cursor(using) if is_postgres(using) else writing(using) as handle:
        for start in range(0, len(ordered), PART):
            part = ordered[start : start + PART]
            handle.execute(
                f"INSERT INTO {WORKFLOW} (id, module, file, line, version, config, seen_at) "
                f"VALUES {', '.join([f'(%s, %s, %s, %s, %s, %s, {now})'] * len(part))} "
                "ON CONFLICT (id) DO UPDATE SET module = EXCLUDED.module, file = EXCLUDED.file, "
                "line = EXCLUDED.line, version = EXCLUDED.version, config = EXCLUDED.config, "
                "seen_at = EXCLUDED.seen_at",
                [value for row in part for value in _values(row)],
            )


def _values(row: WorkflowRow) -> list[Any]:
    return [row.id, row.module, row.file, row.line, row.version, row.config]
