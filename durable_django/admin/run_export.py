"""The runs of a filter as a file, streamed by pages of keys.

Note [A cell is never a formula]
    Spreadsheets execute text that begins like a formula, and keys, reasons and the like come from outside. Such
    a cell gets an apostrophe before it. JSON lines need none.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils import timezone
from django.utils.translation import gettext as _

from ..clock import read_time
from ..engine.alias import get_alias
from ..engine.words import name_state
from ..models import AuditEntry, Run
from .actions import get_actor
from .permits import may
from .render import find_page
from .run_list import select_runs
from .run_views import read_query

MOST: Final = 100_000
CHUNK: Final = 2_000
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
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


def answer_runs(request: HttpRequest, runs: QuerySet[Run], kind: str, told: str) -> StreamingHttpResponse:
    """Return runs as a file, ``jsonl`` or else ``csv``; the operator log names the filter.

    The log is written first: what cannot be noted is not handed out.
    """
    kind = kind if kind in WRITERS else "csv"
    AuditEntry.objects.using(get_alias()).create(
        actor=get_actor(request), action="export", reason=told[:255], result=f"{kind}, at most {MOST} runs"
    )
    content_type = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}[kind]
    response = StreamingHttpResponse(WRITERS[kind](_read(runs)), content_type=content_type)
    stamp = timezone.localtime().strftime("%Y%m%d-%H%M%S")
    response["Content-Disposition"] = f'attachment; filename="runs-{stamp}.{kind}"'
    response["Cache-Control"] = "no-store"
    return response


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
    return {
        name: read_time(value).isoformat()
        if isinstance(value, datetime)
        else value
        if value is None
        else _plain(value)
        for name, value in shown.items()
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)


class _Echo:
    """Hands what is written to it back."""

    def write(self, text: str) -> str:
        return text


def _write_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([neutralize(row[name]) for name in COLUMNS])


def _write_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def neutralize(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


WRITERS: Final[dict[str, Callable[[Iterable[dict[str, Any]]], Iterator[str]]]] = {
    "csv": _write_csv,
    "jsonl": _write_lines,
}
