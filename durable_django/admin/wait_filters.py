"""Filters of the list of waits; without a choice it shows those that are open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..clock import read_now
from ..define.registry import registry
from ..engine.alias import get_alias
from ..models import WaitStatus
from .wait_words import KINDS

ENDS: Final = {
    "overdue": (_("overdue"), None),
    "1h": (_("in the next hour"), timedelta(hours=1)),
    "24h": (_("in the next 24 hours"), timedelta(hours=24)),
    "7d": (_("in the next 7 days"), timedelta(days=7)),
}
AGES: Final = {
    "1h": (_("an hour"), timedelta(hours=1)),
    "1d": (_("a day"), timedelta(days=1)),
    "7d": (_("a week"), timedelta(days=7)),
    "30d": (_("30 days"), timedelta(days=30)),
}


class WaitStatusFilter(SimpleListFilter):
    """Open ones, unless another status is chosen."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the statuses, and all of them."""
        self.searching = bool(request.GET.get("q", "").strip())
        return [*WaitStatus.choices, ("all", _("any"))]

    def chosen(self) -> str:
        """Return the status that holds."""
        value = self.value() or ""
        return value if value in {*WaitStatus.values, "all"} else "all" if self.searching else "open"

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return a link for each."""
        for code, label in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: code})
            yield {"selected": code == self.chosen(), "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the status; rules that cancel a run are no waits of its code."""
        rows = queryset.exclude(kind="cancel")
        return rows if self.chosen() == "all" else rows.filter(status=self.chosen())


class WaitKindFilter(SimpleListFilter):
    """What is waited for."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the kinds that are shown."""
        return [(code, label) for code, label in KINDS.items() if code != "cancel"]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the kind."""
        return queryset.filter(kind=self.value()) if self.value() in KINDS else queryset


class WaitEndFilter(SimpleListFilter):
    """When the time of an open wait is over."""

    title = _("ends")
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges."""
        return [(code, label) for code, (label, _length) in ENDS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that end before then."""
        if self.value() not in ENDS:
            return queryset
        length = ENDS[str(self.value())][1] or timedelta()
        return queryset.filter(status=WaitStatus.OPEN, expires_at__lte=read_now(get_alias()) + length)


class WaitAgeFilter(SimpleListFilter):
    """How long it waits already."""

    title = _("older than")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ages."""
        return [(code, label) for code, (label, _length) in AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that began before then."""
        if self.value() not in AGES:
            return queryset
        return queryset.filter(created_at__lte=read_now(get_alias()) - AGES[str(self.value())][1])


class WaitWorkflowFilter(SimpleListFilter):
    """The workflow of the run that waits."""

    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the registered ids."""
        return [(name, name) for name in sorted(each.id for each in registry)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of its runs."""
        return queryset.filter(run__workflow=self.value()) if self.value() else queryset
