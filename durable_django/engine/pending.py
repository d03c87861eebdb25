"""What a branch of a workflow waits for, as it is stored when the run is parked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from ..store.base import AttemptWrite, StepWrite, WaitWrite
from ..store.child import ChildStart

Errand = Callable[[], Generator[Any, Any, Any]]
"""Begins an attempt of a step that can be made after the workflow function was left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One reason to park; rows are missing where they are stored already. ``wake_in`` is in seconds.

    ``event_names`` are those of waits that are stored already.
    """

    waits_for: str
    wake_in: float
    step: StepWrite | None = None
    waits: tuple[WaitWrite, ...] = ()
    attempt: AttemptWrite | None = None
    event_names: tuple[str, ...] = ()
    children: tuple[ChildStart, ...] = ()
    errand: Errand | None = None
