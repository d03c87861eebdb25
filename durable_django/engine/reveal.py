"""Stored payloads for people: through the hooks that wrote them, then masked; never raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..define.hooks import Place
from ..define.registry import registry
from ..exceptions import DurableError
from ..models import Event, Run, Step
from ..store.base import EventRow
from .codec import decode
from .find_hooks import Hooks, find_hooks
from .redact import WITHHELD, redact
from .seal import SEALED, receive, unseal
from .slice import read_event


def reveal_event(event: Event, workflow: str = "") -> Any:
    """Return the data of an event as a workflow would see it, masked.

    Args:
        workflow: The id of the workflow whose hooks are asked besides the project's.
    """
    return _reveal(lambda: open_event(event, workflow))


def open_event(event: Event, workflow: str = "") -> Any:
    """Return the data of an event as a workflow would see it, not masked: for what is sent on, never shown.

    Raises:
        DurableError: It cannot be read.
    """
    row = EventRow(id=event.id, name=event.name, data=event.data, ts=event.ts, external_id=event.external_id)
    return receive(_find(workflow), read_event(row)).data


def reveal_step(step: Step, workflow: str) -> Any:
    """Return the output of a step of a run of the workflow, masked."""
    place = Place("step", str(step.run_id), step.name, step.index)
    hooks: Callable[[], Hooks] = lambda: _find(workflow) if step.kind in SEALED else ()  # noqa: E731
    return _reveal(lambda: decode(unseal(hooks(), step.output or "null", place)))


def reveal_output(run: Run) -> Any:
    """Return the output of an ended run, masked."""
    place = Place("run", str(run.id), run.workflow)
    return _reveal(lambda: decode(unseal(_find(run.workflow), run.result.output or "null", place)))


def _find(workflow: str) -> Hooks:
    return find_hooks(registry.find(workflow))


def _reveal(read: Callable[[], Any]) -> Any:
    try:
        return redact(read())
    except DurableError as error:
        return f"{WITHHELD} {error.code}"
