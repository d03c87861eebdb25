"""The page of a run, and the fragment of it that the script asks for again.

Note [A poll that finds nothing new costs one query]
    The revision is made of columns that change with everything that the page shows; counting the steps
    and attempts of one run reads an index. Only then is anything else asked for. That query leaves the
    payload of the event in the database, which asks for it again where it is shown.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Max, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..clock import Now, read_time
from ..conf import settings
from ..engine.alias import get_alias
from ..engine.diagnose import Diagnosis, decide
from ..engine.diagnose_facts import read_facts
from ..engine.words import name_state, name_step, say_length
from ..models import Attempt, AuditEntry, Event, Run, Step
from ..models.run import LIVE, RunQuerySet
from .media import CONSOLE
from .permits import may_view
from .render import find_page, show_link, show_sentence, show_state, show_time
from .run_asked import Asked
from .run_buttons import list_buttons, list_ways_out
from .run_error import read_error
from .run_rows import tell_steps
from .run_tabs import list_tabs
from .sections import list_sections

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
    context = build_context(page, request, run)
    context["sections"] = list_sections(page.admin_site, request)
    return TemplateResponse(request, PAGE, context)


def show_missing(page: ModelAdmin[Run], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page that says that there is no such run."""
    context = {
        **page.admin_site.each_context(request),
        "title": _("Run not found"),
        "key": key,
        "days": settings.RETENTION_DAYS,
        "list_url": find_page(page.admin_site, "run_changelist"),
        "sections": list_sections(page.admin_site, request),
        "page_model": page.opts.model_name,
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
    run = find_run(key)
    if run is None:
        response = HttpResponse(status=404)
    elif request.GET.get("rev") == sum_up(run):
        response = HttpResponse(status=204)
    else:
        response = _answer(page, request, run)
    response["Cache-Control"] = "no-store"
    return response


def _answer(page: ModelAdmin[Run], request: HttpRequest, run: Run) -> HttpResponse:
    context = build_context(page, request, run)
    response = TemplateResponse(request, FRAGMENT, context)
    response["X-Durable-Revision"] = context["revision"]
    response["X-Durable-Live"] = "on" if context["live"] else "off"
    return response


def find_run(key: str) -> Run | None:
    """Return the run with its event and what tells its revision, or None."""
    try:
        wanted = UUID(key)
    except ValueError:
        return None
    runs = _annotate(Run.objects.using(get_alias()).filter(pk=wanted)).select_related("event")
    found: Run | None = runs.defer("event__data", "event__extra").first()
    return found


def _annotate(runs: RunQuerySet) -> Any:
    using = runs.db
    steps = Step.objects.using(using).filter(run_id=OuterRef("pk")).order_by().values("run_id")
    attempts = Attempt.objects.using(using).filter(run_id=OuterRef("pk")).order_by().values("run_id")
    return runs.annotate(
        now=Now(),
        steps_told=Subquery(steps.annotate(told=tell_steps()).values("told")),
        failed_last=Subquery(attempts.annotate(n=Max("pk")).values("n")),
    )


def sum_up(run: Any) -> str:
    """Return what changes with the page of a run that ``find_run`` returned."""
    found = [getattr(run, name) for name in (*REVISED, "steps_told", "failed_last")]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def build_context(page: ModelAdmin[Run], request: HttpRequest, run: Run) -> dict[str, Any]:
    site = page.admin_site
    now = read_time(getattr(run, "now"))  # noqa: B009  an annotation
    tabs = list_tabs(request)
    tab = next((each for each in tabs if each.code == request.GET.get("tab")), tabs[0])
    facts = read_facts(get_alias(), run, now) if run.status in LIVE else None
    why = decide(facts) if facts else None
    live = facts is not None
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
        "revision": sum_up(run),
        "state": show_state(name_state(run)),
        "word": name_state(run).label,
        "facts": _list_facts(site, request, run, now),
        "buttons": list_buttons(page, request, run),
        "why": why,
        "why_sentence": show_sentence(why.sentence) if why else "",
        "why_remedy": show_sentence(why.remedy) if why else "",
        "ways": list_ways_out(page, request, run, why) if why else [],
        "why_link": _link_cause(page, why),
        "error": read_error(site, request, run, facts.error if facts else None, now),
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
        (_("failed attempts"), run.attempt or ""),
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
