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
EVER: Final = (*LIVE, *ENDED)

Button = tuple[str, Any]


def list_buttons(page: ModelAdmin[Run], request: HttpRequest, run: Run) -> list[Button]:
    """Return what the user may do to the run as it is now, the most likely first."""
    waking = {"sleep": _("Wake now…"), "start": _("Start now…"), "retry": _("Retry now…")}
    wake = waking.get(run.waits_for) if run.status == RunStatus.WAITING else None
    offered = [
        ("run_wake", "retry_run", wake is not None, wake),
        ("run_retry", "retry_run", run.status in AGAIN, _("Retry…")),
        ("run_cancel", "cancel_run", run.status in LIVE, _("Cancel…")),
        ("run_rerun", "rerun_run", run.status in EVER, _("Rerun…")),
        ("run_rerun_from", "rerun_run", bool(getattr(run, "steps_seen", 1)), _("Rerun from step…")),
        ("run_export_one", "export_run", run.status in EVER, _("Export")),
        ("run_delete", "delete_run", run.status in ENDED, _("Delete…")),
    ]
    buttons = [
        (find_page(page.admin_site, name, run.pk), label)
        for name, permission, fits, label in offered
        if fits and may_do(request, permission)
    ]
    if may_do(request, "invoke_workflow"):
        buttons.append((find_page(page.admin_site, "workflow_invoke", run.workflow), _("Invoke anew…")))
    return [button for button in buttons if button[0]]


def list_ways_out(page: ModelAdmin[Run], request: HttpRequest, run: Run, why: Diagnosis) -> list[Button]:
    """Return the actions that end what the run waits for."""
    site = page.admin_site
    ways: list[Button] = []
    if why.code in ("event", "signal") and why.wait_id is not None and may_do(request, "resolve_wait"):
        ways += [
            (find_page(site, "wait_resolve", why.wait_id), _("Resolve…")),
            (find_page(site, "wait_timeout", why.wait_id), _("Time out now…")),
        ]
    if why.code == "event" and may_do(request, "send_event"):
        ways.append((_ask_to_send(site, why.event_name), _("Send this event…")))
    if why.code == "paused" and may_do(request, "pause_workflow"):
        ways.append((find_page(site, "workflow_resume", run.workflow), _("Resume the workflow…")))
    return [way for way in ways if way[0]]


def _ask_to_send(site: AdminSite, name: str) -> str:
    url = find_page(site, "event_send")
    return f"{url}?name={name}" if url else ""
