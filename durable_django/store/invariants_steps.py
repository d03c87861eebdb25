"""What must hold of steps and attempts: a result stands, a failure left its trace, sizes are bounded."""

from __future__ import annotations

from typing import Final

from ..conf import settings
from .base import ATTEMPT, EVENT, RESULT, RUN, STEP
from .invariant import Ask, Invariant
from .invariants_runs import REPORT

GROWTH: Final = 2
"""How much larger than its limit a payload may be stored: limits are of the text before encryption."""
MOST_STEPS: Final = 10_000
"""The highest value of STEP_LIMIT: a run that is older than a lower one may have as many."""
TRACE_BYTES: Final = 70_000
"""More than any stored traceback, see engine/error_stack.py."""
_AUDIT: Final = "durable_django_auditentry"
UNTOUCHED: Final = f"NOT EXISTS (SELECT 1 FROM {_AUDIT} a WHERE a.run_id = r.id)"
"""Operators may end waits and retries early."""


def _late_writes(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, r.ended_at AS run_ended_at, s.name AS step, s.ended_at FROM {STEP} s "
        f"JOIN {RUN} r ON r.id = s.run_id WHERE r.ended_at IS NOT NULL AND {ask.before('r.ended_at', 's.ended_at')}"
    )


def _half_done(ask: Ask) -> str:
    return (
        f'SELECT run_id AS run, name AS step, "index", status, ended_at FROM {STEP} '
        "WHERE (status IN ('completed', 'failed') AND ended_at IS NULL) "
        "OR (status IN ('waiting', 'retrying') AND ended_at IS NOT NULL) "
        "OR (status = 'failed' AND error IS NULL)"
    )


def _hasty(ask: Ask) -> str:
    return (
        "SELECT r.id AS run, r.workflow, a.name AS step, b.number AS attempt, a.retry_at, b.started_at "
        f"FROM {ATTEMPT} a JOIN {RUN} r ON r.id = a.run_id "
        f'JOIN {ATTEMPT} b ON b.run_id = a.run_id AND b.name = a.name AND b."index" = a."index" '
        "AND b.number = a.number + 1 AND b.id > a.id "
        f"WHERE {ask.before('b.started_at', 'a.retry_at')} AND {UNTOUCHED}"
    )


def _traceless(ask: Ask) -> str:
    return (
        f'SELECT s.run_id AS run, s.name AS step, s."index", s.attempt AS failed_attempts FROM {STEP} s '
        f"JOIN {RUN} r ON r.id = s.run_id WHERE s.kind = 'run' AND s.attempt > 0 AND {UNTOUCHED} "
        f"AND s.attempt > (SELECT count(*) FROM {ATTEMPT} t WHERE t.run_id = s.run_id AND t.name = s.name "
        'AND t."index" = s."index")'
    )


def _large(ask: Ask) -> str:
    output, event = (GROWTH * int(settings.STEP_OUTPUT_BYTES), GROWTH * int(settings.EVENT_BYTES))
    parts = (
        (STEP, "run_id", "NULL", "output", output),
        (RESULT, "run_id", "NULL", "output", output),
        (EVENT, "NULL", "id", "data", event),
        (ATTEMPT, "run_id", "NULL", "traceback", TRACE_BYTES),
        (ATTEMPT, "run_id", "NULL", "message", TRACE_BYTES),
    )
    return " UNION ALL ".join(
        f"SELECT {_uuid(ask, run)} AS run, {_uuid(ask, key)} AS event, '{column}' AS column_name, "
        f"{ask.size(column)} AS bytes FROM {table} WHERE {ask.size(column)} > {limit:d}"
        for table, run, key, column, limit in parts
    )


def _uuid(ask: Ask, column: str) -> str:
    return column if ask.vendor == "sqlite" else f"CAST({column} AS uuid)"


def _many(ask: Ask) -> str:
    return (
        f"SELECT run_id AS run, count(*) AS steps FROM {STEP} GROUP BY run_id "
        f"HAVING count(*) > {max(int(settings.STEP_LIMIT), MOST_STEPS):d}"
    )


INVARIANTS: Final = (
    Invariant(
        id="I3",
        title="a step was written after its run had ended",
        remedy=f"Did the database's clock jump back? {REPORT}",
        build=_late_writes,
    ),
    Invariant(
        id="I3-half",
        title="a step is done without its end or its error, or open with one",
        remedy=REPORT,
        build=_half_done,
    ),
    Invariant(
        id="I7-retry",
        title="an attempt began before it was due",
        remedy=f"Did the database's clock jump? {REPORT}",
        build=_hasty,
    ),
    Invariant(id="I12", title="a failed attempt left no trace", remedy=REPORT, build=_traceless),
    Invariant(
        id="I17",
        title="a stored text is far larger than its limit",
        remedy="Was a limit lowered since? Otherwise a hook that seals payloads makes them grow too much.",
        build=_large,
        severity="warning",
    ),
    Invariant(
        id="I17-steps",
        title="a run has more steps than are allowed",
        remedy=REPORT,
        build=_many,
        severity="warning",
    ),
)
