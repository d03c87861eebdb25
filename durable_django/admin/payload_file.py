"""Payloads as files of JSON, for what is too long for a page; only for those who may see payloads."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.reveal import reveal_event, reveal_step
from ..models import Event, Step
from .pages import check_view, show_gone
from .permits import may_see_payloads
from .render import SHOWN_CHARACTERS, find_page


def route_file(page: ModelAdmin[Any], where: str, name: str) -> URLPattern:
    """Return the route of the payload of a row of the page's model."""

    def view(request: HttpRequest, key: Any) -> HttpResponse:
        return send_file(page, request, str(key))

    return path(where, page.admin_site.admin_view(view), name=f"durable_django_{name}")


def send_file(page: ModelAdmin[Any], request: HttpRequest, key: str) -> HttpResponse:
    """Return the payload of a row, masked, in full."""
    check_view(page, request)
    if not may_see_payloads(request):
        raise PermissionDenied
    rows = page.model._default_manager.using(get_alias())
    row = rows.filter(pk=key).first()
    if row is None:
        return show_gone(page, request, key)
    text = json.dumps(_reveal(row), indent=2, ensure_ascii=False, default=str)
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{page.opts.model_name}-{key}.json"'
    response["Cache-Control"] = "no-store"
    return response


def link_file(page: ModelAdmin[Any], name: str, key: Any, size: int) -> str:
    """Return a link to the file of a payload that a page does not show in full."""
    url = find_page(page.admin_site, name, key) if size > SHOWN_CHARACTERS else ""
    return format_html('<p><a href="{}">{}</a></p>', url, _("Download all of it")) if url else ""


def _reveal(row: Any) -> Any:
    if isinstance(row, Event):
        return reveal_event(row)
    assert isinstance(row, Step)
    return reveal_step(row, row.run.workflow)
