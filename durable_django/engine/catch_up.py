"""Which times of a schedule to fire for, and when to look again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ..define.cron import Catchup

FindNext = Callable[[datetime], datetime]

GRACE: Final = timedelta(seconds=60)
"""How late a time may be for ``catchup="none"``: a tick that is merely slow loses nothing."""

_LOOKBACKS: Final = tuple(timedelta(hours=hours) for hours in (1, 24, 24 * 32, 24 * 366))


@dataclass(frozen=True, slots=True)
class Due:
    """The times to fire for, in order, and the first one that is left for later."""

    times: list[datetime]
    next_at: datetime


def catch_up(find_next: FindNext, due_at: datetime, now: datetime, catchup: Catchup, limit: int) -> Due:
    """Decide about a schedule that is due.

    Args:
        find_next: Returns the first time after an instant.
        due_at: The first time that was not fired for, not after ``now``.
        limit: The most times to fire for at once; the rest stays due.

    Returns:
        The times and the next look.
    """
    if catchup == "all":
        return _take(find_next, due_at, now, limit)
    last = _find_last(find_next, due_at, now)
    late = catchup == "none" and now - last > GRACE
    return Due([] if late else [last], find_next(now))


def _take(find_next: FindNext, moment: datetime, now: datetime, limit: int) -> Due:
    times: list[datetime] = []
    while moment <= now and len(times) < limit:
        times.append(moment)
        moment = find_next(moment)
    return Due(times, moment)


def _find_last(find_next: FindNext, due_at: datetime, now: datetime) -> datetime:
    # Backwards in growing windows: after a long outage the times may be too many to walk through.
    for lookback in _LOOKBACKS:
        start = now - lookback
        if start <= due_at:
            break
        if (first := find_next(start)) <= now:
            return _walk(find_next, first, now)
    return _walk(find_next, due_at, now)


def _walk(find_next: FindNext, moment: datetime, now: datetime) -> datetime:
    while (following := find_next(moment)) <= now:
        moment = following
    return moment
