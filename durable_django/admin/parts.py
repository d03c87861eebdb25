"""Steps, failed attempts and waits: each a list, and a page with its payloads."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..engine.reveal import reveal_step
from ..models import Attempt, Event, Run, Step, Wait
from .base import ReadOnlyAdmin
from .render import NOTHING, show_json, show_link, show_text, show_value


class PartAdmin(ReadOnlyAdmin):
    """Rows that belong to a run."""

    search_column = "run_id"
    search_help_text = _("A full run id")

    @admin.display(description=_("run"))
    def run_link(self, row: Step | Attempt | Wait) -> str:
        """Link to the run."""
        return show_link(self.admin_site, Run, row.run_id)


@admin.register(Step)
class StepAdmin(PartAdmin):
    """Memos."""

    list_display = ("name", "index", "run_link", "kind", "status", "attempt", "started_at", "ended_at")
    list_columns = ("name", "index", "run", "kind", "status", "attempt", "started_at", "ended_at")
    list_filter = ("status", "kind")
    payloads = ("shown_output",)
    fields = (
        "run_link",
        "name",
        "index",
        "kind",
        "status",
        "attempt",
        "started_at",
        "ready_at",
        "ended_at",
        "shown_output",
        "shown_error",
    )
    readonly_fields = fields

    @admin.display(description=_("output"))
    def shown_output(self, step: Step) -> str:
        """Show what the step returned."""
        if step.output is None:
            return NOTHING
        return show_value(reveal_step(step, step.run.workflow))

    @admin.display(description=_("error"))
    def shown_error(self, step: Step) -> str:
        """Show what the step failed with."""
        return show_json(step.error)


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


@admin.register(Wait)
class WaitAdmin(PartAdmin):
    """Questions to the events to come."""

    list_display = ("event_name", "signal", "name", "run_link", "status", "expires_at", "ended_at")
    list_columns = ("event_name", "signal", "name", "run", "status", "expires_at", "created_at", "ended_at")
    list_filter = ("status",)
    payloads = ("shown_bound",)
    sections = {"event_link": Event}
    fields = (
        "run_link",
        "name",
        "index",
        "event_name",
        "signal",
        "match",
        "expression",
        "shown_bound",
        "status",
        "created_at",
        "expires_at",
        "ended_at",
        "event_link",
    )
    readonly_fields = fields

    @admin.display(description=_("bound values"))
    def shown_bound(self, wait: Wait) -> str:
        """Show the fields of the triggering event that the condition reads."""
        return show_json(wait.bound)

    @admin.display(description=_("ended by event"))
    def event_link(self, wait: Wait) -> str:
        """Link to the event that ended the wait."""
        return show_link(self.admin_site, Event, None if wait.signal else wait.event_id)
