"""Steps and failed attempts: each a list, and a page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from ..models import Attempt, Run, Step
from .asking import route
from .keyed_list import KeyedAdmin
from .payload_file import route_file
from .render import show_link, show_text
from .step_operations import Supply
from .step_page import show_step


class PartAdmin(KeyedAdmin):
    """Rows that belong to a run."""

    search_column = "run_id"
    search_help_text = _("A full run id")

    @admin.display(description=_("run"))
    def run_link(self, row: Step | Attempt) -> str:
        """Link to the run."""
        return show_link(self.admin_site, Run, row.run_id)


@admin.register(Step)
class StepAdmin(PartAdmin):
    """Memos."""

    list_display = ("name", "index", "run_link", "kind", "status", "attempt", "started_at", "ended_at")
    list_columns = ("name", "index", "run", "kind", "status", "attempt", "started_at", "ended_at")
    list_filter = ("status", "kind")

    def get_urls(self) -> list[URLPattern]:
        """Add the action on a step."""
        own = [
            route(self, "<int:key>/supply/", Supply, "step_supply"),
            route_file(self, "<int:key>/output/", "step_output"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the step."""
        return show_step(self, request, object_id)


@admin.register(Attempt)
class AttemptAdmin(PartAdmin):
    """Failures on the way."""

    list_display = ("name", "index", "number", "run_link", "error_type", "worker", "ended_at", "retry_at")
    list_columns = ("name", "index", "number", "run", "error_type", "worker", "ended_at", "retry_at")
    list_display_links = ("name", "number")
    fields = (
        "run_link",
        "name",
        "index",
        "number",
        "error_type",
        "shown_message",
        "shown_traceback",
        "worker",
        "started_at",
        "ended_at",
        "retry_at",
    )
    readonly_fields = fields

    @admin.display(description=_("message"))
    def shown_message(self, attempt: Attempt) -> str:
        """Show the message of the exception."""
        return show_text(attempt.message)

    @admin.display(description=_("traceback"))
    def shown_traceback(self, attempt: Attempt) -> str:
        """Show where it was raised."""
        return show_text(attempt.traceback)
