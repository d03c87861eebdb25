"""Cancel, retry and rerun of one run: GET asks, POST acts and goes back to the run.

Note [A form acts once]
    Each form carries a mark that its page left in the session; the POST takes it away. So a double click,
    or a reload of the answer, starts one run and not two.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..engine.alias import get_alias
from ..engine.refusal import record_refusal
from ..exceptions import OperationRefused, RunNotFound
from ..models import Run, RunStatus, Step, StepKind, StepStatus, Wait, WaitStatus
from ..models.run import LIVE
from .actions import CANCEL, RERUN, RETRY, TEMPLATE, get_actor
from .media import CONSOLE
from .permits import may
from .render import find_page
from .run_page import BUTTONS, find_run, show_missing

ACTIONS: Final = {"cancel": CANCEL, "retry": RETRY, "rerun": RERUN}
MARKS: Final = "durable_forms"
OPEN_FORMS: Final = 20
EFFECTS: Final = (StepKind.RUN, StepKind.FETCH, StepKind.INFER, StepKind.WRAP, StepKind.SEND, StepKind.INVOKE)
NAMES: Final = 10


def ask_or_act(page: ModelAdmin[Run], request: HttpRequest, key: str, verb: str) -> HttpResponse:
    """Show the question, or do what was confirmed."""
    request.current_app = page.admin_site.name
    run = find_run(key)
    if not (page.has_view_permission(request) and may(request, verb)):
        if request.method == "POST":
            deny(request, verb, run)
        raise PermissionDenied
    if run is None:
        return show_missing(page, request, key)
    if request.method == "POST":
        return _act(page, request, run, verb)
    return _ask(page, request, run, verb)


def deny(request: HttpRequest, verb: str, run: Run | None) -> None:
    """Note in the operator log that somebody tried what they may not do."""
    record_refusal(
        get_alias(),
        actor=get_actor(request),
        action=verb,
        run_id=run.pk if run else None,
        workflow=run.workflow if run else "",
        result="denied",
    )


def _ask(page: ModelAdmin[Run], request: HttpRequest, run: Run, verb: str) -> HttpResponse:
    if run.status not in BUTTONS[verb]:
        messages.warning(request, _tell_nothing_done(run, run.status))
        return HttpResponseRedirect(find_page(page.admin_site, "run_change", run.pk))
    action = ACTIONS[verb]
    context = {
        **page.admin_site.each_context(request),
        "title": action.one,
        "console": CONSOLE,
        "question": _write_question(run, verb),
        "details": _list_consequences(run, verb),
        "button": action.one,
        "runs": [run],
        "hidden": [("seen", run.status), ("mark", _leave_mark(request))],
        "back_url": find_page(page.admin_site, "run_change", run.pk),
    }
    return TemplateResponse(request, TEMPLATE, context)


def _act(page: ModelAdmin[Run], request: HttpRequest, run: Run, verb: str) -> HttpResponse:
    back = HttpResponseRedirect(find_page(page.admin_site, "run_change", run.pk))
    if not _take_mark(request):
        messages.warning(request, _("Nothing was done: this form was sent before. Open it again."))
        return back
    reason = request.POST.get("reason", "")
    try:
        handle = ACTIONS[verb].act(run.pk, actor=get_actor(request), reason=reason)
    except OperationRefused as error:
        _tell_refused(request, run, verb, reason, str(error.details["status"]))
        return back
    except RunNotFound:
        messages.warning(request, _("Nothing was done: the run is no longer stored."))
        return HttpResponseRedirect(find_page(page.admin_site, "run_changelist"))
    page.log_change(request, run, str(ACTIONS[verb].title))
    _tell_done(page, request, run, verb, str(handle.id))
    return back


def _tell_done(page: ModelAdmin[Run], request: HttpRequest, run: Run, verb: str, made: str) -> None:
    text = {"cancel": _("The run was cancelled."), "retry": _("The run is queued again.")}.get(verb)
    if text is None:
        link = find_page(page.admin_site, "run_change", made)
        text = format_html('{} <a href="{}">{}</a>', _("A new run was started:"), link, made)
    messages.success(request, text)


def _tell_refused(request: HttpRequest, run: Run, verb: str, reason: str, status: str) -> None:
    record_refusal(
        get_alias(),
        actor=get_actor(request),
        action=verb,
        run_id=run.pk,
        workflow=run.workflow,
        reason=reason,
        result=f"refused: {status}",
    )
    messages.warning(request, _tell_nothing_done(run, request.POST.get("seen", ""), status))


def _tell_nothing_done(run: Run, seen: str, status: str = "") -> str:
    text = _("Nothing was done: run %(run)s is %(now)s.")
    if status and seen in RunStatus.values and seen != status:
        text = _(
            "Nothing was done: run %(run)s is already %(now)s (it was %(seen)s when you opened the page)."
        )
    shown = RunStatus(status or run.status).label
    return text % {"run": run.pk, "now": shown, "seen": RunStatus(seen).label if seen else ""}


def _leave_mark(request: HttpRequest) -> str:
    mark = secrets.token_urlsafe(9)
    request.session[MARKS] = [*request.session.get(MARKS, []), mark][-OPEN_FORMS:]
    return mark


def _take_mark(request: HttpRequest) -> bool:
    marks, mark = list(request.session.get(MARKS, [])), request.POST.get("mark", "")
    if mark not in marks:
        return False
    marks.remove(mark)
    request.session[MARKS] = marks
    return True


def _write_question(run: Run, verb: str) -> str:
    texts = {
        "cancel": _(
            "Cancel this run of “%s”? Its current step may still finish once; no further step starts."
        ),
        "retry": _("Let this run of “%s” go on where it stopped? Completed steps are not repeated."),
        "rerun": _("Start a new run of “%s” with the same input? The old run stays as it is."),
    }
    return texts[verb] % run.workflow


def _list_consequences(run: Run, verb: str) -> list[Any]:
    steps = Step.objects.using(run._state.db).filter(run_id=run.pk)
    if verb == "cancel":
        return _list_of_cancel(run)
    if verb == "retry":
        failed = steps.filter(status=StepStatus.FAILED).order_by("-pk").values_list("name", flat=True).first()
        return [_("The step “%s” is tried again, with all its attempts.") % failed] if failed else []
    names = sorted(set(steps.filter(kind__in=EFFECTS).values_list("name", flat=True)[: NAMES * 10]))
    told = [_("All steps run again, including those with outside effects.")]
    if names:
        shown = ", ".join(names[:NAMES]) + (", …" if len(names) > NAMES else "")
        told.append(_("In the old run these steps called code or sent something: %s.") % shown)
    if run.key:
        told.append(_("The new run has the same key, %s.") % run.key)
    return told


def _list_of_cancel(run: Run) -> list[Any]:
    using = run._state.db
    opened = Wait.objects.using(using).filter(run_id=run.pk, status=WaitStatus.OPEN)
    waits = opened.exclude(kind="cancel").count()
    children = Run.objects.using(using).filter(parent_id=run.pk, status__in=LIVE).count()
    told = []
    if waits:
        told.append(ngettext("%d open wait is closed.", "%d open waits are closed.", waits) % waits)
    if children:
        text = ngettext("%d run that it invoked goes on.", "%d runs that it invoked go on.", children)
        told.append(text % children)
    return [*told, _("This cannot be undone; you can retry or rerun it later.")]
