"""The key of the step whose function is running."""

from __future__ import annotations

from contextvars import ContextVar

from ..exceptions import NoCurrentStep

current_key: ContextVar[str | None] = ContextVar("durable_django_step_key", default=None)


def step_key() -> str:
    """Return the idempotency key of the step whose function is running, to pass to services outside.

    It is the same in all attempts of the step, whichever worker makes them, and another one for each run,
    step id and repetition of the id.

    Raises:
        NoCurrentStep: No step's function is running on this thread or task.
    """
    key = current_key.get()
    if key is None:
        raise NoCurrentStep
    return key
