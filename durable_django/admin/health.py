"""The health page: what the doctor finds, and on demand whether the stored data keeps its promises."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.invariants import find_violations, list_invariants
from ..management.health import examine
from .pages import show_page
from .render import show_sentence, show_time

PAGE: Final = "durable_django/admin/health.html"
SECONDS: Final = 3.0
"""What one check of the data may take; all of them together answer within a web request."""
ROWS: Final = 5
STATES: Final = {"ok": ("completed", "✓"), "warn": ("retrying", "⚠"), "fail": ("failed", "✕")}


def show_health(page: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Return the findings; a POST also checks the data, which changes nothing."""
    request.current_app = page.admin_site.name  # as Django's own views do
    if not page.has_view_permission(request):
        raise PermissionDenied
    using = get_alias()
    words = {"ok": _("good"), "warn": _("look"), "fail": _("bad")}
    findings = [
        {
            "found": each,
            "code": STATES[each.level][0],
            "icon": STATES[each.level][1],
            "word": words[each.level],
            "remedy": show_sentence(each.remedy or ""),
        }
        for each in examine(using)
    ]
    return show_page(
        page,
        request,
        PAGE,
        title=_("Health"),
        findings=findings,
        checked=_check(using) if request.method == "POST" else None,
        now=show_time(timezone.now()),
    )


def _check(using: str) -> dict[str, Any]:
    found = find_violations(using, rows=ROWS, seconds=SECONDS)
    return {
        "count": len(list_invariants(using)),
        "violations": [
            {"each": each, "rows": [json.dumps(row, default=str) for row in each.rows]} for each in found
        ],
    }
