"""The page of a run, and the fragment of it that the script asks for again.

Note [A poll that finds nothing new costs one query]
    The revision is made of columns that change with everything that the page shows; counting the steps
    and attempts of one run reads an index. Only then is anything else asked for.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..clock import Now, read_time
from ..conf import settings
from ..engine.alias import get_alias
from ..engine.diagnose import Diagnosis, diagnose
from ..engine.words import name_state, name_step, say_length
from ..models import Attempt, AuditEntry, Event, Run, RunResult, RunStatus, Step
from ..models.run import LIVE, RunQuerySet
from .media import CONSOLE
from .permits import may_view
from .render import find_page, show_link, show_sentence, show_state, show_time
from .run_buttons import list_buttons, list_ways_out
from .run_rows import read_last_attempt, read_result
from .run_tabs import Asked, list_tabs
from .sections import list_sections
from .trace import fold_trace

PAGE: Final = "durable_django/admin/run.html"
FRAGMENT: Final = "durable_django/admin/run_regions.html"
MISSING: Final = "durable_django/admin/missing.html"
ORIGIN: Final = "operator"
REVISED: Final = ("status", "waits_for", "token", "wakeups", "attempt", "ended_at")


def show_run(page: ModelAdmin[Run], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page of a run."""
    request.current_app = page.admin_site.name  # as Django's own views do
    if not page.has_view_permission(request) or request.method not in ("GET", "HEAD"):
        raise PermissionDenied
    run = find_run(key)
    if run is None:
        return show_missing(page, request, key)
    sections = list_sections(page.admin_site, request)
    return TemplateResponse(request, PAGE, {**_build_context(page, request, run), "sections": sections})


def show_missing(page: ModelAdmin[Run], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page that says that there is no such run."""
    context = {
        **page.admin_site.each_context(request),
        "title": _("Run not found"),
        "key": key,
        "days": settings.RETENTION_DAYS,
        "list_url": find_page(page.admin_site, "run_changelist"),
        "console": CONSOLE,
    }
    return TemplateResponse(request, MISSING, context, status=404)


def show_fragment(page: ModelAdmin[Run], request: HttpRequest, key: str) -> HttpResponse:
    """Return the regions of the page if they are new, 204 if not, 401 if the login is gone."""
    request.current_app = page.admin_site.name
    if not page.admin_site.has_permission(request):
        return HttpResponse(status=401)
    if not page.has_view_permission(request):
        return HttpResponse(status=403)
    revision = read_revision(key)
    if revision is None:
        response = HttpResponse(status=404)
    elif request.GET.get("rev") == revision:
        response = HttpResponse(status=204)
    else:
        response = _answer(page, request, key)
    response["Cache-Control"] = "no-store"
    return response


def _answer(page: ModelAdmin[Run], request: HttpRequest, key: str) -> HttpResponse:
    run = find_run(key)
    if run is None:
        return HttpResponse(status=404)
    context = _build_context(page, request, run)
    response = TemplateResponse(request, FRAGMENT, context)
    response["X-Durable-Revision"] = context["revision"]
    response["X-Durable-Live"] = "on" if context["live"] else "off"
    return response


def find_run(key: str) -> Run | None:
    """Return the run with its event, or None."""
    runs = _select(key)
    found: Run | None = None if runs is None else _annotate(runs).select_related("event").first()
    return found


def read_revision(key: str) -> str | None:
    """Return what changes with the page, in one query; None if there is no such run."""
    runs = _select(key)
    run = None if runs is None else _annotate(runs).only(*REVISED).first()
    return None if run is None else _sum_up(run)


def _select(key: str) -> RunQuerySet | None:
    try:
        wanted = UUID(key)
    except ValueError:
        return None
    return Run.objects.using(get_alias()).filter(pk=wanted)


def _annotate(runs: RunQuerySet) -> Any:
    using = runs.db
    steps = Step.objects.using(using).filter(run_id=OuterRef("pk")).order_by().values("run_id")
    attempts = Attempt.objects.using(using).filter(run_id=OuterRef("pk")).order_by().values("run_id")
    return runs.annotate(
        now=Now(),
        steps_seen=Subquery(steps.annotate(n=Count("pk")).values("n")),
        steps_last=Subquery(steps.annotate(at=Max("ended_at")).values("at")),
        failed_last=Subquery(attempts.annotate(n=Max("pk")).values("n")),
    )


def _sum_up(run: Any) -> str:
    found = [getattr(run, name) for name in (*REVISED, "steps_seen", "steps_last", "failed_last")]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def _build_context(page: ModelAdmin[Run], request: HttpRequest, run: Run) -> dict[str, Any]:
    using, site = get_alias(), page.admin_site
    now = read_time(getattr(run, "now"))  # noqa: B009  an annotation
    tabs = list_tabs(request)
    tab = next((each for each in tabs if each.code == request.GET.get("tab")), tabs[0])
    why = diagnose(using, run, now)
    live = run.status in LIVE
    return {
        **site.each_context(request),
        "title": f"{run.workflow} · {str(run.pk)[-12:]}",
        "opts": page.opts,
        "run": run,
        "console": CONSOLE,
        "list_url": find_page(site, "run_changelist"),
        "overview_url": find_page(site, "overview"),
        "live_url": find_page(site, "run_live", run.pk),
        "live": live,
        # Read before the other rows: what changes in between is asked for by the next poll.
        "revision": _sum_up(run),
        "state": show_state(name_state(run)),
        "word": name_state(run).label,
        "facts": _list_facts(site, request, run, now),
        "buttons": list_buttons(page, request, run),
        "why": why,
        "why_sentence": show_sentence(why.sentence) if why else "",
        "why_remedy": show_sentence(why.remedy) if why else "",
        "ways": list_ways_out(page, request, run, why) if why else [],
        "why_link": _link_cause(page, why),
        "error": _read_error(request, run),
        "tabs": tabs,
        "tab": tab,
        "body": tab.show(Asked(site=site, request=request, run=run, now=now)),
    }


def _list_facts(site: AdminSite, request: HttpRequest, run: Run, now: datetime) -> list[tuple[str, Any]]:
    event = show_link(site, Event, run.event_id, run.event.name)
    end = read_time(run.ended_at) if run.ended_at else now
    lasted = say_length((end - read_time(run.created_at)).total_seconds())
    facts = [
        (_("created"), show_time(run.created_at)),
        (_("started"), show_time(run.started_at) if run.started_at else ""),
        (_("ended"), show_time(run.ended_at) if run.ended_at else ""),
        (_("duration"), lasted),
        (_("started by"), _name_starter(run)),
        (_("event"), event if may_view(request, Event) else ""),
        (_("key"), run.key),
        (_("queue"), run.queue),
        (_("worker"), run.owner),
        (_("code version"), run.version),
        (_("parent"), show_link(site, Run, run.parent_id) if run.parent_id else ""),
        (_("rerun of"), show_link(site, Run, run.rerun_of) if run.rerun_of else ""),
        (_("from step"), name_step(run.rerun_from, run.rerun_index) if run.rerun_from else ""),
        (_("reason"), run.reason),
        (_("warning"), run.warning),
    ]
    return [(label, value) for label, value in facts if value]


def _name_starter(run: Run) -> str:
    if run.origin != ORIGIN:
        return run.origin
    entries = AuditEntry.objects.using(run._state.db).filter(run_id=run.pk, action="invoke")
    return entries.values_list("actor", flat=True).first() or run.origin


def _link_cause(page: ModelAdmin[Run], why: Diagnosis | None) -> str:
    if why is None or why.run_id is None:
        return ""
    return show_link(page.admin_site, Run, why.run_id)


def _read_error(request: HttpRequest, run: Run) -> dict[str, Any] | None:
    """Return the error that ended the run, or that it is retried after, for those who may view it."""
    if run.status == RunStatus.FAILED and may_view(request, RunResult):
        result = read_result(run)
        return _tell_result(result.error) if result and result.error else None
    if run.status in LIVE and run.waits_for == "retry" and may_view(request, Attempt):
        failed = read_last_attempt(run)
        return _tell_attempt(failed) if failed else None
    return None


def _tell_result(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {"name": _("Unreadable error"), "message": text[:500], "trace": None, "step": ""}
    step = told.get("step") or ""
    return {
        "name": told.get("name", ""),
        "message": told.get("message", ""),
        "code": told.get("code", ""),
        "step": name_step(step, int(told.get("index", 0))) if step else "",
        "trace": fold_trace(told.get("stack") or ""),
    }


def _tell_attempt(failed: Attempt) -> dict[str, Any]:
    return {
        "name": failed.error_type,
        "message": failed.message,
        "step": name_step(failed.name, failed.index) if failed.name else "",
        "attempt": failed.number + 1,
        "trace": fold_trace(failed.traceback),
    }
