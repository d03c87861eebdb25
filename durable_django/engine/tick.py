"""The tick as shared by all who run it, and the report of a process about itself.

Note [Many may tick, one does]
    Every worker, beat and a cron line may call ``tick``; a conditional update of one row lets one of them
    through in a period. Two at once would change nothing either: the sweep skips rows that another holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..store.due import take_tick
from ..store.worker import delete_workers, save_worker
from .rollup import roll_up_when_due
from .sweep import ROUTE_AFTER, Swept, sweep

FORGET_AFTER = 86_400.0
"""Seconds of silence after which a worker is no longer listed."""


def tick(using: str, *, period: float, force: bool = False) -> Swept | None:
    """Sweep, unless another process did so recently.

    Args:
        period: Seconds for which one tick serves all.
        force: Sweep in any case, and keep others from it for their period.

    Returns:
        What was done, or None if another process's tick is recent enough.
    """
    found = take_tick(using, period=0.0 if force else period, route_after=ROUTE_AFTER)
    if found is None and not force:
        return None
    swept = sweep(using, found=found)
    roll_up_when_due(using)
    return swept


def report_worker(using: str, name: str, kind: str, queues: Sequence[str]) -> None:
    """Record that the process of that name lives and serves ``queues``."""
    save_worker(using, name=name[:120], kind=kind, queues=",".join(queues)[:255])


def withdraw_worker(using: str, name: str) -> None:
    """Take the process off the list, and those that have been silent for a day."""
    delete_workers(using, name=name[:120], silent=FORGET_AFTER)
