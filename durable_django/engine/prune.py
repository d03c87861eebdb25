"""Delete what is older than the retention: ended runs with all that is theirs, then events, then the rest.

Note [Prune never takes what may still change]
    Runs and events have rules of their own, see ``prune_runs`` and ``prune_events``. Batches go up by an
    index and never back, no transaction is long, and whoever stops in between has lost nothing. The operator
    log stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from ..clock import read_now
from ..models import BulkOperation, BulkState, Run, Schedule, WebhookDelivery
from .fire import list_crons
from .prune_events import Unneeded, prune_events
from .prune_runs import is_old_run, list_old_runs, prune_runs
from .pruned import Pruned

__all__ = ["BATCH", "Pruned", "count_old", "prune"]

BATCH: Final = 500
REPLAYED: Final = timedelta(days=2)
"""Age below which a webhook delivery is remembered in any case; its signature holds for less."""


def count_old(using: str, age: timedelta) -> Pruned:
    """Return how many runs and events ``prune`` would delete now, or a few more; deletes nothing.

    Runs whose family is alive are counted, although they stay.
    """
    now = read_now(using)
    before = now - age
    kept = Run.objects.using(using).exclude(is_old_run(before))
    events = Unneeded(using, before, now).unused(kept)
    return Pruned(runs=list_old_runs(using, before).count(), events=events.count())


def prune(using: str, age: timedelta, *, batch: int = BATCH) -> Iterator[Pruned]:
    """Delete what ended, or was stored, longer than ``age`` ago.

    Args:
        age: By the database's clock.
        batch: Runs or events in a transaction.

    Yields:
        What each batch deleted, once it is committed.
    """
    now = read_now(using)
    before = now - age
    unneeded = Unneeded(using, before, now)
    for pruned, events in prune_runs(using, before, batch):
        yield pruned + unneeded.delete(events)
    yield from prune_events(unneeded, batch)
    yield Pruned(
        deliveries=_delete_deliveries(using, min(before, now - REPLAYED)),
        schedules=_delete_schedules(using, before),
        bulk=_delete_bulk(using, before),
    )


def _delete_deliveries(using: str, before: datetime) -> int:
    return WebhookDelivery.objects.using(using).filter(received_at__lt=before).delete()[0]


def _delete_schedules(using: str, before: datetime) -> int:
    # Due for so long, nobody fires it; it is declared nowhere, or at least not here.
    rows = Schedule.objects.using(using).filter(next_at__lt=before)
    return rows.exclude(key__in=list(list_crons())).delete()[0]


def _delete_bulk(using: str, before: datetime) -> int:
    rows = BulkOperation.objects.using(using).exclude(state=BulkState.RUNNING)
    return rows.filter(changed_at__lt=before).delete()[0]
