"""The list of runs by pages of keys: page 1,000 costs what page 1 costs.

Note [A page is asked for by the key beside it]
    ``?older=<id>`` begins below that run and ``?newer=<id>`` ends above it. Rows that come and go meanwhile
    move nothing. The count stops at COUNTED, in the database.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from ..engine.words import WORDS
from .base import COUNTED, NarrowChangeList
from .run_filters import RANGES, RangeFilter, StateFilter


class RunChangeList(NarrowChangeList):
    """Rows between two keys, newest first."""

    older = newer = ""
    older_url = newer_url = ""
    many = False

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
        self._link(page, has_older=more or bool(newer), has_newer=(more and bool(newer)) or bool(older))
        self._count(request, page, whole=not (more or older or newer))
        self.result_list = page

    def _link(self, page: list[Any], *, has_older: bool, has_newer: bool) -> None:
        if not page:
            return
        if has_older:
            self.older_url = self.get_query_string({"older": page[-1].pk})
        if has_newer:
            self.newer_url = self.get_query_string({"newer": page[0].pk})

    def _count(self, request: HttpRequest, page: list[Any], *, whole: bool) -> None:
        total = len(page) if whole else self.queryset.order_by()[: COUNTED + 1].count()
        self.many = total > COUNTED
        self.total = min(total, COUNTED)
        # Django offers to act on all that match if this is more than the page: we never do.
        self.result_count = self.full_result_count = len(page)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    @property
    def told(self) -> list[str]:
        """Return what the filters say, for the sentence that stands for an empty list."""
        words: list[str] = []
        for spec in self.filter_specs:
            if isinstance(spec, StateFilter):
                words += [str(WORDS[code].label) for code in spec.chosen() if code in WORDS]
            elif isinstance(spec, RangeFilter):
                words.append(str(RANGES[spec.chosen()][0]))
            elif isinstance(spec, SimpleListFilter) and spec.value():
                words.append(str(spec.value()))
        return [*words, f"“{self.query}”"] if self.query else words

    @property
    def any_time_url(self) -> str:
        """Return the same list without a range."""
        return self.get_query_string({RangeFilter.parameter_name: "all"})


def _read_key(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
