"""Events: list, and a page with the payload and what became of it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..engine.explain_event import EndedWait, Explanation, explain_stored
from ..engine.reveal import reveal_event
from ..engine.say_event import say_outcome, say_unmatched
from ..models import Event, Run, Wait
from .base import ReadOnlyAdmin
from .filters import EventNameFilter
from .render import show_json, show_link, show_list, show_rows, show_table, show_time, show_value


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What was received."""

    list_display = ("id", "name", "source", "external_id", "created_at", "routed_at")
    list_columns = list_display
    list_filter = ("source", EventNameFilter)
    search_help_text = _("A full event id")
    payloads = ("shown_data", "shown_extra", "unmatched")
    sections = {"runs": Run, "resumed": Wait, "cancelled": Run, "unmatched": Wait}
    fields = (
        "id",
        "name",
        "source",
        "external_id",
        "ts",
        "created_at",
        "routed_at",
        "shown_data",
        "shown_extra",
        "outcome",
        "runs",
        "resumed",
        "cancelled",
        "unmatched",
    )
    readonly_fields = fields

    @admin.display(description=_("data"))
    def shown_data(self, event: Event) -> str:
        """Show the payload."""
        return show_value(reveal_event(event))

    @admin.display(description=_("further fields"))
    def shown_extra(self, event: Event) -> str:
        """Show what the sender added beside data."""
        return show_json(event.extra)

    @admin.display(description=_("runs that it started"))
    def runs(self, event: Event) -> str:
        """Show the runs of this event, reruns too."""
        rows = (
            Run.objects.using(event._state.db)
            .filter(event_id=event.pk)
            .only("workflow", "status", "created_at")
        )
        return show_table(
            (_("run"), _("workflow"), _("status"), _("created at")),
            rows.order_by("pk"),
            lambda run: (
                show_link(self.admin_site, Run, run.pk),
                run.workflow,
                run.get_status_display(),
                show_time(run.created_at),
            ),
        )

    @admin.display(description=_("what became of it"))
    def outcome(self, event: Event) -> str:
        """Say why it started nothing, or not more."""
        told = _explain(event)
        return show_list([say_outcome(told), *map(str, told.reasons)])

    @admin.display(description=_("waits that it ended"))
    def resumed(self, event: Event) -> str:
        """Show the runs that went on with it."""
        return self._show_ended(_explain(event).resumed)

    @admin.display(description=_("runs that it cancelled"))
    def cancelled(self, event: Event) -> str:
        """Show the runs whose cancel rules it ended."""
        return self._show_ended(_explain(event).cancelled)

    @admin.display(description=_("open waits that it did not end"))
    def unmatched(self, event: Event) -> str:
        """Show up to 20 waits for its name, each with the comparison that was false."""
        return show_rows(
            (_("run"), _("step"), _("why not")),
            [
                (show_link(self.admin_site, Run, each.run_id), each.step, say_unmatched(each))
                for each in _explain(event).unmatched
            ],
        )

    def _show_ended(self, waits: tuple[EndedWait, ...]) -> str:
        return show_rows(
            (_("run"), _("workflow"), _("step"), _("condition")),
            [
                (show_link(self.admin_site, Run, each.run_id), each.workflow, each.step, each.condition)
                for each in waits
            ],
        )


def _explain(event: Event) -> Explanation:
    # Four fields of one page show parts of it.
    known = vars(event)
    if "_explanation" not in known:
        known["_explanation"] = explain_stored(event)
    told: Explanation = known["_explanation"]
    return told
