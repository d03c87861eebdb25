"""The page of an event: what it carried, what it did, and why it did not do more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..engine.alias import get_alias
from ..engine.explain_event import EndedWait, Explanation, UnmatchedWait, explain_stored
from ..engine.find_hooks import REQUEST_NAME
from ..engine.reasons import Why
from ..engine.reveal import reveal_event
from ..engine.say_event import say_outcome, say_read, say_unmatched, say_unmet
from ..engine.words import choose_word, name_step
from ..models import Event, Run, Wait
from .pages import build_trail, check_view, guard, show_gone, show_page
from .payload_file import link_file
from .permits import may_do, may_see_payloads, may_view
from .render import find_page, show_json, show_link, show_list, show_short, show_state, show_time, show_value

TEMPLATE: Final = "durable_django/admin/event.html"
SAME: Final = 20
"""Events of the same sender's id that are listed."""
OUTCOMES: Final = {
    "pending": ("waiting", "…", gettext_lazy("not routed yet")),
    "used": ("completed", "✓", gettext_lazy("used")),
    "duplicate": ("cancelled", "⊘", gettext_lazy("duplicate")),
    "nothing": ("waiting", "–", gettext_lazy("matched nothing")),
}


def show_event(page: ModelAdmin[Any], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page of an event."""
    check_view(page, request)
    using, site = get_alias(), page.admin_site
    event = find_event(using, key)
    if event is None:
        return show_gone(page, request, key)
    told = explain_stored(event)
    seen = may_see_payloads(request)
    return show_page(
        page,
        request,
        TEMPLATE,
        title=_("Event “%s”") % event.name,
        trail=build_trail(page, ("", f"{event.name} …{str(event.pk)[-8:]}")),
        event=event,
        state=show_outcome(told.outcome),
        sentence=_say_what(told),
        reasons=[
            str(each) for each in told.reasons if each.code != Why.NO_WORKFLOW or told.outcome != "used"
        ],
        near=[(_link_near(page, request, name), name) for name in told.near if told.outcome != "used"],
        facts=_list_facts(event),
        buttons=_list_buttons(page, request, event),
        data=guard(request, lambda: show_value(reveal_event(event))),
        file=link_file(page, "event_data", event.pk, len(event.data)) if seen else "",
        extra=guard(request, lambda: show_json(event.extra)) if event.extra else "",
        runs=_list_runs(page, told) if may_view(request, Run) else None,
        resumed=_list_ended(page, told.resumed, seen=seen) if may_view(request, Wait) else None,
        cancelled=_list_ended(page, told.cancelled, seen=seen) if may_view(request, Run) else None,
        unmatched=_list_unmatched(page, told.unmatched, seen=seen) if may_view(request, Wait) else None,
        same=[_tell_same(site, each) for each in _find_same(using, event)],
    )


def find_event(using: str, key: str) -> Event | None:
    """Return an event, or None."""
    try:
        wanted = UUID(key)
    except ValueError:
        return None
    return Event.objects.using(using).filter(pk=wanted).first()


def show_outcome(outcome: str) -> Any:
    """Return icon, word and colour of what became of an event."""
    code, icon, label = OUTCOMES[outcome]
    html = '<span class="dd-state dd-{}"><span aria-hidden="true">{}</span> {}</span>'
    return format_html(html, code, icon, label)


def _say_what(told: Explanation) -> str:
    if told.outcome != "used":
        return say_outcome(replace(told, near=()))
    started, resumed, cancelled = len(told.runs), len(told.resumed), len(told.cancelled)
    said = [
        ngettext("It started %d run.", "It started %d runs.", started) % started if started else "",
        ngettext("It resumed %d wait.", "It resumed %d waits.", resumed) % resumed if resumed else "",
        ngettext("It cancelled %d run.", "It cancelled %d runs.", cancelled) % cancelled if cancelled else "",
    ]
    return " ".join(text for text in said if text)


def _list_facts(event: Event) -> list[tuple[str, Any]]:
    facts = [
        (_("sender’s id"), event.external_id or ""),
        (_("source"), event.get_source_display()),
        (_("received"), show_time(event.created_at)),
        (_("routed"), show_time(event.routed_at) if event.routed_at else _("not yet")),
        (_("timestamp (ms)"), format_html("<code>{}</code>", event.ts)),
        (_("payload"), ngettext("%d character", "%d characters", len(event.data)) % len(event.data)),
    ]
    return [(label, value) for label, value in facts if value]


def _list_buttons(page: ModelAdmin[Any], request: HttpRequest, event: Event) -> list[tuple[str, Any]]:
    if event.name == REQUEST_NAME or not may_do(request, "send_event"):
        return []
    url = find_page(page.admin_site, "event_resend", event.pk)
    return [(url, _("Send again…"))] if url else []


def _link_near(page: ModelAdmin[Any], request: HttpRequest, name: str) -> str:
    url = find_page(page.admin_site, "event_send") if may_do(request, "send_event") else ""
    return f"{url}?name={name}" if url else ""


def _list_runs(page: ModelAdmin[Any], told: Explanation) -> list[dict[str, Any]]:
    return [
        {
            "link": show_short(page.admin_site, run.id, run.workflow),
            "state": show_state(choose_word(run.status, "")),
        }
        for run in told.runs
    ]


def _list_ended(page: ModelAdmin[Any], ended: Sequence[EndedWait], *, seen: bool) -> list[dict[str, Any]]:
    return [
        {
            "link": show_short(page.admin_site, each.run_id, each.workflow),
            "step": name_step(each.step, each.index) if each.step else "",
            "condition": each.condition,
            "values": show_list(map(say_read, each.reads)) if seen else _("hidden"),
        }
        for each in ended
    ]


def _list_unmatched(
    page: ModelAdmin[Any], waits: Sequence[UnmatchedWait], *, seen: bool
) -> list[dict[str, Any]]:
    return [
        {
            "link": show_short(page.admin_site, each.run_id, each.workflow),
            "step": name_step(each.step, each.index) if each.step else "",
            "condition": each.condition,
            "why": _show_why(each) if seen or each.why != "condition" else _("hidden"),
        }
        for each in waits
    ]


def _show_why(wait: UnmatchedWait) -> str:
    return show_list(map(say_unmet, wait.unmet)) if wait.why == "condition" else say_unmatched(wait)


def _find_same(using: str, event: Event) -> list[Event]:
    if not event.external_id:
        return []
    events = Event.objects.using(using).filter(external_id=event.external_id).exclude(pk=event.pk)
    return list(events.only("name", "created_at", "source").order_by("-pk")[:SAME])


def _tell_same(site: Any, event: Event) -> dict[str, Any]:
    return {
        "link": show_link(site, Event, event.pk),
        "name": event.name,
        "received": show_time(event.created_at),
        "source": event.get_source_display(),
    }
