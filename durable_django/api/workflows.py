"""``/v1/workflows``: what this process has code for, and ways to start, pause and resume it."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ..define.registry import registry
from ..define.workflow import Workflow
from ..engine.operate_workflows import WAYS
from ..engine.operations import invoke_workflow, pause_workflow, resume_workflow
from ..exceptions import RequestInvalid
from ..models import PauseNew, PauseRunning, WorkflowState
from .base import ApiView
from .bodies import refuse_unknown, take_reason, take_text


class WorkflowsView(ApiView):
    """Lists the registered workflows."""

    http_method_names = ["get"]

    def get(self, request: Request) -> Response:
        """Answer with all of them, by id."""
        states = WorkflowState.objects.using(self.using).filter(paused_at__isnull=False)
        paused = {state.id: state for state in states}
        listed = sorted(registry, key=lambda each: each.id)
        return Response({"data": [{**_show(each), **_show_pause(paused.get(each.id))} for each in listed]})


class InvokeView(ApiView):
    """Starts a workflow: ``{"data": {…}, "key": text}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, workflow_id: str) -> Response:
        """Answer with the run's id; a key that started a run today gives that run again."""
        given = self.read_object(request)
        key = given.get("key")
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255):
            raise RequestInvalid(reason="key is not text of 1 to 255 characters")
        handle = invoke_workflow(
            workflow_id,
            given.get("data"),
            actor=self.actor,
            reason=take_reason(given),
            key=key,
            origin="api",
            using=self.using,
        )
        return Response({"data": {"run_id": handle.id}}, status=201)


class PauseView(ApiView):
    """Pauses a workflow: ``{"running": "finish", "stop" or "cancel", "new": "queue" or "skip"}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, workflow_id: str) -> Response:
        """Answer with the pause; 409 if it is paused in this way already."""
        given = self.read_object(request)
        refuse_unknown(given, "running", "new", "reason")
        running = take_text(given, "running") or PauseRunning.FINISH
        if running not in WAYS:
            raise RequestInvalid(reason=f"running is {running[:40]!a}; use {', '.join(WAYS)}")
        new = take_text(given, "new") or PauseNew.QUEUE
        if new not in PauseNew.values:
            raise RequestInvalid(reason=f"new is {new[:40]!a}; use {', '.join(PauseNew.values)}")
        reason = take_reason(given)
        state = pause_workflow(workflow_id, running=running, new=new, actor=self.actor, reason=reason)
        return Response({"data": {"id": workflow_id, **_show_pause(state)}})


class ResumeView(ApiView):
    """Lets the runs of a paused workflow go on."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, workflow_id: str) -> Response:
        """Answer with the workflow; 409 if it is not paused."""
        given = self.read_object(request)
        refuse_unknown(given, "reason")
        resume_workflow(workflow_id, actor=self.actor, reason=take_reason(given))
        return Response({"data": {"id": workflow_id, **_show_pause(None)}})


def _show_pause(state: WorkflowState | None) -> dict[str, Any]:
    if state is None:
        return {"paused": None}
    return {
        "paused": {
            "at": state.paused_at,
            "by": state.paused_by,
            "reason": state.pause_reason or None,
            "running": state.pause_running,
            "new": state.pause_new,
        }
    }


def _show(workflow: Workflow[Any, Any]) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "version": workflow.version or None,
        "queue": workflow.queue,
        "triggers": [_show_trigger(trigger) for trigger in workflow.triggers],
    }


def _show_trigger(trigger: Any) -> dict[str, Any]:
    return {
        "kind": type(trigger).__name__,
        "event": getattr(trigger, "event", None),
        "if": getattr(trigger, "if_exp", None),
        "cron": getattr(trigger, "cron", None) or getattr(trigger, "schedule", None),
    }
