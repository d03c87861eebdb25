"""A stored event, read through the ORM, as the row that travels."""

from __future__ import annotations

from ..models import Event
from ..store.base import EventRow


def to_row(event: Event) -> EventRow:
    """Return the row of an event that was read already."""
    return EventRow(
        id=event.id,
        name=event.name,
        data=event.data,
        ts=event.ts,
        external_id=event.external_id,
        extra=event.extra,
        source=event.source,
    )
