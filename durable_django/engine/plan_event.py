"""The dry run of an event: what it would start and end if it came now.

Note [A dry run is a real one, rolled back]
    The event is stored and routed by the statements that route every event, as far as the decisions go, in a
    transaction that is always rolled back. So the forecast cannot differ from what would happen, it
    locks nothing that others need for long, and it leaves no trace but a gap in the arrival numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from ..conf import settings
from ..ids import new_id
from ..models import Run
from ..store.base import EventRow
from ..store.event import insert_events, start_runs
from ..store.resolve import Candidate
from .alias import get_alias
from .answer_waits import find_answered
from .explain_event import find_near
from .note_duplicates import find_duplicates
from .plan_starts import plan_starts
from .reasons import Reason, Why
from .receive import prepare_event

LISTED: Final = 100
"""Waits listed of each kind."""


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """A wait that the event would end, or with ``step`` empty a cancel rule that would cancel its run."""

    run_id: UUID
    step: str
    wait_id: int
    index: int = 0
    workflow: str = ""


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What an event would do; lists end after 100 entries, then ``more`` is true.

    ``refused`` says why workflows would not be started, ``near`` are names similar to one nobody listens to.
    """

    starts: tuple[str, ...] = ()
    ends: tuple[PlannedEnd, ...] = ()
    cancels: tuple[PlannedEnd, ...] = ()
    refused: tuple[Reason, ...] = ()
    near: tuple[str, ...] = ()
    more: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for answers in JSON, under stable keys."""
        found = asdict(self)
        return {**found, "refused": [{**asdict(each), "text": str(each)} for each in self.refused]}


def plan_event(
    name: str, data: Mapping[str, Any] | None = None, *, id: str | None = None, using: str | None = None
) -> EventPlan:
    """Tell what an event would start and end if it were sent now; nothing is changed.

    Args:
        id: The sender's id, by which it may be a duplicate.

    Raises:
        InvalidEvent, EventTooLarge, Unserializable: It could not be sent.
    """
    row = prepare_event({"name": name, "data": data, "id": id}, "", "operator", new_id())
    return plan_row(using or get_alias(), row)


def plan_row(using: str, row: EventRow) -> EventPlan:
    """Tell what an event would start and end; see ``plan_event``."""
    try:
        with transaction.atomic(using=using):
            raise _RollBack(_plan(using, row))
    except _RollBack as planned:
        return planned.plan


class _RollBack(Exception):
    def __init__(self, plan: EventPlan) -> None:
        super().__init__()
        self.plan = plan


def _plan(using: str, row: EventRow) -> EventPlan:
    (row,) = insert_events(using, [row])
    plan = plan_starts(using, row)
    reasons = find_duplicates(using, [row], plan.starts, {row.id: plan.reasons}).get(row.id, [])
    routed = start_runs(using, [row.id], plan.starts, renudge=settings.RENUDGE_SECONDS)
    found = list(islice(_find_ends(using, row, dict(routed.asked).get(row.id)), LISTED + 1))
    ends = _describe(using, found[:LISTED])
    return EventPlan(
        starts=tuple(workflow for _, workflow, _ in routed.started),
        ends=tuple(each for each in ends if each.step),
        cancels=tuple(each for each in ends if not each.step),
        refused=tuple(reasons),
        near=find_near(row.name, using) if any(each.code == Why.NO_WORKFLOW for each in reasons) else (),
        more=len(found) > LISTED,
    )


def _find_ends(using: str, row: EventRow, arrival: int | None) -> Any:
    return () if arrival is None else find_answered(using, {arrival: row})


def _describe(using: str, found: list[Candidate]) -> list[PlannedEnd]:
    runs = Run.objects.using(using).filter(id__in={each.run_id for each in found})
    workflows = dict(runs.values_list("id", "workflow"))
    return [
        PlannedEnd(
            run_id=each.run_id,
            step=each.name,
            wait_id=each.wait_id,
            index=each.index,
            workflow=workflows.get(each.run_id, ""),
        )
        for each in found
    ]
