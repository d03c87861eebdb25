"""The port through which the engine says "look at this run"; dispatchers stand behind it.

Note [The row is the truth, the message is a nudge]
    A nudge may be lost, doubled, late or reordered: nothing changes but latency (law 1), since the sweep
    finds every run by its ``wake_at``. So a nudge never raises into its caller.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from django.utils.module_loading import import_string

from ..conf import settings

logger = logging.getLogger("durable_django.dispatch")

DISPATCHERS: Final = {
    "local": "durable_django.dispatch.local.LocalDispatcher",
    "celery": "durable_django.dispatch.celery.CeleryDispatcher",
    "inline": "durable_django.dispatch.inline.InlineDispatcher",
}


@dataclass(frozen=True, slots=True)
class Nudge:
    """A run that is queued, and where."""

    run_id: UUID
    workflow: str
    queue: str


class Dispatcher(Protocol):
    """Carries nudges to workers."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        """Tell workers to look at the runs, within PUBLISH_TIMEOUT_SECONDS; may raise."""


def get_dispatcher() -> Dispatcher:
    """Return the dispatcher that the setting DISPATCHER names."""
    name = settings.DISPATCHER
    dispatcher: Dispatcher = import_string(DISPATCHERS.get(name, name))()
    return dispatcher


_complaint = {"at": float("-inf"), "count": 0}


def send_nudges(nudges: Sequence[Nudge]) -> None:
    """Pass the nudges on; a dispatcher that fails is logged, at most once in 10 s, and never raises."""
    if not nudges:
        return
    try:
        get_dispatcher().nudge(nudges)
    except Exception:  # noqa: BLE001  the sweep finds the runs
        _complain(len(nudges))


def _complain(count: int) -> None:
    _complaint["count"] += count
    if time.monotonic() - _complaint["at"] < 10:
        return
    logger.warning(
        "runs could not be announced to workers; the tick will find them",
        exc_info=True,  # noqa: LOG014  called while handling
        extra={"runs": _complaint["count"]},
    )
    _complaint.update(at=time.monotonic(), count=0)


_listeners: list[Callable[[float], None]] = []


def listen(listener: Callable[[float], None]) -> Callable[[], None]:
    """Let a runner of this process hear when a run is due sooner; return a function that ends it."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def expect(seconds: float) -> None:
    """Say that a run of this process is due in so many seconds."""
    for listener in _listeners:
        listener(seconds)
