"""The operator log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..clock import Now
from ..models import AuditEntry, Run
from .keyed_list import KeyedAdmin
from .render import NOTHING, find_page, show_link, show_moment

ACTIONS: Final = (
    ("cancel", _("cancel")),
    ("retry", _("retry")),
    ("rerun", _("rerun")),
    ("delete", _("delete")),
    ("wake", _("wake")),
    ("resolve", _("resolve a wait")),
    ("time_out", _("time out a wait")),
    ("extend", _("extend a wait")),
    ("supply", _("supply a result")),
    ("send", _("send an event")),
    ("resend", _("send an event again")),
    ("invoke", _("invoke")),
    ("pause", _("pause")),
    ("resume", _("resume")),
    ("bulk", _("bulk operation")),
    ("export", _("export")),
)
RESULTS: Final = (("done", _("done")), ("refused", _("refused")), ("denied", _("denied")))
AGES: Final = {
    "1h": (_("last hour"), timedelta(hours=1)),
    "24h": (_("last 24 hours"), timedelta(hours=24)),
    "7d": (_("last 7 days"), timedelta(days=7)),
    "30d": (_("last 30 days"), timedelta(days=30)),
}
DENIED: Final = Q(result="denied")
REFUSED: Final = Q(result__startswith="refused")


class ActionFilter(SimpleListFilter):
    """What was done or tried."""

    title = _("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the actions of the engine."""
        return list(ACTIONS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the action; those of a family begin alike."""
        return queryset.filter(action__startswith=self.value()) if self.value() else queryset


class ResultFilter(SimpleListFilter):
    """What came of it."""

    title = _("result")
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return done, refused, denied."""
        return list(RESULTS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the result."""
        chosen = {"denied": DENIED, "refused": REFUSED, "done": ~DENIED & ~REFUSED}
        return queryset.filter(chosen.get(self.value() or "", Q()))


class AgeFilter(SimpleListFilter):
    """When."""

    title = _("time")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges."""
        return [(code, label) for code, (label, _length) in AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the range."""
        chosen = AGES.get(self.value() or "")
        return queryset.filter(at__gte=Now() - chosen[1]) if chosen else queryset


class BulkFilter(SimpleListFilter):
    """In the course of which bulk operation; without a choice its place in the margin stays empty."""

    title = _("bulk operation")
    parameter_name = "bulk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the one that was asked for."""
        text = request.GET.get(self.parameter_name, "")
        return [(text, f"#{text}")] if text.isdecimal() and len(text) < 19 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the operation."""
        text = self.value() or ""
        known = text.isdecimal() and len(text) < 19
        return queryset.filter(bulk_id=int(text)) if known else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(KeyedAdmin):
    """Who did what, and what came of it; nobody can delete it here."""

    nothing_yet = _("No actions recorded.")
    list_display = ("when", "actor", "action", "run_link", "workflow", "reason", "shown_result", "bulk_link")
    list_display_links = ("when",)
    list_columns = ("at", "actor", "action", "run_id", "workflow", "reason", "result", "bulk_id")
    list_filter = (ActionFilter, ResultFilter, AgeFilter, BulkFilter)
    search_help_text = _("A full run id, a user's name, or a workflow")
    fields = ("at", "actor", "action", "run_link", "workflow", "reason", "result", "bulk_link")
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by run, by workflow, or by who acted: as it is noted, or the name or the key alone."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = (
            Q(actor=term) | Q(actor__endswith=f" {term}") | Q(actor__startswith=f"{term} ") | Q(workflow=term)
        )
        try:
            wanted |= Q(run_id=UUID(term))
        except ValueError:
            return queryset.filter(wanted), False
        return queryset.filter(wanted), False

    @admin.display(description=_("at"))
    def when(self, entry: AuditEntry) -> str:
        """Show the instant."""
        return show_moment(entry.at)

    @admin.display(description=_("run"))
    def run_link(self, entry: AuditEntry) -> str:
        """Link to the run, even if it is gone."""
        return show_link(self.admin_site, Run, entry.run_id, f"…{str(entry.run_id)[-8:]}")

    @admin.display(description=_("result"))
    def shown_result(self, entry: AuditEntry) -> str:
        """Show it, and make refusals stand out."""
        refused = entry.result == "denied" or entry.result.startswith("refused")
        return format_html('<span class="dd-result{}">{}</span>', " dd-warn" if refused else "", entry.result)

    @admin.display(description=_("bulk operation"))
    def bulk_link(self, entry: AuditEntry) -> str:
        """Link to the bulk operation in whose course it was done."""
        url = find_page(self.admin_site, "bulkoperation_change", entry.bulk_id) if entry.bulk_id else ""
        if not url:
            return str(entry.bulk_id) if entry.bulk_id else NOTHING
        return format_html('<a href="{}">{}</a>', url, entry.bulk_id)
