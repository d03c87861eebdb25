"""The tick as shared by all who run it, and the report of a process about itself.

Note [Many may tick, one does]
    Every worker, beat and a cron line may call ``tick``; a conditional update of one row lets one of them
    through in a period. Two at once would change nothing either: the sweep skips rows that another holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import __version__
from ..conf import settings
from ..store.due import take_tick
from ..store.worker import Report, delete_workers, save_worker
from .faults import Fault
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


def report_worker(
    using: str,
    name: str,
    kind: str,
    queues: Sequence[str],
    *,
    slots: tuple[int, int] | None = None,
    fault: Fault | None = None,
    begins: bool = False,
) -> bool:
    """Record that the process of that name lives and serves ``queues``; return whether it is to take no more.

    Args:
        slots: How many runs it executes side by side at most, and how many it does now, if it can tell.
        fault: The last one of the process.
        begins: Whether this is its first report.
    """
    most, busy = slots or (None, None)
    report = Report(
        name=name[:120],
        kind=kind,
        queues=",".join(queues)[:255],
        package=__version__,
        code=str(settings.CODE_VERSION or "")[:64],
        slots=most,
        busy=busy,
        last_error=fault.text if fault else "",
        last_error_age=fault.age if fault else None,
    )
    return save_worker(using, report, begins=begins)


def withdraw_worker(using: str, name: str) -> None:
    """Take the process off the list, and those that have been silent for a day."""
    delete_workers(using, name=name[:120], silent=FORGET_AFTER)
