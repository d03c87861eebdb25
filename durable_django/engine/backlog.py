"""Refuse events while too many wait to be routed: the sender can keep them, a full disk cannot.

Note [The backlog is counted at most once in LOOK_EACH seconds]
    A count costs as much as there are events that wait, which is nothing while the system keeps up. What
    comes in between two counts may exceed the limit; it is there to keep the store usable, not exact.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from ..conf import settings
from ..exceptions import BacklogFull
from ..store.event import count_unrouted

LOOK_EACH: Final = 1.0
"""Seconds."""


@dataclass(slots=True)
class _Seen:
    at: float = float("-inf")
    full: bool = False


_seen: dict[str, _Seen] = {}


def check_backlog(using: str) -> None:
    """Let events in.

    Raises:
        BacklogFull: More than EVENT_BACKLOG_LIMIT wait to be routed.
    """
    limit = settings.EVENT_BACKLOG_LIMIT
    if limit is None:
        return
    seen = _seen.setdefault(using, _Seen())
    if time.monotonic() - seen.at >= LOOK_EACH:
        seen.at = time.monotonic()  # first, so that one thread counts and the others go on
        seen.full = count_unrouted(using, limit=limit + 1) > limit
    if seen.full:
        raise BacklogFull(limit=limit, seconds=LOOK_EACH)


def forget() -> None:
    """Count again at the next call."""
    _seen.clear()
