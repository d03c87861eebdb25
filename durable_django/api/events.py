"""``/v1/events``: what was received, the runs that it started, what another event would do."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from ..engine.explain_event import explain_stored
from ..engine.operations import plan_event, resend_event
from ..models import Event, Run
from ..models.event import EventQuerySet
from .base import ApiView
from .bodies import refuse_unknown, take_reason
from .errors import NoSuchRow
from .pages import answer_page, read_text, read_time, read_uuid
from .shown import EVENT_COLUMNS, show_ended, show_event, show_event_head, show_explanation


class EventsView(ApiView):
    """Lists events, filtered by ``name``, ``source``, ``sender_id``, ``since`` and ``until``."""

    http_method_names = ["get"]

    def get(self, request: Request) -> Response:
        """Answer with a page of events, without their data."""
        rows = Event.objects.using(self.using).only(*EVENT_COLUMNS)
        return answer_page(request, _filter(rows, request), show_event_head)


class EventView(ApiView):
    """Shows one event."""

    http_method_names = ["get"]

    def get(self, request: Request, event_id: str) -> Response:
        """Answer with the event, its data, and what became of it."""
        event = _find(self.using, event_id)
        return Response({"data": {**show_event(event), **show_explanation(explain_stored(event))}})


class EventRunsView(ApiView):
    """Lists the runs that an event started."""

    http_method_names = ["get"]

    def get(self, request: Request, event_id: str) -> Response:
        """Answer with a page of runs and their results."""
        event = _find(self.using, event_id)
        runs = Run.objects.using(self.using).filter(event_id=event.id).select_related("result")
        return answer_page(request, runs, show_ended)


class ResendView(ApiView):
    """Sends a stored event again: ``{"data": {…}}`` instead of its own, if given."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, event_id: str) -> Response:
        """Answer with the id of the new event; 409 if it only holds the input of a run."""
        given = self.read_object(request)
        refuse_unknown(given, "data", "reason")
        more = {"data": given["data"]} if "data" in given else {}
        event = _find(self.using, event_id)
        sent = resend_event(event.id, actor=self.actor, reason=take_reason(given), **more)
        return Response({"data": {"event_id": sent}}, status=201)


class PlanView(ApiView):
    """Tells what an event would do: ``{"name": text, "data": {…}, "id": text}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request) -> Response:
        """Answer with the workflows it would start and the waits it would end; nothing is sent."""
        given = self.read_object(request)
        refuse_unknown(given, "name", "data", "id")
        plan = plan_event(given.get("name"), given.get("data"), id=given.get("id"))  # type: ignore[arg-type]  # it checks
        return Response({"data": plan.as_dict()})


def _find(using: str, text: str) -> Event:
    event = Event.objects.using(using).filter(id=read_uuid(text, "the event's id")).first()
    if event is None:
        raise NoSuchRow
    return event


def _filter(rows: EventQuerySet, request: Request) -> EventQuerySet:
    for parameter, column in (("name", "name"), ("source", "source"), ("sender_id", "external_id")):
        if value := read_text(request, parameter):
            rows = rows.filter(**{column: value})
    if since := read_time(request, "since"):
        rows = rows.filter(created_at__gte=since)
    if until := read_time(request, "until"):
        rows = rows.filter(created_at__lt=until)
    return rows
