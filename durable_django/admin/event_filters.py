"""Filters of the list of events; without a choice it shows those of the last 24 hours."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..engine.reasons import Why
from ..models import Run, Wait
from .run_details import DetailFilter
from .run_filters import RangeFilter
from .run_search import Search, read_search

OUTCOMES: Final = (
    ("used", _("used")),
    ("nothing", _("matched nothing")),
    ("duplicate", _("duplicate")),
    ("refused", _("did not start all that listen")),
    ("pending", _("not routed yet")),
)

DUPLICATE: Final = Q(reasons__contains=f'"{Why.DUPLICATE}"')


class EventOutcomeFilter(SimpleListFilter):
    """What became of it; looked up row by row, so it goes with a range of time."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the outcomes."""
        return list(OUTCOMES)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the outcome."""
        chosen = self.value()
        if chosen == "pending":
            return queryset.filter(routed_at__isnull=True)
        if chosen == "refused":
            return queryset.filter(reasons__isnull=False)
        if chosen == "duplicate":
            return queryset.filter(DUPLICATE)
        if chosen not in ("used", "nothing"):
            return queryset
        started = Exists(Run.objects.using(queryset.db).filter(event_id=OuterRef("pk")))
        ended = Exists(Wait.objects.using(queryset.db).filter(event_id=OuterRef("pk")))
        if chosen == "used":
            return queryset.filter(started | ended)
        plain = Q(reasons__isnull=True) | ~DUPLICATE
        return queryset.filter(plain, ~started & ~ended, routed_at__isnull=False)


class EventRangeFilter(RangeFilter):
    """When it was received."""

    timed: ClassVar = {"created": ("created_at", _("received"))}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges; an id is found at any time, unless a range is chosen."""
        found = super().lookups(request, model_admin)
        search = read_event_search(request.GET.get("q", ""))
        self.searching = search is not None and not search.path
        return found


class EventTimesFilter(DetailFilter):
    """A range of time of one's own."""

    details = ()
    timed: ClassVar = {}


def read_event_search(term: str) -> Search | None:
    """Return what is searched for: ``data.customer.id=42`` is a value, all else an id."""
    text = term.strip()
    if text.startswith("data."):
        found = read_search(f"input.{text.removeprefix('data.')}")
        return found if found and found.path else Search(text=text)
    if not text:
        return None
    try:
        return Search(text=text, id=UUID(text))
    except ValueError:
        return Search(text=text)
