"""Keep with an event that another one had started the run that it would start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from ..store.event import Routed, StartRow
from ..store.outcome import Holder, find_holders, save_reasons
from .reasons import Reason, Why, write_reasons


def note_duplicates(
    using: str, starts: Sequence[StartRow], routed: Routed, reasons: Mapping[UUID, Sequence[Reason]]
) -> None:
    """Save the reasons of the starts that an earlier event, with the same id or key, had made."""
    found = find_duplicates(using, starts, routed)
    texts = {each: write_reasons([*reasons.get(each, ()), *more]) or "[]" for each, more in found.items()}
    save_reasons(using, texts)


def find_duplicates(using: str, starts: Sequence[StartRow], routed: Routed) -> dict[UUID, list[Reason]]:
    """Return, by event, why starts were not made that an earlier event had made."""
    made = {run_id for run_id, _, _ in routed.started}
    lost = [start for start in starts if start.id not in made and start.start_key]
    holders = find_holders(using, [start.start_key for start in lost if start.start_key])
    found: dict[UUID, list[Reason]] = {}
    for start in lost:
        holder = holders.get(start.start_key) if start.start_key else None
        # An event that is routed again finds its own run.
        if holder is not None and holder.event_id != start.event_id:
            found.setdefault(start.event_id, []).append(_describe(start, holder))
    return found


def _describe(start: StartRow, holder: Holder) -> Reason:
    detail = f"key {start.key}" if start.key else f"event {holder.event_id}"
    return Reason(Why.DUPLICATE, start.workflow, detail, str(holder.run_id))
