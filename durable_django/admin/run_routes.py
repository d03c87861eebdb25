"""The addresses of what belongs to the list of runs: views, export, news."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import ngettext

from ..models import Run
from .bulk_operations import find_start
from .permits import may
from .render import find_page, show_time
from .run_export import export_runs
from .run_list import NEWS, select_runs
from .run_operations import deny
from .run_views import delete_view, list_views, read_query, save_view
from .sections import list_sections


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
    count = 0 if found is None or found.problem else found.count_news(since)
    response: HttpResponse = HttpResponse(status=204)
    if count:
        shown = f"{count}+" if count == NEWS else str(count)
        text = ngettext("%s new run.", "%s new runs.", count) % shown
        response = JsonResponse({"count": count, "text": text})
    response["Cache-Control"] = "no-store"
    return response


def build_context(page: ModelAdmin[Run], request: HttpRequest) -> dict[str, Any]:
    """Return what the template of the list wants besides the list."""
    site, query = page.admin_site, read_query(request)
    suffix = f"?{query}" if query else ""
    export = find_page(site, "run_export") if may(request, "export") else ""
    return {
        "sections": list_sections(site, request),
        "views": list_views(page, request),
        "save_url": f"{find_page(site, 'run_view_save')}{suffix}",
        "export_url": f"{export}{suffix}" if export else "",
        "bulk_url": find_start(site, request, "run", query),
        "news_url": find_page(site, "run_news"),
        "asked_at": show_time(timezone.now()),
    }
