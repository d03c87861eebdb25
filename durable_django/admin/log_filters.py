"""Filters of the operator log: all that a row has.

Note [The log is never read from end to end]
    A run and a bulk operation have an index. All else is looked for row by row, so it goes with a range of time:
    30 days unless another one is chosen. The key grows with the time, so the range bounds it too.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import AuditEntry
from .run_details import Detail, DetailFilter
from .run_filters import SKEW, RangeFilter

ACTIONS: Final = (
    ("cancel", _("cancel")),
    ("retry", _("retry")),
    ("rerun", _("rerun")),
    ("delete", _("delete")),
    ("wake", _("wake")),
    ("resolve", _("resolve a wait")),
    ("time_out", _("time out a wait")),
    ("extend", _("extend a wait")),
    ("supply", _("supply a result")),
    ("send", _("send an event")),
    ("resend", _("send an event again")),
    ("invoke", _("invoke")),
    ("pause", _("pause")),
    ("resume", _("resume")),
    ("drain", _("drain a worker")),
    ("undrain", _("let a worker take runs")),
    ("bulk", _("bulk operation")),
    ("export", _("export")),
)
RESULTS: Final = (("done", _("done")), ("refused", _("refused")), ("denied", _("denied")))
RANGES: Final = {
    "1h": (_("last hour"), timedelta(hours=1)),
    "24h": (_("last 24 hours"), timedelta(hours=24)),
    "7d": (_("last 7 days"), timedelta(days=7)),
    "30d": (_("last 30 days"), timedelta(days=30)),
    "all": (_("any time"), None),
}
LONGEST: Final = timedelta(days=31)
DENIED: Final = Q(result="denied")
REFUSED: Final = Q(result__startswith="refused")
SLOW: Final = ("action", "result", "actor", "workflow", "reason", "ip")
"""Parameters whose rows no index finds."""


def select_actor(text: str) -> Q:
    """Return the condition on who acted: as it is noted, or the name or the key alone."""
    return Q(actor=text) | Q(actor__endswith=f" {text}") | Q(actor__startswith=f"{text} ")


def _was_about(using: str, value: str) -> Q:
    try:
        return Q(run_id=UUID(value))
    except ValueError:
        return Q(pk__in=())


def _was_part(using: str, value: str) -> Q:
    return Q(bulk_id=int(value)) if value.isdecimal() and len(value) < 19 else Q(pk__in=())


DETAILS: Final = (
    Detail(name="actor", label=_("Actor"), choose=lambda using, value: select_actor(value), hint="ann"),
    Detail(name="workflow", label=_("Workflow"), choose=lambda using, value: Q(workflow=value)),
    Detail(name="run", label=_("Run"), choose=_was_about, indexed=True),
    Detail(name="reason", label=_("Reason contains"), choose=lambda using, value: Q(reason__icontains=value)),
    Detail(
        name="ip", label=_("Address"), choose=lambda using, value: Q(ip=value, ip__gt=""), hint="192.0.2.7"
    ),
    Detail(name="bulk", label=_("Bulk operation"), choose=_was_part, indexed=True, kind="number", hint="17"),
)


class ActionFilter(SimpleListFilter):
    """What was done or tried."""

    title = _("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the actions of the engine."""
        return list(ACTIONS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the action; those of a family begin alike."""
        return queryset.filter(action__startswith=self.value()) if self.value() else queryset


class ResultFilter(SimpleListFilter):
    """What came of it."""

    title = _("result")
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return done, refused, denied."""
        return list(RESULTS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the result."""
        chosen = {"denied": DENIED, "refused": REFUSED, "done": ~DENIED & ~REFUSED}
        return queryset.filter(chosen.get(self.value() or "", Q()))


class LogRangeFilter(RangeFilter):
    """When; any time unless rows are looked for one by one, then the last 30 days."""

    title = _("time")
    parameter_name = "age"
    timed: ClassVar = {"created": ("at", _("time"))}
    ranges: ClassVar = RANGES
    longest: ClassVar = LONGEST

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the ranges, and note whether rows are looked for one by one."""
        found = super().lookups(request, model_admin)
        self.slow = is_slow(request)
        return found

    def find_default(self) -> str:
        """Return the range that holds without a choice."""
        return "30d" if self.slow else "all"

    def told(self) -> list[str]:
        """Return the range in words, unless there is none."""
        return super().told() if self.chosen() != "all" else []

    def _bound(self, rows: QuerySet[Any], begin: datetime | None, end: datetime | None) -> QuerySet[Any]:
        if begin is None:
            return rows
        # A key may be older than the time beside it by as long as a transaction lasts.
        entries = AuditEntry.objects.using(rows.db).filter(at__gte=begin - SKEW).order_by("at")
        return rows.filter(pk__gte=entries.values("pk")[:1])


class LogFilter(DetailFilter):
    """One form for what is written rather than chosen."""

    details = DETAILS
    timed: ClassVar = {}


def is_slow(request: HttpRequest) -> bool:
    """Tell whether the address asks for what no index finds."""
    if any(request.GET.get(name, "").strip() for name in ("run", "bulk")):
        return False
    term = request.GET.get("q", "").strip()
    return any(request.GET.get(name, "").strip() for name in SLOW) or bool(term and not is_id(term))


def is_id(term: str) -> bool:
    """Tell whether a text is the id of a run."""
    try:
        UUID(term)
    except ValueError:
        return False
    return True
