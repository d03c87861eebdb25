"""Stored rows as JSON objects with stable keys, and a run by what a person remembers of its id."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from ..exceptions import RunNotFound
from ..models import Attempt, Event, Run, Step, Wait
from .payload import open_stored

LOOK_BACK = 1_000
"""Newest runs among which a shortened id is looked for."""
SHORTEST = 6


def find_run(using: str, text: str) -> Run:
    """Return the run of an id, or of the first or last characters of a recent one.

    Raises:
        RunNotFound: There is none.
        CommandError: Several runs have these characters.
    """
    try:
        wanted = [UUID(text)]
    except ValueError:
        wanted = _search(using, text.lower().replace("-", ""))
    if len(wanted) > 1:
        raise CommandError(f"{text} may be any of {', '.join(str(each) for each in wanted[:5])}.")
    run = Run.objects.using(using).select_related("event").filter(id__in=wanted).first()
    if run is None:
        raise RunNotFound(id=text)
    return run


def _search(using: str, text: str) -> list[UUID]:
    if len(text) < SHORTEST:
        raise RunNotFound(id=text)
    recent = Run.objects.using(using).order_by("-id").values_list("id", flat=True)[:LOOK_BACK]
    return [each for each in recent if each.hex.startswith(text) or each.hex.endswith(text)]


def run_as_dict(run: Run) -> dict[str, Any]:
    """Return the run's own columns that mean something outside the engine."""
    return {
        "id": str(run.id),
        "workflow": run.workflow,
        "status": run.status,
        "waits_for": run.waits_for or None,
        "queue": run.queue,
        "key": run.key or None,
        "origin": run.origin,
        "version": run.version or None,
        "warning": run.warning or None,
        "worker": run.owner or None,
        "failed_attempts": run.attempt,
        "reason": run.reason or None,
        "event_id": str(run.event_id),
        "rerun_of": str(run.rerun_of) if run.rerun_of else None,
        "rerun_from": run.rerun_from or None,
        "next_look_at": run.wake_at,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }


def step_as_dict(step: Step) -> dict[str, Any]:
    """Return a step with its output or error."""
    return {
        "name": step.name,
        "index": step.index,
        "kind": step.kind,
        "status": step.status,
        "failed_attempts": step.attempt,
        "ready_at": step.ready_at,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "supplied_by": step.supplied_by or None,
        "output": open_stored(step.output),
        "error": read_error(step.error),
    }


def attempt_as_dict(attempt: Attempt) -> dict[str, Any]:
    """Return a failed attempt with its traceback."""
    return {
        "step": attempt.name or None,
        "index": attempt.index,
        "number": attempt.number,
        "error_type": attempt.error_type,
        "message": attempt.message,
        "traceback": attempt.traceback,
        "worker": attempt.worker,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "retry_at": attempt.retry_at,
    }


def wait_as_dict(wait: Wait) -> dict[str, Any]:
    """Return a wait: what it asks, until when, and how it ended."""
    return {
        "id": wait.pk,
        "step": wait.name,
        "index": wait.index,
        "kind": wait.kind,
        "status": wait.status,
        "branch": wait.branch,
        "event_name": wait.event_name or None,
        "signal": wait.signal or None,
        "match": wait.match or None,
        "expression": wait.expression or None,
        "bound": open_stored(wait.bound),
        "until": wait.expires_at,
        "created_at": wait.created_at,
        "ended_at": wait.ended_at,
        "event_id": str(wait.event_id) if wait.event_id and not wait.signal else None,
    }


def event_as_dict(event: Event) -> dict[str, Any]:
    """Return an event as it was sent, and when it was stored."""
    return {
        "id": str(event.id),
        "name": event.name,
        "data": open_stored(event.data),
        "ts": event.ts,
        "sender_id": event.external_id,
        "source": event.source,
        "created_at": event.created_at,
        "routed_at": event.routed_at,
    }


def read_error(text: str | None) -> Any:
    """Return a stored error as an object."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return {"unreadable": text[:500]}
