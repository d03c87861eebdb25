"""What must hold of events, schedules and orphans: nothing is lost on the way, nothing starts twice."""

from __future__ import annotations

from typing import Final

from django.apps import apps
from django.db.models import UniqueConstraint

from ..models import Run
from .base import ATTEMPT, EVENT, RESULT, RUN, SCHEDULE, STEP, SUBJECT, WAIT
from .invariant import Ask, Invariant
from .invariants_runs import REPORT, TICK_REMEDY


def _started_twice(ask: Ask) -> str:
    return (
        f"SELECT event_id AS event, workflow, count(*) AS runs FROM {RUN} WHERE rerun_of IS NULL "
        "GROUP BY event_id, workflow HAVING count(*) > 1"
    )


def _unrouted(ask: Ask) -> str:
    return (
        f"SELECT id AS event, name, source, created_at FROM {EVENT} "
        f"WHERE routed_at IS NULL AND created_at < {ask.overdue}"
    )


def _eventless(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, r.event_id AS event FROM {RUN} r "
        f"WHERE NOT EXISTS (SELECT 1 FROM {EVENT} e WHERE e.id = r.event_id)"
    )


def _silent(ask: Ask) -> str:
    return (
        f"SELECT e.id AS event, e.name, e.source, e.routed_at FROM {EVENT} e WHERE e.routed_at IS NOT NULL "
        f"AND e.reasons IS NULL AND NOT EXISTS (SELECT 1 FROM {RUN} r WHERE r.event_id = e.id) "
        f"AND NOT EXISTS (SELECT 1 FROM {WAIT} w WHERE w.event_id = e.id)"
    )


def _backwards(ask: Ask) -> str:
    return f"SELECT workflow, cron, tz, next_at, last_at FROM {SCHEDULE} WHERE last_at >= next_at"


def _orphans(ask: Ask) -> str:
    return " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, c.run_id AS run FROM {table} c "
        f"WHERE NOT EXISTS (SELECT 1 FROM {RUN} r WHERE r.id = c.run_id)"
        for kind, table in (
            ("step", STEP),
            ("attempt", ATTEMPT),
            ("wait", WAIT),
            ("result", RESULT),
            ("subject", SUBJECT),
        )
    )


def _unconstrained(ask: Ask) -> str:
    names = [
        each.name
        for model in apps.get_app_config(Run._meta.app_label).get_models()
        for each in model._meta.constraints
        if isinstance(each, UniqueConstraint)
    ]
    values = ", ".join(f"('{name}')" for name in names)
    there = (
        "SELECT 1 FROM sqlite_master WHERE name = wanted.column1 "
        "OR instr(sql, 'CONSTRAINT \"' || wanted.column1 || '\" UNIQUE') > 0"
        if ask.vendor == "sqlite"
        else "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE c.relname = wanted.column1 AND i.indisunique AND i.indisvalid"
    )
    return f'SELECT wanted.column1 AS "constraint" FROM (VALUES {values}) wanted WHERE NOT EXISTS ({there})'


INVARIANTS: Final = (
    Invariant(
        id="I3-unique",
        title="a unique constraint is missing, which keeps results and starts from being doubled",
        remedy="Is every migration applied, and none faked? `manage.py migrate durable_django` tells.",
        build=_unconstrained,
    ),
    Invariant(
        id="I4",
        title="one event started a workflow more than once",
        remedy=f"Cancel the younger run. {REPORT}",
        build=_started_twice,
    ),
    Invariant(
        id="I5",
        title="a stored event has not been routed",
        remedy=TICK_REMEDY,
        build=_unrouted,
    ),
    Invariant(
        id="I5-run",
        title="a run has lost the event that started it",
        remedy="Restore the event from a backup, or delete the run: it cannot be executed any more.",
        build=_eventless,
    ),
    Invariant(
        id="I5-silent",
        title="an event started nothing, ended nothing, and does not say why",
        remedy="If its run was not deleted, send the event again (`manage.py durable send`).",
        build=_silent,
        severity="warning",
        live=False,
    ),
    Invariant(
        id="I8",
        title="a schedule has gone back in time",
        remedy=REPORT,
        build=_backwards,
    ),
    Invariant(
        id="I11",
        title="rows of a run that is gone",
        remedy="Delete them: nothing reads them any more.",
        build=_orphans,
        severity="warning",
    ),
)
