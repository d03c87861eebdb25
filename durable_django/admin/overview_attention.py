"""What needs somebody: failures, runs without code, lateness, queues without a worker, pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..clock import read_time
from ..engine.diagnose import ALIVE_SECONDS, OVERDUE_SECONDS, TICK
from ..engine.words import choose_word, say_length, select_state
from ..models import Run, RunStatus, Worker, WorkflowState
from .render import find_page
from .run_filters import SKEW, find_key

LIMIT: Final = 10_000
PAUSED: Final = 20
FAILED: Final = 10


@dataclass(frozen=True, kw_only=True)
class Present:
    """What there is now, counted no further than LIMIT."""

    live: int
    states: Counter[str]
    overdue: int
    latest: float
    """Seconds for which the run that is due first has been due; 0 if none is."""
    queues: dict[str, float]
    """Queue to the seconds that its oldest queued run is old."""
    failed: Counter[str]
    paused: Sequence[WorkflowState]

    @property
    def full(self) -> bool:
        """Tell whether there may be more unfinished runs."""
        return self.live > LIMIT

    @property
    def many_failed(self) -> bool:
        """Tell whether there may be more failed ones."""
        return sum(self.failed.values()) > LIMIT

    @property
    def oldest(self) -> float | None:
        """Return the age of the oldest queued run."""
        return max(self.queues.values(), default=None)


def read_present(using: str, now: datetime) -> Present:
    """Read it, in three bounded queries."""
    columns = "status", "waits_for", "queue", "wake_at", "created_at"
    rows = Run.objects.using(using).filter(wake_at__isnull=False).order_by("wake_at").values_list(*columns)
    live = list(rows[: LIMIT + 1])
    queues: dict[str, float] = {}
    for status, _waits_for, queue, _wake_at, created_at in live:
        if status == RunStatus.QUEUED:
            age = (now - read_time(created_at)).total_seconds()
            queues[queue] = max(queues.get(queue, 0.0), age)
    late = [(now - read_time(row[3])).total_seconds() for row in live]
    return Present(
        live=len(live),
        states=Counter(choose_word(*row[:2]).code for row in live),
        overdue=sum(seconds > OVERDUE_SECONDS for seconds in late),
        latest=max(late, default=0.0),
        queues=queues,
        failed=_count_failed(using, now),
        paused=list(
            WorkflowState.objects.using(using).filter(paused_at__isnull=False).order_by("id")[:PAUSED]
        ),
    )


def _count_failed(using: str, now: datetime) -> Counter[str]:
    begin = now - timedelta(hours=24)
    rows = Run.objects.using(using).filter(
        select_state("failed"), pk__gte=find_key(begin - SKEW), created_at__gte=begin
    )
    return Counter(rows.order_by("-pk").values_list("workflow", flat=True)[: LIMIT + 1])


def list_attention(
    site: AdminSite, present: Present, workers: Sequence[Worker], now: datetime
) -> list[dict[str, Any]]:
    """Return the lines, the worst first; each has a text, what it means, and where to go."""
    runs = find_page(site, "run_changelist")
    lines = [
        *_list_workers(present, workers, now),
        *_list_late(present, runs),
        *_list_failed(present, runs),
        *_list_stuck(present, runs),
        *_list_paused(site, present),
    ]
    return [dict(zip(("text", "detail", "url"), each, strict=True)) for each in lines]


Line = tuple[str, str, str]


def _list_workers(present: Present, workers: Sequence[Worker], now: datetime) -> Iterator[Line]:
    alive = [row for row in workers if row.name != TICK and _age(row, now) <= ALIVE_SECONDS]
    served = {queue for row in alive for queue in row.queues.split(",")}
    unserved = sorted(set(present.queues) - served)
    for queue in unserved:
        command = _("start one: manage.py durable worker -q %s") % queue
        yield _("No live worker serves the queue “%s”") % queue, command, ""
    if not alive and not unserved:
        yield _("No worker is alive"), _("start one: manage.py durable worker"), ""


def _list_late(present: Present, runs: str) -> Iterator[Line]:
    if present.latest >= OVERDUE_SECONDS:
        text = ngettext("%(count)s run is overdue", "%(count)s runs are overdue", present.overdue)
        count = f"{min(present.overdue, LIMIT)}{'+' if present.full else ''}"
        detail = _("the first one for %s; does anybody tick?") % say_length(present.latest)
        yield text % {"count": count}, detail, f"{runs}?late=1&created=all"


def _list_failed(present: Present, runs: str) -> Iterator[Line]:
    for name, count in present.failed.most_common(FAILED):
        text = ngettext("%(count)d run of “%(name)s” failed", "%(count)d runs of “%(name)s” failed", count)
        url = f"{runs}?{urlencode({'status': 'failed', 'workflow': name})}"
        yield text % {"count": count, "name": name}, _("created in the last 24 hours"), url


def _list_stuck(present: Present, runs: str) -> Iterator[Line]:
    stuck = present.states["stuck"]
    if stuck:
        text = ngettext("%d run waits for code", "%d runs wait for code", stuck) % stuck
        yield text, _("no worker has their workflow"), f"{runs}?status=stuck&created=all"


def _list_paused(site: AdminSite, present: Present) -> Iterator[Line]:
    for each in present.paused:
        text = _("The workflow “%s” is paused") % each.id
        detail = _("by %(who)s; new runs queue up") % {"who": each.paused_by}
        yield text, detail, find_page(site, "workflowstate_changelist")


def _age(row: Worker, now: datetime) -> float:
    return (now - read_time(row.seen_at)).total_seconds()
