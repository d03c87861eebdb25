"""Delete runs that ended long ago, with all that is theirs.

Note [Families go together]
    A run stays while a run that it invoked, or that invoked it, at any depth, has not ended: the one may
    still be retried into the other, and its page shows both. Each batch is locked and looked at once more
    before it goes, so a run that an operator retries meanwhile stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from ..models import Run
from ..models.run import ENDED, RunQuerySet
from ..store.kin import find_kin_of_live
from .pruned import Pruned


def list_old_runs(using: str, before: datetime) -> RunQuerySet:
    """Return the runs that ended before the instant; an index finds them."""
    return Run.objects.using(using).filter(is_old_run(before))


def is_old_run(before: datetime) -> Q:
    """Return the condition of such a run."""
    return Q(status__in=ENDED, ended_at__isnull=False, ended_at__lt=before)


def prune_runs(using: str, before: datetime, batch: int) -> Iterator[tuple[Pruned, list[UUID]]]:
    """Delete them in batches, oldest first; yield what each deleted, and the events that its runs named."""
    last: tuple[datetime | None, UUID] | None = None
    while page := _read_page(using, before, last, batch):
        last = page[-1]
        yield _delete(using, [run_id for _, run_id in page], before)


def _read_page(
    using: str, before: datetime, last: tuple[datetime | None, UUID] | None, batch: int
) -> list[tuple[datetime | None, UUID]]:
    rows = list_old_runs(using, before)
    if last is not None:
        rows = rows.filter(Q(ended_at__gt=last[0]) | Q(id__gt=last[1]), ended_at__gte=last[0])
    return list(rows.order_by("ended_at", "id").values_list("ended_at", "id")[:batch])


def _delete(using: str, ids: list[UUID], before: datetime) -> tuple[Pruned, list[UUID]]:
    with transaction.atomic(using=using):
        locked = list_old_runs(using, before).filter(id__in=ids).order_by("id").select_for_update()
        held = {run.id: run.event_id for run in locked.only("id", "event_id")}
        gone = held.keys() - find_kin_of_live(using, list(held))
        _, counts = Run.objects.using(using).filter(id__in=gone).delete()
    pruned = Pruned(
        runs=counts.get("durable_django.Run", 0),
        steps=counts.get("durable_django.Step", 0),
        attempts=counts.get("durable_django.Attempt", 0),
        waits=counts.get("durable_django.Wait", 0),
    )
    return pruned, [held[run_id] for run_id in gone]
