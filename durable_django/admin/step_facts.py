"""What the page of a step tells beside its result: its times, and its place and options in the code."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.admin import ModelAdmin
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ..clock import read_time
from ..conf import settings
from ..define.registry import registry
from ..engine.words import name_state, say_length
from ..ids import derive_id
from ..models import Attempt, Run, Step, StepKind
from .render import show_link, show_short, show_state, show_time, show_where
from .run_rows import EXECUTED
from .step_attempts import list_sums
from .step_code import StepCode, find_step_code


def is_copy(step: Step) -> bool:
    """Tell whether the step was taken over from the run that this one repeats."""
    made = step.run.rerun_of is not None and step.ended_at is not None
    return made and step.ended_at <= step.run.created_at  # type: ignore[operator]


def list_facts(
    page: ModelAdmin[Any], step: Step, attempts: list[Attempt], now: datetime
) -> list[tuple[str, Any]]:
    """Return what the page tells of the step beside its result."""
    end = read_time(step.ended_at) if step.ended_at else now
    facts = [
        (_("run"), show_short(page.admin_site, step.run_id, step.run.workflow)),
        (_("run is"), show_state(name_state(step.run))),
        (_("kind"), step.get_kind_display()),
        (_("failed attempts"), step.attempt or ""),
        (_("started"), show_time(step.started_at)),
        (_("ended"), show_time(step.ended_at) if step.ended_at else ""),
        (_("duration"), say_length((end - read_time(step.started_at)).total_seconds())),
        *list_sums(step, attempts, now),
        (_("due"), show_time(step.ready_at) if step.ready_at and not step.ended_at else ""),
        (_("supplied by"), step.supplied_by),
        (_("copied from run"), show_link(page.admin_site, Run, step.run.rerun_of) if is_copy(step) else ""),
        (_("code version"), step.run.version),
    ]
    return [(label, value) for label, value in facts if value != ""]


def _find_code(step: Step) -> StepCode | None:
    workflow = registry.find(step.run.workflow)
    return find_step_code(workflow, step.name, step.kind) if workflow else None


def count_attempts(step: Step) -> int | None:
    """Return how often the step is tried at most, as far as the code here tells."""
    workflow, code = registry.find(step.run.workflow), _find_code(step)
    if workflow is None or code is None:
        return None
    own = dict(code.options).get("retries")
    if own is not None:
        retries = code.read_retries()
        return None if retries is None else retries + 1
    return (settings.RETRIES if workflow.retries is None else workflow.retries) + 1


def tell_code(step: Step) -> list[tuple[str, Any]]:
    """Return where the code has the step, its options as they stand there, and the key it gives to services."""
    workflow, code = registry.find(step.run.workflow), _find_code(step)
    most = count_attempts(step) if step.kind in EXECUTED else None
    told = [
        (_("code of the step"), show_where(code.where) if code else ""),
        (_("code of the workflow"), show_where(workflow.where) if workflow else ""),
        (_("attempts at most"), most or ""),
        *((name, format_html("<code>{}</code>", text)) for name, text in (code.options if code else ())),
        (_("key for services"), _show_key(step)),
    ]
    return [(label, value) for label, value in told if value != ""]


def _show_key(step: Step) -> Any:
    if step.kind != StepKind.RUN:
        return ""
    return format_html("<code data-copy>{}</code>", derive_id("step", step.run_id, step.name, step.index))
