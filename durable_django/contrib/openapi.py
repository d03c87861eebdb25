"""The OpenAPI document of the HTTP API, through drf-spectacular: ``pip install durable-django[openapi]``.

Include ``durable_django.contrib.openapi`` in place of ``durable_django.api.urls``: it has the same paths, and
besides them ``v1/openapi.json`` and ``v1/docs``, a page that needs ``drf_spectacular`` in INSTALLED_APPS. The
project's own schema settings stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from django.urls import URLPattern, path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from ..api import bulk, cancellations, events, health, runs, signals, waits, webhooks, workers, workflows
from ..api.ingest import IngestView
from ..api.urls import urlpatterns as api_patterns

_TEXT: Final = {"type": "string"}
_ANYTHING: Final = {"type": "object", "additionalProperties": True}


def _describe(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _body(*required: str, **properties: Any) -> dict[str, Any]:
    return {"application/json": {"type": "object", "required": list(required), "properties": properties}}


_ERROR: Final = _describe(error=_TEXT, status={"type": "integer"}, code=_TEXT)
_STATUSES: Final = {"get": (400, 401, 403, 404, 429, 503), "other": (400, 401, 403, 404, 409, 429, 503)}
_IDS: Final = {"type": "array", "items": _TEXT}
_SENT: Final = _describe(ids=_IDS, status={"type": "integer", "enum": [200]})
_NOT_SENT: Final = _describe(ids={**_IDS, "maxItems": 0}, status={"type": "integer"}, error=_TEXT)
_TAKEN: Final = {**_SENT, "properties": {**_SENT["properties"], "duplicate": {"type": "boolean"}}}
_HEALTH: Final = _describe(
    status={"type": "string", "enum": ["ok", "degraded", "down"]},
    store={"type": "string", "enum": ["ok", "down"]},
    tick={"type": "string", "enum": ["recent", "late", "never", "unknown"]},
)
_DATA: Final = _describe(data=_ANYTHING)
_LIST: Final = _describe(data={"type": "array", "items": _ANYTHING})
_PAGED: Final = _describe(data=_LIST["properties"]["data"], next={"type": "string", "nullable": True})
_REASON: Final = _body(reason=_TEXT)
_INDEX: Final = {"type": "integer", "default": 0}
_STEP: Final = {"stepId": {**_TEXT, "minLength": 1, "maxLength": 255}, "index": _INDEX}
_FROM_STEP: Final = {"type": "object", "required": ["stepId"], "properties": {**_STEP, "input": {}}}
_TIME: Final = {"type": "string", "format": "date-time"}
_PAGE: Final = ("limit", "cursor")
_TIMES: Final = ("since", "until")
_OBJECT: Final = {"application/json": {"type": "object", "additionalProperties": True}}
_EVENT: Final = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "data": {"type": "object", "nullable": True, "additionalProperties": True},
        "id": {"type": "string", "nullable": True, "maxLength": 255},
        "ts": {"type": "integer", "nullable": True, "description": "milliseconds since 1970"},
    },
}
_EVENTS: Final = {"application/json": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]}}


def _ask(*names: str) -> list[OpenApiParameter]:
    return [OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.QUERY) for name in names]


_VIEWS: Final[Sequence[tuple[Any, dict[str, dict[str, Any]]]]] = (
    (
        IngestView,
        {
            "post": {
                "request": _EVENTS,
                "operation_id": "send_events",
                "auth": [],
                "responses": {200: _SENT, **dict.fromkeys((400, 401, 403, 429, 503), _NOT_SENT)},
            },
        },
    ),
    (
        webhooks.WebhookView,
        {
            "post": {
                "request": _OBJECT,
                "operation_id": "take_webhook",
                "responses": {200: _TAKEN, **dict.fromkeys((400, 401, 404, 429, 503), _ERROR)},
            }
        },
    ),
    (
        events.EventsView,
        {
            "get": {
                "parameters": _ask("name", "source", "sender_id", *_TIMES, *_PAGE),
                "operation_id": "list_events",
            }
        },
    ),
    (events.EventView, {"get": {"operation_id": "show_event"}}),
    (
        events.PlanView,
        {
            "post": {
                "request": _body("name", name=_TEXT, data=_ANYTHING, id=_TEXT),
                "operation_id": "plan_event",
            }
        },
    ),
    (
        events.ResendView,
        {"post": {"request": _body(data=_ANYTHING, reason=_TEXT), "operation_id": "resend_event"}},
    ),
    (events.EventRunsView, {"get": {"parameters": _ask(*_PAGE), "operation_id": "list_event_runs"}}),
    (
        runs.RunsView,
        {
            "get": {
                "parameters": _ask("status", "workflow", "key", "event_id", *_TIMES, *_PAGE),
                "operation_id": "list_runs",
            }
        },
    ),
    (
        runs.RunView,
        {
            "get": {"operation_id": "show_run"},
            "delete": {"parameters": _ask("reason", "children"), "operation_id": "cancel_run"},
        },
    ),
    (
        runs.RetryView,
        {
            "post": {
                "request": _body(attempts={"type": "integer", "minimum": 1}, reason=_TEXT),
                "operation_id": "retry_run",
            }
        },
    ),
    (
        runs.RerunView,
        {
            "post": {
                "request": _body(
                    data=_ANYTHING,
                    fromStep=_FROM_STEP,
                    key=_TEXT,
                    unlessHeld={"type": "boolean"},
                    reason=_TEXT,
                ),
                "operation_id": "rerun",
            }
        },
    ),
    (runs.WakeView, {"post": {"request": _REASON, "operation_id": "wake_run"}}),
    (
        runs.SupplyView,
        {
            "post": {
                "request": _body("stepId", "value", **_STEP, value={}, reason=_TEXT),
                "operation_id": "supply_step",
            }
        },
    ),
    (
        cancellations.CancellationsView,
        {
            "post": {
                "request": _body(
                    "workflow_id",
                    workflow_id=_TEXT,
                    started_after=_TIME,
                    started_before=_TIME,
                    **{"if": _TEXT},
                    reason=_TEXT,
                    after=_TEXT,
                    dry_run={"type": "boolean"},
                ),
                "operation_id": "cancel_runs",
            }
        },
    ),
    (
        waits.WaitsView,
        {
            "get": {
                "parameters": _ask(
                    "status",
                    "kind",
                    "workflow",
                    "run_id",
                    "event",
                    "signal",
                    "overdue",
                    "ends_before",
                    *_PAGE,
                ),
                "operation_id": "list_waits",
            }
        },
    ),
    (waits.WaitView, {"get": {"operation_id": "show_wait"}}),
    (
        waits.ResolveView,
        {"post": {"request": _body("value", value={}, reason=_TEXT), "operation_id": "resolve_wait"}},
    ),
    (waits.TimeOutView, {"post": {"request": _REASON, "operation_id": "time_out_wait"}}),
    (
        waits.ExtendView,
        {"post": {"request": _body("until", until=_TIME, reason=_TEXT), "operation_id": "extend_wait"}},
    ),
    (
        bulk.BulkOperationsView,
        {
            "get": {"parameters": _ask(*_PAGE), "operation_id": "list_bulk_operations"},
            "post": {"request": _OBJECT, "operation_id": "start_bulk_operation"},
        },
    ),
    (bulk.BulkOperationView, {"get": {"operation_id": "show_bulk_operation"}}),
    (bulk.StopView, {"post": {"request": _OBJECT, "operation_id": "stop_bulk_operation"}}),
    (bulk.ContinueView, {"post": {"request": _OBJECT, "operation_id": "continue_bulk_operation"}}),
    (
        signals.SignalsView,
        {
            "post": {
                "request": _body("signal", signal={**_TEXT, "minLength": 1}, data={}),
                "operation_id": "send_signal",
            }
        },
    ),
    (workflows.WorkflowsView, {"get": {"operation_id": "list_workflows"}}),
    (workflows.InvokeView, {"post": {"request": _OBJECT, "operation_id": "invoke_workflow"}}),
    (
        workflows.PauseView,
        {
            "post": {
                "request": _body(
                    running={"type": "string", "enum": ["finish", "stop", "cancel"]},
                    new={"type": "string", "enum": ["queue", "skip"]},
                    reason=_TEXT,
                ),
                "operation_id": "pause_workflow",
            }
        },
    ),
    (workflows.ResumeView, {"post": {"request": _REASON, "operation_id": "resume_workflow"}}),
    (workers.WorkersView, {"get": {"operation_id": "list_workers"}}),
    (workers.DrainView, {"post": {"request": _REASON, "operation_id": "drain_worker"}}),
    (workers.UndrainView, {"post": {"request": _REASON, "operation_id": "undrain_worker"}}),
    (
        health.HealthView,
        {
            "get": {
                "operation_id": "show_health",
                "auth": [],
                "responses": {200: _HEALTH, 429: _ERROR, 503: _HEALTH},
            }
        },
    ),
)


class BearerKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Says that ``/v1/`` takes bearer keys."""

    target_class = "durable_django.api.authenticate.BearerKey"
    name = "bearerKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer"}


class PathKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Says that the event key stands in the path, for which OpenAPI has no scheme."""

    target_class = "durable_django.api.authenticate.PathKey"
    name: Any = ()

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """Return none."""
        return []


def describe_views() -> None:
    """Give each view the description of its methods."""
    for view, methods in _VIEWS:
        view.schema = AutoSchema()
        for name, told in methods.items():
            method = getattr(view, name)
            method.kwargs = {
                "schema": AutoSchema
            }  # else the project's default schema class would be extended
            answers = {"responses": _describe_answers(name, told), **told}
            setattr(view, name, extend_schema(summary=_first_line(method), **answers)(method))


def _describe_answers(method: str, told: dict[str, Any]) -> dict[int, Any]:
    paged = any(each.name == "cursor" for each in told.get("parameters", ()))
    lists = told["operation_id"].startswith("list_")
    good = _PAGED if paged else _LIST if lists else _DATA
    # Some answer 201 for what they made and 200 for what was there or would be.
    statuses = (200,) if method in ("get", "delete") else (200, 201)
    errors = _STATUSES["get" if method == "get" else "other"]
    return {**dict.fromkeys(statuses, good), **dict.fromkeys(errors, _ERROR)}


def _first_line(method: Callable[..., Any]) -> str:
    return (method.__doc__ or "").strip().splitlines()[0]


describe_views()
_named: Final[list[URLPattern]] = [each for each in api_patterns if each.name]

urlpatterns = [
    *api_patterns,
    path(
        "v1/openapi.json",
        SpectacularAPIView.as_view(
            patterns=_named,
            custom_settings={"TITLE": "durable_django", "VERSION": "1"},
            authentication_classes=[],
            permission_classes=[],
            renderer_classes=[OpenApiJsonRenderer, OpenApiJsonRenderer2],
        ),
        name="durable-openapi",
    ),
    path(
        "v1/docs",
        SpectacularSwaggerView.as_view(
            url_name="durable-openapi", authentication_classes=[], permission_classes=[]
        ),
        name="durable-docs",
    ),
]
