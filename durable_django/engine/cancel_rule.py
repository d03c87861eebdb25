"""Cancel rules: armed with the start of a run, bound to its event, carried out by routing.

Note [A cancelling event is newer than its run]
    A rule is a wait that belongs to the run as a whole. It is stored in the transaction that starts the run
    and takes events that arrive after it, as any wait does; an event that ended no rule because the run
    did not exist yet does not end the run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from ..define.cancel import Cancel
from ..define.registry import registry
from ..define.waits import EventWait
from ..exceptions import DurableError
from ..store.base import EventRow, WaitWrite
from ..store.cancel_rule import arm_rules, claim_rules
from ..store.event import StartRow
from ..store.resolve import Candidate
from ..store.retrying import repeatable
from .cancel import end_cancelled, lock_runs_and_parents
from .codec import encode
from .matching import bind_wait, list_keys, list_path_sets
from .slice import read_event

logger = logging.getLogger("durable_django.route")

AT_ONCE = 100
"""Runs that are cancelled in one transaction."""


def has_rules(workflow: str) -> bool:
    """Tell whether runs of a workflow can be cancelled by events."""
    found = registry.find(workflow)
    return found is not None and bool(found.cancel_on)


def arm(using: str, started: Sequence[tuple[StartRow, EventRow]]) -> None:
    """Store the cancel rules of runs that have just been started by these events in this transaction."""
    armed = [
        (start.id, *bound)
        for start, row in started
        for number, rule in enumerate(registry.get(start.workflow).cancel_on)
        if (bound := _bind(start.workflow, number, rule, row)) is not None
    ]
    if armed:
        arm_rules(using, armed)


def _bind(workflow: str, number: int, rule: Cancel, row: EventRow) -> tuple[WaitWrite, float] | None:
    wait = EventWait(event=rule.event, match=rule.match, if_exp=rule.if_exp)
    try:
        bound = bind_wait(wait, read_event(row), step="cancel_on")
    except DurableError as error:
        # The event lacks the field: the rule can never hold for this run.
        logger.warning("a cancel rule is not armed", extra={"workflow": workflow, "code": error.code})
        return None
    armed = WaitWrite(
        name="",
        index=number,
        kind="cancel",
        event_name=rule.event,
        match=rule.match or "",
        expression=rule.if_exp or "",
        bound=encode(bound.bound),
        keys=list_keys(bound),
        path_sets=list_path_sets(bound),
    )
    return armed, rule.seconds


def carry_out(using: str, candidates: Sequence[Candidate]) -> int:
    """Cancel the runs whose rules events ended, each by its first arrival; return how many there were."""
    first: dict[UUID, Candidate] = {}
    for each in sorted(candidates, key=lambda each: (each.arrival, each.wait_id)):
        first.setdefault(each.run_id, each)
    ordered = [first[run_id] for run_id in sorted(first)]
    return sum(_cancel(using, ordered[start : start + AT_ONCE]) for start in range(0, len(ordered), AT_ONCE))


@repeatable
def _cancel(using: str, found: Sequence[Candidate]) -> int:
    with transaction.atomic(using=using):
        runs = lock_runs_and_parents(using, [each.run_id for each in found])
        claimed = claim_rules(using, [(each.wait_id, each.event.id) for each in found if each.run_id in runs])
        ended = [
            each.run_id
            for each in found
            if each.wait_id in claimed
            and end_cancelled(using, runs[each.run_id], f"cancelled by event {each.event.name}")
        ]
    for run_id in ended:
        logger.info("run ended", extra={"run_id": str(run_id), "status": "cancelled"})
    return len(ended)
