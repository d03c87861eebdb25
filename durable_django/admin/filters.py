"""Filters whose choices come from memory, so that no list has to look for distinct values."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..define.registry import registry


class TypedFilter(SimpleListFilter):
    """Names; more than ``listed`` are offered while one is typed, and any name may be."""

    typed = True
    listed = 12

    def has_output(self) -> bool:
        """Show it even if no name is known."""
        return True

    def list_names(self) -> set[str]:
        """Return the names that are offered."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names, and the one that was asked for."""
        asked = request.GET.get(str(self.parameter_name), "")
        names = self.list_names() | ({asked} if asked else set())
        return [(name, name) for name in sorted(names)]


class WorkflowFilter(TypedFilter):
    """The workflows that this process knows."""

    title = _("workflow")
    parameter_name = "workflow"

    def list_names(self) -> set[str]:
        """Return the registered ids."""
        return {each.id for each in registry}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen workflow."""
        return queryset if not self.value() else queryset.filter(workflow=self.value())


class EventNameFilter(TypedFilter):
    """The event names that start some workflow."""

    title = _("name")
    parameter_name = "name"
    listed = 0

    def list_names(self) -> set[str]:
        """Return the names in triggers, without those that end with an asterisk."""
        names = {trigger.event for each in registry for trigger in each.triggers}
        return {name for name in names if not name.endswith("*")}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the events of the chosen name."""
        return queryset if not self.value() else queryset.filter(name=self.value())
