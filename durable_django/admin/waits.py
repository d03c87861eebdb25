"""Waits: the list of what is open, and the routes to the pages of a wait."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..engine.alias import get_alias
from ..models import Run, Wait, WaitStatus
from .asking import route
from .base import COUNTED
from .bulk_operations import find_start
from .keyed_list import KeyedAdmin, KeyedChangeList
from .moment import find_moment
from .permits import may_see_payloads
from .render import show_moment, show_short
from .sleep_list import SleepList, count_sleeps, say_sleeps
from .wait_condition import show_condition, tell_values
from .wait_filters import (
    SLEEP,
    WaitAgeFilter,
    WaitEndFilter,
    WaitKindFilter,
    WaitStatusFilter,
    WaitWorkflowFilter,
    may_see_sleeps,
)
from .wait_operations import Extend, Resolve, TimeOut
from .wait_page import show_wait
from .wait_words import KINDS, is_overdue, name_wait, say_left, show_wait_state


class WaitChangeList(KeyedChangeList):
    """Waits by pages of keys."""

    def read_page(self, request: HttpRequest) -> bool:
        """Read the page, with what conditions compare for those who may see it; the count goes without."""
        bare = self.queryset
        self.queryset = tell_values(bare) if may_see_payloads(request) else bare
        try:
            return super().read_page(request)
        finally:
            self.queryset = bare

    @cached_property
    def nothing_yet(self) -> Any:
        """Return what is said if nothing waits; whoever sleeps is listed apart, and linked."""
        said = super().nothing_yet
        count = count_sleeps() if said and may_see_sleeps(self.request) else 0
        return format_html('{} <a href="?kind={}">{}</a>', said, SLEEP, say_sleeps(count)) if count else said


@admin.register(Wait)
class WaitAdmin(KeyedAdmin):
    """What runs wait for."""

    needs_workers = True
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
        self.now = find_moment(request)
        return super().get_queryset(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[WaitChangeList]:
        """Return the list that tells of sleeps when it is empty."""
        return WaitChangeList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Offer to act on all that the list shows; sleeps are listed by another page."""
        if request.GET.get(WaitKindFilter.parameter_name) == SLEEP:
            return SleepList(Run, self.admin_site).changelist_view(request, extra_context)
        url = find_start(self.admin_site, request, "wait", request.GET.urlencode())
        return super().changelist_view(request, {"bulk_url": url, **(extra_context or {})})

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
        return show_condition(wait)

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
        if wait.status != WaitStatus.OPEN:
            return moment
        colour = "dd-bad" if is_overdue(wait, self.now) else "dd-soft"
        return format_html('{} <span class="{}">({})</span>', moment, colour, say_left(wait, self.now))

    def suggest(self, request: HttpRequest, found: Any) -> list[tuple[str, str]]:
        """Tell how many waits are open that are not overdue."""
        if request.GET.get("ends") != "overdue" or not (count := count_open()):
            return []
        shown = f"{COUNTED}+" if count > COUNTED else str(count)
        text = ngettext("%s other wait is open.", "%s other waits are open.", count) % shown
        return [("?", text)]


def count_open() -> int:
    """Return the number of open waits, counted no further than COUNTED."""
    rows = Wait.objects.using(get_alias()).filter(status=WaitStatus.OPEN).exclude(kind="cancel")
    return int(rows.order_by()[: COUNTED + 1].count())
