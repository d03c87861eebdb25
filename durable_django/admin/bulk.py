"""Bulk operations: the list, and the routes to their pages."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from ..engine.bulk_actions import ACTIONS
from ..models import BulkOperation, BulkState
from .asking import ask_or_act, route
from .bulk_control import ContinueBulk, StopBulk
from .bulk_export import export_bulk
from .bulk_operations import StartBulk, list_choices
from .bulk_page import show_bulk, show_bulk_fragment
from .bulk_words import name_action, say_chosen, say_matched, say_speed, show_bulk_state
from .keyed_list import KeyedAdmin
from .pages import build_trail, show_page
from .permits import may_do
from .render import NOTHING, find_page, show_moment

CHOOSE = "durable_django/admin/bulk_choose.html"


class BulkStateFilter(SimpleListFilter):
    """Running, stopped, finished."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the states."""
        return list(BulkState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows in the state."""
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.register(BulkOperation)
class BulkOperationAdmin(KeyedAdmin):
    """Actions on all that a filter matched."""

    needs_workers = True
    nothing_yet = _("No bulk operation yet. Start one with “All matching…” below the list of runs.")
    list_display = (
        "number",
        "shown_action",
        "chosen",
        "shown_state",
        "shown_matched",
        "done",
        "skipped",
        "failed",
        "speed",
        "actor",
        "reason",
        "started",
    )
    list_display_links = ("number",)
    list_columns = (
        "action",
        "filter",
        "state",
        "matched",
        "matched_exactly",
        "done",
        "skipped",
        "failed",
        "actor",
        "reason",
        "created_at",
        "changed_at",
    )
    list_filter = (BulkStateFilter,)
    search_help_text = _("The number of an operation")

    def read_term(self, term: str) -> Any:
        """Search by number."""
        return int(term)

    def get_urls(self) -> list[URLPattern]:
        """Add the form, and what can be done to an operation."""
        ask = self.admin_site.admin_view
        return [
            path("new/", ask(partial(start_or_choose, self)), name="durable_django_bulk_new"),
            route(self, "<int:key>/stop/", StopBulk, "bulk_stop"),
            route(self, "<int:key>/continue/", ContinueBulk, "bulk_continue"),
            path("<int:key>/export/", ask(partial(export_bulk, self)), name="durable_django_bulk_export"),
            # Not through admin_view, which would answer a lost login with a page instead of 401.
            path("<int:key>/live/", partial(show_bulk_fragment, self), name="durable_django_bulk_live"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the operation."""
        return show_bulk(self, request, object_id)

    @admin.display(description=_("number"))
    def number(self, bulk: BulkOperation) -> str:
        """Show the number, which links to the page."""
        return f"#{bulk.pk}"

    @admin.display(description=_("action"))
    def shown_action(self, bulk: BulkOperation) -> str:
        """Show the action."""
        return name_action(bulk)

    @admin.display(description=_("chosen"))
    def chosen(self, bulk: BulkOperation) -> str:
        """Show the filter in words."""
        return say_chosen(bulk)

    @admin.display(description=_("state"))
    def shown_state(self, bulk: BulkOperation) -> Any:
        """Show icon and word."""
        return show_bulk_state(bulk)

    @admin.display(description=_("matched"))
    def shown_matched(self, bulk: BulkOperation) -> str:
        """Show how many rows matched."""
        return say_matched(bulk)

    @admin.display(description=_("speed"))
    def speed(self, bulk: BulkOperation) -> str:
        """Show the rows a second."""
        return say_speed(bulk) or NOTHING

    @admin.display(description=_("started"))
    def started(self, bulk: BulkOperation) -> str:
        """Show the instant."""
        return show_moment(bulk.created_at)


def start_or_choose(page: KeyedAdmin, request: HttpRequest) -> HttpResponseBase:
    """Ask whether to start the operation, or without an action which one."""
    if request.GET.get("action") in ACTIONS:
        return ask_or_act(StartBulk(page, request, ""))
    request.current_app = page.admin_site.name
    if not may_do(request, "bulk_operate"):
        raise PermissionDenied
    noun = "wait" if request.GET.get("of") == "wait" else "run"
    query = request.GET.copy()
    query.pop("of", None)
    own = find_page(page.admin_site, "bulk_new")
    links = [
        (f"{own}?action={name}&{query.urlencode()}", ACTIONS[name].title)
        for name in list_choices(request, noun)
    ]
    return show_page(
        page,
        request,
        CHOOSE,
        title=_("All matching"),
        trail=build_trail(page, ("", _("All matching"))),
        links=links,
        back_url=f"{find_page(page.admin_site, f'{noun}_changelist')}?{query.urlencode()}",
    )
