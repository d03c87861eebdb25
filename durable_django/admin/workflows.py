"""Workflows: all that anything is known of, and a page for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..define.cron import Cron
from ..engine.alias import get_alias
from ..engine.words import WORDS, name_state, say_instant
from ..models import PauseNew, Rollup, Run, WorkflowState
from .base import ReadOnlyAdmin
from .bulk_operations import list_choices
from .charts import HEIGHT, find_top, trace
from .figure_charts import build_charts, say_number, say_seconds
from .figures import SPANS, divide, find_span, list_errors, read_rows
from .operation_routes import list_workflow_operations
from .pages import build_trail, check_view, show_gone, show_page
from .permits import may_do
from .render import ICONS, NOTHING, find_page, show_link, show_moment, show_state, show_time
from .workflow_rows import Row, read_config, read_workflows, tell_trigger

LIST: Final = "durable_django/admin/workflow_list.html"
PAGE: Final = "durable_django/admin/workflow.html"
TIMES: Final = 5
RECENT: Final = 10
BUTTONS: Final = (
    ("invoke", "invoke_workflow", gettext_lazy("Invoke…")),
    ("pause", "pause_workflow", gettext_lazy("Pause…")),
    ("resume", "pause_workflow", gettext_lazy("Resume…")),
)


@admin.register(WorkflowState)
class WorkflowAdmin(ReadOnlyAdmin):
    """What the code declares and what became of it."""

    list_display = ("id",)
    list_columns = ("id",)

    def get_urls(self) -> list[URLPattern]:
        """Add the actions."""
        return list_workflow_operations(self) + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show all workflows, in four queries."""
        check_view(self, request)
        using = get_alias()
        rows, whole, now = read_workflows(using)
        wanted = request.GET.get("q", "").strip().lower()
        found = [row for row in rows if wanted in row.id.lower()]
        return show_page(
            self,
            request,
            LIST,
            title=_("Workflows"),
            rows=[_tell_row(self, row, whole, now) for row in found],
            wanted=request.GET.get("q", ""),
            empty=not rows,
            now=show_time(now),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show one."""
        check_view(self, request)
        using, key = get_alias(), unquote(object_id)
        rows, whole, now = read_workflows(using, key)
        row = rows[0] if rows and key else None
        if row is None:
            return show_gone(self, request, key)
        told = _tell(self, request, row, whole, now)
        return show_page(self, request, PAGE, title=row.id, trail=build_trail(self, ("", row.id)), **told)


def _tell_row(page: WorkflowAdmin, row: Row, whole: bool, now: datetime) -> dict[str, Any]:
    total, site = row.total, page.admin_site
    runs = find_page(site, "run_changelist")
    ended = total["completed"] + total["failed"]
    hours = [row.hours[at] for at in sorted(row.hours)]
    return {
        "id": row.id,
        "url": find_page(site, "workflowstate_change", quote(row.id)),
        "runs_url": _list_runs(runs, row.id),
        "failed_url": _list_runs(runs, row.id, status="failed", by="ended", created="24h"),
        "state": _tell_state(row, now),
        "app": _find_app(row),
        "triggers": row.triggers,
        "live": [
            (
                WORDS[code],
                ICONS[code],
                say_number(row.live[code]) + ("" if whole else "+"),
                _list_runs(runs, row.id, status=code, created="all"),
            )
            for code in ("running", "queued", "paused", "waiting", "sleeping", "retrying", "stuck")
            if row.live[code]
        ],
        "completed": say_number(total["completed"]),
        "failed": say_number(total["failed"]) if total["failed"] else "",
        "good": total["completed"],
        "ended": ended,
        "share": round(total["failed"] / ended * 100) if ended else None,
        "code": _tell_code(row, now),
        "p95": say_seconds(row.p95) if row.p95 is not None else "–",
        "last_failure": _show_failure(page, row),
        "spark": _draw(hours) if len(hours) > 1 else "",
    }


def _show_failure(page: WorkflowAdmin, row: Row) -> Any:
    when = show_moment(row.last_failure)
    url = find_page(page.admin_site, "run_change", row.failure.pk) if row.failure else ""
    return format_html('<a href="{}">{}</a>', url, when) if url else when


def _tell_code(row: Row, now: datetime) -> dict[str, Any]:
    """Say whether somebody has its code: this process, a live worker, or nobody."""
    if row.declared is not None or row.is_seen(now):
        version = row.declared.version if row.declared else row.state.version if row.state else ""
        return {"text": _("yes"), "version": version, "missing": False}
    return {
        "text": _("no, and runs exist") if row.live else _("no"),
        "version": "",
        "missing": bool(row.live),
    }


def _list_runs(url: str, workflow: str, **filters: str) -> str:
    return f"{url}?{urlencode({'workflow': workflow, **filters})}"


def _draw(hours: list[dict[str, Any]]) -> str:
    values = [each["completed"] + each["failed"] for each in hours]
    return trace(values, find_top(max(values)), width=200.0, height=HEIGHT / 5)


def _tell_state(row: Row, now: datetime) -> dict[str, str]:
    if row.paused:
        return {"code": "paused", "icon": ICONS["paused"], "word": _("paused")}
    if row.declared is None and not row.is_seen(now):
        return {"code": "stuck", "icon": "⚠", "word": _("not in the code")}
    return {"code": "completed", "icon": "✓", "word": _("active")}


def _tell(page: WorkflowAdmin, request: HttpRequest, row: Row, whole: bool, now: datetime) -> dict[str, Any]:
    using, span = get_alias(), find_span(request.GET.get("span", ""))
    figures = read_rows(using, span, now, row.id)
    runs = find_page(page.admin_site, "run_changelist")
    return {
        "row": _tell_row(page, row, whole, now),
        "pause": _tell_pause(row),
        "missing": _tell_missing(row, now),
        "buttons": _list_buttons(page, request, row),
        "facts": _list_facts(row),
        "place": _find_place(row),
        "triggers": row.triggers,
        "schedules": _list_schedules(row, now),
        "spans": [{"code": each.code, "label": each.label, "current": each == span} for each in SPANS],
        "charts": build_charts(divide(figures, span, now), span, gauges=False),
        "errors": _list_errors(figures, _list_runs(runs, row.id, status="failed", by="ended", created="7d"))
        if may_do(request, "view_runresult")
        else None,
        "run_now_url": find_page(page.admin_site, "workflow_invoke", row.id)
        if row.declared is not None and may_do(request, "invoke_workflow")
        else "",
        "recent": [_tell_run(page, run) for run in _read_recent(using, row.id)]
        if may_do(request, "view_run")
        else None,
    }


def _tell_pause(row: Row) -> dict[str, Any] | None:
    if row.state is None or row.state.paused_at is None:
        return None
    state = row.state
    text = _("Paused by %(who)s since %(time)s. New runs queue up and start on resume.")
    if state.pause_new == PauseNew.SKIP:
        text = _(
            "Paused by %(who)s since %(time)s. New runs are skipped; they are cancelled and can be retried."
        )
    return {
        "text": text % {"who": state.paused_by, "time": say_instant(state.paused_at)},
        "reason": state.pause_reason,
    }


def _tell_missing(row: Row, now: datetime) -> str:
    if row.declared is not None or row.is_seen(now):
        return ""
    live = sum(row.live.values())
    if not live:
        return _("No code that is loaded here declares this workflow.")
    text = ngettext("%d run exists", "%d runs exist", live) % live
    return _("%s, but no code that is loaded here declares this workflow.") % text


def _list_buttons(page: WorkflowAdmin, request: HttpRequest, row: Row) -> list[tuple[str, Any]]:
    fitting = {"invoke": row.declared is not None, "pause": not row.paused, "resume": row.paused}
    found = []
    for verb, permission, label in BUTTONS:
        url = find_page(page.admin_site, f"workflow_{verb}", row.id)
        if url and fitting[verb] and may_do(request, permission):
            found.append((url, label))
    return found + _list_bulk(page, request, row)


def _list_bulk(page: WorkflowAdmin, request: HttpRequest, row: Row) -> list[tuple[str, Any]]:
    """Return what can be done to many of its runs: a page counts them and asks."""
    url, live = find_page(page.admin_site, "bulk_new"), ",".join(sorted(row.live))
    allowed = list_choices(request, "run")
    found = []
    if url and live and "cancel" in allowed:
        query = urlencode({"action": "cancel", "workflow": row.id, "status": live, "created": "all"})
        found.append((f"{url}?{query}", _("Cancel its runs…")))
    if url and row.total["failed"] and "rerun" in allowed:
        query = urlencode({"action": "rerun", "workflow": row.id, "status": "failed", "created": "24h"})
        found.append((f"{url}?{query}", _("Rerun what failed…")))
    return found


def _list_facts(row: Row) -> list[tuple[str, Any]]:
    facts = [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in read_config(row).items()
        if value not in ("", None) and name != "triggers"
    ]
    seen = show_moment(row.state.seen_at) if row.state else NOTHING
    return [*facts, (_("seen by a worker"), seen)]


def _find_place(row: Row) -> str:
    if row.declared is not None:
        return row.declared.where
    if row.state is not None and row.state.file:
        return f"{row.state.module} ({row.state.file}:{row.state.line})"
    return ""


def _find_app(row: Row) -> str:
    """Return the name of the app that has the code."""
    module = row.declared.function.__module__ if row.declared else row.state.module if row.state else ""
    config = apps.get_containing_app_config(module) if module else None
    return str(config.verbose_name) if config else module.partition(".")[0]


def _list_schedules(row: Row, now: datetime) -> list[dict[str, Any]]:
    crons = [each for each in row.declared.triggers if isinstance(each, Cron)] if row.declared else []
    return [{"cron": tell_trigger(each), "times": _list_times(each, now)} for each in crons]


def _list_errors(figures: Sequence[Rollup], failed_url: str) -> list[dict[str, Any]]:
    return [
        {
            **each,
            "seen": show_moment(each["seen"]),
            "url": f"{failed_url}&{urlencode({'error': each['line'].partition(':')[0]})}",
        }
        for each in list_errors(figures)
    ]


def _list_times(cron: Cron, now: datetime) -> list[str]:
    times, moment = [], now
    for _count in range(TIMES):
        moment = cron.find_next(moment)
        times.append(show_time(moment))
    return times


def _read_recent(using: str, workflow: str) -> list[Run]:
    runs = Run.objects.using(using).filter(workflow=workflow).order_by("-pk")
    return list(runs.only("workflow", "status", "waits_for", "key", "created_at", "ended_at")[:RECENT])


def _tell_run(page: WorkflowAdmin, run: Run) -> dict[str, Any]:
    return {
        "state": show_state(name_state(run)),
        "link": show_link(page.admin_site, Run, run.pk, f"…{str(run.pk)[-8:]}"),
        "key": run.key,
        "created": show_moment(run.created_at),
        "ended": show_moment(run.ended_at),
    }
