"""Workers and queues: who works, what waits for whom, and what will happen next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..clock import Now, read_time
from ..engine.alias import get_alias
from ..engine.diagnose import ALIVE_SECONDS, TICK
from ..engine.words import choose_word, say_length
from ..models import Run, RunStatus, Schedule, Worker
from .base import ReadOnlyAdmin
from .health import show_health
from .overview_attention import LIMIT
from .pages import check_view, show_page
from .permits import may_view
from .render import show_link, show_moment, show_state

LIST: Final = "durable_django/admin/workers.html"
WORKERS: Final = 200
UPCOMING: Final = 50
SCHEDULES: Final = 200
AHEAD: Final = timedelta(hours=24)


@dataclass(kw_only=True)
class Queue:
    """A queue: how many runs wait in it, how long the oldest has, how many are running, who serves it."""

    queued: int = 0
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
        """Add the health page."""
        view = self.admin_site.admin_view(lambda request: show_health(self, request))
        return [path("health/", view, name="durable_django_health"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show workers, queues and what comes next, in three queries."""
        check_view(self, request)
        using = get_alias()
        rows: list[Any] = list(
            Worker.objects.using(using).annotate(now=Now()).order_by("-seen_at", "name")[:WORKERS]
        )
        now = read_time(rows[0].now) if rows else timezone.now()
        live = _read_live(using)
        workers = [row for row in rows if row.name != TICK]
        tick = next((row for row in rows if row.name == TICK), None)
        return show_page(
            self,
            request,
            LIST,
            title=_("Workers & queues"),
            workers=[_tell_worker(row, live, now) for row in workers],
            lost=_tell_lost(workers, live, now),
            tick=_("The last tick was %s ago.") % say_length(_age(tick, now))
            if tick
            else _("Nobody has ticked yet."),
            queues=_list_queues(workers, live, now),
            upcoming=self._list_upcoming(using, live, now) if may_view(request, Run) else [],
            full=len(live) > LIMIT,
            now=show_moment(now),
        )

    def _list_upcoming(self, using: str, live: list[Any], now: datetime) -> list[dict[str, Any]]:
        """Return what is due within a day, runs and schedules together, the next first."""
        waiting = [run for run in live if run.status == RunStatus.WAITING]  # in the order of their time
        found: list[dict[str, Any]] = [self._tell_due(run) for run in waiting[:UPCOMING]]
        rows = Schedule.objects.using(using).filter(next_at__gte=now).order_by("next_at")
        found += [_tell_schedule(each) for each in rows[:SCHEDULES]]
        soon = [each for each in sorted(found, key=lambda each: each["at"]) if each["at"] <= now + AHEAD]
        return [
            {**each, "when": show_moment(each["at"]), "left": _tell_left(each["at"], now)}
            for each in soon[:UPCOMING]
        ]

    def _tell_due(self, run: Any) -> dict[str, Any]:
        return {
            "at": read_time(run.wake_at),
            "state": show_state(choose_word(run.status, run.waits_for)),
            "workflow": run.workflow,
            "link": show_link(self.admin_site, Run, run.pk, f"…{str(run.pk)[-8:]}"),
        }


def _tell_schedule(row: Schedule) -> dict[str, Any]:
    return {
        "at": read_time(row.next_at),
        "state": _("schedule"),
        "workflow": row.workflow,
        "link": f"{row.cron} {row.tz}",
    }


def _read_live(using: str) -> list[Any]:
    runs = Run.objects.using(using).filter(wake_at__isnull=False).order_by("wake_at")
    columns = "pk", "workflow", "status", "waits_for", "queue", "owner", "wake_at", "created_at"
    # Thousands of rows: as tuples they take a fifth of the time.
    return list(runs.values_list(*columns, named=True)[: LIMIT + 1])


def _tell_worker(row: Worker, live: list[Any], now: datetime) -> dict[str, Any]:
    return {
        "row": row,
        "alive": _age(row, now) <= ALIVE_SECONDS,
        "running": sum(run.status == RunStatus.RUNNING and run.owner == row.name for run in live),
        "seen": _("%s ago") % say_length(_age(row, now)),
        "started": show_moment(row.started_at),
    }


def _tell_lost(workers: list[Worker], live: list[Any], now: datetime) -> str:
    """Say what the worker that was lost last left behind, while its runs still have its lease."""
    held = Counter(run.owner for run in live if run.status == RunStatus.RUNNING)
    lost = [row for row in workers if _age(row, now) > ALIVE_SECONDS and held[row.name]]
    if not lost:
        return ""
    until = max(run.wake_at for run in live if run.owner == lost[0].name and run.wake_at)
    text = ngettext(
        "%(name)s was lost %(age)s ago with %(count)d run; it is taken over in %(left)s.",
        "%(name)s was lost %(age)s ago with %(count)d runs; they are taken over in %(left)s.",
        held[lost[0].name],
    )
    left = max((read_time(until) - now).total_seconds(), 0.0)
    values = {"name": lost[0].name, "count": held[lost[0].name], "left": say_length(left)}
    return text % {**values, "age": say_length(_age(lost[0], now))}


def _list_queues(workers: list[Worker], live: list[Any], now: datetime) -> list[dict[str, Any]]:
    queues: dict[str, Queue] = {}
    for row in workers:
        if _age(row, now) <= ALIVE_SECONDS:
            for name in filter(None, row.queues.split(",")):
                queues.setdefault(name, Queue()).workers.append(row.name)
    for run in live:
        queue = queues.setdefault(run.queue, Queue())
        if run.status == RunStatus.QUEUED:
            queue.queued += 1
            queue.oldest = max(queue.oldest, (now - read_time(run.created_at)).total_seconds())
        elif run.status == RunStatus.RUNNING:
            queue.running += 1
    return [
        {
            "name": name,
            "queue": queue,
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
