"""The overview: what needs somebody, how much there is to do, how it went, who works; in five queries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..clock import Now, read_time
from ..conf import settings
from ..engine.alias import get_alias
from ..engine.diagnose import ALIVE_SECONDS, OVERDUE_SECONDS, TICK
from ..engine.words import WORDS, say_length
from ..models import Rollup, Run, RunResult, Worker
from .charts import HEIGHT, find_top, trace
from .figure_charts import build_charts, say_number
from .figures import SPANS, Part, divide, find_span, list_errors, read_rows
from .overview_attention import Present, list_attention, read_present
from .pages import show_page
from .permits import may_view
from .render import find_page, show_moment, show_state, show_time

TEMPLATE: Final = "durable_django/admin/overview.html"
WORKERS: Final = 100
STALE_SECONDS: Final = 180.0
"""Figures are written within a few seconds after each minute."""


def show_overview(page: ModelAdmin[Run], request: HttpRequest) -> HttpResponse:
    """Return the overview."""
    request.current_app = page.admin_site.name  # as Django's own views do
    if not page.has_view_permission(request):
        raise PermissionDenied
    using, site = get_alias(), page.admin_site
    workers: list[Any] = list(Worker.objects.using(using).annotate(now=Now()).order_by("-seen_at")[:WORKERS])
    now = read_time(workers[0].now) if workers else timezone.now()
    span = find_span(request.GET.get("span", ""))
    present = read_present(using, now)
    rows = read_rows(using, span, now)
    parts = divide(rows, span, now)
    list_url = find_page(site, "run_changelist")
    return show_page(
        page,
        request,
        TEMPLATE,
        title=_("Durable workflows"),
        list_url=list_url,
        attention=list_attention(site, present, workers, now),
        tiles=_list_tiles(present, parts, list_url),
        spans=[{"code": each.code, "label": each.label, "current": each == span} for each in SPANS],
        charts=build_charts(parts, span),
        stale=_tell_stale(rows, workers, now),
        errors=_list_errors(rows, list_url) if may_view(request, RunResult) else None,
        workers=[_tell_worker(row, now) for row in workers if row.name != TICK][:10]
        if may_view(request, Worker)
        else None,
        workers_url=find_page(site, "worker_changelist"),
        tick=_tell_tick(workers, now),
        empty=not present.live and not present.failed and not Run.objects.using(using).exists(),
        now=show_time(now),
    )


def _list_tiles(present: Present, parts: Sequence[Part], list_url: str) -> list[dict[str, Any]]:
    tiles = []
    for code in ("running", "queued", "waiting", "sleeping", "retrying"):
        gauges = [each.gauge(code) for each in parts] if code in ("running", "queued", "waiting") else []
        tiles.append(
            {
                "state": show_state(WORDS[code]),
                "code": code,
                "count": f"{say_number(present.states[code])}{'+' if present.full else ''}",
                "detail": _("oldest: %s") % say_length(present.oldest)
                if code == "queued" and present.oldest is not None
                else "",
                "url": f"{list_url}?status={code}&created=all",
                "spark": _draw_spark(gauges),
            }
        )
    failed = sum(present.failed.values())
    tiles.append(
        {
            "state": show_state(WORDS["failed"]),
            "code": "failed",
            "count": f"{say_number(failed)}{'+' if present.many_failed else ''}",
            "detail": _("last 24 hours"),
            "url": f"{list_url}?status=failed",
            "spark": _draw_spark([each.get("failed") for each in parts]),
        }
    )
    return tiles


def _draw_spark(values: Sequence[float | None]) -> str:
    top = find_top(max((value or 0 for value in values), default=0))
    return trace(values, top, width=200.0, height=HEIGHT / 5) if any(values) else ""


def _list_errors(rows: Sequence[Rollup], list_url: str) -> list[dict[str, Any]]:
    return [
        {
            **each,
            "seen": show_moment(each["seen"]),
            "url": f"{list_url}?{_ask_error(each['line'])}",
        }
        for each in list_errors(rows)
    ]


def _ask_error(line: str) -> str:
    return urlencode({"status": "failed", "created": "7d", "error": line.partition(":")[0]})


def _tell_stale(rows: Sequence[Rollup], workers: Sequence[Worker], now: datetime) -> str:
    """Say so if nobody has written figures of late."""
    if not rows:
        return ""
    last = read_time(rows[-1].at)
    age = (now - last).total_seconds() - rows[-1].span * 60
    if age < STALE_SECONDS:
        return ""
    text = _("These figures end %(age)s ago, at %(time)s: nobody has ticked since.")
    return text % {"age": say_length(age), "time": f"{timezone.localtime(last):%H:%M}"}


def _tell_worker(row: Worker, now: datetime) -> dict[str, Any]:
    age = (now - read_time(row.seen_at)).total_seconds()
    return {
        "row": row,
        "alive": age <= ALIVE_SECONDS,
        "seen": _("%s ago") % say_length(age),
        "started": show_moment(row.started_at),
    }


def _tell_tick(workers: Sequence[Worker], now: datetime) -> dict[str, Any]:
    row = next((each for each in workers if each.name == TICK), None)
    if row is None:
        return {"text": _("Nobody has ticked yet."), "late": True}
    age = (now - read_time(row.seen_at)).total_seconds()
    late = age > OVERDUE_SECONDS + settings.TICK_SECONDS
    return {"text": _("The last tick was %s ago.") % say_length(age), "late": late}
