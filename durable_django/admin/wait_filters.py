"""Filters of the list of waits; without a choice it shows those that are open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Run, Step, StepKind, StepStatus, Wait, WaitStatus
from .filters import WorkflowFilter
from .moment import find_moment
from .permits import may_view
from .run_filters import SKEW, find_key
from .wait_words import KINDS

SLEEP: Final = "sleep"
"""The kind that is no wait: see ``sleep_list``."""

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

    def told(self) -> list[Any]:
        """Return the status in words."""
        return [label for code, label in self.lookup_choices if code == self.chosen()]

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
        """Return the kinds that are shown; sleeps to those who may view what sleeps."""
        kinds = [(code, label) for code, label in KINDS.items() if code != "cancel"]
        return [*kinds, (SLEEP, _("sleep"))] if may_see_sleeps(request) else kinds

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return a link for each; sleeps are listed apart, so the first one does not mean them."""
        for number, each in enumerate(super().choices(changelist)):
            yield each if number else {**each, "display": _("any but sleep")}

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
        return queryset.filter(status=WaitStatus.OPEN, expires_at__lte=find_moment(request) + length)


class SleepEndFilter(WaitEndFilter):
    """When the time of a sleep is over."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs that wake before then."""
        if self.value() not in ENDS:
            return queryset
        length = ENDS[str(self.value())][1] or timedelta()
        return queryset.filter(wake_at__lte=find_moment(request) + length)


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
        return queryset.filter(created_at__lte=find_moment(request) - AGES[str(self.value())][1])


class SleepAgeFilter(WaitAgeFilter):
    """How long it sleeps already."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs with a sleep that lasts and began before then."""
        if self.value() not in AGES:
            return queryset
        now = find_moment(request)
        since = now - AGES[str(self.value())][1]
        steps = Step.objects.using(queryset.db).filter(
            run_id=OuterRef("pk"), kind=StepKind.SLEEP, status=StepStatus.WAITING, ready_at__gt=now
        )
        # No EXISTS: PostgreSQL may turn that round, and look for such a sleep among the steps of all runs.
        first = steps.order_by("started_at").values("started_at")[:1]
        rows: QuerySet[Any] = queryset.alias(since=Subquery(first))
        # Keys are in the order of creation: no run sleeps longer than it exists.
        return rows.filter(since__lte=since, pk__lte=find_key(since + SKEW))


class WaitWorkflowFilter(WorkflowFilter):
    """The workflow of the run that waits."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names, and note whether open waits alone are asked for."""
        asked = WaitStatusFilter(request, dict(request.GET.lists()), Wait, model_admin)
        self.only_open = asked.chosen() == WaitStatus.OPEN
        return super().lookups(request, model_admin)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of its runs; those of open waits have not ended, which an index knows."""
        if not self.value():
            return queryset
        rows = queryset.filter(run__workflow=self.value())
        return rows.filter(run__wake_at__isnull=False) if self.only_open else rows


def may_see_sleeps(request: HttpRequest) -> bool:
    """Tell whether the user may view what a sleep is made of."""
    return may_view(request, Run) and may_view(request, Step)
