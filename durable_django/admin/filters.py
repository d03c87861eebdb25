"""Filters whose choices come from memory, so that no list has to look for distinct values."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..define.registry import registry


class WorkflowFilter(SimpleListFilter):
    """The workflows that this process knows."""

    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the registered ids."""
        return [(name, name) for name in sorted(each.id for each in registry)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen workflow."""
        return queryset if self.value() is None else queryset.filter(workflow=self.value())


class EventNameFilter(SimpleListFilter):
    """The event names that start some workflow."""

    title = _("name")
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names in triggers, without those that end with an asterisk."""
        names = {trigger.event for each in registry for trigger in each.triggers}
        return [(name, name) for name in sorted(names) if not name.endswith("*")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the events of the chosen name."""
        return queryset if self.value() is None else queryset.filter(name=self.value())
