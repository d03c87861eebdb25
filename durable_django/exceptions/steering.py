"""Errors of what operators do to waits, steps, workflows and events."""

from __future__ import annotations

from .base import DurableError
from .operating import OperationRefused


class WaitNotFound(DurableError):
    """No wait with that number is stored."""

    code = "wait_not_found"
    text = "No wait {id} is stored."
    hint = "A wait goes with its run; a retried run asks again under a new number."


class StepNotFound(DurableError):
    """The run has no such step."""

    code = "step_not_found"
    text = "Run {run} has no step {step!r}{use}."
    hint = "`manage.py durable show <run>` lists its steps."


class WaitRefused(OperationRefused):
    """A wait has ended, or is of a kind that the action does not fit."""

    code = "wait_refused"
    text = "Nothing was done: wait {id} is {status}, {action} needs {needs}."


class StepRefused(OperationRefused):
    """A step is in a state, or of a kind, that the action does not fit."""

    code = "step_refused"
    text = "Nothing was done: step {step!r} is {status}, {action} needs {needs}."


class WorkflowRefused(OperationRefused):
    """A workflow is paused already, or is not paused."""

    code = "workflow_refused"
    text = "Nothing was done: workflow {id!r} is {status}, {action} needs {needs}."


class EventRefused(OperationRefused):
    """An event is of a kind that the action does not fit."""

    code = "event_refused"
    text = "Nothing was done: event {id} is {status}, {action} needs {needs}."


class InvalidStepInput(DurableError):
    """The input that a step is to be executed with does not fit the kind of step."""

    code = "step_input_invalid"
    retriable = False
    text = "The input for step {step!r} cannot be used: {reason}."
