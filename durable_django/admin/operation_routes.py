"""The addresses of the actions on runs and workflows."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from .asking import route
from .operation import Operation
from .pause_operations import Pause, Resume
from .rerun_operations import Rerun, RerunFrom
from .run_export_one import export_run
from .run_operations import Cancel, Retry
from .wake_operation import Wake
from .workflow_operations import Invoke

RUN_OPERATIONS: Final[dict[str, type[Operation]]] = {
    "cancel": Cancel,
    "retry": Retry,
    "wake": Wake,
    "rerun": Rerun,
    "rerun-from": RerunFrom,
}
WORKFLOW_OPERATIONS: Final[dict[str, type[Operation]]] = {"invoke": Invoke, "pause": Pause, "resume": Resume}


def list_run_operations(page: ModelAdmin[Any]) -> list[URLPattern]:
    """Return the routes of the actions on a run."""
    routes = [
        route(page, f"<uuid:key>/{verb}/", made, f"run_{verb.replace('-', '_')}")
        for verb, made in RUN_OPERATIONS.items()
    ]

    def export(request: HttpRequest, key: UUID) -> HttpResponse:
        return export_run(page, request, str(key))

    view = page.admin_site.admin_view(export)
    return [*routes, path("<uuid:key>/export/", view, name="durable_django_run_export_one")]


def list_workflow_operations(page: ModelAdmin[Any]) -> list[URLPattern]:
    """Return the routes of the actions on a workflow."""
    return [
        route(page, f"<path:key>/{verb}/", made, f"workflow_{verb}")
        for verb, made in WORKFLOW_OPERATIONS.items()
    ]
