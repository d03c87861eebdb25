"""Workers and queues: who works, what waits for whom, and what will happen next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..clock import Now, read_time
from ..define.registry import registry
from ..engine.alias import get_alias
from ..engine.diagnose import ALIVE_SECONDS, OVERDUE_SECONDS, TICK
from ..engine.identity import find_worker
from ..engine.operate_workers import read_state
from ..engine.words import choose_word, say_length
from ..models import Run, RunStatus, Schedule, Worker
from ..store.live import Live, count_live
from .asking import route
from .base import ReadOnlyAdmin
from .health import show_health
from .overview_attention import LIMIT
from .pages import check_view, show_page
from .permits import may_do, may_view
from .render import find_page, show_link, show_moment, show_state, show_time
from .run_operations import WAKES
from .worker_operations import Drain, Undrain, WorkerOperation
from .worker_words import show_worker_state

LIST: Final = "durable_django/admin/workers.html"
WORKERS: Final = 200
UPCOMING: Final = 50
SCHEDULES: Final = 200
AHEAD: Final = timedelta(hours=24)


@dataclass(kw_only=True)
class Queue:
    """A queue: how many runs wait in it, how long the oldest has, how many are running or held, who serves it."""

    queued: int = 0
    paused: int = 0
    oldest: float = 0.0
    running: int = 0
    workers: list[str] = field(default_factory=list)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Processes that reported themselves."""

    list_display = ("name", "kind", "queues", "started_at", "seen_at")
    list_columns = list_display
    fields = list_display
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        """Add the health page, and what can be done to a worker."""
        view = self.admin_site.admin_view(lambda request: show_health(self, request))
        return [
            path("health/", view, name="durable_django_health"),
            route(self, "<path:key>/drain/", Drain, "worker_drain"),
            route(self, "<path:key>/undrain/", Undrain, "worker_undrain"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show workers, queues and what comes next, in four queries."""
        check_view(self, request)
        using = get_alias()
        rows: list[Any] = list(
            Worker.objects.using(using).annotate(now=Now()).order_by("-seen_at", "name")[:WORKERS]
        )
        now = read_time(rows[0].now) if rows else timezone.now()
        live = count_live(using, limit=LIMIT + 1, late=OVERDUE_SECONDS)
        running = _count_running(live)
        workers = [row for row in rows if row.name != TICK]
        tick = next((row for row in rows if row.name == TICK), None)
        return show_page(
            self,
            request,
            LIST,
            title=_("Workers & queues"),
            workers=[
                {**self._tell_worker(row, running, now), "button": self._find_button(request, row)}
                for row in workers
            ],
            lost=_tell_lost(workers, live, now),
            tick=_("The last tick was %s ago.") % say_length(_age(tick, now))
            if tick
            else _("Nobody has ticked yet."),
            queues=_list_queues(workers, live, now, find_page(self.admin_site, "run_changelist")),
            upcoming=self._list_upcoming(request, using, now) if may_view(request, Run) else [],
            full=sum(group.count for group in live) > LIMIT,
            now=show_moment(now),
        )

    def _tell_worker(self, row: Worker, running: Counter[str], now: datetime) -> dict[str, Any]:
        query = urlencode({"worker": row.name, "created": "all"})
        return {
            "row": row,
            "state": show_worker_state(read_state(row)),
            "running": running[row.name],
            "runs_url": f"{find_page(self.admin_site, 'run_changelist')}?{query}"
            if running[row.name]
            else "",
            "seen": _("%s ago") % say_length(_age(row, now)),
            "started": show_moment(row.started_at),
            "failed": show_moment(row.last_error_at) if row.last_error_at else "",
        }

    def _find_button(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        """Return address and words of what the user may do to the worker now."""
        verb, label = {"live": ("drain", _("Drain…")), "stopping": ("undrain", _("Take runs again…"))}.get(
            read_state(row), ("", "")
        )
        if not verb or not may_do(request, WorkerOperation.permission):
            return None
        return find_page(self.admin_site, f"worker_{verb}", row.name), label

    def _list_upcoming(self, request: HttpRequest, using: str, now: datetime) -> list[dict[str, Any]]:
        """Return what is due within a day, runs and schedules together, the next first."""
        runs = Run.objects.using(using).filter(status=RunStatus.WAITING, wake_at__lte=now + AHEAD)
        waiting = runs.only("workflow", "status", "waits_for", "wake_at").order_by("wake_at")[:UPCOMING]
        found: list[dict[str, Any]] = [self._tell_due(request, run) for run in waiting]
        rows = Schedule.objects.using(using).filter(next_at__gte=now).order_by("next_at")
        found += [self._tell_schedule(request, each) for each in rows[:SCHEDULES]]
        soon = [each for each in sorted(found, key=lambda each: each["at"]) if each["at"] <= now + AHEAD]
        return [
            {**each, "when": show_time(each["at"]), "left": _tell_left(each["at"], now)}
            for each in soon[:UPCOMING]
        ]

    def _tell_due(self, request: HttpRequest, run: Any) -> dict[str, Any]:
        wakes = run.waits_for in WAKES and may_do(request, "retry_run")
        url = find_page(self.admin_site, "run_wake", run.pk) if wakes else ""
        return {
            "at": read_time(run.wake_at),
            "state": show_state(choose_word(run.status, run.waits_for)),
            "workflow": run.workflow,
            "link": show_link(self.admin_site, Run, run.pk, f"…{str(run.pk)[-8:]}"),
            "button": (url, _("Retry now…") if run.waits_for == "retry" else _("Wake now…")) if url else None,
        }

    def _tell_schedule(self, request: HttpRequest, row: Schedule) -> dict[str, Any]:
        invokes = row.workflow in registry and may_do(request, "invoke_workflow")
        url = find_page(self.admin_site, "workflow_invoke", row.workflow) if invokes else ""
        return {
            "at": read_time(row.next_at),
            "state": _("schedule"),
            "workflow": row.workflow,
            "link": f"{row.cron} {row.tz}",
            "button": (url, _("Run now…")) if url else None,
        }


def _count_running(live: list[Live]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for group in live:
        if group.status == RunStatus.RUNNING:
            counts[find_worker(group.owner)] += group.count
    return counts


def _tell_lost(workers: list[Worker], live: list[Live], now: datetime) -> str:
    """Say what the worker that was lost last left behind, while its runs still have its lease."""
    held = _count_running(live)
    lost = [row for row in workers if _age(row, now) > ALIVE_SECONDS and held[row.name]]
    if not lost:
        return ""
    until = max(group.last for group in live if find_worker(group.owner) == lost[0].name)
    text = ngettext(
        "%(name)s was lost %(age)s ago with %(count)d run; it is taken over in %(left)s.",
        "%(name)s was lost %(age)s ago with %(count)d runs; they are taken over in %(left)s.",
        held[lost[0].name],
    )
    left = max((until - now).total_seconds(), 0.0)
    values = {"name": lost[0].name, "count": held[lost[0].name], "left": say_length(left)}
    return text % {**values, "age": say_length(_age(lost[0], now))}


def _list_queues(workers: list[Worker], live: list[Live], now: datetime, runs: str) -> list[dict[str, Any]]:
    queues: dict[str, Queue] = {}
    for row in workers:
        if _age(row, now) <= ALIVE_SECONDS:
            for name in row.served:
                queues.setdefault(name, Queue()).workers.append(row.name)
    for group in live:
        queue = queues.setdefault(group.queue, Queue())
        if group.status == RunStatus.QUEUED:
            queue.queued += group.count
            queue.oldest = max(queue.oldest, (now - group.oldest).total_seconds())
        elif group.status == RunStatus.RUNNING:
            queue.running += group.count
        elif group.status == RunStatus.PAUSED:
            queue.paused += group.count
    return [
        {
            "name": name,
            "queue": queue,
            "urls": {
                state: f"{runs}?{urlencode({'queue': name, 'status': state, 'created': 'all'})}"
                for state in ("queued", "running", "paused")
            },
            "oldest": say_length(queue.oldest) if queue.queued else "–",
            "unserved": not queue.workers,
        }
        for name, queue in sorted(queues.items())
    ]


def _tell_left(at: datetime, now: datetime) -> str:
    left = (at - now).total_seconds()
    return _("in %s") % say_length(left) if left > 0 else _("now")


def _age(row: Worker, now: datetime) -> float:
    return (now - read_time(row.seen_at)).total_seconds()
