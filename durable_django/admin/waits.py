"""Waits: the list of what is open, and the routes to the pages of a wait."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..clock import read_now
from ..engine.alias import get_alias
from ..engine.explain_event import write_condition
from ..models import Wait
from .asking import route
from .bulk_operations import find_start
from .keyed_list import KeyedAdmin
from .render import NOTHING, show_moment, show_short
from .wait_filters import WaitAgeFilter, WaitEndFilter, WaitKindFilter, WaitStatusFilter, WaitWorkflowFilter
from .wait_operations import Extend, Resolve, TimeOut
from .wait_page import show_wait
from .wait_words import KINDS, is_overdue, name_wait, say_left, show_wait_state

SHOWN_CHARACTERS = 120


@admin.register(Wait)
class WaitAdmin(KeyedAdmin):
    """What runs wait for."""

    nothing_yet = _("Nothing is waiting. That is a good state.")
    list_display = (
        "shown_state",
        "waits_for",
        "condition",
        "run_link",
        "name",
        "since",
        "until",
    )
    list_display_links = ("waits_for",)
    list_columns = (
        "event_name",
        "signal",
        "kind",
        "name",
        "index",
        "match",
        "expression",
        "status",
        "mode",
        "created_at",
        "expires_at",
        "run__workflow",
    )
    list_select_related = ("run",)  # type: ignore[assignment]
    list_filter = (WaitStatusFilter, WaitKindFilter, WaitEndFilter, WaitAgeFilter, WaitWorkflowFilter)
    search_help_text = _("A full run id, event name or signal")

    def get_urls(self) -> list[URLPattern]:
        """Add the actions."""
        own = [
            route(self, "<int:key>/resolve/", Resolve, "wait_resolve"),
            route(self, "<int:key>/timeout/", TimeOut, "wait_timeout"),
            route(self, "<int:key>/extend/", Extend, "wait_extend"),
        ]
        return own + super().get_urls()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Note the instant that rows are compared with."""
        self.now = read_now(get_alias())
        return super().get_queryset(request)

    def list_links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Offer to act on all that the list shows."""
        url = find_start(self.admin_site, request, "wait", request.GET.urlencode())
        return [(url, _("All matching…"))] if url else []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the wait."""
        return show_wait(self, request, object_id)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by run id, event name or signal, each whole, which indexes answer."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(run_id=UUID(term)), False
        except ValueError:
            return queryset.filter(Q(event_name=term) | Q(signal=term), status="open"), False

    @admin.display(description=_("status"))
    def shown_state(self, wait: Wait) -> Any:
        """Show icon and word."""
        return show_wait_state(wait, self.now)

    @admin.display(description=_("waits for"))
    def waits_for(self, wait: Wait) -> str:
        """Show the name of the event or signal, and which of the two it is."""
        kind = KINDS.get(wait.kind, wait.kind)
        if name_wait(wait) == kind:
            return str(kind)
        return format_html('{} <span class="dd-soft">({})</span>', name_wait(wait), kind)

    @admin.display(description=_("condition"))
    def condition(self, wait: Wait) -> str:
        """Show what the event must be like."""
        text = write_condition(wait)
        return format_html("<code>{}</code>", text[:SHOWN_CHARACTERS]) if text else NOTHING

    @admin.display(description=_("run"))
    def run_link(self, wait: Wait) -> str:
        """Link to the run."""
        return show_short(self.admin_site, wait.run_id, wait.run.workflow)

    @admin.display(description=_("since"))
    def since(self, wait: Wait) -> str:
        """Show the begin."""
        return show_moment(wait.created_at)

    @admin.display(description=_("until"))
    def until(self, wait: Wait) -> str:
        """Show the end and what is left."""
        moment = show_moment(wait.expires_at)
        if not is_overdue(wait, self.now):
            return moment
        return format_html('{} <span class="dd-bad">({})</span>', moment, say_left(wait, self.now))
