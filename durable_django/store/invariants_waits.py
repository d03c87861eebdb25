"""What must hold of waits: each ends once, at its time, together with its step; children and parents agree."""

from __future__ import annotations

from typing import Final

from .base import EVENT, RUN, STEP, WAIT, WAIT_KEY
from .invariant import Ask, Invariant
from .invariants_runs import REPORT
from .invariants_steps import UNTOUCHED

RETRY_REMEDY: Final = f"Cancel the run and retry it, so that it asks anew. {REPORT}"
_LIVE: Final = "('queued', 'running', 'waiting', 'paused')"
_SAME_STEP: Final = '{0}.run_id = {1}.run_id AND {0}.name = {1}.name AND {0}."index" = {1}."index"'


def _open_after_end(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, r.status, w.name AS step, w.event_name FROM {WAIT} w "
        f"JOIN {RUN} r ON r.id = w.run_id WHERE w.status = 'open' AND r.ended_at IS NOT NULL"
    )


def _open_after_step(ask: Ask) -> str:
    return (
        f"SELECT w.run_id AS run, w.name AS step, w.kind, w.event_name FROM {WAIT} w "
        "WHERE w.status = 'open' AND w.kind <> 'cancel' AND NOT EXISTS "
        f"(SELECT 1 FROM {STEP} s WHERE {_SAME_STEP.format('s', 'w')} AND s.status = 'waiting')"
    )


def _unendable(ask: Ask) -> str:
    return (
        f'SELECT r.id AS run, r.workflow, s.name AS step, s."index", s.kind FROM {STEP} s '
        f"JOIN {RUN} r ON r.id = s.run_id WHERE s.status = 'waiting' AND s.kind <> 'sleep' "
        f"AND r.status IN {_LIVE} AND NOT EXISTS "
        f"(SELECT 1 FROM {WAIT} w WHERE {_SAME_STEP.format('w', 's')} AND w.status = 'open')"
    )


def _half_ended(ask: Ask) -> str:
    return (
        f"SELECT run_id AS run, name AS step, kind, status, ended_at FROM {WAIT} "
        "WHERE (status = 'open') <> (ended_at IS NULL) OR (status = 'open' AND event_id IS NOT NULL) "
        "OR (status = 'matched' AND kind <> 'child' AND event_id IS NULL)"
    )


def _early(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, w.name AS step, w.expires_at, w.ended_at FROM {WAIT} w "
        f"JOIN {RUN} r ON r.id = w.run_id WHERE w.status = 'expired' "
        f"AND {ask.before('w.ended_at', 'w.expires_at')} AND {UNTOUCHED}"
    )


def _overslept(ask: Ask) -> str:
    return (
        f"SELECT r.id AS run, r.workflow, w.name AS step, w.expires_at, r.wake_at FROM {WAIT} w "
        f"JOIN {RUN} r ON r.id = w.run_id WHERE w.status = 'open' AND w.kind <> 'cancel' "
        "AND r.status = 'waiting' AND r.waits_for NOT IN ('code', 'start') "
        f"AND {ask.before('w.expires_at', 'r.wake_at')}"
    )


def _childless(ask: Ask) -> str:
    child = 'c.parent_id = w.run_id AND c.parent_step = w.name AND c.parent_index = w."index"'
    return (
        f"SELECT w.run_id AS run, w.name AS step, w.expires_at FROM {WAIT} w WHERE w.status = 'open' "
        f"AND w.kind = 'child' AND w.expires_at > {ask.now} "
        f"AND NOT EXISTS (SELECT 1 FROM {RUN} c WHERE {child} AND c.ended_at IS NULL)"
    )


def _twins(ask: Ask) -> str:
    return (
        f"SELECT parent_id AS parent, parent_step AS step, parent_index AS place, count(*) AS children FROM {RUN} "
        "WHERE parent_id IS NOT NULL AND ended_at IS NULL "
        "GROUP BY parent_id, parent_step, parent_index HAVING count(*) > 1"
    )


def _mismatched(ask: Ask) -> str:
    return (
        f"SELECT w.run_id AS run, w.name AS step, w.event_name, e.id AS event, e.name AS got FROM {WAIT} w "
        f"JOIN {EVENT} e ON e.id = w.event_id WHERE w.status = 'matched' AND w.event_name <> '' "
        "AND e.name <> w.event_name"
    )


def _strangers(ask: Ask) -> str:
    return (
        f"SELECT c.id AS run, c.workflow, c.parent_id AS parent, c.parent_step AS step FROM {RUN} c "
        f"JOIN {RUN} p ON p.id = c.parent_id WHERE NOT EXISTS (SELECT 1 FROM {STEP} s "
        'WHERE s.run_id = p.id AND s.name = c.parent_step AND s."index" = c.parent_index)'
    )


def _keys(ask: Ask) -> str:
    return (
        f"SELECT k.id AS wait_key, w.run_id AS run, w.name AS step, w.status FROM {WAIT_KEY} k "
        f"LEFT JOIN {WAIT} w ON w.id = k.wait_id WHERE w.id IS NULL OR w.status <> 'open'"
    )


INVARIANTS: Final = (
    Invariant(
        id="I6",
        title="a wait is open although its run has ended",
        remedy=f"Retry the run, which asks anew. {REPORT}",
        build=_open_after_end,
    ),
    Invariant(
        id="I6-step",
        title="a wait is open although its step does not wait",
        remedy=RETRY_REMEDY,
        build=_open_after_step,
    ),
    Invariant(
        id="I6-lost",
        title="a step waits for an answer, and nothing is there that could give it",
        remedy=RETRY_REMEDY,
        build=_unendable,
    ),
    Invariant(
        id="I6-half",
        title="a wait ended without saying when or by what, or is open and ended",
        remedy=REPORT,
        build=_half_ended,
    ),
    Invariant(
        id="I7",
        title="a wait timed out before its time",
        remedy=f"Did the database's clock jump? {REPORT}",
        build=_early,
    ),
    Invariant(
        id="I7-late",
        title="nobody will look at a run when a wait of it times out",
        remedy="`manage.py durable wake` makes somebody look now.",
        build=_overslept,
    ),
    Invariant(
        id="I9",
        title="a step waits for a run that has ended or is gone",
        remedy=RETRY_REMEDY,
        build=_childless,
    ),
    Invariant(
        id="I9-twins",
        title="a step has two runs at once that answer it",
        remedy="Cancel the younger one.",
        build=_twins,
    ),
    Invariant(
        id="I16",
        title="a wait was ended by an event of another name",
        remedy=REPORT,
        build=_mismatched,
    ),
    Invariant(
        id="I16-parent",
        title="a run was invoked by a step that its parent does not have",
        remedy=REPORT,
        build=_strangers,
    ),
    Invariant(
        id="I11-key",
        title="an ended wait can still be found by events",
        remedy="Delete the row; it costs time and changes nothing.",
        build=_keys,
        severity="warning",
    ),
)
