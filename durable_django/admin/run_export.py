"""The runs of a filter as a file, streamed by pages of keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.alias import get_alias
from ..engine.words import name_state
from ..models import AuditEntry, Run
from .actions import get_actor
from .export_file import answer_file, choose_kind, simplify
from .permits import may
from .render import find_page
from .run_list import select_runs
from .run_views import read_query

MOST: Final = 100_000
CHUNK: Final = 2_000
COLUMNS: Final = (
    "id",
    "workflow",
    "status",
    "key",
    "origin",
    "queue",
    "version",
    "created_at",
    "started_at",
    "ended_at",
    "waits_for",
    "wake_at",
    "attempt",
    "reason",
    "event_id",
    "parent_id",
    "rerun_of",
)


def export_runs(page: ModelAdmin[Run], request: HttpRequest, deny: Callable[..., None]) -> HttpResponseBase:
    """Return the runs that the address asks for as a file, and note who took it."""
    if request.method != "POST":
        return HttpResponse(status=405)
    if not (page.has_view_permission(request) and may(request, "export")):
        deny(request, "export", None)
        raise PermissionDenied
    found = select_runs(page, request)
    if found is None or found.problem:
        messages.error(request, found.problem if found else _("These filters are not known."))
        return HttpResponseRedirect(f"{find_page(page.admin_site, 'run_changelist')}?{read_query(request)}")
    return answer_runs(request, found.queryset, request.POST.get("format", ""), read_query(request))


@admin.action(permissions=["export"], description=gettext_lazy("Export selected runs as CSV"))
def export_selected(page: ModelAdmin[Run], request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponseBase:
    """Return the ticked runs as a file."""
    told = ", ".join(f"…{key[-8:]}" for key in request.POST.getlist(ACTION_CHECKBOX_NAME))
    return answer_runs(request, queryset, "csv", f"{_('selected')}: {told}")


def answer_runs(request: HttpRequest, runs: QuerySet[Run], kind: str, told: str) -> StreamingHttpResponse:
    """Return runs as a file, ``jsonl`` or else ``csv``; the operator log names the filter.

    The log is written first: what cannot be noted is not handed out.
    """
    kind = choose_kind(kind)
    AuditEntry.objects.using(get_alias()).create(
        actor=get_actor(request), action="export", reason=told[:255], result=f"{kind}, at most {MOST} runs"
    )
    return answer_file("runs", kind, COLUMNS, _read(runs))


def _read(runs: QuerySet[Run]) -> Iterator[dict[str, Any]]:
    rows, sent = runs.only(*COLUMNS).order_by("-pk"), 0
    chunk = list(rows[:CHUNK])
    while chunk and sent < MOST:
        for run in chunk[: MOST - sent]:
            yield _show(run)
        sent += len(chunk)
        chunk = list(rows.filter(pk__lt=chunk[-1].pk)[:CHUNK]) if len(chunk) == CHUNK else []


def _show(run: Run) -> dict[str, Any]:
    shown = {name: getattr(run, name) for name in COLUMNS}
    shown["status"] = name_state(run).code
    return {name: simplify(value) for name, value in shown.items()}
