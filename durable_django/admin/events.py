"""Events: the list of what was received, and the routes to the pages of an event."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..engine.alias import get_alias
from ..engine.explain_event import find_near
from ..engine.reasons import Why
from ..models import Event, Run, Wait
from ..store.payload_search import HasValue
from ..store.payload_size import Size
from .asking import route
from .event_filters import EventOutcomeFilter, EventRangeFilter, EventTimesFilter, read_event_search
from .event_page import show_event, show_outcome
from .filters import EventNameFilter
from .keyed_list import KeyedAdmin, KeyedChangeList
from .payload_file import route_file
from .permits import may_do
from .render import NOTHING, find_page, show_moment
from .run_search import check_search
from .send_operations import Resend, Send


class EventChangeList(KeyedChangeList):
    """Events by pages of keys."""

    @cached_property
    def is_bare(self) -> bool:
        """Tell whether there is no event at all; asked only about an empty list."""
        return not Event.objects.using(get_alias()).exists()

    @property
    def nothing_yet(self) -> Any:
        """Return what is said without a filter: that there is none, or none in the range."""
        if self.has_active_filters or self.query:
            return ""
        return _("No events received.") if self.is_bare else _("No events received in this range of time.")


@admin.register(Event)
class EventAdmin(KeyedAdmin):
    """What was received."""

    needs_workers = True
    list_display = ("outcome", "name", "shown_id", "did", "received", "source", "external_id", "size")
    list_display_links = ("shown_id",)
    list_columns = ("name", "source", "external_id", "created_at", "routed_at", "reasons")
    list_filter = (EventOutcomeFilter, EventRangeFilter, "source", EventNameFilter, EventTimesFilter)
    search_help_text = gettext_lazy("A full event id or sender’s id; data.customer.id=42 for a payload")

    def get_urls(self) -> list[URLPattern]:
        """Add the actions."""
        own = [
            route(self, "send/", Send, "event_send"),
            route(self, "<uuid:key>/resend/", Resend, "event_resend"),
            route_file(self, "<uuid:key>/data/", "event_data"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the event."""
        return show_event(self, request, object_id)

    def list_links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Offer to send one."""
        url = find_page(self.admin_site, "event_send") if may_do(request, "send_event") else ""
        return [(url, _("Send an event…"))] if url else []

    def extend_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Count what each of them started and resumed."""
        extended: QuerySet[Any] = rows.annotate(
            runs_started=_count(Run.objects.using(rows.db)),
            length=Size("data"),
            waits_ended=_count(Wait.objects.using(rows.db).exclude(kind="cancel").filter(signal="")),
        )
        return extended

    def find_obstacle(self, request: HttpRequest, found: Any) -> str:
        """Keep payloads from those who may not see them."""
        return check_search(request, read_event_search(found.query))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[EventChangeList]:
        """Return the list by pages of keys."""
        return EventChangeList

    def suggest(self, request: HttpRequest, found: EventChangeList) -> list[tuple[str, str]]:
        """Return names like the one that was asked for, or where there are events, or how to send one."""
        name = request.GET.get("name", "")
        if not name and found.is_bare:
            return [(url, _("Send a test event…")) for url, _text in self.list_links(request)]
        if not name:
            any_time = {EventRangeFilter.parameter_name: "all"}
            return [(found.get_query_string(any_time, remove=["from", "until"]), _("Look at any time"))]
        near = find_near(name) if name else ()
        return [(found.get_query_string({"name": each}), _("Similar name: %s") % each) for each in near]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by id or sender's id, each whole, which indexes answer, or by an exact value of the data."""
        search = read_event_search(search_term)
        if search is None:
            return queryset, False
        if search.path:
            return queryset.filter(HasValue("data", search.path, search.value)), False
        wanted = Q(external_id=search.text)
        return queryset.filter(wanted if search.id is None else wanted | Q(pk=search.id)), False

    @admin.display(description=gettext_lazy("outcome"))
    def outcome(self, event: Any) -> Any:
        """Show icon and word."""
        if event.runs_started or event.waits_ended:
            return show_outcome("used")
        if event.routed_at is None:
            return show_outcome("pending")
        return show_outcome("duplicate" if f'"{Why.DUPLICATE}"' in (event.reasons or "") else "nothing")

    @admin.display(description=gettext_lazy("event"))
    def shown_id(self, event: Event) -> str:
        """Show the end of the id; the link has all of it."""
        return format_html('<code class="dd-nowrap" title="{}">…{}</code>', event.pk, str(event.pk)[-8:])

    @admin.display(description=gettext_lazy("did"))
    def did(self, event: Any) -> str:
        """Show how many runs it started and how many waits it resumed."""
        started, resumed = event.runs_started, event.waits_ended
        told = [
            ngettext("%d started", "%d started", started) % started if started else "",
            ngettext("%d resumed", "%d resumed", resumed) % resumed if resumed else "",
        ]
        return ", ".join(text for text in told if text) or NOTHING

    @admin.display(description=gettext_lazy("payload"))
    def size(self, event: Any) -> str:
        """Show how large its data is."""
        return filesizeformat(event.length)

    @admin.display(description=gettext_lazy("received"))
    def received(self, event: Event) -> str:
        """Show the instant."""
        return show_moment(event.created_at)


def _count(rows: QuerySet[Any]) -> Any:
    found = rows.filter(event_id=OuterRef("pk")).order_by().values("event_id")
    return Coalesce(Subquery(found.annotate(n=Count("pk")).values("n")), 0)
