"""Keep with an event that another one had started the run that it would start.

Note [A duplicate is known before its event counts as routed]
    The reason is stored in the commit that marks the event as routed, so a crash cannot part them. Only an
    event that comes at the same moment as its twin can learn of it later, and is noted afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from ..conf import settings
from ..store.base import EventRow
from ..store.event import Routed, StartRow, expire_start_keys
from ..store.outcome import Holder, find_holders, save_reasons
from .reasons import Reason, Why, write_reasons

Reasons = Mapping[UUID, Sequence[Reason]]


def find_duplicates(
    using: str, rows: Sequence[EventRow], starts: Sequence[StartRow], reasons: Reasons
) -> dict[UUID, list[Reason]]:
    """Free the start keys that have expired, and return the reasons with those of the keys that are held."""
    named = {row.id for row in rows if row.external_id is not None}
    keyed = [start for start in starts if start.start_key and (start.event_id in named or start.key)]
    keys = [start.start_key for start in keyed if start.start_key]
    if not find_holders(using, keys):
        return _copy(reasons)
    events = list({start.event_id for start in keyed})
    expire_start_keys(using, keys, hours=settings.IDEMPOTENCY_HOURS, events=events)
    return _add(using, keyed, reasons)


def note_duplicates(using: str, starts: Sequence[StartRow], routed: Routed, reasons: Reasons) -> None:
    """Save the reasons of the starts that an earlier event, with the same id or key, had made meanwhile."""
    made = {run_id for run_id, _, _ in routed.started}
    lost = [start for start in starts if start.id not in made and start.start_key]
    told: dict[UUID, list[Reason]] = {}
    for event_id, found in _add(using, lost, {}).items():
        known = list(reasons.get(event_id, ()))
        if new := [each for each in found if each not in known]:
            told[event_id] = known + new
    save_reasons(using, {event_id: write_reasons(each) or "[]" for event_id, each in told.items()})


def _add(using: str, starts: Sequence[StartRow], reasons: Reasons) -> dict[UUID, list[Reason]]:
    holders = find_holders(using, [start.start_key for start in starts if start.start_key])
    found = _copy(reasons)
    for start in starts:
        holder = holders.get(start.start_key) if start.start_key else None
        # An event that is routed again finds its own run.
        if holder is not None and holder.event_id != start.event_id:
            found.setdefault(start.event_id, []).append(_describe(start, holder))
    return found


def _copy(reasons: Reasons) -> dict[UUID, list[Reason]]:
    return {event_id: list(each) for event_id, each in reasons.items()}


def _describe(start: StartRow, holder: Holder) -> Reason:
    detail = f"key {start.key}" if start.key else f"event {holder.event_id}"
    return Reason(Why.DUPLICATE, start.workflow, detail, str(holder.run_id))
