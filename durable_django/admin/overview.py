"""The overview: what needs somebody, how much there is to do, who works; from bounded queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..clock import read_now, read_time
from ..conf import settings
from ..engine.alias import get_alias
from ..engine.diagnose import ALIVE_SECONDS, OVERDUE_SECONDS, TICK
from ..engine.words import WORDS, choose_word, say_length, select_state
from ..models import Run, RunStatus, Worker
from .media import CONSOLE
from .permits import may_view
from .render import find_page, show_state, show_time
from .run_filters import SKEW

TEMPLATE: Final = "durable_django/admin/overview.html"
LIMIT: Final = 10_000
WORKERS: Final = 100


def show_overview(page: ModelAdmin[Run], request: HttpRequest) -> HttpResponse:
    """Return the overview, in seven queries at most."""
    request.current_app = page.admin_site.name
    if not page.has_view_permission(request):
        raise PermissionDenied
    using = get_alias()
    now = read_now(using)
    live = _count_live(using)
    failed = _count_failed(using, now)
    workers = list(Worker.objects.using(using).order_by("-seen_at")[:WORKERS])
    queued = Run.objects.using(using).filter(status=RunStatus.QUEUED).order_by("pk")
    oldest = dict(_read_oldest(queued))
    list_url = find_page(page.admin_site, "run_changelist")
    context = {
        **page.admin_site.each_context(request),
        "title": _("Durable workflows: overview"),
        "console": CONSOLE,
        "list_url": list_url,
        "attention": [
            *_list_failed(failed, list_url),
            *_list_stuck(live, list_url),
            *_list_late(using, now),
            *_list_workers(workers, oldest, now),
        ],
        "tiles": _list_tiles(live, failed, oldest, now, list_url),
        "workers": [_tell_worker(row, now) for row in workers if row.name != TICK]
        if may_view(request, Worker)
        else None,
        "tick": _tell_tick(workers, now),
        "empty": not live and not failed and not Run.objects.using(using).exists(),
        "now": show_time(now),
    }
    return TemplateResponse(request, TEMPLATE, context)


def _count_live(using: str) -> Counter[str]:
    rows = Run.objects.using(using).filter(wake_at__isnull=False).values_list("status", "waits_for")
    return Counter(choose_word(*row).code for row in rows[: LIMIT + 1])


def _count_failed(using: str, now: datetime) -> Counter[str]:
    begin = now - timedelta(hours=24)
    floor = UUID(int=int((begin - SKEW).timestamp() * 1000) << 80)
    rows = Run.objects.using(using).filter(select_state("failed"), pk__gte=floor, created_at__gte=begin)
    return Counter(rows.order_by("-pk").values_list("workflow", flat=True)[: LIMIT + 1])


def _read_oldest(queued: QuerySet[Run]) -> Iterable[tuple[str, datetime]]:
    found: dict[str, datetime] = {}
    for queue, created_at in queued.values_list("queue", "created_at")[:1_000]:
        found.setdefault(queue, read_time(created_at))
    return found.items()


def _list_failed(failed: Counter[str], list_url: str) -> list[dict[str, Any]]:
    return [
        {
            "text": _tell_failed(count) % {"count": count, "name": name},
            "detail": _("created in the last 24 hours"),
            "url": f"{list_url}?status=failed&workflow={name}",
        }
        for name, count in failed.most_common(10)
    ]


def _tell_failed(count: int) -> str:
    return ngettext("%(count)d run of “%(name)s” failed", "%(count)d runs of “%(name)s” failed", count)


def _list_stuck(live: Counter[str], list_url: str) -> list[dict[str, Any]]:
    if not live["stuck"]:
        return []
    text = ngettext("%d run waits for code", "%d runs wait for code", live["stuck"]) % live["stuck"]
    detail = _("no worker has their workflow")
    return [{"text": text, "detail": detail, "url": f"{list_url}?status=stuck&created=all"}]


def _list_late(using: str, now: datetime) -> list[dict[str, Any]]:
    due = Run.objects.using(using).filter(wake_at__isnull=False).order_by("wake_at")
    first = due.values_list("wake_at", flat=True).first()
    late = (now - read_time(first)).total_seconds() if first else 0.0
    if late < OVERDUE_SECONDS:
        return []
    text = _("A run should have been looked at %s ago") % say_length(late)
    return [{"text": text, "detail": _("does anybody tick?"), "url": ""}]


def _list_workers(workers: list[Worker], oldest: dict[str, datetime], now: datetime) -> list[dict[str, Any]]:
    alive = [row for row in workers if row.name != TICK and _age(row, now) <= ALIVE_SECONDS]
    served = {queue for row in alive for queue in row.queues.split(",")}
    told = [
        {
            "text": _("No live worker serves the queue “%s”") % queue,
            "detail": _("start one: manage.py durable worker -q %s") % queue,
            "url": "",
        }
        for queue in sorted(oldest)
        if queue not in served
    ]
    if alive or told:
        return told
    detail = _("start one: manage.py durable worker")
    return [{"text": _("No worker is alive"), "detail": detail, "url": ""}]


def _list_tiles(
    live: Counter[str], failed: Counter[str], oldest: dict[str, datetime], now: datetime, list_url: str
) -> list[dict[str, Any]]:
    full = sum(live.values()) > LIMIT
    age = say_length((now - min(oldest.values())).total_seconds()) if oldest else ""
    tiles = [
        {
            "state": show_state(WORDS[code]),
            "count": f"{live[code]}{'+' if full else ''}",
            "detail": _("oldest: %s") % age if code == "queued" and age else "",
            "url": f"{list_url}?status={code}&created=all",
        }
        for code in ("running", "queued", "waiting", "sleeping", "retrying")
    ]
    many = sum(failed.values())
    return [
        *tiles,
        {
            "state": show_state(WORDS["failed"]),
            "count": f"{min(many, LIMIT)}{'+' if many > LIMIT else ''}",
            "detail": _("last 24 hours"),
            "url": f"{list_url}?status=failed",
        },
    ]


def _tell_worker(row: Worker, now: datetime) -> dict[str, Any]:
    alive = _age(row, now) <= ALIVE_SECONDS
    return {
        "row": row,
        "state": _("live") if alive else _("lost"),
        "alive": alive,
        "seen": _("%s ago") % say_length(_age(row, now)),
        "started": show_time(row.started_at),
    }


def _tell_tick(workers: list[Worker], now: datetime) -> dict[str, Any]:
    row = next((each for each in workers if each.name == TICK), None)
    if row is None:
        return {"text": _("Nobody has ticked yet."), "late": True}
    age = _age(row, now)
    late = age > OVERDUE_SECONDS + settings.TICK_SECONDS
    return {"text": _("The last tick was %s ago.") % say_length(age), "late": late}


def _age(row: Worker, now: datetime) -> float:
    return (now - read_time(row.seen_at)).total_seconds()
