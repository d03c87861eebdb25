"""The list of runs by pages of keys: page 1,000 costs what page 1 costs.

Note [A page is asked for by the key beside it]
    ``?older=<id>`` begins below that run and ``?newer=<id>`` ends above it. Rows that come and go meanwhile
    move nothing. The count stops at COUNTED, in the database, and is given up when it takes long.
"""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import DataError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.words import WORDS
from ..models import Run
from ..store.time_limit import TimeLimitReached, time_limit
from .base import COUNTED, NarrowChangeList
from .permits import may_see_payloads
from .run_details import DetailFilter
from .run_filters import RangeFilter, StateFilter
from .run_search import read_search

SEARCH_SECONDS: Final = 3.0
COUNT_SECONDS: Final = 0.2
NEWS: Final = 100
"""Runs that came meanwhile are counted no further."""


class RunChangeList(NarrowChangeList):
    """Rows between two keys, newest first."""

    older = newer = ""
    older_url = newer_url = ""
    many = False
    total: int | None = 0
    problem = ""
    """Why there are no rows although there may be some; empty if they are what was asked for."""
    retry = False

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Take our parameters out before Django looks for fields of these names."""
        for name in ("older", "newer"):
            value = self.params.pop(name, "")
            self.filter_params.pop(name, None)
            if value:
                setattr(self, name, value)
        return super().get_queryset(request, *args, **kwargs)

    def get_results(self, request: HttpRequest) -> None:
        """Read one page, and count no further than COUNTED."""
        self.result_list: list[Any] = []
        self.problem = self._find_obstacle(request)
        if not self.problem:
            self._try_read()
        # Django offers to act on all that match if this is more than the page: we never do.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def _try_read(self) -> None:
        begin = time.monotonic()
        try:
            with time_limit(get_alias(), SEARCH_SECONDS):
                whole = self._read()
        except TimeLimitReached:
            self.problem = _("The search took longer than 3 s. Narrow the time range or use an exact key.")
            self.retry = True
        except DataError:
            self.problem = _("The database cannot compare some of these payloads. Narrow the time range.")
        except OperationalError as error:
            self.problem = _("The runs could not be read: %s") % (str(error).splitlines() or [""])[0]
            self.retry = True
        else:
            self.total = len(self.result_list) if whole else None
            if not whole and time.monotonic() - begin < COUNT_SECONDS:
                self._count()
            self.many = self.total is None or self.total > COUNTED

    def _read(self) -> bool:
        """Read the page, and tell whether that is all there is."""
        size = self.list_per_page
        older, newer = _read_key(self.older), _read_key(self.newer)
        rows = self.queryset.order_by("pk" if newer else "-pk")
        if newer:
            rows = rows.filter(pk__gt=newer)
        elif older:
            rows = rows.filter(pk__lt=older)
        found = list(rows[: size + 1])
        more, page = len(found) > size, found[:size]
        if newer:
            page.reverse()
        self.result_list = page
        self._link(page, has_older=more or bool(newer), has_newer=(more and bool(newer)) or bool(older))
        return not (more or older or newer)

    def _link(self, page: list[Any], *, has_older: bool, has_newer: bool) -> None:
        if not page:
            return
        if has_older:
            self.older_url = self.get_query_string({"older": page[-1].pk})
        if has_newer:
            self.newer_url = self.get_query_string({"newer": page[0].pk})

    def _count(self) -> None:
        try:
            with time_limit(get_alias(), COUNT_SECONDS):
                self.total = self.queryset.order_by()[: COUNTED + 1].count()
        except TimeLimitReached:
            self.total = None

    def count_news(self, since: str) -> int:
        """Return how many runs came after that one and meet the filters; at most NEWS, in one query."""
        key = _read_key(since)
        rows = self.queryset.filter(pk__gt=key) if key else self.queryset
        return int(rows.order_by()[:NEWS].count())

    def _find_obstacle(self, request: HttpRequest) -> str:
        search = read_search(self.query)
        if search is not None and search.path and not may_see_payloads(request):
            return _("To search in payloads you need the permission “Can view payloads”.")
        slow = [each for each in self._details().chosen() if not each.indexed]
        if slow and self._range().is_long() and not self._states().is_short():
            text = _(
                "“%s” is looked for run by run. Choose a state other than completed, or a range of at most 7 days."
            )
            return str(text % slow[0].label)
        return ""

    def _states(self) -> StateFilter:
        return next(each for each in self.filter_specs if isinstance(each, StateFilter))

    def _range(self) -> RangeFilter:
        return next(each for each in self.filter_specs if isinstance(each, RangeFilter))

    def _details(self) -> DetailFilter:
        return next(each for each in self.filter_specs if isinstance(each, DetailFilter))

    @property
    def shown_total(self) -> str:
        """Return the number of rows as far as it is known."""
        if self.total is None:
            return _("many")
        shown = str(number_format(min(self.total, COUNTED), force_grouping=True))
        return f"{shown}+" if self.many else shown

    @property
    def nothing_yet(self) -> bool:
        """Tell whether there is no run at all; asked only about an empty list."""
        return not Run.objects.using(get_alias()).exists()

    @property
    def newest(self) -> str:
        """Return the key after which runs are news; empty on any page but the first."""
        if self.older or self.newer or self.problem:
            return ""
        return str(self.result_list[0].pk) if self.result_list else str(UUID(int=0))

    @property
    def told(self) -> list[str]:
        """Return what the filters say, for the sentence that stands for an empty list."""
        words: list[str] = []
        for spec in self.filter_specs:
            if isinstance(spec, StateFilter):
                words += [str(WORDS[code].label) for code in spec.chosen() if code in WORDS]
            elif isinstance(spec, RangeFilter):
                words.append(spec.told())
            elif isinstance(spec, DetailFilter):
                words += spec.told()
            elif isinstance(spec, SimpleListFilter) and spec.value():
                words.append(str(spec.value()))
        return [*words, f"“{self.query}”"] if self.query else words

    @property
    def any_time_url(self) -> str:
        """Return the same list without a range."""
        query = self.get_query_string({RangeFilter.parameter_name: "all"}, remove=["from", "until"])
        return str(query)

    @property
    def here_url(self) -> str:
        """Return the query of the list as it is, from its first page."""
        return str(self.get_query_string())


class UnreadChangeList(RunChangeList):
    """The filters without the rows, for those who read them in another way."""

    def get_results(self, request: HttpRequest) -> None:
        """Read nothing."""
        self.result_list = []
        self.result_count = self.full_result_count = 0
        self.problem = self._find_obstacle(request)


def select_runs(page: Any, request: HttpRequest) -> UnreadChangeList | None:
    """Return the list that the address asks for, unread; None if Django would not have its parameters."""
    request.durable_list = UnreadChangeList  # type: ignore[attr-defined]
    try:
        found: UnreadChangeList = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return None
    return found


def _read_key(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
