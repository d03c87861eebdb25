"""Actions on selected runs: a page asks, a POST acts through the operations, messages tell what came of it.

Each action names its permission; without one Django would offer and obey it for whoever may view the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from ..engine import operations
from ..engine.alias import get_alias
from ..engine.bulk_ticked import close_ticked, open_ticked
from ..engine.refusal import record_refusal
from ..exceptions import OperationRefused, RunNotFound
from ..models import Run
from ..models.audit import acting_for
from .action_result import Result, tell_result
from .media import CONSOLE

TEMPLATE: Final = "durable_django/admin/confirm.html"
AT_ONCE: Final = 200
"""Runs that one request may act on; a longer loop would meet the time-out of the web server."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What is asked, done and told; ``code`` is its name among bulk operations and in the operator log."""

    code: str
    act: Callable[..., Any]
    title: Any
    question: Any
    button: Any
    one: Any
    done: Any
    flag: int = CHANGE


CANCEL: Final = Action(
    code="cancel",
    act=operations.cancel_run,
    title=gettext_lazy("Cancel runs"),
    question=gettext_lazy(
        "Cancel these runs? A step that is running may still finish; no further step starts, and open waits "
        "are closed. You can retry or rerun them later."
    ),
    button=gettext_lazy("Cancel these runs"),
    one=gettext_lazy("Cancel the run"),
    done=ngettext_lazy("Cancelled %d run.", "Cancelled %d runs."),
)
RETRY: Final = Action(
    code="retry",
    act=operations.retry_run,
    title=gettext_lazy("Retry runs"),
    question=gettext_lazy("Let these runs go on where they stopped? Completed steps are not repeated."),
    button=gettext_lazy("Retry these runs"),
    one=gettext_lazy("Retry the run"),
    done=ngettext_lazy("Queued %d run again.", "Queued %d runs again."),
)
RERUN: Final = Action(
    code="rerun",
    act=operations.rerun,
    title=gettext_lazy("Rerun"),
    question=gettext_lazy(
        "Start new runs with the same input? All their steps run again, including those with outside "
        "effects. The old runs stay as they are."
    ),
    button=gettext_lazy("Start new runs"),
    one=gettext_lazy("Start a new run"),
    done=ngettext_lazy("Started %d new run.", "Started %d new runs."),
)
DELETE: Final = Action(
    code="delete",
    act=operations.delete_run,
    title=gettext_lazy("Delete runs"),
    question=gettext_lazy(
        "Delete these runs with their steps, attempts, waits and results? Operator log entries stay. "
        "Runs that have not ended are refused."
    ),
    button=gettext_lazy("Delete these runs"),
    one=gettext_lazy("Delete the run"),
    done=ngettext_lazy("Deleted %d run.", "Deleted %d runs."),
    flag=DELETION,
)


@admin.action(permissions=["cancel"], description=gettext_lazy("Cancel selected runs"))
def cancel_selected(page: Any, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
    """Cancel runs that have not ended."""
    return _ask_or_act(page, request, queryset, CANCEL)


@admin.action(permissions=["retry"], description=gettext_lazy("Retry selected runs"))
def retry_selected(page: Any, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
    """Queue failed and cancelled runs again."""
    return _ask_or_act(page, request, queryset, RETRY)


@admin.action(permissions=["rerun"], description=gettext_lazy("Rerun selected runs"))
def rerun_selected(page: Any, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
    """Start new runs with the same events."""
    return _ask_or_act(page, request, queryset, RERUN)


@admin.action(permissions=["delete"], description=gettext_lazy("Delete selected runs"))
def delete_selected(page: Any, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
    """Delete ended runs; its name puts it in the place of Django's own action."""
    return _ask_or_act(page, request, queryset, DELETE)


ACTIONS: Final = (cancel_selected, retry_selected, rerun_selected, delete_selected)


def get_actor(request: HttpRequest) -> str:
    """Return what the operator log keeps of the user: key, and name, which outlives the account."""
    return f"user:{request.user.pk} {request.user.get_username()}"


def _ask_or_act(
    page: ModelAdmin[Run], request: HttpRequest, queryset: QuerySet[Run], action: Action
) -> HttpResponse | None:
    runs = list(queryset[: AT_ONCE + 1])
    if len(runs) > AT_ONCE:
        page.message_user(request, _("Select at most %d runs at once.") % AT_ONCE, messages.ERROR)
        return None
    if request.POST.get("confirmed") != "yes":
        return _ask(page, request, runs, action)
    _act(page, request, runs, action)
    return None


def _ask(page: ModelAdmin[Run], request: HttpRequest, runs: list[Run], action: Action) -> HttpResponse:
    context = {
        **page.admin_site.each_context(request),
        "title": action.title,
        "console": CONSOLE,
        "question": action.question,
        "button": action.button,
        "runs": runs,
        "hidden": [
            ("action", request.POST.get("action", "")),
            ("confirmed", "yes"),
            *((ACTION_CHECKBOX_NAME, run.pk) for run in runs),
        ],
        "back_url": request.get_full_path(),
    }
    request.current_app = page.admin_site.name  # as Django's own views do
    return TemplateResponse(request, TEMPLATE, context)


def _act(page: ModelAdmin[Run], request: HttpRequest, runs: list[Run], action: Action) -> None:
    using, actor, reason = get_alias(), get_actor(request), request.POST.get("reason", "")
    result = Result()
    if len(runs) > 1:
        keys = [run.pk for run in runs]
        result.bulk = open_ticked(using, action.code, keys, actor=actor, reason=reason)
    with acting_for(result.bulk.pk if result.bulk else None):
        for run in runs:
            _act_on(using, run, action, result, actor=actor, reason=reason)
    if result.bulk:
        close_ticked(using, result.bulk, done=len(result.done), skipped=result.left)
    _record(request, result.done, action)
    tell_result(page, request, result, action.done, gone=action.flag == DELETION)


def _act_on(using: str, run: Run, action: Action, result: Result, *, actor: str, reason: str) -> None:
    key, workflow = run.pk, run.workflow
    try:
        action.act(key, actor=actor, reason=reason)
    except (OperationRefused, RunNotFound) as error:
        status = str(error.details.get("status", "gone"))
        result.refused[status] += 1
        record_refusal(
            using,
            actor=actor,
            action=action.code,
            run_id=key,
            workflow=workflow,
            reason=reason,
            result=f"refused: {status}",
        )
    else:
        result.done.append(run)


def _record(request: HttpRequest, done: list[Run], action: Action) -> None:
    if done:
        LogEntry.objects.log_actions(
            int(request.user.pk or 0), done, action.flag, change_message=str(action.title)
        )
