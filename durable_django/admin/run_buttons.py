"""What can be done about a run: buttons by its state, and the way out beside the cause of a standstill."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import AdminSite, ModelAdmin
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..engine.diagnose import Diagnosis
from ..models import Run, RunStatus
from ..models.run import ENDED, LIVE
from .permits import may_do
from .render import find_page

AGAIN: Final = (RunStatus.FAILED, RunStatus.CANCELLED)
QUIET: Final = "dd-quiet"
WARNING: Final = "dd-quiet dd-warning"

Button = tuple[str, Any, str]
"""Address, label and style."""


def list_buttons(page: ModelAdmin[Run], request: HttpRequest, run: Run) -> list[Button]:
    """Return what the user may do to the run as it is now, the most likely first."""
    waking = {"sleep": _("Wake now…"), "start": _("Start now…"), "retry": _("Retry now…")}
    wake = waking.get(run.waits_for) if run.status == RunStatus.WAITING else None
    began = bool(getattr(run, "steps_told", True))
    offered = [
        ("run_wake", "retry_run", wake is not None, wake, ""),
        ("run_retry", "retry_run", run.status in AGAIN, _("Retry…"), ""),
        ("run_rerun", "rerun_run", True, _("Rerun…"), "" if run.status == RunStatus.COMPLETED else QUIET),
        ("run_rerun_from", "rerun_run", began, _("Rerun from step…"), QUIET),
        ("workflow_invoke", "invoke_workflow", True, _("Invoke anew…"), QUIET),
        ("run_export_one", "export_run", True, _("Export"), QUIET),
        ("run_cancel", "cancel_run", run.status in LIVE, _("Cancel…"), WARNING),
        ("run_delete", "delete_run", run.status in ENDED, _("Delete…"), WARNING),
    ]
    buttons = [
        (
            find_page(page.admin_site, name, run.workflow if name.startswith("workflow") else run.pk),
            label,
            style,
        )
        for name, permission, fits, label, style in offered
        if fits and may_do(request, permission)
    ]
    return [button for button in buttons if button[0]]


def list_ways_out(page: ModelAdmin[Run], request: HttpRequest, run: Run, why: Diagnosis) -> list[Button]:
    """Return the actions that end what the run waits for."""
    site = page.admin_site
    ways: list[Button] = []
    if why.code in ("event", "signal") and why.wait_id is not None and may_do(request, "resolve_wait"):
        ways += [
            (find_page(site, "wait_resolve", why.wait_id), _("Resolve…"), QUIET),
            (find_page(site, "wait_timeout", why.wait_id), _("Time out now…"), QUIET),
        ]
    if why.code == "event" and may_do(request, "send_event"):
        ways.append((_ask_to_send(site, why.event_name), _("Send this event…"), QUIET))
    if why.code == "paused" and may_do(request, "pause_workflow"):
        ways.append((find_page(site, "workflow_resume", run.workflow), _("Resume the workflow…"), QUIET))
    return [way for way in ways if way[0]]


def _ask_to_send(site: AdminSite, name: str) -> str:
    url = find_page(site, "event_send")
    return f"{url}?name={name}" if url else ""
