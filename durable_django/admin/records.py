"""The operator log."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import AuditEntry, Run
from .keyed_list import KeyedAdmin
from .log_filters import (
    ActionFilter,
    LogFilter,
    LogRangeFilter,
    ResultFilter,
    is_id,
    is_slow,
    select_actor,
)
from .render import NOTHING, find_page, show_link, show_moment


@admin.register(AuditEntry)
class AuditEntryAdmin(KeyedAdmin):
    """Who did what, and what came of it; nobody can delete it here."""

    nothing_yet = _("No actions recorded.")
    list_display = (
        "when",
        "actor",
        "action",
        "run_link",
        "workflow",
        "reason",
        "shown_result",
        "ip",
        "bulk_link",
    )
    list_display_links = ("when",)
    list_columns = ("at", "actor", "action", "run_id", "workflow", "reason", "result", "ip", "bulk_id")
    list_filter = (ActionFilter, ResultFilter, LogRangeFilter, LogFilter)
    search_help_text = _("A full run id, a user's name, a workflow, or an address")
    fields = ("at", "actor", "action", "run_link", "workflow", "reason", "result", "ip", "bulk_link")
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by run, workflow, address, or who acted: as it is noted, or the name or the key alone."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if is_id(term):
            return queryset.filter(run_id=UUID(term)), False
        wanted = select_actor(term) | Q(workflow=term) | Q(ip=term, ip__gt="")
        return queryset.filter(wanted), False

    def find_obstacle(self, request: HttpRequest, found: Any) -> str:
        """Want a range of time for what is looked for row by row."""
        chosen = next(each for each in found.filter_specs if isinstance(each, LogRangeFilter))
        if not is_slow(request) or not chosen.is_long():
            return ""
        return gettext("What you look for is looked for row by row. Choose a range of at most 31 days.")

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
