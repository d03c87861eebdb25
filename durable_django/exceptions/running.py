"""Errors inside a run: of steps, of their functions, of runs that wait for runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .base import DurableError


class StepLimitReached(DurableError):
    """A run asked for more steps than ``STEP_LIMIT``."""

    code = "step_limit_reached"
    retriable = False
    text = "The run reached the limit of {limit} steps at step {step!r}."
    hint = "Is there a loop without an end? Otherwise raise STEP_LIMIT or start child workflows."


class UnknownStep(DurableError):
    """A step that was left to another worker names a function that no module there declares."""

    code = "step_unknown"
    text = "No step function is declared as {name!r} here."
    hint = "Do all workers of the queue run the same code? The step is tried again by its policy."


class StepNested(DurableError):
    """A step was called inside the function of another step."""

    code = "step_nested"
    retriable = False
    text = "Step {inner!r} was called inside step {outer!r}; steps cannot be nested."
    hint = "Call both from the workflow function, one after the other."


class StepInTransaction(DurableError):
    """A step was called inside a transaction block of the workflow function."""

    code = "step_in_transaction"
    text = "Step {step!r} was called inside transaction.atomic(): its result could be rolled back with the block."
    hint = "Put the block into the step's function, with atomic=True."
    retriable = False


class StepKindChanged(DurableError):
    """Replay met a step id whose memo was written by another step tool."""

    code = "step_kind_changed"
    retriable = False
    text = "Step {step!r} is a {found} now, but this run stored it as a {stored}."
    hint = "Give the new step another id."


class StepUsage(DurableError):
    """A step tool was called with arguments that exclude each other, or outside a workflow."""

    code = "step_usage"
    retriable = False
    text = "step {step!r}: {reason}."


class StepError(DurableError):
    """A step ran out of attempts or refused to be retried; catch it in the workflow to go on.

    ``name``, ``message`` and ``stack`` are those of the exception that the step raised last.
    """

    code = "step_failed"
    retriable = False
    text = "{name}: {message}"

    def __init__(
        self,
        message: str = "",
        *,
        name: str = "Error",
        stack: str = "",
        step: str = "",
        index: int = 0,
        error_code: str = "",
        **details: Any,
    ) -> None:
        super().__init__(
            message, name=name, stack=stack, step=step, index=index, error_code=error_code, **details
        )
        self.name, self.stack, self.step, self.index = name, stack, step, index
        self.error_code = error_code

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class NonRetriableError(DurableError):
    """Raise it in a step or a workflow to say that another attempt is pointless."""

    code = "non_retriable"
    retriable = False


class ExitRaised(DurableError):
    """The code of a workflow or step raised SystemExit or another exception that is meant to end a process."""

    code = "exit_raised"
    text = "{where} raised {name}: {said}"
    hint = "Raise an ordinary exception to fail, or return to end."


class RetryAfterError(DurableError):
    """Raise it to choose when the next attempt is made; it counts as an attempt.

    ``when`` is milliseconds, a duration string, a timedelta or an aware datetime.
    """

    code = "retry_after"

    def __init__(self, message: str = "", when: float | str | timedelta | datetime = 0, **details: Any):
        super().__init__(message or "asked to be retried later", when=when, **details)
        self.when = when


class StepTimeout(DurableError):
    """An attempt of a step took longer than its ``timeout``; what it returned afterwards was discarded."""

    code = "step_timeout"
    text = "step {step!r} was not done after {timeout} s."
    hint = "Raise its timeout, or split it into smaller steps."


class NoCurrentStep(DurableError):
    """The key of the current step was asked for outside the function of a step."""

    code = "step_key_outside"
    retriable = False
    text = "There is a step key only inside the function of a step."
    hint = "Ask for it in the function that step.run or @step calls, on the thread that calls it."


class SignalConflict(DurableError):
    """A run was to wait for a signal that another wait is open for, with ``on_conflict="fail"``."""

    code = "signal_conflict"
    retriable = False
    text = "The signal {name!r} is awaited by run {run} already."
    hint = 'Use a name of its own for each run, or on_conflict="replace".'


class InvokeTooDeep(DurableError):
    """Workflows invoke each other more than ``INVOKE_DEPTH`` levels deep."""

    code = "invoke_too_deep"
    text = "The workflow {id!r} would be invoked more than {limit} levels deep."
    hint = "Does a workflow invoke itself without an end?"
    retriable = False


class InvokeTimeoutError(DurableError):
    """An invoked workflow did not end in time; it goes on."""

    code = "invoke_timeout"
    text = "Timed out waiting for the invoked workflow {id!r} to complete"
    retriable = False


class RunQuarantined(DurableError):
    """A run killed its worker too often to be tried again without an operator."""

    code = "run_quarantined"
    text = "The run took its worker down {count} times in a row and is held back."
    hint = "Mend the code, then retry the run."
