"""What must hold of runs: somebody looks after each, each end is whole, fences only grow."""

from __future__ import annotations

from typing import Final

from ..conf import settings
from .base import ATTEMPT, EVENT, RESULT, RUN, STEP, WORKER
from .invariant import Ask, Invariant

TICK_REMEDY: Final = (
    "Let somebody tick: `manage.py durable worker`, `celery beat`, or `durable tick` from cron."
)
REPORT: Final = (
    "This app writes no such row: was a backup restored in part, or SQL written by hand? If not, report it."
)
CRASH_SLACK: Final = 3
"""Deaths above CRASH_LIMIT before a run counts as not held back: its quarantine may have been cut off."""
_ENDED: Final = "('completed', 'failed', 'cancelled')"
_LIVE: Final = "('queued', 'running', 'waiting', 'paused')"


def _abandoned(ask: Ask) -> str:
    return (
        f"SELECT id AS run, workflow, owner, wake_at FROM {RUN} "
        f"WHERE status = 'running' AND wake_at < {ask.overdue}"
    )


def _unowned(ask: Ask) -> str:
    return (
        f"SELECT id AS run, workflow, owner, token FROM {RUN} "
        "WHERE status = 'running' AND (owner = '' OR token = 0)"
    )


def _waits_for_nothing(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, r.waits_for, r.wake_at FROM {RUN} r WHERE r.status = 'waiting' "
        "AND r.waits_for IN ('sleep', 'event', 'signal', 'any', 'all', 'child') "
        f"AND NOT EXISTS (SELECT 1 FROM {STEP} s WHERE s.run_id = r.id AND s.status = 'waiting')"
    )


def _restless(ask: Ask) -> str:
    return (
        f"SELECT id AS run, workflow, status, waits_for, wake_at FROM {RUN} WHERE status IN ('queued', 'running') "
        f"OR (status = 'waiting' AND wake_at <= {ask.now})"
    )


def _half_ended(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, r.status FROM {RUN} r LEFT JOIN {RESULT} e ON e.run_id = r.id "
        f"WHERE (r.status IN {_ENDED} AND e.run_id IS NULL) OR (r.status IN {_LIVE} AND e.run_id IS NOT NULL) "
        "OR (r.status = 'completed' AND (e.output IS NULL OR e.error IS NOT NULL)) "
        "OR (r.status = 'failed' AND e.error IS NULL)"
    )


def _went_on(ask: Ask) -> str:
    return " UNION ALL ".join(
        f"SELECT r.id AS run, r.workflow, r.ended_at AS run_ended_at, s.name AS step, s.started_at FROM {table} s "
        f"JOIN {RUN} r ON r.id = s.run_id WHERE r.ended_at IS NOT NULL "
        f"AND {ask.before('r.ended_at', 's.started_at')}"
        for table in (STEP, ATTEMPT)
    )


def _not_quarantined(ask: Ask) -> str:
    return (
        f"SELECT id AS run, workflow, crash_count FROM {RUN} WHERE status IN {_LIVE} "
        f"AND crash_count > {int(settings.CRASH_LIMIT) + CRASH_SLACK:d}"
    )


def _fences(ask: Ask) -> str:
    return " UNION ALL ".join(
        f"SELECT r.id AS run, r.workflow, r.token AS run_token, s.name AS step, s.token FROM {table} s "
        f"JOIN {RUN} r ON r.id = s.run_id WHERE s.token > r.token"
        for table in (STEP, ATTEMPT)
    )


def _overdue(ask: Ask) -> str:
    return (
        f"SELECT id AS run, workflow, status, waits_for, wake_at FROM {RUN} "
        f"WHERE wake_at < {ask.overdue} AND status IN ('queued', 'waiting', 'paused')"
    )


def _unticked(ask: Ask) -> str:
    return (
        f"SELECT w.seen_at AS last_tick FROM (SELECT max(seen_at) AS seen_at FROM {WORKER} WHERE name = 'tick') w "
        f"WHERE (w.seen_at IS NULL OR w.seen_at < {ask.overdue}) "
        f"AND EXISTS (SELECT 1 FROM {RUN} WHERE wake_at < {ask.overdue})"
    )


def _bloated(ask: Ask) -> str:
    return (
        "SELECT relname AS name, n_live_tup AS live_rows, n_dead_tup AS dead_rows FROM pg_stat_user_tables "
        f"WHERE relid IN ('{RUN}'::regclass, '{STEP}'::regclass, '{EVENT}'::regclass) "
        "AND n_live_tup > 10000 AND n_dead_tup > n_live_tup / 2"
    )


INVARIANTS: Final = (
    Invariant(
        id="I1",
        title="a run is executed by nobody: its lease ended long ago and nobody took it over",
        remedy=TICK_REMEDY,
        build=_abandoned,
    ),
    Invariant(
        id="I1-owner", title="a run is running without an owner or a token", remedy=REPORT, build=_unowned
    ),
    Invariant(
        id="I2",
        title="a run has not come to rest: it is queued, running or due",
        remedy="If work should be over: is a worker running, and does it serve the run's queue?",
        build=_restless,
        live=False,
    ),
    Invariant(
        id="I2-wait",
        title="a run waits, but none of its steps does",
        remedy=f"`manage.py durable wake` lets it go on. {REPORT}",
        build=_waits_for_nothing,
    ),
    Invariant(
        id="I10",
        title="an end is not whole: an ended run without its result, or a result of a run that goes on",
        remedy=REPORT,
        build=_half_ended,
    ),
    Invariant(
        id="I10-after",
        title="a step began after its run had ended",
        remedy=f"Did the database's clock jump back? {REPORT}",
        build=_went_on,
    ),
    Invariant(
        id="I13",
        title="a run goes on killing workers: it was not quarantined",
        remedy="Cancel the run; see its last step, and the system's log of killed processes.",
        build=_not_quarantined,
    ),
    Invariant(
        id="I14",
        title="a row was written under a token that its run never gave out",
        remedy=f"Was an older backup of one table restored? {REPORT}",
        build=_fences,
    ),
    Invariant(id="I18", title="a due run is late", remedy=TICK_REMEDY, build=_overdue, severity="warning"),
    Invariant(
        id="I18-tick",
        title="nobody ticks, and a run is due",
        remedy=TICK_REMEDY,
        build=_unticked,
        severity="warning",
    ),
    Invariant(
        id="I18-bloat",
        title="a table has more than half as many dead rows as live ones",
        remedy="Find transactions that stay open, and let autovacuum run oftener on this table.",
        build=_bloated,
        severity="warning",
        vendor="postgresql",
    ),
)
