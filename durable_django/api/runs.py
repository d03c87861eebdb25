"""``/v1/runs``: look at runs, cancel, retry, rerun and wake them, supply results of their steps."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ..engine.alias import get_alias
from ..engine.diagnose import diagnose
from ..engine.operations import StepRef, cancel_run, rerun, retry_run, supply_step, wake_run
from ..exceptions import RequestInvalid, RunNotFound
from ..models import Attempt, Run, RunStatus, Step, Wait
from ..models.run import RunQuerySet
from .base import ApiView
from .bodies import refuse_unknown, take_count, take_flag, take_reason, take_text
from .pages import answer_page, read_text, read_texts, read_time, read_uuid
from .shown import show_attempt, show_ended, show_run, show_step, show_wait


class RunsView(ApiView):
    """Lists runs, filtered by ``status``, ``workflow``, ``event_id``, ``key``, ``since`` and ``until``."""

    http_method_names = ["get"]

    def get(self, request: Request) -> Response:
        """Answer with a page of runs."""
        return answer_page(request, _filter(Run.objects.using(self.using).all(), request), show_run)


class RunView(ApiView):
    """Shows one run, or cancels it."""

    http_method_names = ["get", "delete"]
    scopes = {"DELETE": "operate"}

    def get(self, request: Request, run_id: str) -> Response:
        """Answer with the run, its steps, failed attempts and waits."""
        return Response({"data": _show_whole(_find(self.using, run_id))})

    def delete(self, request: Request, run_id: str) -> Response:
        """Cancel the run, with ``children`` also what it has started; 409 if it has ended."""
        run = _find(self.using, run_id)
        children = read_text(request, "children") in ("1", "true")
        reason = read_text(request, "reason")[:255]
        cancel_run(run.id, actor=self.actor, reason=reason, children=children)
        return Response({"data": show_run(_find(self.using, run_id))})


class RetryView(ApiView):
    """Lets a failed or cancelled run go on: ``{"attempts": 3, "reason": text}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, run_id: str) -> Response:
        """Queue the run again; 409 if it has neither failed nor been cancelled."""
        given = self.read_object(request)
        refuse_unknown(given, "attempts", "reason")
        attempts, reason = take_count(given, "attempts"), take_reason(given)
        run = _find(self.using, run_id)
        retry_run(run.id, actor=self.actor, reason=reason, attempts=attempts)
        return Response({"data": show_run(_find(self.using, run_id))})


class RerunView(ApiView):
    """Starts a run again as a new one: ``{"data": {…}, "fromStep": {"stepId", "index", "input"}, "key": text}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, run_id: str) -> Response:
        """Answer with the new run."""
        given = self.read_object(request)
        refuse_unknown(given, "data", "fromStep", "key", "unlessHeld", "reason")
        more: dict[str, Any] = {"data": given["data"]} if "data" in given else {}
        more |= {"key": take_text(given, "key")} if "key" in given else {}
        more["unless_held"] = take_flag(given, "unlessHeld")
        if (begin := given.get("fromStep")) is not None:
            begin = _take_object(begin, "fromStep", "stepId", "index", "input")
            more["from_step"] = StepRef(*_read_step(begin))
            more |= {"step_input": begin["input"]} if "input" in begin else {}
        run = _find(self.using, run_id)
        handle = rerun(run.id, actor=self.actor, reason=take_reason(given), **more)
        return Response({"data": show_run(_find(self.using, handle.id))}, status=201)


class WakeView(ApiView):
    """Lets a run go on now that sleeps, waits for its next attempt or is to start later."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, run_id: str) -> Response:
        """Queue the run; 409 if it waits for none of these."""
        given = self.read_object(request)
        refuse_unknown(given, "reason")
        wake_run(_find(self.using, run_id).id, actor=self.actor, reason=take_reason(given))
        return Response({"data": show_run(_find(self.using, run_id))})


class SupplyView(ApiView):
    """Gives the result of a failing step: ``{"stepId": text, "index": 0, "value": anything}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, run_id: str) -> Response:
        """Let the run go on with it; 409 if the step neither is retrying nor has failed the run."""
        given = _take_object(self.read_object(request), "the body", "stepId", "index", "value", "reason")
        if "value" not in given:
            raise RequestInvalid(reason="value is missing")
        step, index = _read_step(given)
        run = _find(self.using, run_id)
        supply_step(run.id, step, index, given["value"], actor=self.actor, reason=take_reason(given))
        return Response({"data": show_run(_find(self.using, run_id))})


def _take_object(given: Any, what: str, *known: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RequestInvalid(reason=f"{what} is no object")
    refuse_unknown(given, *known)
    return given


def _read_step(given: dict[str, Any]) -> tuple[str, int]:
    index = given.get("index", 0)
    if isinstance(index, bool) or not isinstance(index, int) or not -(1 << 63) <= index < 1 << 63:
        raise RequestInvalid(reason="index is no whole number")
    return take_text(given, "stepId", needed=True), index


def _find(using: str, text: str) -> Run:
    found = Run.objects.using(using).filter(id=read_uuid(text, "the run's id")).first()
    if found is None:
        raise RunNotFound(id=text)
    return found


def _show_whole(run: Run) -> dict[str, Any]:
    using = run._state.db
    steps = Step.objects.using(using).filter(run_id=run.id).order_by("id")
    attempts = Attempt.objects.using(using).filter(run_id=run.id).order_by("id")
    waits = Wait.objects.using(using).filter(run_id=run.id).order_by("id")
    return {
        **show_ended(run),
        "why": why.as_dict() if (why := diagnose(using or get_alias(), run)) else None,
        "steps": [show_step(step, run.workflow) for step in steps],
        "attempts": [show_attempt(attempt) for attempt in attempts.defer("traceback")],
        "waits": [show_wait(wait) for wait in waits],
    }


def _filter(rows: RunQuerySet, request: Request) -> RunQuerySet:
    if statuses := read_texts(request, "status"):
        if unknown := sorted(set(statuses) - set(RunStatus.values)):
            raise RequestInvalid(reason=f"status is {unknown[0][:40]!a}; use {', '.join(RunStatus.values)}")
        rows = rows.filter(status__in=statuses)
    for name in ("workflow", "key"):
        if value := read_text(request, name):
            rows = rows.filter(**{name: value})
    if event := read_text(request, "event_id"):
        rows = rows.filter(event_id=read_uuid(event, "event_id"))
    if since := read_time(request, "since"):
        rows = rows.filter(created_at__gte=since)
    if until := read_time(request, "until"):
        rows = rows.filter(created_at__lt=until)
    return rows
