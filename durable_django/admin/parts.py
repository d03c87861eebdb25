"""Steps and failed attempts: each a list, and a page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from ..engine.words import WORDS, name_step
from ..models import Attempt, Run, Step
from .asking import route
from .keyed_list import KeyedAdmin
from .payload_file import route_file
from .render import shorten, show_link, show_moment, show_state, show_text
from .step_operations import Supply
from .step_page import show_step


class PartAdmin(KeyedAdmin):
    """Rows that belong to a run."""

    search_column = "run_id"
    search_help_text = _("A full run id")

    @admin.display(description=_("run"))
    def run_link(self, row: Step | Attempt) -> str:
        """Link to the run by the end of its id."""
        return show_link(self.admin_site, Run, row.run_id, shorten(row.run_id))

    @admin.display(description=_("step"))
    def step_name(self, row: Step | Attempt) -> str:
        """Show the id of the step, with what tells it from other uses of the id; outside of steps, say so."""
        return name_step(row.name, row.index) if row.name else str(_("workflow"))

    @admin.display(description=_("ended"))
    def ended(self, row: Step | Attempt) -> str:
        """Show the instant."""
        return show_moment(row.ended_at)


@admin.register(Step)
class StepAdmin(PartAdmin):
    """Memos."""

    list_display = ("shown_state", "step_name", "run_link", "kind", "attempt", "started", "ended")
    list_display_links = ("step_name",)
    list_columns = ("name", "index", "run", "kind", "status", "attempt", "started_at", "ended_at")
    list_filter = ("status", "kind")

    @admin.display(description=_("state"))
    def shown_state(self, step: Step) -> str:
        """Show icon and word."""
        return show_state(WORDS[step.status])

    @admin.display(description=_("started"))
    def started(self, step: Step) -> str:
        """Show the instant."""
        return show_moment(step.started_at)

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

    list_display = ("step_name", "attempt", "run_link", "error_type", "worker", "ended", "next_attempt")
    list_columns = ("name", "index", "number", "run", "error_type", "worker", "ended_at", "retry_at")
    list_display_links = ("step_name", "attempt")
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

    @admin.display(description=_("attempt"))
    def attempt(self, attempt: Attempt) -> int:
        """Count from 1."""
        return attempt.number + 1

    @admin.display(description=_("next attempt"))
    def next_attempt(self, attempt: Attempt) -> str:
        """Show the instant."""
        return show_moment(attempt.retry_at)

    @admin.display(description=_("message"))
    def shown_message(self, attempt: Attempt) -> str:
        """Show the message of the exception."""
        return show_text(attempt.message)

    @admin.display(description=_("traceback"))
    def shown_traceback(self, attempt: Attempt) -> str:
        """Show where it was raised."""
        return show_text(attempt.traceback)
