"""Runs: the list, and the routes to the pages of a run."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..clock import read_time
from ..engine.operations import delete_run
from ..engine.words import name_state, say_length
from ..exceptions import OperationRefused
from ..models import Run
from ..models.run import ENDED
from .actions import ACTIONS, get_actor
from .filters import WorkflowFilter
from .keyed_list import KeyedAdmin
from .operation_routes import list_run_operations
from .overview import show_overview
from .permits import may
from .render import NOTHING, show_moment, show_state
from .run_columns import list_columns
from .run_details import DetailFilter
from .run_export import export_selected
from .run_filters import RangeFilter, StateFilter
from .run_list import RunChangeList
from .run_now import show_now, tell_now
from .run_operations import deny
from .run_page import show_fragment, show_run
from .run_routes import build_context, list_routes
from .run_search import choose_runs, read_search


@admin.register(Run)
class RunAdmin(KeyedAdmin):
    """Executions of workflows."""

    needs_workers = True
    change_list_template = "durable_django/admin/run_list.html"
    list_display = (
        "shown_state",
        "workflow",
        "shown_id",
        "key",
        "doing",
        "created",
        "lasted",
        "origin",
        "started",
    )
    list_display_links = ("shown_id",)
    list_columns = (
        "workflow",
        "status",
        "waits_for",
        "wake_at",
        "owner",
        "event",
        "key",
        "origin",
        "queue",
        "version",
        "attempt",
        "reason",
        "created_at",
        "started_at",
        "ended_at",
    )
    list_filter = (StateFilter, RangeFilter, WorkflowFilter, DetailFilter)
    search_help_text = _(
        "A full run id, event id or key; key* for its beginning; input.customer.id=42 for a payload"
    )
    actions = [*ACTIONS, export_selected]

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of one run, and the overview."""
        ask = self.admin_site.admin_view
        own = [path("overview/", ask(partial(show_overview, self)), name="durable_django_overview")]
        own += list_run_operations(self)
        # Not through admin_view, which would answer a lost login with a page instead of 401.
        live = _by_text(partial(show_fragment, self))
        own.append(path("<uuid:key>/live/", live, name="durable_django_run_live"))
        return [*own, *list_routes(self), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RunChangeList]:
        """Return the list by pages of keys."""
        return getattr(request, "durable_list", RunChangeList)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Refuse, and note, an action that the user may not take; Django would say that none was chosen."""
        verb = request.POST.get("action", "").removesuffix("_selected")
        if verb in ("cancel", "retry", "rerun", "delete", "export") and not may(request, verb):
            deny(request, verb, None)
            raise PermissionDenied
        return super().changelist_view(request, {**(extra_context or {}), **build_context(self, request)})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the run."""
        return show_run(self, request, object_id)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by run id, event id or key, which indexes answer, or by a value of the input."""
        search = read_search(search_term)
        return (queryset if search is None else queryset.filter(choose_runs(queryset.db, search))), False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those with the permission delete runs that have ended."""
        return may(request, "delete") and (obj is None or obj.status in ENDED)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Tell whether the action is offered and obeyed."""
        return may(request, "cancel")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether the action is offered and obeyed."""
        return may(request, "retry")

    def has_rerun_permission(self, request: HttpRequest) -> bool:
        """Tell whether the action is offered and obeyed."""
        return may(request, "rerun")

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Tell whether the action is offered and obeyed."""
        return may(request, "export")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the run alone: its parts go with it, and may be thousands."""
        return [str(each) for each in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the operation, which looks at the run again and writes the operator log."""
        try:
            delete_run(obj.pk, actor=get_actor(request))
        except OperationRefused as error:
            raise PermissionDenied(error.message) from error

    @admin.display(description=_("state"))
    def shown_state(self, run: Run) -> str:
        """Show icon and word."""
        return show_state(name_state(run))

    @admin.display(description=_("run"))
    def shown_id(self, run: Run) -> str:
        """Show the end of the id, which tells runs of one moment apart; the link has all of it."""
        return format_html('<code class="dd-nowrap" title="{}">…{}</code>', run.pk, str(run.pk)[-8:])

    @admin.display(description=_("created"))
    def created(self, run: Run) -> str:
        """Show the instant."""
        return show_moment(run.created_at)

    @admin.display(description=_("started"))
    def started(self, run: Run) -> str:
        """Show the instant."""
        return show_moment(run.started_at)

    @admin.display(description=_("duration"))
    def lasted(self, run: Run) -> str:
        """Show how long an ended run took."""
        if run.ended_at is None:
            return NOTHING
        return say_length((read_time(run.ended_at) - read_time(run.created_at)).total_seconds())

    @admin.display(description=_("now"))
    def doing(self, run: Run) -> Any:
        """Show what it waits for and until when, who executes it, or why it ended."""
        return show_now(run)

    def extend_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs with what they wait for."""
        return tell_now(rows)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Add the columns that the address asks for, beside what the run does now."""
        place = self.list_display.index("doing") + 1
        return [*self.list_display[:place], *list_columns(request), *self.list_display[place:]]


def _by_text(view: Any) -> Any:
    def answer(request: HttpRequest, key: UUID) -> HttpResponse:
        response: HttpResponse = view(request, str(key))
        return response

    return answer
