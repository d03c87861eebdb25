"""The console's own navigation: its lists and pages, as far as the site has them and the user may see them."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .permits import may_do
from .render import find_page

SECTIONS: Final = (
    (_("Overview"), "overview", "view_run"),
    (_("Runs"), "run_changelist", "view_run"),
    (_("Workflows"), "workflowstate_changelist", "view_workflowstate"),
    (_("Events"), "event_changelist", "view_event"),
    (_("Waits"), "wait_changelist", "view_wait"),
    (_("Workers & queues"), "worker_changelist", "view_worker"),
    (_("Bulk operations"), "bulkoperation_changelist", "view_bulkoperation"),
    (_("Operator log"), "auditentry_changelist", "view_auditentry"),
    (_("Health"), "health", "view_worker"),
)


def list_sections(site: AdminSite, request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links, in order; the longest address that begins the present one is marked as current."""
    found = []
    for title, name, permission in SECTIONS:
        url = find_page(site, name)
        if url and may_do(request, permission):
            found.append({"title": title, "url": url, "current": False})
    here = [each for each in found if request.path.startswith(str(each["url"]))]
    if here:
        max(here, key=lambda each: len(str(each["url"])))["current"] = True
    return found
