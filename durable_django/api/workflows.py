"""``/v1/workflows``: what this process has code for, and a way to start it."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from ..define.registry import registry
from ..define.workflow import Workflow
from ..engine.start import start_workflow
from ..exceptions import RequestInvalid
from .base import ApiView


class WorkflowsView(ApiView):
    """Lists the registered workflows."""

    http_method_names = ["get"]

    def get(self, request: Request) -> Response:
        """Answer with all of them, by id."""
        return Response({"data": [_show(each) for each in sorted(registry, key=lambda each: each.id)]})


class InvokeView(ApiView):
    """Starts a workflow: ``{"data": {…}, "key": text}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, workflow_id: str) -> Response:
        """Answer with the run's id; a key that started a run today gives that run again."""
        workflow, given = registry.get(workflow_id), self.read_object(request)
        key = given.get("key")
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255):
            raise RequestInvalid(reason="key is not text of 1 to 255 characters")
        with transaction.atomic(using=self.using):
            handle = start_workflow(workflow, given.get("data"), key=key, origin="api")  # type: ignore[arg-type]  # it checks
        return Response({"data": {"run_id": handle.id}}, status=201)


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
