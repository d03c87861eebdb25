"""The list of waits when it is asked for sleeps: runs that time alone wakes, with the step that sleeps.

Note [Sleeps are found by their runs]
    A sleep is a step, and its row stays as it is when the time has come. So what sleeps now is told by the runs
    that wait for it, which an index knows, one row a run: the step that ends first is what wakes it. A sleep
    beside a wait that ends earlier is on the page of its run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import F, JSONField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONObject
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..clock import Now, read_time
from ..engine.alias import get_alias
from ..engine.words import WORDS, name_step
from ..models import Run, RunStatus, Step, StepKind, StepStatus, Wait
from .base import COUNTED
from .bulk_operations import list_choices
from .bulk_query import PAGING
from .filters import WorkflowFilter
from .keyed_list import KeyedAdmin, KeyedChangeList
from .moment import find_moment
from .permits import may_do
from .render import NOTHING, find_page, show_link, show_moment, show_short, show_state
from .wait_filters import SleepAgeFilter, SleepEndFilter, WaitKindFilter, may_see_sleeps
from .wait_words import say_left_until

SLEEPING = {"status": RunStatus.WAITING, "waits_for": "sleep"}


class UnusedStatusFilter(SimpleListFilter):
    """Takes the status of waits out of the address: a sleep that is listed lasts."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return nothing to choose from, so that it is not shown."""
        return []

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return none."""
        return iter(())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return all rows."""
        return queryset


class SleepChangeList(KeyedChangeList):
    """Sleeping runs by pages of keys."""

    @cached_property
    def nothing_yet(self) -> Any:
        """Return what is said if nothing sleeps; the kind alone is no filter here."""
        chosen = set(self.params) - {WaitKindFilter.parameter_name}
        return "" if chosen or self.query else self.model_admin.nothing_yet  # type: ignore[attr-defined]


class SleepList(KeyedAdmin):
    """Runs that sleep, at the address of the waits; one instance a request."""

    change_list_template = "durable_django/admin/sleep_list.html"
    nothing_yet = _("Nothing sleeps.")
    list_display = ("shown_state", "sleeps", "until", "wake", "run_link", "since")
    list_display_links = None
    list_columns = ("workflow", "status", "waits_for", "wake_at", "event")
    list_filter = (UnusedStatusFilter, WaitKindFilter, SleepEndFilter, SleepAgeFilter, WorkflowFilter)
    search_help_text = _("A full run id")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the runs that sleep; note who asks, and the instant that rows are compared with."""
        self.now, self.request = find_moment(request), request
        return super().get_queryset(request).filter(**SLEEPING)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those in who may see waits, runs and steps."""
        return may_do(request, "view_wait") and may_see_sleeps(request)

    def extend_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs with the step that wakes them."""
        steps = Step.objects.using(rows.db).filter(
            run_id=OuterRef("pk"), kind=StepKind.SLEEP, status=StepStatus.WAITING, ready_at__isnull=False
        )
        told = JSONObject(id="pk", name="name", index=F("index"), started="started_at")
        # The one that is to end first; of those that are over only the last may not have been looked at.
        lasting = steps.filter(ready_at__gt=Now()).order_by("ready_at", "pk").values(told=told)[:1]
        ending = steps.order_by("-ready_at", "-pk").values(told=told)[:1]
        first = Coalesce(Subquery(lasting), Subquery(ending), output_field=JSONField())
        extended: QuerySet[Any] = rows.annotate(sleeping=first)
        return extended

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeyedChangeList]:
        """Return the list by pages of keys."""
        return SleepChangeList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show it as a part of the waits; offer to wake all that the list shows."""
        shown = {"title": capfirst(Wait._meta.verbose_name_plural), "bulk_url": self._find_bulk(request)}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def _find_bulk(self, request: HttpRequest) -> str:
        """Return where all of them are woken; filters that bulk operations do not know leave it out."""
        given = {name: str(value) for name, value in request.GET.items() if value and name not in PAGING}
        if set(given) - {"kind", "status", "workflow"} or "wake" not in list_choices(request, "run"):
            return ""
        url = find_page(self.admin_site, "bulk_new")
        asked = {"action": "wake", "status": "sleeping", "created": "all"}
        asked |= {"workflow": given["workflow"]} if "workflow" in given else {}
        return f"{url}?{urlencode(asked)}" if url else ""

    def suggest(self, request: HttpRequest, found: Any) -> list[tuple[str, str]]:
        """Tell how many runs sleep that the filters leave out."""
        count = count_sleeps()
        return [("?kind=sleep", say_sleeps(count))] if count else []

    @admin.display(description=_("status"))
    def shown_state(self, run: Any) -> Any:
        """Show icon and word; a sleep whose time has come is overdue until somebody looks."""
        if read_time(run.wake_at) > self.now:
            return show_state(WORDS["sleeping"])
        html = '<span class="dd-state dd-failed"><span aria-hidden="true">⚠</span> {}</span>'
        return format_html(html, _("overdue"))

    @admin.display(description=_("step"))
    def sleeps(self, run: Any) -> str:
        """Link to the step that sleeps."""
        step = run.sleeping
        return (
            show_link(self.admin_site, Step, step["id"], name_step(step["name"], step["index"]))
            if step
            else NOTHING
        )

    @admin.display(description=_("run"))
    def run_link(self, run: Any) -> str:
        """Link to the run."""
        return show_short(self.admin_site, run.pk, run.workflow)

    @admin.display(description=_("since"))
    def since(self, run: Any) -> str:
        """Show the begin."""
        step = run.sleeping
        return show_moment(read_time(step["started"])) if step else NOTHING

    @admin.display(description=_("until"))
    def until(self, run: Any) -> str:
        """Show the end and what is left."""
        colour = "dd-soft" if read_time(run.wake_at) > self.now else "dd-bad"
        left = say_left_until(run.wake_at, self.now)
        return format_html('{} <span class="{}">({})</span>', show_moment(run.wake_at), colour, left)

    @admin.display(description=_("action"))
    def wake(self, run: Any) -> str:
        """Link to the question whether to wake it now, for those who may; it leads back here."""
        url = find_page(self.admin_site, "run_wake", run.pk) if may_do(self.request, "retry_run") else ""
        if not url:
            return NOTHING
        back = urlencode({"next": self.request.get_full_path()})
        return format_html(
            '<a class="dd-button dd-quiet dd-small" href="{}?{}">{}</a>', url, back, _("Wake now…")
        )


def count_sleeps() -> int:
    """Return the number of runs that sleep, counted no further than COUNTED."""
    rows = Run.objects.using(get_alias()).filter(**SLEEPING)
    return int(rows.order_by()[: COUNTED + 1].count())


def say_sleeps(count: int) -> str:
    """Return how many runs sleep."""
    shown = f"{COUNTED}+" if count > COUNTED else str(count)
    return str(ngettext("%s run sleeps.", "%s runs sleep.", count) % shown)
