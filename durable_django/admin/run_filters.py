"""Filters of the list of runs: several states at once, and a range of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from ..clock import Now
from ..engine.words import WORDS, select_state
from .run_search import read_search

RANGES: Final = {
    "15m": (_("last 15 minutes"), timedelta(minutes=15)),
    "1h": (_("last hour"), timedelta(hours=1)),
    "24h": (_("last 24 hours"), timedelta(hours=24)),
    "7d": (_("last 7 days"), timedelta(days=7)),
    "all": (_("any time"), None),
}
DEFAULT_RANGE: Final = "24h"
CUSTOM: Final = "custom"
BY: Final = "by"
TIMED: Final = {
    "created": ("created_at", _("created")),
    "started": ("started_at", _("started")),
    "ended": ("ended_at", _("ended")),
}
"""The instants of a run that a range may be of."""
SKEW: Final = timedelta(hours=1)
"""Ids begin with the time of the host that made them, which may be wrong by so much."""
YEARS: Final = (1970, 9000)
"""Other years are no instants of runs, and too near to the ends of what can be computed."""
LONG: Final = timedelta(days=7)
"""The longest range in which rows may be looked through one by one."""


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

    def told(self) -> list[str]:
        """Return the states in words."""
        return [str(WORDS[code].label) for code in self.chosen() if code in WORDS]

    def is_short(self) -> bool:
        """Tell whether indexes find the states that were chosen among all runs."""
        return bool(self.chosen()) and "completed" not in self.chosen()

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
    """When the run was created; without a choice the last 24 hours, and any time for an id or a key.

    ``?from=2026-01-31T08:00&until=…`` is a range of one's own, in the active time zone; ``?by=ended`` looks at
    when it ended.
    """

    title = _("created")
    parameter_name = "created"
    timed: ClassVar[dict[str, tuple[str, Any]]] = TIMED
    ranges: ClassVar[dict[str, tuple[Any, timedelta | None]]] = RANGES
    longest: ClassVar[timedelta] = LONG

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges."""
        search = read_search(request.GET.get("q", ""))
        self.searching = search is not None and not search.path
        self.column, self.title = self.timed.get(request.GET.get(BY, ""), self.timed["created"])
        self.begin, self.end = read_instant(request, "from"), read_instant(request, "until")
        return [(code, label) for code, (label, _length) in self.ranges.items()]

    def chosen(self) -> str:
        """Return the range that holds."""
        if self.begin or self.end:
            return CUSTOM
        value = self.value()
        return value if value in self.ranges else self.find_default()

    def find_default(self) -> str:
        """Return the range that holds without a choice."""
        return "all" if self.searching else DEFAULT_RANGE

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return a link for each range."""
        for code, label in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: code}, remove=["from", "until"])
            yield {"selected": code == self.chosen(), "query_string": query, "display": label}
        if self.chosen() == CUSTOM:
            yield {"selected": True, "query_string": changelist.get_query_string(), "display": self._say()}

    def told(self) -> list[str]:
        """Return the range in words."""
        plain = self.column == "created_at"
        return [self._say() if plain else f"{self.title}: {self._say()}"]

    def _say(self) -> str:
        if self.chosen() != CUSTOM:
            return str(self.ranges[self.chosen()][0])
        shown = [f"{timezone.localtime(each):%F %H:%M}" if each else "…" for each in (self.begin, self.end)]
        return " – ".join(shown)

    def is_long(self) -> bool:
        """Tell whether too many rows lie in the range to look through them one by one."""
        length = self.ranges[self.chosen()][1] if self.chosen() != CUSTOM else self._measure()
        return length is None or length > self.longest

    def _measure(self) -> timedelta | None:
        return None if self.begin is None else (self.end or timezone.now()) - self.begin

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the range: ids are in order of time, so the primary key answers."""
        if self.chosen() == CUSTOM:
            return self._select_custom(queryset)
        length = self.ranges[self.chosen()][1]
        if length is None:
            return queryset
        # The host's clock is good enough for the key's hour of grace; the database's decides.
        rows = self._bound(queryset, timezone.now() - length - SKEW, None)
        return rows.filter(**{f"{self.column}__gte": Now() - length})

    def _select_custom(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        begin, end = self.begin, self.end
        rows = self._bound(queryset, begin and begin - SKEW, end and end + SKEW)
        limits = {f"{self.column}__gte": begin, f"{self.column}__lt": end}
        return rows.filter(**{name: moment for name, moment in limits.items() if moment})

    def _bound(self, rows: QuerySet[Any], begin: datetime | None, end: datetime | None) -> QuerySet[Any]:
        """Bound the keys too, which are in the order in which runs were created."""
        if begin and self.column == "created_at":
            rows = rows.filter(pk__gte=find_key(begin))
        return rows.filter(pk__lte=find_key(end)) if end else rows


def find_key(moment: datetime) -> UUID:
    """Return the lowest id that can be made at an instant."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)


def read_instant(request: HttpRequest, name: str) -> datetime | None:
    """Return a parameter as an instant, read in the active time zone; None if it is none."""
    try:
        moment = parse_datetime(request.GET.get(name, ""))
    except ValueError:  # well formed, and no such day
        return None
    if moment is None or not YEARS[0] <= moment.year < YEARS[1]:
        return None
    return timezone.make_aware(moment) if moment.tzinfo is None else moment.astimezone(UTC)
