"""What needs somebody: failures, runs without code, lateness, queues without a worker, pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db.models import Case, When
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..clock import Now, read_time
from ..conf import settings
from ..engine.diagnose import ALIVE_SECONDS, OVERDUE_SECONDS, TICK
from ..engine.words import choose_word, say_length, select_state
from ..models import PauseNew, Run, RunStatus, Worker, WorkflowState
from ..store.live import OFTEN, Overdue, count_live_and_overdue
from .render import find_page

LIMIT: Final = 10_000
PAUSED: Final = 20
FAILED: Final = 10
QUEUED_SECONDS: Final = 300.0
"""A run that is older and has not begun makes its queue a slow one."""


@dataclass(frozen=True, kw_only=True)
class Present:
    """What there is now, counted no further than LIMIT."""

    live: int
    states: Counter[str]
    overdue: int
    often: int
    """Runs that are retried after OFTEN failed attempts of a step."""
    latest: float
    """Seconds for which the run that is due first has been due; 0 if none is."""
    queues: dict[str, float]
    """Queue to the seconds that its oldest queued run is old."""
    waits: Overdue
    failed: Counter[str]
    """Runs of the last hour that failed, by workflow."""
    failed_today: int
    paused: Sequence[WorkflowState]
    read: bool = True

    @property
    def full(self) -> bool:
        """Tell whether there may be more unfinished runs."""
        return self.live > LIMIT

    @property
    def many_failed(self) -> bool:
        """Tell whether there may be more failed ones."""
        return self.failed_today > LIMIT

    @property
    def oldest(self) -> float | None:
        """Return the age of the oldest queued run."""
        return max(self.queues.values(), default=None)


NOTHING_READ: Final = Present(
    live=0,
    states=Counter(),
    overdue=0,
    often=0,
    latest=0.0,
    queues={},
    waits=Overdue(),
    failed=Counter(),
    failed_today=0,
    paused=(),
    read=False,
)
"""Stands for what could not be read."""


def read_present(using: str, now: datetime) -> Present:
    """Read it, in three bounded queries."""
    soon = max(settings.LEASE_SECONDS, settings.RENUDGE_SECONDS)
    live, waits = count_live_and_overdue(using, limit=LIMIT + 1, late=OVERDUE_SECONDS, soon=soon)
    states: Counter[str] = Counter()
    queues: dict[str, float] = {}
    for group in live:
        states[choose_word(group.status, group.waits_for).code] += group.count
        if group.status == RunStatus.QUEUED:
            age = (now - group.oldest).total_seconds()
            queues[group.queue] = max(queues.get(group.queue, 0.0), age)
    failed = _read_failed(using)
    return Present(
        live=sum(group.count for group in live),
        states=states,
        overdue=sum(group.late for group in live),
        often=sum(group.often for group in live),
        latest=max(((now - group.due).total_seconds() for group in live), default=0.0),
        queues=queues,
        waits=waits,
        failed=Counter(name for name, recent in failed if recent),
        failed_today=len(failed),
        paused=list(
            WorkflowState.objects.using(using).filter(paused_at__isnull=False).order_by("id")[:PAUSED]
        ),
    )


def _read_failed(using: str) -> list[tuple[str, bool]]:
    """Return the workflow of each run that failed in the last 24 hours, and whether it was in the last one."""
    rows = Run.objects.using(using).filter(select_state("failed"), ended_at__gte=Now() - timedelta(hours=24))
    recent = Case(When(ended_at__gte=Now() - timedelta(hours=1), then=True), default=False)
    newest = rows.order_by("-ended_at").values_list("workflow", recent)
    return [(name, bool(late)) for name, late in newest[: LIMIT + 1]]


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
        *_list_waits(present, find_page(site, "wait_changelist"), now),
        *_list_retried(present, runs),
        *_list_queues(present, runs),
    ]
    return [
        {"text": text, "detail": detail, "url": url, "mild": mild}
        for found, mild in ((lines, False), (_list_paused(site, present), True))
        for text, detail, url in found
    ]


Line = tuple[str, str, str]


def _list_workers(present: Present, workers: Sequence[Worker], now: datetime) -> Iterator[Line]:
    alive = [row for row in workers if row.name != TICK and _age(row, now) <= ALIVE_SECONDS]
    served = {queue for row in alive for queue in row.served}
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
        text = ngettext("%(count)s run of “%(name)s” failed", "%(count)s runs of “%(name)s” failed", count)
        query = urlencode({"status": "failed", "workflow": name, "by": "ended", "created": "1h"})
        shown = f"{count}{'+' if present.many_failed else ''}"
        yield text % {"count": shown, "name": name}, _("in the last hour"), f"{runs}?{query}"


def _list_stuck(present: Present, runs: str) -> Iterator[Line]:
    stuck = present.states["stuck"]
    if stuck:
        text = ngettext("%d run waits for code", "%d runs wait for code", stuck) % stuck
        yield text, _("no worker has their workflow"), f"{runs}?status=stuck&created=all"


def _list_waits(present: Present, url: str, now: datetime) -> Iterator[Line]:
    count, since = present.waits.count, present.waits.since
    late = (now - since).total_seconds() if since else 0.0
    if count and late >= OVERDUE_SECONDS:
        text = ngettext("%s wait is overdue", "%s waits are overdue", count)
        shown = f"{LIMIT}+" if count > LIMIT else str(count)
        detail = _("the first one for %s; does anybody tick?") % say_length(late)
        yield text % shown, detail, f"{url}?ends=overdue" if url else ""


def _list_retried(present: Present, runs: str) -> Iterator[Line]:
    if present.often:
        text = ngettext("%d run is still retried", "%d runs are still retried", present.often) % present.often
        detail = _("a step of it failed more than %d times") % (OFTEN - 1)
        yield text, detail, f"{runs}?status=retrying&attempts={OFTEN}&created=all"


def _list_queues(present: Present, runs: str) -> Iterator[Line]:
    for queue, age in sorted(present.queues.items(), key=lambda each: -each[1])[:PAUSED]:
        if age > QUEUED_SECONDS:
            text = _("The queue “%s” is slow") % queue
            url = f"{runs}?{urlencode({'status': 'queued', 'queue': queue, 'created': 'all'})}"
            yield text, _("its oldest run was created %s ago") % say_length(age), url


def _list_paused(site: AdminSite, present: Present) -> Iterator[Line]:
    for each in present.paused:
        text = _("The workflow “%s” is paused") % each.id
        skips = each.pause_new == PauseNew.SKIP
        told = _("by %(who)s; new runs are skipped") if skips else _("by %(who)s; new runs queue up")
        detail = told % {"who": each.paused_by}
        yield text, detail, find_page(site, "workflowstate_changelist")


def _age(row: Worker, now: datetime) -> float:
    return (now - read_time(row.seen_at)).total_seconds()
