"""The error on the page of a run: what ended it, or what it is retried after."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..engine.words import name_step
from ..models import Attempt, Run, RunResult, RunStatus
from .known_error import split_fix, tell_seen
from .permits import may_view
from .render import show_sentence
from .run_rows import read_result
from .trace import fold_trace


def read_error(
    site: AdminSite, request: HttpRequest, run: Run, failed: Attempt | None, now: datetime
) -> dict[str, Any] | None:
    """Return the error for those who may view it, or None.

    Args:
        failed: The failure that an unfinished run is retried after.
    """
    if run.status == RunStatus.FAILED and may_view(request, RunResult):
        result = read_result(run)
        if not result or not result.error:
            return None
        return tell_error(result.error) | {"seen": tell_seen(site, request, run, result.error, now)}
    if run.waits_for == "retry" and failed is not None and may_view(request, Attempt):
        return _tell_attempt(failed)
    return None


def tell_error(text: str) -> dict[str, Any]:
    """Return what is shown of a stored error."""
    try:
        told = json.loads(text)
    except ValueError:
        return {"name": _("Unreadable error"), "message": text[:500], "trace": None, "step": ""}
    step = told.get("step") or ""
    code = told.get("code") or ""
    message, fix = split_fix(code, told.get("message") or "")
    return {
        "name": told.get("name", ""),
        "message": message,
        "fix": show_sentence(fix),
        "code": code,
        "limit": told.get("limit") or 0,
        "step": name_step(step, int(told.get("index", 0))) if step else "",
        "trace": fold_trace(told.get("stack") or ""),
    }


def _tell_attempt(failed: Attempt) -> dict[str, Any]:
    return {
        "name": failed.error_type,
        "message": failed.message,
        "step": name_step(failed.name, failed.index) if failed.name else "",
        "attempt": failed.number + 1,
        "trace": fold_trace(failed.traceback),
    }
