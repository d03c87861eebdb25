"""Filters of the list of runs: several states at once, and a range of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..clock import read_now
from ..engine.alias import get_alias
from ..engine.words import WORDS, select_state

RANGES: Final = {
    "15m": (_("last 15 minutes"), timedelta(minutes=15)),
    "1h": (_("last hour"), timedelta(hours=1)),
    "24h": (_("last 24 hours"), timedelta(hours=24)),
    "7d": (_("last 7 days"), timedelta(days=7)),
    "all": (_("any time"), None),
}
DEFAULT_RANGE: Final = "24h"
SKEW: Final = timedelta(hours=1)
"""Ids begin with the time of the host that made them, which may be wrong by so much."""


class StateFilter(SimpleListFilter):
    """States in any combination: ``?status=failed,cancelled``."""

    title = _("state")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the words for states."""
        return [(word.code, word.label) for word in WORDS.values()]

    def chosen(self) -> list[str]:
        """Return the codes that were asked for."""
        return [code for code in (self.value() or "").split(",") if code]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return links that add a state or take it away."""
        chosen = self.chosen()
        everything = changelist.get_query_string(remove=[self.parameter_name])
        yield {"selected": not chosen, "query_string": everything, "display": _("All")}
        for code, label in self.lookup_choices:
            others = [each for each in chosen if each != code]
            wanted = others if code in chosen else [*others, str(code)]
            query = changelist.get_query_string({self.parameter_name: ",".join(wanted) or None})
            yield {"selected": code in chosen, "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows in one of the states."""
        chosen = self.chosen()
        if not chosen:
            return queryset
        condition = Q()
        for code in chosen:
            condition |= select_state(code)
        return queryset.filter(condition)


class RangeFilter(SimpleListFilter):
    """When the run was created; without a choice the last 24 hours, and any time for a search."""

    title = _("created")
    parameter_name = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges."""
        self.searching = bool(request.GET.get("q", "").strip())
        return [(code, label) for code, (label, _length) in RANGES.items()]

    def chosen(self) -> str:
        """Return the range that holds."""
        value = self.value()
        return value if value in RANGES else "all" if self.searching else DEFAULT_RANGE

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return a link for each range."""
        for code, label in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: code})
            yield {"selected": code == self.chosen(), "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the range: ids are in order of time, so the primary key answers."""
        length = RANGES[self.chosen()][1]
        if length is None:
            return queryset
        begin = read_now(get_alias()) - length
        milliseconds = int((begin - SKEW).timestamp() * 1000)
        return queryset.filter(pk__gte=UUID(int=milliseconds << 80), created_at__gte=begin)
