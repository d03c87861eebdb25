"""Further filters of the list of runs, in one form: what is not chosen from a few words.

Note [A filter without an index needs a short list]
    Conditions that no index answers are looked at row by row. With a state that few runs have, or within a
    week, these rows are few enough; otherwise the list says what to choose first instead of running into the
    time limit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.contrib.admin import ListFilter
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..clock import Now
from ..engine.diagnose import OVERDUE_SECONDS
from ..engine.identity import owned_by
from ..models import Attempt, AuditEntry, Run, RunResult, RunStatus, Wait, WaitStatus
from .run_filters import BY, SKEW, TIMED, find_key

Choose = Callable[[str, str], Q]


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A field of the form."""

    name: str
    label: Any
    choose: Choose
    """A function of the alias and of what was entered."""
    indexed: bool = False
    kind: str = "text"
    hint: str = ""


def _has_error(using: str, value: str) -> Q:
    beginning = f'{{"name": {json.dumps(value)},'
    results = RunResult.objects.using(using).filter(run_id=OuterRef("pk"), error__startswith=beginning)
    return Q(Exists(results), status=RunStatus.FAILED)


def _has_attempts(using: str, value: str) -> Q:
    least = int(value) if value.isdecimal() else 1
    attempts = Attempt.objects.using(using).filter(run_id=OuterRef("pk"), number__gte=max(least, 1) - 1)
    return Q(Exists(attempts))


def _waits_for(using: str, value: str) -> Q:
    waits = Wait.objects.using(using).filter(status=WaitStatus.OPEN, event_name=value)
    return Q(pk__in=waits.exclude(kind="cancel").values("run_id"), wake_at__isnull=False)


def _has_origin(using: str, value: str) -> Q:
    return Q(origin__in=[each.strip() for each in value.split(",")])


def _is_owned(using: str, value: str) -> Q:
    return Q(owned_by(value), status=RunStatus.RUNNING, wake_at__isnull=False)


def _lasts(using: str, value: str) -> Q:
    length = timedelta(minutes=int(value) if value.isdecimal() and len(value) < 8 else 0)
    newest = find_key(timezone.now() - length + SKEW)
    return Q(wake_at__isnull=False, created_at__lte=Now() - length, pk__lte=newest)


def _is_late(using: str, value: str) -> Q:
    return Q(wake_at__isnull=False, wake_at__lt=Now() - timedelta(seconds=OVERDUE_SECONDS))


def _has_children(using: str, value: str) -> Q:
    return Q(Exists(Run.objects.using(using).filter(parent_id=OuterRef("pk"))))


def _was_touched(using: str, value: str) -> Q:
    return Q(pk__in=_list_touched(using, value).exclude(LEFT).values("run_id"))


def _was_left(using: str, value: str) -> Q:
    return Q(pk__in=_list_touched(using, value).filter(LEFT).values("run_id"))


def _list_touched(using: str, value: str) -> QuerySet[AuditEntry]:
    number = int(value) if value.isdecimal() and len(value) < 19 else 0
    return AuditEntry.objects.using(using).filter(bulk_id=number, run_id__isnull=False)


LEFT: Final = Q(result__startswith="refused") | Q(result__startswith="failed")
"""What the operator log says of rows that a bulk operation did not change."""

DETAILS: Final = (
    Detail(name="error", label=_("Error class"), choose=_has_error, hint="ValueError"),
    Detail(
        name="attempts", label=_("Failed attempts of a step, at least"), choose=_has_attempts, kind="number"
    ),
    Detail(name="event", label=_("Waits for the event"), choose=_waits_for, indexed=True, hint="order/paid"),
    Detail(name="origin", label=_("Started by"), choose=_has_origin, hint="event, cron, operator"),
    Detail(name="queue", label=_("Queue"), choose=lambda using, value: Q(queue=value)),
    Detail(
        name="worker",
        label=_("Executed now by the worker"),
        choose=_is_owned,
        indexed=True,
        hint="web-1:4711",
    ),
    Detail(name="version", label=_("Code version"), choose=lambda using, value: Q(version=value)),
    Detail(
        name="lasts", label=_("Unfinished for minutes, at least"), choose=_lasts, indexed=True, kind="number"
    ),
    Detail(name="late", label=_("Overdue"), choose=_is_late, indexed=True, kind="checkbox"),
    Detail(
        name="top",
        label=_("Not invoked by another run"),
        choose=lambda using, value: Q(parent_id__isnull=True),
        indexed=True,  # nearly all rows are
        kind="checkbox",
    ),
    Detail(
        name="bulk",
        label=_("Changed by the bulk operation"),
        choose=_was_touched,
        indexed=True,
        kind="number",
        hint="17",
    ),
    Detail(
        name="left",
        label=_("Left alone by the bulk operation"),
        choose=_was_left,
        indexed=True,
        kind="number",
        hint="17",
    ),
    Detail(name="children", label=_("Invoked other runs"), choose=_has_children, kind="checkbox"),
)
TIMES: Final = (("from", _("From")), ("until", _("Until")))


class DetailFilter(ListFilter):
    """One form for all of them, and for a range of time of one's own."""

    title = _("more")
    template = "durable_django/admin/filter_form.html"
    details: ClassVar[tuple[Detail, ...]] = DETAILS
    timed: ClassVar[dict[str, tuple[str, Any]]] = TIMED

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.names = [each.name for each in self.details] + [name for name, _label in TIMES]
        self.names += [BY] if self.timed else []
        for name in self.names:
            value = params.pop(name, [""])[-1].strip()
            if value:
                self.used_parameters[name] = value

    def expected_parameters(self) -> list[str | None]:
        """Return the names of the fields."""
        return list(self.names)

    def has_output(self) -> bool:
        """Show the form always."""
        return True

    def chosen(self) -> list[Detail]:
        """Return the fields that were filled in."""
        return [each for each in self.details if each.name in self.used_parameters]

    def told(self) -> list[str]:
        """Return what was asked for in words."""
        return [
            str(each.label) if each.kind == "checkbox" else f"{each.label} {self.used_parameters[each.name]}"
            for each in self.chosen()
        ]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return the fields, and first what the form must carry along and where it is cleared."""
        kept = {name: value for name, value in changelist.params.items() if name not in self.names}
        clear = changelist.get_query_string(remove=self.names)
        yield {
            "kept": kept,
            "clear": clear if self.used_parameters else "",
            "open": bool(self.used_parameters),
        }
        times = [(code, title) for code, (_column, title) in self.timed.items()]
        if times:
            yield {"name": BY, "label": _("Time"), "kind": "select", "options": times, "value": self._get(BY)}
        for name, label in TIMES:
            yield {"name": name, "label": label, "kind": "datetime-local", "value": self._get(name)}
        for each in self.details:
            yield {
                "name": each.name,
                "label": each.label,
                "kind": each.kind,
                "hint": each.hint,
                "value": self._get(each.name),
            }

    def _get(self, name: str) -> str:
        return str(self.used_parameters.get(name, ""))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that meet all of them."""
        for each in self.chosen():
            queryset = queryset.filter(each.choose(queryset.db, self._get(each.name)))
        return queryset
