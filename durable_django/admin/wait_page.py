"""The page of a wait: what it asks for, term by term, what came close, and what ends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ..clock import read_now, read_time
from ..engine.alias import get_alias
from ..engine.explain_event import write_condition
from ..engine.near_misses import NearMiss, Term, find_near_misses, judge_terms
from ..engine.say_event import say_unmet
from ..engine.words import name_state, name_step, say_length
from ..exceptions import DurableError
from ..models import Event, Run, Step, Wait, WaitStatus
from .pages import build_trail, check_view, show_gone, show_page
from .permits import may_do, may_see_payloads, may_view
from .render import find_page, shorten, show_json, show_link, show_list, show_short, show_state, show_time
from .wait_words import KINDS, name_wait, say_left, say_timeout, show_wait_state

TEMPLATE: Final = "durable_django/admin/wait.html"


def show_wait(page: ModelAdmin[Any], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page of a wait."""
    check_view(page, request)
    using = get_alias()
    wait = find_wait(using, key)
    if wait is None:
        return show_gone(page, request, key)
    now = read_now(using)
    seen = may_see_payloads(request)
    open_ = wait.status == WaitStatus.OPEN
    return show_page(
        page,
        request,
        TEMPLATE,
        title=_("Wait for “%s”") % name_wait(wait),
        trail=build_trail(page, ("", name_wait(wait))),
        wait=wait,
        name=name_wait(wait),
        kind=KINDS.get(wait.kind, wait.kind),
        state=show_wait_state(wait, now),
        facts=_list_facts(page, request, wait, now),
        buttons=list_buttons(page, request, wait),
        condition=write_condition(wait),
        terms=_list_terms(wait) if open_ and seen else None,
        bound=show_json(wait.bound) if wait.bound not in ("", "{}") and seen else "",
        hidden=not seen,
        misses=_list_misses(page, using, wait) if seen and may_view(request, Event) else None,
        timeout=say_timeout(wait) if open_ else "",
    )


def find_wait(using: str, key: str) -> Wait | None:
    """Return a wait with its run, or None."""
    if not key.isdecimal() or len(key) > 18:
        return None
    return Wait.objects.using(using).select_related("run").filter(pk=int(key)).first()


def _list_facts(
    page: ModelAdmin[Any], request: HttpRequest, wait: Wait, now: datetime
) -> list[tuple[str, Any]]:
    site, run = page.admin_site, wait.run
    step = Step.objects.using(wait._state.db).filter(run_id=run.pk, name=wait.name, index=wait.index)
    found = step.only("pk", "supplied_by").first()
    until = format_html("{} ({})", show_time(wait.expires_at), say_left(wait, now))
    ended_by = wait.event_id if not wait.signal and may_view(request, Event) else None
    name = name_step(wait.name, wait.index) if wait.name else ""
    facts = [
        (_("run"), show_short(site, run.pk, run.workflow)),
        (_("run is"), show_state(name_state(run))),
        (_("step"), show_link(site, Step, found.pk, name) if found else name),
        (_("invoked run"), _show_child(page, wait) if wait.kind == "child" else ""),
        (_("since"), _show_since(wait, now)),
        (_("until"), until if wait.status == WaitStatus.OPEN else show_time(wait.expires_at)),
        (_("ended"), show_time(wait.ended_at) if wait.ended_at else ""),
        (_("ended by event"), show_link(site, Event, ended_by) if ended_by else ""),
        (_("supplied by"), found.supplied_by if found else ""),
    ]
    return [(label, value) for label, value in facts if value]


def _show_child(page: ModelAdmin[Any], wait: Wait) -> str:
    runs = Run.objects.using(wait._state.db).filter(
        parent_id=wait.run_id, parent_step=wait.name, parent_index=wait.index
    )
    child = runs.only("workflow").order_by("pk").last()
    return show_short(page.admin_site, child.pk, child.workflow) if child else ""


def _show_since(wait: Wait, now: datetime) -> Any:
    waited = (read_time(wait.ended_at) if wait.ended_at else now) - read_time(wait.created_at)
    return format_html("{} ({})", show_time(wait.created_at), say_length(waited.total_seconds()))


def list_buttons(page: ModelAdmin[Any], request: HttpRequest, wait: Wait) -> list[tuple[str, Any]]:
    """Return the actions that fit an open wait and that the user may do."""
    if wait.status != WaitStatus.OPEN or wait.kind == "cancel" or not may_do(request, "resolve_wait"):
        return []
    labels = {"resolve": _("Resolve with a value…"), "timeout": _("Time out now…"), "extend": _("Extend…")}
    if wait.kind == "child":
        del labels["resolve"]
    urls = [(find_page(page.admin_site, f"wait_{code}", wait.pk), label) for code, label in labels.items()]
    return [(url, label) for url, label in urls if url]


def _list_terms(wait: Wait) -> list[dict[str, Any]]:
    try:
        return [_show_term(term) for term in judge_terms(wait)]
    except DurableError as error:
        return [{"text": write_condition(wait), "verdict": error.message, "icon": "⚠"}]


def _show_term(term: Term) -> dict[str, Any]:
    if term.error:
        return {"text": term.text, "verdict": _("cannot be decided (%s)") % term.error, "icon": "⚠"}
    words = {True: (_("true"), "✓"), False: (_("false: no event can end this wait"), "✕")}
    verdict, icon = words.get(term.verdict, (_("unknown until an event comes"), "?"))  # type: ignore[arg-type]
    return {"text": term.text, "verdict": verdict, "icon": icon}


def _list_misses(page: ModelAdmin[Any], using: str, wait: Wait) -> list[dict[str, Any]]:
    return [_show_miss(page, miss) for miss in find_near_misses(using, wait)]


def _show_miss(page: ModelAdmin[Any], miss: NearMiss) -> dict[str, Any]:
    return {
        "link": show_link(page.admin_site, Event, miss.event_id, shorten(miss.event_id)),
        "received": show_time(miss.received_at),
        "why": show_list(map(say_unmet, miss.unmet)) if miss.unmet else miss.detail,
    }
