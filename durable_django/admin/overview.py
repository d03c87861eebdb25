"""The overview: what needs somebody, how much there is to do, how it went, who works; in five queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..clock import Now, read_time
from ..conf import settings
from ..engine.alias import get_alias
from ..engine.diagnose import OVERDUE_SECONDS, TICK
from ..engine.operate_workers import read_state
from ..engine.words import WORDS, say_length
from ..models import Rollup, Run, RunResult, Worker
from ..store.time_limit import TimeLimitReached, time_limit
from .charts import HEIGHT, find_top, trace
from .figure_charts import build_charts, say_number
from .figures import SPANS, Part, divide, find_span, list_errors, read_rows
from .overview_attention import NOTHING_READ, Present, list_attention, read_present
from .pages import show_page
from .permits import may_do, may_view
from .render import NOTHING, find_page, show_moment, show_state, show_time
from .worker_words import show_worker_state

TEMPLATE: Final = "durable_django/admin/overview.html"
WORKERS: Final = 100
PACE_MINUTES: Final = 10
ENDS: Final = ("completed", "failed", "cancelled")
READ_SECONDS: Final = 3.0
T = TypeVar("T")
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
    problems: list[str] = []
    present = _try(using, lambda: read_present(using, now), NOTHING_READ, _("What there is now"), problems)
    rows: list[Rollup] = _try(using, lambda: read_rows(using, span, now), [], _("The figures"), problems)
    parts = divide(rows, span, now)
    list_url = find_page(site, "run_changelist")
    return show_page(
        page,
        request,
        TEMPLATE,
        title=_("Durable workflows"),
        list_url=list_url,
        problems=problems,
        attention=list_attention(site, present, workers, now),
        tiles=_list_tiles(present, parts, rows, list_url, now),
        spans=[{"code": each.code, "label": each.label, "current": each == span} for each in SPANS],
        charts=build_charts(parts, span),
        stale=_tell_stale(rows, workers, now),
        errors=_list_errors(rows, list_url) if may_view(request, RunResult) else None,
        workers=[_tell_worker(row, now) for row in workers if row.name != TICK][:10]
        if may_view(request, Worker)
        else None,
        workers_url=find_page(site, "worker_changelist"),
        tick=_tell_tick(workers, now),
        invoke_url=find_page(site, "workflowstate_changelist") if may_do(request, "invoke_workflow") else "",
        empty=present.read
        and not present.live
        and not present.failed_today
        and not Run.objects.using(using).exists(),
        now=show_time(now),
    )


def _try(using: str, read: Callable[[], T], instead: T, name: str, problems: list[str]) -> T:
    """Return what is read, or what stands for it if that fails or takes too long; the rest of the page stays."""
    try:
        with time_limit(using, READ_SECONDS):
            return read()
    except TimeLimitReached:
        problems.append(_("%s could not be read within 3 s.") % name)
    except OperationalError:
        problems.append(_("%s could not be read.") % name)
    return instead


def _list_tiles(
    present: Present, parts: Sequence[Part], rows: Sequence[Rollup], list_url: str, now: datetime
) -> list[dict[str, Any]]:
    tiles = []
    for code in ("running", "queued", "waiting", "sleeping", "retrying"):
        gauges = [each.gauge(code) for each in parts] if code in ("running", "queued", "waiting") else []
        tiles.append(
            {
                "state": show_state(WORDS[code]),
                "code": code,
                "count": f"{say_number(present.states[code])}{'+' if present.full else ''}"
                if present.read
                else NOTHING,
                "detail": _("oldest: %s") % say_length(present.oldest)
                if code == "queued" and present.oldest is not None
                else "",
                "url": f"{list_url}?status={code}&created=all",
                "spark": _draw_spark(gauges),
            }
        )
    failed = present.failed_today
    tiles.append(
        {
            "state": show_state(WORDS["failed"]),
            "code": "failed",
            "count": f"{say_number(failed)}{'+' if present.many_failed else ''}" if present.read else NOTHING,
            "detail": _("last 24 hours"),
            "url": f"{list_url}?status=failed&by=ended",
            "spark": _draw_spark([each.get("failed") for each in parts]),
        }
    )
    ended = [sum(each.get(name) or 0 for name in ENDS) for each in parts]
    tiles.append(
        {
            "state": _("ended per minute"),
            "code": "completed",
            "count": say_number(round(measure_pace(rows, now), 1)),
            "detail": _("last hour") if rows and rows[0].span > PACE_MINUTES else _("last 10 minutes"),
            "url": f"{list_url}?by=ended&created=1h",
            "spark": _draw_spark(ended),
        }
    )
    return tiles


def measure_pace(rows: Sequence[Rollup], now: datetime) -> float:
    """Return how many runs a minute ended in the last ten minutes, or hour if rows stand for hours."""
    if not rows:
        return 0.0
    minutes = max(PACE_MINUTES, rows[0].span)
    begin = now - timedelta(minutes=minutes + rows[0].span)  # a row is written when its time is over
    recent = [row for row in rows if read_time(row.at) >= begin]
    ended: int = sum(getattr(row, name) for row in recent for name in ENDS)
    return ended / minutes


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
        "state": show_worker_state(read_state(row)),
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
