"""Lists by pages of keys for any model: page 1,000 costs what page 1 costs; see ``run_list`` for runs.

Note [A page is asked for by the key beside it]
    ``?older=<key>`` begins below that row and ``?newer=<key>`` ends above it. Rows that come and go meanwhile
    move nothing. The count stops at COUNTED, in the database.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from .base import COUNTED, NarrowChangeList, ReadOnlyAdmin


class KeyedChangeList(NarrowChangeList):
    """Rows between two keys, newest first."""

    older = newer = ""
    older_url = newer_url = ""
    many = False
    total = 0

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
        older, newer = self._read_key(self.older), self._read_key(self.newer)
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
        self.complete(page)
        self.result_list = page

    def complete(self, page: list[Any]) -> None:
        """Read what belongs to the rows of a page, in a fixed number of queries."""
        complete = getattr(self.model_admin, "complete_rows", None)
        if complete is not None and page:
            complete(page)

    def _read_key(self, text: str) -> Any:
        try:
            return self.model._meta.pk.to_python(text) if text else None
        except ValidationError:
            return None

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
        self.result_count = self.full_result_count = len(page)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    @property
    def told(self) -> list[str]:
        """Return what the filters say, for the sentence that stands for an empty list."""
        words = [str(word) for spec in self.filter_specs for word in self._tell(spec)]
        return [*words, f"“{self.query}”"] if self.query else words

    def _tell(self, spec: Any) -> list[Any]:
        if not isinstance(spec, SimpleListFilter):
            return []
        chosen = [each for each in spec.choices(self) if each["selected"]]
        return [each["display"] for each in chosen if spec.value() or each["query_string"] != "?"]


class KeyedAdmin(ReadOnlyAdmin):
    """A model whose list goes by keys."""

    change_list_template = "durable_django/admin/keyed_list.html"
    nothing_yet: Any = gettext_lazy("Nothing is stored yet.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeyedChangeList]:
        """Return the list by pages of keys."""
        return KeyedChangeList

    def list_links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Return buttons above the list."""
        return []

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list with its buttons."""
        shown = {
            "links": self.list_links(request),
            "nothing_yet": self.nothing_yet,
            **(extra_context or {}),
        }
        return super().changelist_view(request, shown)
