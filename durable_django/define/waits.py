"""What a step can wait for: immutable values for ``step.wait_for_any`` and ``step.wait_for_all``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOST_WAITS = 20
"""Waits in one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWait:
    """An event to wait for.

    Args:
        event: The event's exact name.
        match: A path such as ``data.order_id`` that must be equal in the triggering event and this one.
        if_exp: A CEL condition on ``event`` (the trigger) and ``async`` (this event), instead of ``match``.
        since: "run" also considers events received since the run was created.
    """

    event: str
    match: str | None = None
    if_exp: str | None = None
    since: Literal["run"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalWait:
    """A signal to wait for.

    Args:
        signal: The signal's name; one wait in the whole system can be open for it.
        on_conflict: If another wait is open for it: "fail" this run, or "replace" the other wait.
    """

    signal: str
    on_conflict: Literal["fail", "replace"] = "fail"


Wait = EventWait | SignalWait
