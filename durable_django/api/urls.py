"""Include at any prefix; for clients of Inngest it must be the root: ``path("", include(…))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections, transaction
from django.urls import URLPattern, path, register_converter
from django.urls.converters import PathConverter

from . import bulk, cancellations, events, health, runs, signals, waits, webhooks, workers, workflows
from .base import ApiView
from .ingest import IngestView


class _AnyText(PathConverter):
    """Django's ``path`` stops at a line break, and so would answer with its own page instead of our 404."""

    regex = r"[\s\S]+"


register_converter(_AnyText, "durable_any")


def _view(view: type[ApiView]) -> Callable[..., Any]:
    # A 200 must mean committed, so no transaction of the request may be around it, on whatever alias.
    made: Callable[..., Any] = view.as_view()
    for alias in connections:
        made = transaction.non_atomic_requests(using=alias)(made)
    return made


def _v1(route: str, view: type[ApiView], name: str) -> URLPattern:
    return path(f"v1/{route}", _view(view), name=f"durable-{name}")


urlpatterns = [
    path("e", _view(IngestView)),
    path("e/", _view(IngestView)),
    path("e/<str:event_key>", _view(IngestView), name="durable-ingest"),
    path("webhooks/<str:source>", _view(webhooks.WebhookView), name="durable-webhook"),
    _v1("events", events.EventsView, "events"),
    _v1("events/plan", events.PlanView, "event-plan"),
    _v1("events/<str:event_id>", events.EventView, "event"),
    _v1("events/<str:event_id>/runs", events.EventRunsView, "event-runs"),
    _v1("events/<str:event_id>/resend", events.ResendView, "event-resend"),
    _v1("runs", runs.RunsView, "runs"),
    _v1("runs/<str:run_id>", runs.RunView, "run"),
    _v1("runs/<str:run_id>/retry", runs.RetryView, "run-retry"),
    _v1("runs/<str:run_id>/rerun", runs.RerunView, "run-rerun"),
    _v1("runs/<str:run_id>/wake", runs.WakeView, "run-wake"),
    _v1("runs/<str:run_id>/supply", runs.SupplyView, "run-supply"),
    _v1("cancellations", cancellations.CancellationsView, "cancellations"),
    _v1("waits", waits.WaitsView, "waits"),
    _v1("waits/<str:wait_id>", waits.WaitView, "wait"),
    _v1("waits/<str:wait_id>/resolve", waits.ResolveView, "wait-resolve"),
    _v1("waits/<str:wait_id>/timeout", waits.TimeOutView, "wait-timeout"),
    _v1("waits/<str:wait_id>/extend", waits.ExtendView, "wait-extend"),
    _v1("bulk", bulk.BulkOperationsView, "bulk"),
    _v1("bulk/<str:number>", bulk.BulkOperationView, "bulk-operation"),
    _v1("bulk/<str:number>/stop", bulk.StopView, "bulk-stop"),
    _v1("bulk/<str:number>/continue", bulk.ContinueView, "bulk-continue"),
    _v1("signals", signals.SignalsView, "signals"),
    _v1("workflows", workflows.WorkflowsView, "workflows"),
    _v1("workflows/<durable_any:workflow_id>/invoke", workflows.InvokeView, "workflow-invoke"),
    _v1("workflows/<durable_any:workflow_id>/pause", workflows.PauseView, "workflow-pause"),
    _v1("workflows/<durable_any:workflow_id>/resume", workflows.ResumeView, "workflow-resume"),
    _v1("workers", workers.WorkersView, "workers"),
    _v1("workers/<durable_any:name>/drain", workers.DrainView, "worker-drain"),
    _v1("workers/<durable_any:name>/undrain", workers.UndrainView, "worker-undrain"),
    _v1("health", health.HealthView, "health"),
]
