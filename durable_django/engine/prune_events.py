"""Delete events that were stored long ago and that nobody can need any more.

Note [Who may still need an old event]
    A run that names it; and any run that began before it and has not ended, since that may look back
    with ``since="run"`` at all events from its beginning on. So an event stays if its arrival lies behind that
    of the oldest live run, unless it is older than LOOK_BACK_DAYS.

Note [Old events are found by indexes]
    The event of a run goes with it. Of the others most ids begin with their time, so the primary key finds
    the old ones. Ids that were derived (cron, events that a step sent) lie anywhere; these events are found
    through their names, in the order of arrival, as far as there are old ones. So young events are not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q
from django.db.models.functions import Coalesce

from ..conf import settings
from ..models import Event, Run
from ..models.event import EventQuerySet
from ..models.run import RunQuerySet
from .pruned import Pruned

SKEW: Final = timedelta(hours=1)
"""Ids begin with the time of the host that made them, which may be wrong by so much."""


class Unneeded:
    """The events that may go, of those stored before an instant."""

    def __init__(self, using: str, before: datetime, now: datetime) -> None:
        self.using, self.before = using, before
        self._wanted = _is_behind(_find_oldest(using), now)

    def rows(self) -> EventQuerySet:
        """Return them, but for those that runs name."""
        routed = Event.objects.using(self.using).filter(routed_at__isnull=False, created_at__lt=self.before)
        return routed.filter(self._wanted)

    def unused(self, runs: RunQuerySet | None = None) -> EventQuerySet:
        """Return them without those that runs name, of all runs or of those given."""
        runs = Run.objects.using(self.using).all() if runs is None else runs
        return self.rows().filter(~Exists(runs.filter(event_id=OuterRef("id"))))

    def delete(self, ids: Collection[UUID]) -> Pruned:
        """Delete those of the events that may go."""
        with transaction.atomic(using=self.using):
            # A rerun locks its run before it names the event again, and that run is gone or kept with its event.
            _, counts = self.unused().filter(id__in=ids).delete()
        return Pruned(events=counts.get("durable_django.Event", 0))


def _find_oldest(using: str) -> int | None:
    """Return the arrival at which the oldest run began that has not ended."""
    live = Run.objects.using(using).filter(wake_at__isnull=False)
    found: dict[str, int | None] = live.aggregate(oldest=Min(Coalesce("arrival", "event__arrival")))
    return found["oldest"]


def _is_behind(oldest: int | None, now: datetime) -> Q:
    if oldest is None:
        return Q()
    condition = Q(arrival__isnull=True) | Q(arrival__lte=oldest)
    if settings.LOOK_BACK_DAYS is not None:
        condition |= Q(created_at__lt=now - timedelta(days=settings.LOOK_BACK_DAYS))
    return condition


def prune_events(found: Unneeded, batch: int) -> Iterator[Pruned]:
    """Delete them in batches; yield what each deleted."""
    yield from _prune_by_key(found, batch)
    name = _find_next_name(found.using, "")
    while name is not None:
        yield from _prune_by_name(found, name, batch)
        name = _find_next_name(found.using, name)


def _prune_by_key(found: Unneeded, batch: int) -> Iterator[Pruned]:
    end, last = UUID(int=max(int((found.before + SKEW).timestamp() * 1_000), 0) << 80), UUID(int=0)
    rows = found.unused().filter(id__lt=end).order_by("id")
    while ids := list(rows.filter(id__gt=last).values_list("id", flat=True)[:batch]):
        last = ids[-1]
        yield found.delete(ids)


def _find_next_name(using: str, name: str) -> str | None:
    rows = Event.objects.using(using).filter(name__gt=name).order_by("name")
    return rows.values_list("name", flat=True).first()


def _prune_by_name(found: Unneeded, name: str, batch: int) -> Iterator[Pruned]:
    rows = Event.objects.using(found.using).filter(name=name).order_by("arrival")
    last = -1
    while page := list(rows.filter(arrival__gt=last).values_list("id", "arrival", "created_at")[:batch]):
        last = page[-1][1] or last
        old = [event_id for event_id, _, created_at in page if created_at < found.before]
        if not old:
            return
        yield found.delete(old)
