"""What the pages of single rows share: the frame, the page for what is not stored, parts shown to few."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..conf import settings
from .media import CONSOLE
from .permits import may_see_payloads
from .render import HIDDEN, find_page
from .sections import list_sections

GONE: Final = "durable_django/admin/gone.html"


def check_view(page: ModelAdmin[Any], request: HttpRequest) -> None:
    """Let only those in who may view the model, and only to look."""
    request.current_app = page.admin_site.name  # as Django's own views do
    if not page.has_view_permission(request) or request.method not in ("GET", "HEAD"):
        raise PermissionDenied


def show_page(
    page: ModelAdmin[Any], request: HttpRequest, template: str, *, title: Any, status: int = 200, **shown: Any
) -> HttpResponse:
    """Return a page of the console."""
    context = {
        **page.admin_site.each_context(request),
        "title": title,
        "opts": page.opts,
        "console": CONSOLE,
        "page_model": page.opts.model_name,
        "sections": list_sections(page.admin_site, request),
        **shown,
    }
    return TemplateResponse(request, template, context, status=status)


def show_gone(page: ModelAdmin[Any], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page that says that there is no such row."""
    return show_page(
        page,
        request,
        GONE,
        title=_("Not found"),
        status=404,
        name=page.opts.verbose_name,
        key=key,
        days=settings.RETENTION_DAYS,
        trail=build_trail(page),
    )


def build_trail(page: ModelAdmin[Any], *further: tuple[str, Any]) -> list[tuple[str, Any]]:
    """Return the links above a page: the overview, the list of the model, what is given."""
    site, name = page.admin_site, page.opts.model_name
    titles = {
        "run": _("Runs"),
        "event": _("Events"),
        "wait": _("Waits"),
        "step": _("Steps"),
        "workflowstate": _("Workflows"),
        "bulkoperation": _("Bulk operations"),
    }
    listed = find_page(site, f"{name}_changelist")
    title = titles.get(str(name), page.opts.verbose_name_plural)
    return [(find_page(site, "overview"), _("Overview")), (listed, title), *further]


def guard(request: HttpRequest, show: Any) -> Any:
    """Return what ``show`` returns if the user may see payloads, otherwise the sentence instead of it."""
    return show() if may_see_payloads(request) else HIDDEN
