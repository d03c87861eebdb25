"""The page of a bulk operation, which shows its progress, and the fragment that the script asks for again."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..clock import read_now
from ..engine.alias import get_alias
from ..models import AuditEntry, BulkOperation, BulkState, Run
from ..store.time_limit import TimeLimitReached, time_limit
from .bulk_export import may_export
from .bulk_words import (
    find_hitch,
    name_action,
    say_chosen,
    say_matched,
    say_progress,
    say_speed,
    show_bulk_state,
)
from .pages import build_trail, check_view, show_gone, show_page
from .permits import may_do, may_view
from .render import find_page, show_link, show_rows, show_time

PAGE: Final = "durable_django/admin/bulk.html"
REGIONS: Final = "durable_django/admin/bulk_regions.html"
REFUSALS: Final = 50
SECONDS: Final = 1.0
NOT_DONE: Final = (
    Q(result__startswith="refused") | Q(result__startswith="failed") | Q(result__startswith="wait ")
)


def show_bulk(page: ModelAdmin[BulkOperation], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page of a bulk operation."""
    check_view(page, request)
    bulk = _find(key)
    if bulk is None:
        return show_gone(page, request, key)
    title = _("Bulk operation %(id)d: %(action)s") % {"id": bulk.pk, "action": name_action(bulk)}
    return show_page(
        page,
        request,
        PAGE,
        title=title,
        trail=build_trail(page, ("", f"#{bulk.pk}")),
        live_url=find_page(page.admin_site, "bulk_live", bulk.pk),
        **_build_context(page, request, bulk),
    )


def show_bulk_fragment(page: ModelAdmin[BulkOperation], request: HttpRequest, key: int) -> HttpResponse:
    """Return the regions of the page if they are new, 204 if not, 401 if the login is gone."""
    if not page.admin_site.has_permission(request):
        return HttpResponse(status=401)
    if not page.has_view_permission(request):
        return HttpResponse(status=403)
    bulk = _find(str(key))
    if bulk is None:
        response = HttpResponse(status=404)
    elif request.GET.get("rev") == _revise(bulk):
        response = HttpResponse(status=204)
    else:
        request.current_app = page.admin_site.name
        context = _build_context(page, request, bulk)
        response = TemplateResponse(request, REGIONS, context)
        response["X-Durable-Revision"] = context["revision"]
        response["X-Durable-Live"] = "on" if context["live"] else "off"
    response["Cache-Control"] = "no-store"
    return response


def _find(key: str) -> BulkOperation | None:
    if not key.isdecimal() or len(key) > 18:
        return None
    return BulkOperation.objects.using(get_alias()).filter(pk=int(key)).first()


def _revise(bulk: BulkOperation) -> str:
    return f"{bulk.state}-{bulk.done}-{bulk.skipped}-{bulk.failed}-{bulk.token}"


def _build_context(
    page: ModelAdmin[BulkOperation], request: HttpRequest, bulk: BulkOperation
) -> dict[str, Any]:
    now = read_now(get_alias())
    seen = bulk.done + bulk.skipped + bulk.failed
    return {
        "bulk": bulk,
        "live": bulk.state == BulkState.RUNNING,
        "revision": _revise(bulk),
        "state": show_bulk_state(bulk),
        "word": bulk.get_state_display(),
        "progress": say_progress(bulk),
        "seen": seen,
        "most": max(seen, bulk.matched or 0, 1),
        "hitch": find_hitch(bulk, now),
        "facts": _list_facts(bulk),
        "buttons": _list_buttons(page, request, bulk),
        "refusals": _list_refusals(page, request, bulk),
        "log_url": _find_log(page, request, bulk),
        "export_url": find_page(page.admin_site, "bulk_export", bulk.pk) if may_export(request) else "",
    }


def _list_facts(bulk: BulkOperation) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        (_("chosen"), say_chosen(bulk)),
        (_("matched at the start"), say_matched(bulk)),
        (_("created before"), show_time(bulk.cutoff)),
        (_("started by"), bulk.actor),
        (_("reason"), bulk.reason),
        (_("started"), show_time(bulk.created_at)),
        (_("ended"), show_time(bulk.ended_at) if bulk.ended_at else ""),
        (_("runs that they invoked"), _say_children(bulk)),
        (_("speed"), say_speed(bulk)),
        (_("worker"), bulk.owner),
    ]
    return [(label, value) for label, value in facts if value]


def _say_children(bulk: BulkOperation) -> str:
    if bulk.action != "cancel":
        return ""
    return _("cancelled too") if '"children"' in bulk.arguments else _("left alone")


def _list_buttons(
    page: ModelAdmin[BulkOperation], request: HttpRequest, bulk: BulkOperation
) -> list[tuple[str, Any]]:
    if not may_do(request, "bulk_operate"):
        return []
    found = {
        BulkState.RUNNING: [("bulk_stop", _("Stop…"))],
        BulkState.STOPPED: [("bulk_continue", _("Continue…"))],
    }
    names = found.get(BulkState(bulk.state), [])
    return [(find_page(page.admin_site, name, bulk.pk), label) for name, label in names]


def _list_refusals(page: ModelAdmin[BulkOperation], request: HttpRequest, bulk: BulkOperation) -> str:
    if not (bulk.skipped or bulk.failed) or not may_view(request, AuditEntry):
        return ""
    entries = AuditEntry.objects.using(get_alias()).filter(NOT_DONE, bulk_id=bulk.pk).order_by("id")
    try:
        with time_limit(get_alias(), SECONDS):
            found = list(entries[:REFUSALS])
    except TimeLimitReached:
        return _("They are too far apart to be found at once; look at the operator log.")
    if not found:
        return ""
    rows = [(_show_run(page, entry), show_time(entry.at), entry.result) for entry in found]
    return show_rows((_("run"), _("at"), _("result")), rows)


def _show_run(page: ModelAdmin[BulkOperation], entry: AuditEntry) -> Any:
    return show_link(page.admin_site, Run, entry.run_id) if entry.run_id else ""


def _find_log(page: ModelAdmin[BulkOperation], request: HttpRequest, bulk: BulkOperation) -> str:
    if not may_view(request, AuditEntry):
        return ""
    return f"{find_page(page.admin_site, 'auditentry_changelist')}?bulk={bulk.pk}"
