"""What a run does, and what it waits for, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ..define.registry import registry
from ..engine.words import is_over, say_due, say_instant
from ..models import Run, RunResult, RunStatus, Step, StepKind, StepStatus, Wait, WaitStatus
from .console import to_json
from .payload import open_stored

SHORT = 120
"""Characters of a value that fit into a line."""


def say_run(run: Run, steps: Iterable[Step], waits: Sequence[Wait], now: datetime) -> str:
    """Return what the run is doing, or how it ended."""
    if run.status == RunStatus.QUEUED:
        text = f"queued for a worker of queue {run.queue!r} since {say_instant(run.created_at)}"
        return text + say_missing_code(run)
    if run.status == RunStatus.RUNNING:
        return f"running on {run.owner}" + say_missing_code(run)
    if run.status == RunStatus.PAUSED:
        return f"held, since the workflow {run.workflow!r} is paused" + say_missing_code(run)
    if run.status == RunStatus.WAITING:
        return _say_waiting(run, steps, waits, now)
    ended = f"{run.status} at {say_instant(run.ended_at)}"
    return f"{ended}: {run.reason}" if run.reason else ended


def _say_waiting(run: Run, steps: Iterable[Step], waits: Sequence[Wait], now: datetime) -> str:
    if run.waits_for == "code":
        again = say_due(run.wake_at, now)
        return f"waits for code: no workflow is registered as {run.workflow!r}; looks again {again}"
    opened = [wait for wait in waits if wait.status == WaitStatus.OPEN]
    parts = [
        say_step(step, [wait for wait in opened if (wait.name, wait.index) == (step.name, step.index)], now)
        for step in steps
        if step.status in (StepStatus.WAITING, StepStatus.RETRYING) and not is_over(step, now)
    ]
    if parts:
        return "; ".join(parts)
    if run.waits_for == "retry":
        return f"tries its code again at {say_due(run.wake_at, now)}, after {run.attempt} failed attempts"
    return f"waits for {run.waits_for or 'its next look'} until {say_due(run.wake_at, now)}"


def say_missing_code(run: Run) -> str:
    """Return a remark if no code of this process answers to the workflow's name."""
    return "" if run.workflow in registry else f"; no workflow is registered as {run.workflow!r} here"


def say_step(step: Step, waits: Sequence[Wait], now: datetime) -> str:
    """Return what an unfinished step waits for and until when."""
    due = say_due(step.ready_at, now)
    if step.status == StepStatus.RETRYING:
        return f"step {str(step)!r} failed {step.attempt} times and is tried again at {due}"
    if step.kind == StepKind.SLEEP:
        return f"step {str(step)!r} sleeps until {due}"
    if waits:
        word = " and " if step.kind == StepKind.ALL else " or "
        return f"step {str(step)!r} waits for {word.join(map(say_question, waits))} until {due}"
    return f"step {str(step)!r} waits ({step.kind}) until {due}"


def say_question(wait: Wait) -> str:
    """Return which events or which signal the wait accepts."""
    if wait.signal:
        return f"signal {wait.signal!r}"
    text = f"event {wait.event_name!r}"
    if wait.match:
        return f"{text} with {wait.match} = {shorten(to_json(_find_bound(wait)))}"
    return f"{text} if {wait.expression}" if wait.expression else text


def _find_bound(wait: Wait) -> Any:
    value = open_stored(wait.bound)
    for key in wait.match.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def say_error(text: str | None) -> str:
    """Return the type and message of a stored error."""
    try:
        told = json.loads(text or "{}")
    except ValueError:
        return shorten(text or "")
    return f"{told.get('name', 'Error')}: {told.get('message', '')}"


def say_result(result: RunResult | None) -> str:
    """Return a run's output or error, in a line."""
    if result is None:
        return ""
    if result.error is not None:
        return shorten(say_error(result.error))
    return shorten(to_json(open_stored(result.output))) if result.output is not None else ""


def shorten(text: str, length: int = SHORT) -> str:
    """Return the text on one line, cut to a length."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 3] + "..."
