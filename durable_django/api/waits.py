"""``/v1/waits``: what runs wait for, and an operator's ways to end it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from ..clock import Now
from ..engine.operations import extend_wait, resolve_wait, time_out_wait
from ..exceptions import RequestInvalid, WaitNotFound
from ..models import Wait, WaitStatus
from .base import ApiView
from .bodies import refuse_unknown, take_reason, take_time
from .pages import answer_numbered, read_number, read_text, read_texts, read_time, read_uuid
from .shown import show_asked

KINDS = ("event", "signal", "child", "cancel")


class WaitsView(ApiView):
    """Lists waits, the open ones unless asked otherwise."""

    http_method_names = ["get"]

    def get(self, request: Request) -> Response:
        """Answer with a page of waits."""
        rows = Wait.objects.using(self.using).select_related("run").defer("output")
        return answer_numbered(request, _filter(rows, request), show_asked)


class WaitView(ApiView):
    """Shows one wait."""

    http_method_names = ["get"]

    def get(self, request: Request, wait_id: str) -> Response:
        """Answer with the wait."""
        return Response({"data": show_asked(_find(self.using, wait_id))})


class ResolveView(ApiView):
    """Ends a wait as if its answer had come."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, wait_id: str) -> Response:
        """Answer with the wait as it is then; 409 if it has ended."""
        given = self.read_object(request)
        refuse_unknown(given, "value", "reason")
        if "value" not in given:
            raise RequestInvalid(reason="value is missing")
        resolve_wait(_read_id(wait_id), given["value"], actor=self.actor, reason=take_reason(given))
        return Response({"data": show_asked(_find(self.using, wait_id))})


class TimeOutView(ApiView):
    """Lets the time of a wait be up now."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, wait_id: str) -> Response:
        """Answer with the wait as it is then; 409 if it has ended or its time is up."""
        given = self.read_object(request)
        refuse_unknown(given, "reason")
        time_out_wait(_read_id(wait_id), actor=self.actor, reason=take_reason(given))
        return Response({"data": show_asked(_find(self.using, wait_id))})


class ExtendView(ApiView):
    """Lets a wait last until another instant."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, wait_id: str) -> Response:
        """Answer with the wait as it is then; 409 if it has ended or its time is up."""
        given = self.read_object(request)
        refuse_unknown(given, "until", "reason")
        until = take_time(given, "until", needed=True)
        assert until is not None
        extend_wait(_read_id(wait_id), until, actor=self.actor, reason=take_reason(given))
        return Response({"data": show_asked(_find(self.using, wait_id))})


def _read_id(text: str) -> int:
    return read_number(text, "the wait's number")


def _find(using: str, text: str) -> Wait:
    wait = Wait.objects.using(using).select_related("run").defer("output").filter(id=_read_id(text)).first()
    if wait is None:
        raise WaitNotFound(id=text)
    return wait


def _filter(rows: QuerySet[Wait], request: Request) -> QuerySet[Wait]:
    statuses = read_texts(request, "status") or [WaitStatus.OPEN]
    rows = rows.filter(status__in=_check(statuses, WaitStatus.values, "status"))
    kinds = read_texts(request, "kind")
    rows = rows.filter(kind__in=_check(kinds, KINDS, "kind")) if kinds else rows.exclude(kind="cancel")
    for parameter, column in (("workflow", "run__workflow"), ("event", "event_name"), ("signal", "signal")):
        if value := read_text(request, parameter):
            rows = rows.filter(**{column: value})
    if run_id := read_text(request, "run_id"):
        rows = rows.filter(run_id=read_uuid(run_id, "run_id"))
    if read_text(request, "overdue"):
        rows = rows.filter(expires_at__lte=Now())
    if before := read_time(request, "ends_before"):
        rows = rows.filter(expires_at__lt=before)
    return rows


def _check(values: list[str], known: Any, name: str) -> list[str]:
    if unknown := sorted(set(values) - set(known)):
        raise RequestInvalid(reason=f"{name} is {unknown[0][:40]!a}; use {', '.join(known)}")
    return values
