"""Lists by pages of keys for any model: page 1,000 costs what page 1 costs.

Note [A page is asked for by the key beside it]
    ``?older=<key>`` begins below that row and ``?newer=<key>`` ends above it. Rows that come and go meanwhile
    move nothing. The count stops at COUNTED, in the database, and is given up when it takes long.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

from django.contrib.admin import SimpleListFilter
from django.core.exceptions import ValidationError
from django.db import DataError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.alias import get_alias
from ..store.time_limit import TimeLimitReached, time_limit
from .base import COUNTED, NarrowChangeList, ReadOnlyAdmin
from .liveness import tell_lifeless
from .render import show_time
from .sections import list_sections

SEARCH_SECONDS: Final = 3.0
COUNT_SECONDS: Final = 0.2
PLACE_DIGITS: Final = 10


class KeyedChangeList(NarrowChangeList):
    """Rows between two keys, newest first."""

    kept: ClassVar[tuple[str, ...]] = ()
    """Parameters that are no filters, and stay in the links."""
    older = newer = ""
    older_url = newer_url = ""
    place = ""
    """How many rows come before the page, as the link to it says."""
    before: int | None = None
    total: int | None = 0
    problem = ""
    """Why there are no rows although there may be some; empty if they are what was asked for."""
    retry = False

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Take our parameters out before Django looks for fields of these names."""
        for name in ("older", "newer", "place"):
            value = self.params.pop(name, "")
            self.filter_params.pop(name, None)
            if value:
                setattr(self, name, value)
        return super().get_queryset(request, *args, **kwargs)

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return what filters are made of."""
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in self.kept}

    def get_results(self, request: HttpRequest) -> None:
        """Read one page, and count no further than COUNTED."""
        self.request = request
        self.result_list: list[Any] = []
        self.problem = self.find_obstacle(request)
        if not self.problem:
            self._try_read(request)
        # Django offers to act on all that match if this is more than the page: we never do.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def find_obstacle(self, request: HttpRequest) -> str:
        """Return why this list is not read at all."""
        find = getattr(self.model_admin, "find_obstacle", None)
        return str(find(request, self)) if find else ""

    def _try_read(self, request: HttpRequest) -> None:
        begin = time.monotonic()
        try:
            with time_limit(get_alias(), SEARCH_SECONDS):
                whole = self.read_page(request)
        except TimeLimitReached:
            self.problem = _("The search took longer than 3 s. Narrow the time range or use an exact key.")
            self.retry = True
        except DataError:
            self.problem = _("The database cannot compare some of these payloads. Narrow the time range.")
        except OperationalError as error:
            self.problem = _tell_fault(request, error)
            self.retry = True
        else:
            self.total = len(self.result_list) if whole else None
            if not whole and time.monotonic() - begin < COUNT_SECONDS:
                self.count_rows()

    def read_page(self, request: HttpRequest) -> bool:
        """Read the page, and tell whether that is all there is."""
        size = self.list_per_page
        older, newer = self.read_key(self.older), self.read_key(self.newer)
        page_of: Any = self.model_admin
        rows = page_of.extend_rows(self.queryset).order_by("pk" if newer else "-pk")
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

    def read_key(self, text: str) -> Any:
        """Return the key that a text stands for, or None."""
        try:
            return self.model._meta.pk.to_python(text) if text else None
        except ValidationError:
            return None

    def _link(self, page: list[Any], *, has_older: bool, has_newer: bool) -> None:
        if not page:
            return
        self.before = self._count_before(has_newer=has_newer)
        size, before = self.list_per_page, self.before
        if has_older:
            place = None if before is None else before + len(page)
            self.older_url = self.get_query_string({"older": page[-1].pk, "place": place})
        if has_newer:
            place = before - size if before is not None and before >= size else None
            self.newer_url = self.get_query_string({"newer": page[0].pk, "place": place})

    def _count_before(self, *, has_newer: bool) -> int | None:
        """Return how many rows come before the page, None if nobody knows; rows may have come meanwhile."""
        if not has_newer:
            return 0
        known = self.place.isdecimal() and len(self.place) < PLACE_DIGITS
        return int(self.place) or None if known else None

    def count_rows(self) -> None:
        """Count what the filters leave, if that is quick."""
        try:
            with time_limit(get_alias(), COUNT_SECONDS):
                self.total = self.queryset.order_by()[: COUNTED + 1].count()
        except TimeLimitReached:
            self.total = None

    @property
    def shown_total(self) -> str:
        """Return the number of rows as far as it is known."""
        if self.total is None:
            return _("many")
        shown = str(number_format(min(self.total, COUNTED), force_grouping=True))
        return f"{shown}+" if self.total > COUNTED else shown

    @property
    def shown_place(self) -> str:
        """Return which rows of the whole list these are, such as 51–100; empty if that is not known."""
        if self.before is None or not (self.older_url or self.newer_url):
            return ""
        first, last = self.before + 1, self.before + len(self.result_list)
        return "–".join(number_format(each, force_grouping=True) for each in (first, last))

    @property
    def here_url(self) -> str:
        """Return the query of the list as it is, from its first page."""
        return str(self.get_query_string())

    @property
    def told(self) -> list[str]:
        """Return what the filters say, for the sentence that stands for an empty list."""
        words = [str(word) for spec in self.filter_specs for word in self._tell(spec)]
        return [*words, f"“{self.query}”"] if self.query else words

    @property
    def nothing_yet(self) -> Any:
        """Return what is said if there is no row at all, or nothing; asked only about an empty list."""
        page: Any = self.model_admin
        return "" if self.has_active_filters or self.query else page.nothing_yet

    @property
    def suggestions(self) -> list[tuple[str, str]]:
        """Return links to lists that are not empty; asked only about one that is."""
        suggest = getattr(self.model_admin, "suggest", None)
        return suggest(self.request, self) if suggest else []

    def _tell(self, spec: Any) -> list[Any]:
        if hasattr(spec, "told"):
            return list(spec.told())
        if not isinstance(spec, SimpleListFilter) or not spec.value():
            return []
        return [each["display"] for each in spec.choices(self) if each["selected"]]


def _tell_fault(request: HttpRequest, error: Exception) -> str:
    """Say that it failed, and to those who may know everything, why."""
    if not request.user.is_superuser:
        return _("The rows could not be read.")
    return _("The rows could not be read. The database said: %s") % (str(error).splitlines() or [""])[0]


class KeyedAdmin(ReadOnlyAdmin):
    """A model whose list goes by keys."""

    change_list_template = "durable_django/admin/keyed_list.html"
    nothing_yet: Any = gettext_lazy("Nothing is stored yet.")
    needs_workers: ClassVar[bool] = False
    """Whether its rows come from workers, or are moved by them."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeyedChangeList]:
        """Return the list by pages of keys."""
        return KeyedChangeList

    def extend_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with what belongs to them, for one page."""
        return rows

    def list_links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Return buttons above the list."""
        return []

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list with its buttons."""
        shown = {
            "sections": list_sections(self.admin_site, request),
            "links": self.list_links(request),
            "asked_at": show_time(timezone.now()),
            "lifeless": tell_lifeless(self.admin_site, request) if self.needs_workers else None,
            **(extra_context or {}),
        }
        return super().changelist_view(request, shown)
