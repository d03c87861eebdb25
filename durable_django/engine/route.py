"""Route events: start the runs that they trigger and end the waits that they answer.

Note [Commit first, then look]
    An event and a wait are each committed before anyone looks for the other: routing begins after the
    event's commit, and a parked wait looks for events after its own (``settle``). Whichever commits
    second sees the first; both may see each other, and the conditional update of the wait decides. This
    holds at every isolation level, because each look is a transaction that begins after the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction

from ..conf import settings
from ..define.registry import registry
from ..store.base import EventRow
from ..store.event import Routed, StartRow, read_unrouted, start_runs
from .answer_waits import answer_waits
from .note_duplicates import find_duplicates, note_duplicates
from .nudge import Nudge, send_nudges
from .plan_starts import plan_starts
from .reasons import Reason, write_reasons

Reasons = Mapping[UUID, Sequence[Reason]]


def route_after_commit(using: str, rows: Sequence[EventRow]) -> None:
    """Route the events when the open transaction commits, or at once if there is none."""

    # A plain function: Django cannot name a partial when it logs a failure of a robust hook.
    def route() -> None:
        route_events(using, rows)

    transaction.on_commit(route, using=using, robust=True)


def route_events(using: str, rows: Sequence[EventRow]) -> int:
    """Route stored events and nudge what they started or woke; return how many runs those were.

    Repeating it changes nothing; what it leaves undone when it dies is repeated by the tick.
    """
    plans = {row.id: plan_starts(using, row) for row in rows}
    starts = [start for plan in plans.values() for start in plan.starts]
    known_reasons = {event_id: plan.reasons for event_id, plan in plans.items() if plan.reasons}
    # Before the starts, in which the events count as routed: what is left undone then would be lost.
    reasons = find_duplicates(using, rows, starts, known_reasons)
    routed = _start(using, starts, rows, reasons)
    if len(routed.started) < len(starts):
        note_duplicates(using, starts, routed, reasons)
    send_nudges([Nudge(*each) for each in routed.started])
    if not routed.asked:
        return len(routed.started)
    known = {row.id: row for row in rows}
    woken = answer_waits(using, {arrival: known[event_id] for event_id, arrival in routed.asked})
    return len(routed.started) + woken


def _start(using: str, starts: list[StartRow], rows: Sequence[EventRow], reasons: Reasons) -> Routed:
    events = {row.id: row for row in rows}
    texts = {event_id: write_reasons(found) for event_id, found in reasons.items()}
    ruled = {start.id: start for start in starts if registry.get(start.workflow).cancel_on}
    if not ruled:
        return start_runs(using, list(events), starts, renudge=settings.RENUDGE_SECONDS, reasons=texts)
    from .cancel_rule import arm

    # Note [A cancelling event is newer than its run]
    with transaction.atomic(using=using):
        routed = start_runs(using, list(events), starts, renudge=settings.RENUDGE_SECONDS, reasons=texts)
        armed = [ruled[run_id] for run_id, _, _ in routed.started if run_id in ruled]
        arm(using, [(start, events[start.event_id]) for start in armed])
    return routed


def route_stored(using: str, name: str | None = None, *, older_than: float = 0.0, limit: int = 500) -> int:
    """Route events, of one name or of all, that a process stored but did not get to route."""
    rows = read_unrouted(using, name=name, limit=limit, older_than=older_than)
    return route_events(using, rows) if rows else 0
