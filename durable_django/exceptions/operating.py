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


class InvalidAttempts(DurableError):
    """A retry was to be given a number of attempts that it cannot have."""

    code = "invalid_attempts"
    text = "Nothing was done: {attempts!r} attempts cannot be given, {reason}."


class KeyInUse(DurableError):
    """A run was to be started anew whose key belongs to a run that has not ended."""

    code = "key_in_use_refused"
    text = "Nothing was done: the key {key} belongs to run {id}, which is {status}."


class UnknownInvariant(DurableError):
    """A check was asked for that does not exist."""

    code = "unknown_invariant"
    text = "There is no invariant {id!r}; there are {known}."
    hint = "A number stands for all that begin with it; docs/checking-data.md lists them."


class BulkNotFound(DurableError):
    """No bulk operation with that number is stored."""

    code = "bulk_not_found"
    text = "No bulk operation {id} is stored."
    hint = "Those that have ended are kept RETENTION_DAYS days."


class BulkInvalid(DurableError):
    """A bulk operation was asked for that makes no sense, or that would touch more than was meant."""

    code = "bulk_invalid"
    text = "Nothing was started: {reason}."


class BulkRefused(DurableError):
    """A bulk operation was to be stopped that does not run, or to be continued that was not stopped."""

    code = "bulk_refused"
    text = "Nothing was done: bulk operation {id} is {state}, {action} needs {needs}."


class WorkerNotFound(DurableError):
    """No worker of that name has reported itself."""

    code = "worker_not_found"
    text = "No worker {name!r} has reported itself."
    hint = "`manage.py durable workers` lists them."


class WorkerRefused(DurableError):
    """An operator's action does not fit the state that a worker is in."""

    code = "worker_refused"
    text = "Nothing was done: worker {name} is {status}, {action} needs {needs}."


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
