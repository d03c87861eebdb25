"""The key of the step whose function is running."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from ..exceptions import NoCurrentStep

current_key: ContextVar[Callable[[], str] | None] = ContextVar("durable_django_step_key", default=None)
"""Makes the key when somebody asks for it, which few steps do."""


def step_key() -> str:
    """Return the idempotency key of the step whose function is running, to pass to services outside.

    It is the same in all attempts of the step, whichever worker makes them, and another one for each run,
    step id and repetition of the id.

    Raises:
        NoCurrentStep: No step's function is running on this thread or task.
    """
    make_key = current_key.get()
    if make_key is None:
        raise NoCurrentStep
    return make_key()
