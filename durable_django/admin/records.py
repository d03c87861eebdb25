"""The operator log and the workers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import AuditEntry, Run, Worker
from .base import ReadOnlyAdmin
from .render import show_link


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, and what came of it; nobody can delete it here."""

    list_display = ("at", "actor", "action", "run_link", "workflow", "reason", "result")
    list_columns = ("at", "actor", "action", "run_id", "workflow", "reason", "result")
    search_column = "run_id"
    search_help_text = _("A full run id")
    fields = list_display
    readonly_fields = fields

    @admin.display(description=_("run"))
    def run_link(self, entry: AuditEntry) -> str:
        """Link to the run, even if it is gone."""
        return show_link(self.admin_site, Run, entry.run_id)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Processes that reported themselves."""

    list_display = ("name", "kind", "queues", "started_at", "seen_at")
    list_columns = list_display
    search_help_text = _("A worker's full name")
    fields = list_display
    readonly_fields = fields

    def read_term(self, term: str) -> Any:
        """Search by name."""
        return term
