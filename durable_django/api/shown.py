"""Rows as answers: through the hooks that wrote them, masked as on the screens, without tracebacks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..engine.explain_event import Explanation
from ..engine.reveal import reveal_event, reveal_output, reveal_step
from ..models import Attempt, Event, Run, Step, StepStatus, Wait
from ..models.run import ENDED

EVENT_COLUMNS = ("id", "name", "ts", "external_id", "source", "created_at", "routed_at")


def show_event_head(event: Event) -> dict[str, Any]:
    """Return an event without its payload."""
    return {
        "id": str(event.id),
        "name": event.name,
        "ts": event.ts,
        "sender_id": event.external_id,
        "source": event.source,
        "received_at": event.created_at,
        "routed_at": event.routed_at,
    }


def show_event(event: Event) -> dict[str, Any]:
    """Return an event with its data."""
    return {**show_event_head(event), "data": reveal_event(event)}


def show_explanation(told: Explanation) -> dict[str, Any]:
    """Return what became of an event: what it started, resumed and cancelled, and why not more."""
    found = asdict(told)
    found["reasons"] = [{**asdict(each), "text": str(each)} for each in told.reasons]
    return {name: found[name] for name in found if name not in ("event_id", "name")}


def show_run(run: Run) -> dict[str, Any]:
    """Return a run without what it made."""
    return {
        "id": str(run.id),
        "workflow": run.workflow,
        "status": run.status,
        "waits_for": run.waits_for or None,
        "event_id": str(run.event_id),
        "origin": run.origin,
        "queue": run.queue,
        "key": run.key or None,
        "version": run.version or None,
        "warning": run.warning or None,
        "reason": run.reason or None,
        "failed_attempts": run.attempt,
        "parent_id": str(run.parent_id) if run.parent_id else None,
        "rerun_of": str(run.rerun_of) if run.rerun_of else None,
        "rerun_from": run.rerun_from or None,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }


def show_ended(run: Run) -> dict[str, Any]:
    """Return a run with its output or error, if it has ended."""
    result = getattr(run, "result", None) if run.status in ENDED else None
    output = reveal_output(run) if result and result.output is not None else None
    return {**show_run(run), "output": output, "error": show_error(result.error) if result else None}


def show_step(step: Step, workflow: str) -> dict[str, Any]:
    """Return a step with its output or error."""
    done = step.status == StepStatus.COMPLETED and step.output is not None
    return {
        "id": step.name,
        "index": step.index,
        "kind": step.kind,
        "status": step.status,
        "failed_attempts": step.attempt,
        "ready_at": step.ready_at,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "supplied_by": step.supplied_by or None,
        "output": reveal_step(step, workflow) if done else None,
        "error": show_error(step.error),
    }


def show_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return a failed attempt; its traceback is for the screens."""
    return {
        "step": attempt.name or None,
        "index": attempt.index,
        "number": attempt.number,
        "error": {"name": attempt.error_type, "message": attempt.message},
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "retry_at": attempt.retry_at,
    }


def show_wait(wait: Wait) -> dict[str, Any]:
    """Return what a run waits for, and how the wait ended."""
    return {
        "id": wait.pk,
        "step": wait.name,
        "index": wait.index,
        "status": wait.status,
        "event": wait.event_name or None,
        "signal": wait.signal or None,
        "until": wait.expires_at,
        "ended_at": wait.ended_at,
        "event_id": str(wait.event_id) if wait.event_id else None,
    }


def show_asked(wait: Wait) -> dict[str, Any]:
    """Return a wait by itself: with its number, its run and its condition."""
    return {
        "id": wait.pk,
        "run_id": str(wait.run_id),
        "workflow": wait.run.workflow,
        **show_wait(wait),
        "kind": wait.kind,
        "match": wait.match or None,
        "if": wait.expression or None,
        "created_at": wait.created_at,
    }


def show_error(text: str | None) -> dict[str, Any] | None:
    """Return the name and message of a stored error."""
    if text is None:
        return None
    try:
        told = json.loads(text)
    except ValueError:
        return {"name": "unreadable", "message": ""}
    return {"name": told.get("name", "Error"), "message": told.get("message", "")}
