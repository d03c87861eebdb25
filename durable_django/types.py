"""Types that users meet: events and step functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Duration = float | str | timedelta
"""Milliseconds, a text such as "1h30m", or a timedelta."""

Instant = datetime | str | float
"""An aware datetime, ISO 8601 text with an offset, or epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event to send, or one that was received.

    ``id`` is the sender's own, for de-duplication; on a received event it is never empty. ``ts`` is in
    epoch milliseconds, 0 meaning the present; a future one delays the runs that the event starts.
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    ts: int = 0
    v: str | None = None
    user: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the event as expressions see it."""
        shown: dict[str, Any] = {"id": self.id, "name": self.name, "data": self.data, "ts": self.ts}
        if self.v is not None:
            shown["v"] = self.v
        return shown | {"user": self.user or {}}
