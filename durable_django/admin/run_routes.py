"""The addresses of what belongs to the list of runs: views, export, news."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.admin import ModelAdmin
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import ngettext

from ..engine.alias import get_alias
from ..models import Run
from ..store.time_limit import TimeLimitReached, time_limit
from .bulk_operations import find_start
from .keyed_list import COUNT_SECONDS
from .permits import may, may_do, may_see_payloads
from .render import find_page
from .run_columns import NAMES as COLUMNS
from .run_columns import list_choices
from .run_export import export_runs
from .run_list import NEWS, UnreadChangeList, select_runs
from .run_operations import deny
from .run_views import delete_view, list_views, read_query, save_view


def list_routes(page: ModelAdmin[Run]) -> list[URLPattern]:
    """Return the routes."""
    ask = page.admin_site.admin_view

    def export(request: HttpRequest) -> HttpResponseBase:
        return export_runs(page, request, deny)

    return [
        path("views/save/", ask(partial(save_view, page)), name="durable_django_run_view_save"),
        path(
            "views/<int:key>/delete/", ask(partial(delete_view, page)), name="durable_django_run_view_delete"
        ),
        path("export/", ask(export), name="durable_django_run_export"),
        # Not through admin_view, which would answer a lost login with a page instead of 401.
        path("news/", partial(tell_news, page), name="durable_django_run_news"),
    ]


def tell_news(page: ModelAdmin[Run], request: HttpRequest) -> HttpResponse:
    """Return how many runs came after the first one of a list; 204 for none."""
    if not page.admin_site.has_permission(request):
        return HttpResponse(status=401)
    if not page.has_view_permission(request):
        return HttpResponse(status=403)
    since = request.GET.get("since", "")
    kept: Any = request.GET.copy()  # Django takes what it does not know for a field
    kept.pop("since", None)
    request.GET = kept
    found = select_runs(page, request)
    count = 0 if found is None or found.problem else _count_news(found, since)
    response: HttpResponse = HttpResponse(status=204)
    if count:
        shown = f"{count}+" if count == NEWS else str(count)
        text = ngettext("%s new run.", "%s new runs.", count) % shown
        response = JsonResponse({"count": count, "text": text})
    response["Cache-Control"] = "no-store"
    return response


def _count_news(found: UnreadChangeList, since: str) -> int:
    try:
        with time_limit(get_alias(), COUNT_SECONDS):
            return found.count_news(since)
    except (DataError, TimeLimitReached):  # the list itself says what is wrong with what was asked for
        return 0


def build_context(page: ModelAdmin[Run], request: HttpRequest) -> dict[str, Any]:
    """Return what the template of the list wants besides the list."""
    site, query = page.admin_site, read_query(request)
    suffix = f"?{query}" if query else ""
    export = find_page(site, "run_export") if may(request, "export") else ""
    return {
        "views": list_views(page, request),
        "save_url": f"{find_page(site, 'run_view_save')}{suffix}",
        "export_url": f"{export}{suffix}" if export else "",
        "bulk_url": find_start(site, request, "run", _drop_columns(query)),
        "columns": list_choices(request),
        "kept": [(name, value) for name, value in parse_qsl(query) if name not in COLUMNS],
        "may_test": may_see_payloads(request),
        "news_url": find_page(site, "run_news"),
        "invoke_url": find_page(site, "workflowstate_changelist")
        if may_do(request, "invoke_workflow")
        else "",
    }


def _drop_columns(query: str) -> str:
    return urlencode([pair for pair in parse_qsl(query) if pair[0] not in COLUMNS])
