"""Mixins for the project's own admin pages."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.alias import get_alias
from ..models import Run
from .permits import may_view
from .render import show_link, show_table, show_time

FIELD: Final = "durable_runs"
SHOWN: Final = 20
"""Runs on the page of an object, the newest."""


class SubjectRunsMixin:
    """Shows the runs of an object on its page, to those who may view runs.

    Put it before ModelAdmin: ``class OrderAdmin(SubjectRunsMixin, admin.ModelAdmin)``. The runs are those
    that ``ctx.link(order)`` or ``start(subject=order)`` linked with it.
    """

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Add the runs, which nobody can edit."""
        fields = super().get_readonly_fields(request, obj)  # type: ignore[misc]
        return [*fields, FIELD] if _is_shown(request, obj) else fields

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Add a section of its own at the end."""
        sections = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if not _is_shown(request, obj):
            return sections
        kept = [(title, {**options, "fields": _without(options["fields"])}) for title, options in sections]
        return [*kept, (_("Durable runs"), {"fields": [FIELD]})]

    @admin.display(description=gettext_lazy("the newest runs"))
    def durable_runs(self, obj: Model) -> str:
        """Show the newest runs, each with what it waits for and a link to its page."""
        site = self.admin_site  # type: ignore[attr-defined]
        runs = Run.objects.using(get_alias()).for_subject(obj).order_by("-id")
        return show_table(
            (_("run"), _("workflow"), _("status"), _("waits for"), _("created at"), _("ended at")),
            runs.only("id", "workflow", "status", "waits_for", "created_at", "ended_at")[:SHOWN],
            lambda run: (
                show_link(site, Run, run.pk),
                run.workflow,
                run.get_status_display(),
                run.waits_for,
                show_time(run.created_at),
                show_time(run.ended_at),
            ),
        )


def _is_shown(request: HttpRequest, obj: Model | None) -> bool:
    return obj is not None and may_view(request, Run)


def _without(fields: Any) -> list[Any]:
    return [field for field in fields if field != FIELD]
