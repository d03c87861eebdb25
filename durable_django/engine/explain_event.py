"""What became of an event: what it started, resumed and cancelled, and why not more."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from ..define.registry import registry
from ..define.triggers import EventTrigger
from ..exceptions import DurableError, EventNotFound
from ..models import Event, PathSet, Run, Wait, WaitStatus
from .alias import get_alias
from .codec import decode
from .compare_wait import Read, Unmet, compare_wait, read_compared
from .event_row import to_row
from .reasons import Reason, Why, read_reasons
from .slice import read_event

LISTED: Final = 100
"""Runs and waits listed of each kind."""
UNMATCHED: Final = 20
NAMES: Final = 1_000


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that the event started, by its trigger or by a rerun."""

    id: UUID
    workflow: str
    status: str


@dataclass(frozen=True, slots=True)
class EndedWait:
    """A wait, or with ``step`` empty a cancel rule, that the event ended, and the values that were compared."""

    run_id: UUID
    workflow: str
    step: str
    index: int
    condition: str
    reads: tuple[Read, ...] = ()


@dataclass(frozen=True, slots=True)
class UnmatchedWait:
    """An open wait for events of this name that the event did not end.

    ``why`` is "condition" (see ``unmet``), "earlier" (the event came before the wait), "expired", "own" (the
    event started the run), "unreadable" (``detail`` is an error code), or "matches": it would end the wait.
    """

    run_id: UUID
    step: str
    index: int
    kind: str
    condition: str
    why: str
    detail: str = ""
    unmet: tuple[Unmet, ...] = ()
    workflow: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of an event.

    ``outcome`` is "pending" (not routed yet), "used", "duplicate" or "nothing"; ``near`` are names similar to
    the event's that workflows listen to. Lists end after 100 entries, ``unmatched`` after 20.
    """

    event_id: UUID
    name: str
    outcome: str
    runs: tuple[StartedRun, ...]
    resumed: tuple[EndedWait, ...]
    cancelled: tuple[EndedWait, ...]
    reasons: tuple[Reason, ...]
    near: tuple[str, ...]
    unmatched: tuple[UnmatchedWait, ...]


def explain(event_id: UUID | str, *, using: str | None = None) -> Explanation:
    """Tell what became of a stored event.

    Raises:
        EventNotFound: There is no such event.
    """
    return explain_stored(find_event(using or get_alias(), event_id))


def find_event(using: str, event_id: UUID | str) -> Event:
    """Return a stored event.

    Raises:
        EventNotFound: There is none with that id, or the text is no id.
    """
    try:
        return Event.objects.using(using).get(id=UUID(str(event_id)))
    except (Event.DoesNotExist, ValueError) as error:
        raise EventNotFound(id=event_id) from error


def explain_stored(event: Event) -> Explanation:
    """Tell what became of an event that was read already."""
    using = event._state.db or get_alias()
    runs = Run.objects.using(using).filter(event_id=event.id).order_by("id")
    ended = [_read_ended(wait, event) for wait in _find_ended(using, event)]
    reasons = tuple(read_reasons(event.reasons))
    started = tuple(StartedRun(*row) for row in runs.values_list("id", "workflow", "status")[:LISTED])
    return Explanation(
        event_id=event.id,
        name=event.name,
        outcome=_name_outcome(event, bool(started or ended), reasons),
        runs=started,
        resumed=tuple(each for each in ended if each.step),
        cancelled=tuple(each for each in ended if not each.step),
        reasons=reasons,
        near=find_near(event.name, using) if any(each.code == Why.NO_WORKFLOW for each in reasons) else (),
        unmatched=tuple(_explain_wait(wait, event) for wait in _find_open(using, event)),
    )


def find_near(name: str, using: str | None = None) -> tuple[str, ...]:
    """Return names that resemble the name, the nearest first: of triggers, and of what steps have waited for."""
    listened = {t.event for each in registry for t in each.triggers if isinstance(t, EventTrigger)}
    awaited = PathSet.objects.using(using or get_alias()).exclude(event_name=name)
    listened.update(awaited.values_list("event_name", flat=True)[:NAMES])
    lowered = {each.lower(): each for each in sorted(listened - {name})}
    return tuple(lowered[each] for each in difflib.get_close_matches(name.lower(), lowered, n=3))


def _name_outcome(event: Event, used: bool, reasons: tuple[Reason, ...]) -> str:
    if used:
        return "used"
    if event.routed_at is None:
        return "pending"
    return "duplicate" if any(each.code == Why.DUPLICATE for each in reasons) else "nothing"


def _find_ended(using: str, event: Event) -> list[Wait]:
    waits = Wait.objects.using(using).filter(event_id=event.id, signal="").select_related("run")
    return list(waits.defer("output").order_by("id")[:LISTED])


def _find_open(using: str, event: Event) -> list[Wait]:
    waits = Wait.objects.using(using).filter(status=WaitStatus.OPEN, event_name=event.name)
    return list(waits.select_related("run").order_by("-id")[:UNMATCHED])


def _read_ended(wait: Wait, event: Event) -> EndedWait:
    condition = write_condition(wait)
    try:
        reads = read_compared(**_prepare(wait, event)) if condition else ()
    except DurableError:  # of a condition that does not compile any more, only its text is told
        reads = ()
    return EndedWait(wait.run_id, wait.run.workflow, wait.name, wait.index, condition, reads)


def write_condition(wait: Wait) -> str:
    """Return the condition of a wait as text, empty if any event of its name will do."""
    return f"async.{wait.match} == event.{wait.match}" if wait.match else wait.expression


def _explain_wait(wait: Wait, event: Event) -> UnmatchedWait:
    unmet: tuple[Unmet, ...] = ()
    why, detail = _find_obstacle(wait, event), ""
    if not why:
        try:
            unmet = tuple(compare_stored(wait, event))
        except DurableError as error:
            why, detail = "unreadable", error.code
        else:
            why = "condition" if unmet else "matches"
    return UnmatchedWait(
        run_id=wait.run_id,
        step=wait.name,
        index=wait.index,
        kind=wait.kind,
        condition=write_condition(wait),
        why=why,
        detail=detail,
        unmet=unmet,
        workflow=wait.run.workflow,
    )


def _find_obstacle(wait: Wait, event: Event) -> str:
    if wait.run.event_id == event.id:
        return "own"
    if event.arrival is not None and event.arrival <= wait.after:
        return "earlier"
    return "expired" if event.created_at >= wait.expires_at else ""


def compare_stored(wait: Wait, event: Event) -> list[Unmet]:
    """Return the comparisons that kept a stored event from ending a wait, none if it matches.

    Raises:
        InvalidExpression: The stored condition does not compile any more.
    """
    return compare_wait(**_prepare(wait, event))


def _prepare(wait: Wait, event: Event) -> dict[str, Any]:
    return {
        "match": wait.match,
        "expression": wait.expression,
        "bound": decode(wait.bound),
        "incoming": read_event(to_row(event)).as_dict(),
    }
