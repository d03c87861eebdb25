"""Delete what is older than the retention: ended runs with all that is theirs, then events without runs.

Note [Prune never takes what may still change]
    Each batch locks its runs and deletes those that have still ended, so a run that an operator retries
    meanwhile stays. An event goes only once it is routed and no run names it. Batches go up by id and
    never back, so a table full of young rows is read once, and no transaction is long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from ..clock import read_now
from ..models import Event, Run, WebhookDelivery
from ..models.event import EventQuerySet
from ..models.run import ENDED, RunQuerySet

BATCH = 500
REPLAYED = timedelta(days=2)
"""Age below which a webhook delivery is remembered in any case; its signature holds for less."""
_LOWEST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went, or would go; the children of runs are counted when they are deleted."""

    runs: int = 0
    steps: int = 0
    attempts: int = 0
    waits: int = 0
    events: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            self.runs + other.runs,
            self.steps + other.steps,
            self.attempts + other.attempts,
            self.waits + other.waits,
            self.events + other.events,
        )


def count_old(using: str, age: timedelta) -> Pruned:
    """Return how many runs and events ``prune`` would delete now; deletes nothing."""
    before = read_now(using) - age
    kept = Run.objects.using(using).filter(event_id=OuterRef("id")).exclude(_is_old_run(before))
    events = _old_events(using, before).filter(~Exists(kept))
    return Pruned(runs=_old_runs(using, before).count(), events=events.count())


def prune(using: str, age: timedelta, *, batch: int = BATCH) -> Iterator[Pruned]:
    """Delete runs that ended, and events that were stored, longer than ``age`` ago.

    Args:
        age: By the database's clock.
        batch: Runs or events in a transaction.

    Yields:
        What each batch deleted, once it is committed.
    """
    before = read_now(using) - age
    above = _LOWEST
    while ids := _page(_old_runs(using, before), above, batch):
        above = ids[-1]
        yield _delete_runs(using, ids, before)
    above = _LOWEST
    while ids := _page(_unused_events(using, before), above, batch):
        above = ids[-1]
        yield _delete_events(using, ids, before)
    _delete_deliveries(using, min(before, before + age - REPLAYED))


def _is_old_run(before: datetime) -> Q:
    return Q(status__in=ENDED, ended_at__lt=before)


def _old_runs(using: str, before: datetime) -> RunQuerySet:
    return Run.objects.using(using).filter(_is_old_run(before))


def _old_events(using: str, before: datetime) -> EventQuerySet:
    return Event.objects.using(using).filter(routed_at__isnull=False, created_at__lt=before)


def _unused_events(using: str, before: datetime) -> EventQuerySet:
    return _old_events(using, before).filter(
        ~Exists(Run.objects.using(using).filter(event_id=OuterRef("id")))
    )


def _page(rows: RunQuerySet | EventQuerySet, above: UUID, batch: int) -> list[UUID]:
    return list(rows.filter(id__gt=above).order_by("id").values_list("id", flat=True)[:batch])


def _delete_runs(using: str, ids: list[UUID], before: datetime) -> Pruned:
    with transaction.atomic(using=using):
        locked = _old_runs(using, before).filter(id__in=ids).order_by("id").select_for_update()
        held = [run.id for run in locked.only("id")]
        _, counts = Run.objects.using(using).filter(id__in=held).delete()
    return Pruned(
        runs=counts.get("durable_django.Run", 0),
        steps=counts.get("durable_django.Step", 0),
        attempts=counts.get("durable_django.Attempt", 0),
        waits=counts.get("durable_django.Wait", 0),
    )


def _delete_deliveries(using: str, before: datetime) -> None:
    WebhookDelivery.objects.using(using).filter(received_at__lt=before).delete()


def _delete_events(using: str, ids: list[UUID], before: datetime) -> Pruned:
    with transaction.atomic(using=using):
        # A rerun locks its run before it names the event again, and that run is gone or kept with its event.
        _, counts = _unused_events(using, before).filter(id__in=ids).delete()
    return Pruned(events=counts.get("durable_django.Event", 0))
