"""Figures for the console: what happened in each minute, written once the minute is over.

Note [Figures are a function of the runs]
    A pass counts the runs that started and ended in the minutes since the last one, and in two that were
    already counted, and replaces what stood there; so doing it again changes nothing. The engine's own
    transactions are far shorter than these two minutes, so none of them is missed. The row of the newest
    minute is the claim: whoever inserts it does the pass in the same transaction, and who dies leaves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from ..clock import read_now, read_time
from ..models import Rollup
from ..store.retrying import repeatable
from ..store.rollup import claim_minute, count_ends, count_starts, read_errors, read_gauges
from .faults import faults
from .rollup_rows import Figures, build_row, collect, read_figures, sum_up

logger = logging.getLogger("durable_django.rollup")

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
AGAIN: Final = 2 * MINUTE
"""Counted once more by the next pass, for what was committed late."""
LONGEST: Final = timedelta(hours=24)
"""How far back a pass reaches after a time without any."""
KEPT: Final = {1: timedelta(days=2), 60: timedelta(days=92)}
SETTLING: Final = 1.0
"""Seconds after the end of a minute at which its figures are written."""

_due: dict[str, float] = {}


def roll_up_when_due(using: str) -> int:
    """Do ``roll_up`` once a minute in this process; a fault is logged and costs figures, not the tick."""
    if time.monotonic() < _due.get(using, 0.0):
        return 0
    _due[using] = time.monotonic() + 60.0
    try:
        now = read_now(using)
        _due[using] = time.monotonic() + 60.0 - now.second + SETTLING
        return roll_up(using, now)
    except Exception as error:
        faults.note(error)
        logger.exception("the figures of the console could not be written; the next minute tries again")
        return 0


@repeatable
def roll_up(using: str, now: datetime) -> int:
    """Write the figures of the minutes that have ended, unless another process has.

    Returns:
        How many rows there are for these minutes.
    """
    end = now.replace(second=0, microsecond=0)
    with transaction.atomic(using=using):
        last = _find_last(using, end)
        if not claim_minute(using, end - MINUTE):
            return 0
        begin = max(last + MINUTE - AGAIN, end - LONGEST) if last else end - LONGEST
        figures = collect(
            [*count_starts(using, begin, end), *count_ends(using, begin, end)], read_errors(using, begin, end)
        )
        rows = _save_minutes(using, figures, begin, end)
        _save_hours(using, begin, end)
        if end.minute == 0:
            _forget(using, now)
    return rows


def _find_last(using: str, end: datetime) -> datetime | None:
    rows = Rollup.objects.using(using).filter(workflow="", span=1, at__lt=end)
    found = rows.order_by("-at").values_list("at", flat=True).first()
    return read_time(found) if found else None


def _save_minutes(using: str, figures: Figures, begin: datetime, end: datetime) -> int:
    rows = Rollup.objects.using(using).filter(span=1, at__gte=begin, at__lt=end)
    gauges = {read_time(row.at): row for row in rows.filter(workflow="")}
    present = read_gauges(using)
    for at, row in gauges.items():
        total = figures.setdefault(("", at), {})
        kept = {name: getattr(row, name) for name in ("queued", "running", "waiting")}
        total.update({name: present.get(name, 0) for name in kept} if at == end - MINUTE else kept)
    rows.delete()
    made = [build_row(workflow, 1, at, told) for (workflow, at), told in figures.items()]
    Rollup.objects.using(using).bulk_create(made, batch_size=500)
    return len(made)


def _save_hours(using: str, begin: datetime, end: datetime) -> None:
    first = begin.replace(minute=0)
    minutes = Rollup.objects.using(using).filter(span=1, at__gte=first, at__lt=end).order_by("at")
    by_hour: dict[tuple[str, datetime], list[Rollup]] = {}
    for row in minutes:
        by_hour.setdefault((row.workflow, read_time(row.at).replace(minute=0)), []).append(row)
    Rollup.objects.using(using).filter(span=60, at__gte=first, at__lt=end).delete()
    made = [build_row(workflow, 60, at, _total(rows)) for (workflow, at), rows in by_hour.items()]
    Rollup.objects.using(using).bulk_create(made, batch_size=500)


def _total(rows: Iterable[Rollup]) -> dict[str, object]:
    return sum_up(read_figures(row) for row in rows)


def _forget(using: str, now: datetime) -> None:
    for span, kept in KEPT.items():
        Rollup.objects.using(using).filter(span=span, at__lt=now - kept).delete()
