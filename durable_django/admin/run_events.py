"""The tab of a run's events: what started it, what it received and sent, and what came close to ending its waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.codec import decode
from ..engine.near_misses import NearMiss, find_near_misses
from ..engine.say_event import say_unmet
from ..engine.words import name_step
from ..exceptions import DurableError
from ..models import Event, Step, StepKind, Wait, WaitStatus
from .permits import may_see_payloads, may_view
from .render import NOTHING, ROWS, shorten, show_link, show_list, show_rows, show_table, show_time
from .run_asked import Asked
from .run_rows import select

SENDERS: Final = 50
"""Steps that sent, the first ones."""
WAITS: Final = 3
"""Open waits whose near misses are told; each costs a query."""


def show_events(asked: Asked) -> dict[str, Any]:
    """Return what the template shows of the events."""
    event = asked.run.event
    waits = select(Wait, asked.run).filter(event_id__isnull=False, signal="").defer("bound", "output")
    return {
        "event": show_link(asked.site, Event, event.pk, f"{event.name} {event.pk}"),
        "event_at": show_time(event.created_at),
        "event_source": event.get_source_display(),
        "received": _hide(
            show_table(
                (_("step"), _("event"), _("received at")),
                waits.order_by("pk"),
                lambda wait: (
                    name_step(wait.name, wait.index),
                    show_link(asked.site, Event, wait.event_id, f"{wait.event_name} {wait.event_id}"),
                    show_time(wait.ended_at),
                ),
            )
        ),
        "sent": _hide(_list_sent(asked)),
        "ignored": _hide(_list_ignored(asked)) if may_see_payloads(asked.request) else "",
    }


def _hide(table: str) -> str:
    return "" if table == NOTHING else table


def _list_sent(asked: Asked) -> str:
    if not may_view(asked.request, Step):
        return NOTHING
    steps = (
        select(Step, asked.run).filter(kind=StepKind.SEND, output__isnull=False).order_by("started_at", "pk")
    )
    sent = [(step, each) for step in steps[:SENDERS] for each in _read_ids(step.output or "")][:ROWS]
    names = _name_events(each for _step, each in sent)
    rows = [
        (
            show_link(asked.site, Step, step.pk, name_step(step.name, step.index)),
            show_link(asked.site, Event, each, f"{names[each]} {each}") if each in names else str(each),
            show_time(step.ended_at),
        )
        for step, each in sent
    ]
    return show_rows((_("step"), _("event"), _("sent at")), rows)


def _read_ids(output: str) -> Sequence[UUID]:
    try:
        return [UUID(str(each)) for each in decode(output)]
    except (DurableError, ValueError, TypeError):  # a result that hooks or hands have changed
        return []


def _name_events(ids: Iterable[UUID]) -> dict[UUID, str]:
    wanted = list(ids)
    if not wanted:
        return {}
    return dict(Event.objects.using(get_alias()).filter(pk__in=wanted).values_list("pk", "name"))


def _list_ignored(asked: Asked) -> str:
    waits = (
        select(Wait, asked.run).filter(status=WaitStatus.OPEN, kind="event").defer("output").order_by("pk")
    )
    missed = [(wait, miss) for wait in waits[:WAITS] for miss in find_near_misses(get_alias(), wait)]
    rows = [
        (
            show_link(asked.site, Wait, wait.pk, name_step(wait.name, wait.index)),
            show_link(asked.site, Event, miss.event_id, shorten(miss.event_id)),
            show_time(miss.received_at),
            _say_why(miss),
        )
        for wait, miss in missed
    ]
    return show_rows((_("wait"), _("event"), _("received at"), _("why it did not end the wait")), rows)


def _say_why(miss: NearMiss) -> str:
    return show_list(map(say_unmet, miss.unmet)) if miss.unmet else miss.detail
