"""What all our admin pages share: nothing can be added or changed, lists stay cheap, search is exact."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy

from ..engine.alias import get_alias
from .guard import guard
from .media import CONSOLE
from .permits import may_see_payloads, may_view
from .render import HIDDEN

COUNTED: Final = 10_000
"""Rows of a list that are counted and can be paged to; an exact count of millions takes seconds."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts at most one row more than COUNTED."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or COUNTED + 1 if there are more."""
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNTED + 1].count())


class NarrowChangeList(ChangeList):
    """Reads only the columns in ``list_columns``, so payloads stay in the database."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the filtered rows, without wide columns."""
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        columns: tuple[str, ...] = self.model_admin.list_columns  # type: ignore[attr-defined]
        return rows.only(*columns)

    @property
    def filter_rows(self) -> list[dict[str, Any]]:
        """Return each filter with its choices, for the bar above the list."""
        return [
            {
                "title": spec.title,
                "name": next(iter(spec.expected_parameters()), ""),
                "choices": list(spec.choices(self)),
                "spec": spec,
                "form": spec.template != "admin/filter.html",
                "typed": self._list_kept(spec) if getattr(spec, "typed", False) else None,
            }
            for spec in self.filter_specs
        ]

    def _list_kept(self, spec: Any) -> dict[str, Any]:
        """Return what a form of the filter carries along."""
        gone = spec.expected_parameters()
        return {name: value for name, value in self.params.items() if name not in gone}


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Shows rows that only the engine writes."""

    list_columns: ClassVar[tuple[str, ...]]
    """The columns that the list and ``__str__`` read."""
    search_column: ClassVar[str] = "pk"
    sections: ClassVar[dict[str, type[Model]]] = {}
    """Fields of the detail page that show rows of other models, for those who may view these."""

    payloads: ClassVar[tuple[str, ...]] = ()
    """Fields of the detail page that show payloads, for those with the permission ``view_payload``."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_select_related = False
    list_per_page = 50
    list_max_show_all = 0
    empty_value_display = "–"
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("pk",)  # makes the box appear; get_search_results decides

    @property
    def urls(self) -> list[Any]:
        """Return our addresses; while the database does not answer, each of them says so."""
        return guard(self.get_urls())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let nobody add rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let nobody change rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let nobody delete rows here; ``prune`` does."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the database that holds the durable tables."""
        return super().get_queryset(request).using(get_alias())

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list under the name of its rows; Django would ask to select one."""
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that reads few columns."""
        return NarrowChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by a full id only, which an index answers."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            value = self.read_term(term)
        except ValueError:
            return queryset.none(), False
        return queryset.filter(**{self.search_column: value}), False

    @property
    def media(self) -> Any:
        """Return Django's files and ours."""
        return super().media + CONSOLE

    @admin.display(description=gettext_lazy("payloads"))
    def hidden_payloads(self, row: Any) -> str:
        """Stand for what the user may not see."""
        return str(HIDDEN)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the field that stands for hidden ones."""
        return [*super().get_readonly_fields(request, obj), "hidden_payloads"]

    def read_term(self, term: str) -> Any:
        """Return the value to search for, or raise ValueError."""
        return UUID(term)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out the sections whose rows this user may not view."""
        hidden = {name for name, model in self.sections.items() if not may_view(request, model)}
        if not may_see_payloads(request):
            hidden |= set(self.payloads)
        kept = []
        for title, options in super().get_fieldsets(request, obj):
            fields = [name for name in options["fields"] if name not in hidden]
            if len(fields) < len(options["fields"]) and hidden.intersection(self.payloads, options["fields"]):
                fields.append("hidden_payloads")
            if fields:
                kept.append((title, {**options, "fields": fields}))
        return kept
