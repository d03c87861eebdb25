"""The page of a step: what it gave, each attempt, and what can be done about it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ..clock import read_now, read_time
from ..engine.alias import get_alias
from ..engine.codec import decode
from ..engine.redact import redact
from ..engine.reveal import reveal_step
from ..engine.words import WORDS, name_state, name_step, say_due, say_instant
from ..exceptions import DurableError
from ..models import Attempt, Run, RunStatus, Step, StepKind, StepStatus, Wait, WaitStatus
from ..models.run import ENDED
from .known_error import tell_seen
from .pages import build_trail, check_view, guard, show_gone, show_page
from .payload_file import link_file
from .permits import may_do, may_see_payloads, may_view
from .render import find_page, show_link, show_payload, show_state, show_time, show_value
from .run_error import tell_error
from .step_attempts import read_attempts, tell_attempts, tell_success
from .step_facts import count_attempts, is_copy, list_facts, tell_code

TEMPLATE: Final = "durable_django/admin/step.html"
SHOWN: Final = 50
"""Waits and invoked runs on the page."""


def show_step(page: ModelAdmin[Any], request: HttpRequest, key: str) -> HttpResponse:
    """Return the page of a step."""
    check_view(page, request)
    using = get_alias()
    steps = Step.objects.using(using).select_related("run")
    step = steps.filter(pk=int(key)).first() if key.isdecimal() and len(key) < 19 else None
    if step is None:
        return show_gone(page, request, key)
    now = read_now(using)
    waits = _read_waits(using, step) if may_view(request, Wait) else []
    seen = may_view(request, Attempt)
    attempts = read_attempts(using, step) if seen else []
    name = name_step(step.name, step.index)
    run_url = find_page(page.admin_site, "run_change", step.run_id)
    label = f"{step.run.workflow} …{str(step.run_id)[-8:]}"
    return show_page(
        page,
        request,
        TEMPLATE,
        title=_("Step “%s”") % name,
        trail=build_trail(page)[:1]
        + [(find_page(page.admin_site, "run_changelist"), _("Runs")), (run_url, label), ("", name)],
        step=step,
        name=name,
        state=show_state(_name_state(step, now)),
        told=_tell(step, now),
        facts=list_facts(page, step, attempts, now),
        code=tell_code(step),
        buttons=_list_buttons(page, request, step, waits),
        waits=[_tell_wait(page, wait, now) for wait in waits],
        children=_list_children(page, step) if step.kind == StepKind.INVOKE else [],
        input=guard(request, lambda: show_value(read_stored(step.input))) if step.input else "",
        output=guard(request, lambda: show_payload(reveal_step(step, step.run.workflow), step.output))
        if step.output is not None
        else "",
        file=link_file(page, "step_output", step.pk, len(step.output or ""))
        if may_see_payloads(request)
        else "",
        error=_read_error(page, request, step, now),
        attempts=tell_attempts(attempts) if seen else None,
        success=tell_success(step, attempts),
        fixture=_write_fixture(step, seen=may_see_payloads(request)) if step.ended_at else "",
    )


def _name_state(step: Step, now: datetime) -> Any:
    if step.kind == StepKind.SLEEP and step.status == StepStatus.WAITING:
        return WORDS["completed" if step.ready_at and read_time(step.ready_at) <= now else "sleeping"]
    return WORDS[step.status]


def _tell(step: Step, now: datetime) -> str:
    if step.supplied_by:
        return (
            _("An operator supplied this result: %s. The step’s code did not return it.") % step.supplied_by
        )
    if step.status == StepStatus.COMPLETED:
        kept = _(
            "Its result is kept: whenever the run goes on, it is returned and nothing is executed again."
        )
        return (
            _("It was copied from another run, not executed in this one. %s") % kept
            if is_copy(step)
            else kept
        )
    if step.status == StepStatus.FAILED:
        return _("It has no attempts left. The error was raised in the workflow.")
    due = say_due(step.ready_at, now)
    if step.status == StepStatus.RETRYING:
        values = {"due": due, "number": step.attempt + 1, "most": count_attempts(step) or "?"}
        return _("It failed and is tried again at %(due)s: attempt %(number)s of %(most)s.") % values
    if step.kind == StepKind.SLEEP:
        over = step.ready_at is not None and read_time(step.ready_at) <= now
        return (
            _("It has slept until %s.") % say_instant(step.ready_at)
            if over
            else _("It sleeps until %s.") % due
        )
    return _("It waits until %s.") % due


def _list_buttons(
    page: ModelAdmin[Any], request: HttpRequest, step: Step, waits: list[Wait]
) -> list[tuple[str, Any]]:
    site, run = page.admin_site, step.run
    buttons = []
    if run.status not in ENDED and step.status == StepStatus.RETRYING and may_do(request, "retry_run"):
        buttons.append((find_page(site, "run_wake", run.pk), _("Retry now…")))
    failing = step.status == StepStatus.RETRYING or (
        step.status == StepStatus.FAILED and run.status == RunStatus.FAILED
    )
    if failing and may_do(request, "resolve_wait"):
        buttons.append((find_page(site, "step_supply", step.pk), _("Skip with this result…")))
    sleeping = run.status == RunStatus.WAITING and step.kind == StepKind.SLEEP and not step.ended_at
    if sleeping and may_do(request, "retry_run"):
        buttons.append((find_page(site, "run_wake", run.pk), _("Wake now…")))
    opened = [wait for wait in waits if wait.status == WaitStatus.OPEN]
    if may_do(request, "resolve_wait"):
        for wait in opened[:1]:
            if wait.kind != "child":
                buttons.append((find_page(site, "wait_resolve", wait.pk), _("Resolve…")))
            buttons.append((find_page(site, "wait_timeout", wait.pk), _("Time out now…")))
    if may_do(request, "rerun_run"):
        url = find_page(site, "run_rerun_from", run.pk)
        buttons.append((f"{url}?step={step.pk}" if url else "", _("Rerun from here…")))
    return [(url, label) for url, label in buttons if url]


def _read_waits(using: str, step: Step) -> list[Wait]:
    waits = Wait.objects.using(using).filter(run_id=step.run_id, name=step.name, index=step.index)
    return list(waits.defer("bound", "output").order_by("branch")[:SHOWN])


def _tell_wait(page: ModelAdmin[Any], wait: Wait, now: datetime) -> dict[str, Any]:
    return {
        "link": show_link(page.admin_site, Wait, wait.pk, wait.event_name or wait.signal or wait.kind),
        "status": wait.get_status_display(),
        "until": show_time(wait.expires_at),
        "ended": show_time(wait.ended_at),
    }


def _list_children(page: ModelAdmin[Any], step: Step) -> list[dict[str, Any]]:
    runs = Run.objects.using(step._state.db).filter(
        parent_id=step.run_id, parent_step=step.name, parent_index=step.index
    )
    columns = "workflow", "status", "waits_for", "created_at"
    return [
        {"link": show_link(page.admin_site, Run, run.pk), "run": run, "state": show_state(name_state(run))}
        for run in runs.only(*columns).order_by("pk")[:SHOWN]
    ]


def read_stored(text: str | None) -> Any:
    """Return stored JSON of the engine's codec, masked, or a code in brackets."""
    try:
        return redact(decode(text or "null"))
    except DurableError as error:
        return f"[{error.code}]"


def _read_error(
    page: ModelAdmin[Any], request: HttpRequest, step: Step, now: datetime
) -> dict[str, Any] | None:
    if not step.error:
        return None
    told = tell_error(step.error)
    ended = step.run.status == RunStatus.FAILED
    seen = tell_seen(page.admin_site, request, step.run, step.error, now) if ended else None
    return {**told, "seen": seen}


def _write_fixture(step: Step, *, seen: bool) -> str:
    """Return the step as JSON, with what it carries for those who may see payloads."""
    told: dict[str, Any] = {"step": step.name, "index": step.index, "kind": step.kind, "status": step.status}
    if step.output is not None and seen:
        told["output"] = reveal_step(step, step.run.workflow)
    if step.error:
        told["error"] = read_stored(step.error)
    return json.dumps(told, indent=2, ensure_ascii=False, default=str)
