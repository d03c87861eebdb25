"""A run with all that belongs to it as a file of JSON, for a report or a test."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from ..engine.reveal import reveal_event, reveal_output, reveal_step
from ..models import Attempt, AuditEntry, Event, Run, RunResult, Step, Wait
from .actions import get_actor
from .permits import may_do, may_see_payloads, may_view
from .render import HIDDEN
from .run_page import find_run, show_missing
from .run_rows import read_result, select
from .step_page import read_stored

MOST: Final = 10_000
"""Rows of each kind in a file."""
PAYLOADS: Final = {"data", "extra", "output", "error", "input", "bound", "reasons"}
"""Columns that are not written as they are stored."""


def export_run(page: ModelAdmin[Run], request: HttpRequest, key: str) -> HttpResponse:
    """Return the file, with payloads only for those who may see them; the operator log notes it."""
    request.current_app = page.admin_site.name
    if not page.has_view_permission(request) or not may_do(request, "export_run"):
        raise PermissionDenied
    run = find_run(key)
    if run is None:
        return show_missing(page, request, key)
    AuditEntry.objects.using(run._state.db).create(
        actor=get_actor(request), action="export", run_id=run.pk, workflow=run.workflow, result="1 run"
    )
    response = HttpResponse(
        json.dumps(_collect(request, run), indent=2, ensure_ascii=False, default=str),
        content_type="application/json",
    )
    response["Content-Disposition"] = f'attachment; filename="run-{run.pk}.json"'
    response["Cache-Control"] = "no-store"
    return response


def _collect(request: HttpRequest, run: Run) -> dict[str, Any]:
    seen = may_see_payloads(request)
    told: dict[str, Any] = {"run": _write(run)}
    if may_view(request, Event):
        data = reveal_event(run.event, run.workflow) if seen else HIDDEN
        told["event"] = {**_write(run.event), "data": data}
    if may_view(request, RunResult):
        told["result"] = _write_result(run, seen=seen)
    if may_view(request, Step):
        told["steps"] = [_write_step(step, run, seen=seen) for step in _read(Step, run)]
    if may_view(request, Attempt):
        told["attempts"] = [_write(each) for each in _read(Attempt, run)]
    if may_view(request, Wait):
        told["waits"] = [_write(each) for each in _read(Wait, run)]
    return told


def _read(model: type[Model], run: Run) -> list[Any]:
    return list(select(model, run).order_by("pk")[:MOST])


def _write(row: Model) -> dict[str, Any]:
    fields = [field for field in row._meta.concrete_fields if field.attname not in PAYLOADS]
    return {field.attname: getattr(row, field.attname) for field in fields}


def _write_step(step: Step, run: Run, *, seen: bool) -> dict[str, Any]:
    told = _write(step)
    if step.output is not None:
        told["output"] = reveal_step(step, run.workflow) if seen else HIDDEN
    if step.error is not None:
        told["error"] = read_stored(step.error)
    return told


def _write_result(run: Run, *, seen: bool) -> dict[str, Any] | None:
    result = read_result(run)
    if result is None:
        return None
    run.result = result
    told: dict[str, Any] = {}
    if result.output is not None:
        told["output"] = reveal_output(run) if seen else HIDDEN
    if result.error is not None:
        told["error"] = read_stored(result.error)
    return told
