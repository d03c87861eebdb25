"""Errors of handles, operations and nudges."""

from __future__ import annotations

from .base import DurableError


class EventNotFound(DurableError):
    """No event with that id is stored."""

    code = "event_not_found"
    text = "No event {id} is stored."
    hint = "Events are kept RETENTION_DAYS days. A sender's own id is no event id."


class RunNotFound(DurableError):
    """No run with that id is stored."""

    code = "run_not_found"
    text = "No run {id} is stored."
    hint = "Ended runs are kept RETENTION_DAYS days."


class RunFailed(DurableError):
    """``result()`` was called on a run that failed."""

    code = "run_failed"
    text = "Run {id} failed: {error}"


class RunCancelled(DurableError):
    """``result()`` was called on a run that was cancelled."""

    code = "run_cancelled"
    text = "Run {id} was cancelled: {reason}"


class ResultTimeout(DurableError, TimeoutError):
    """``result(timeout=)`` ended before the run did; the run goes on."""

    code = "result_timeout"
    text = "Run {id} is still {status} after {timeout} s."
    hint = "Is a worker running? `manage.py durable doctor` tells."


class OperationRefused(DurableError):
    """An operator's action does not fit the state that the run is in."""

    code = "operation_refused"
    text = "Nothing was done: run {id} is {status}, {action} needs {needs}."


class SignalNotAwaited(DurableError):
    """A signal was sent that no run waits for at the moment; signals are not stored."""

    code = "signal_not_awaited"
    retriable = False
    text = "No run waits for the signal {name!r}."
    hint = "Send an event if the answer may come before the question."


class NudgeLost(DurableError):
    """The broker did not take messages in time; the runs that they are about are stored and safe."""

    code = "nudge_lost"
    text = "{count} runs could not be announced to workers: {reason}."
    hint = "Does the message broker run? The tick announces the runs again."
