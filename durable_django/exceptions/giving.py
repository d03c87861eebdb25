"""Errors of what is given to the engine: durations, instants, events, expressions, values."""

from __future__ import annotations

from .base import DurableError


class InvalidDuration(DurableError):
    """A length of time cannot be read, is not a number, or is longer than 366 days."""

    code = "duration_invalid"
    retriable = False
    text = "{value!r} is not a usable duration: {reason}."
    hint = "Write '30s', '1h30m', '7 days', a number of milliseconds, or a timedelta."


class NaiveDatetime(DurableError):
    """A datetime without time zone was given where an instant is meant."""

    code = "datetime_naive"
    retriable = False
    text = "{value!r} has no time zone, so it names no instant."
    hint = "Use django.utils.timezone.now() or pass tzinfo."


class InvalidInstant(DurableError):
    """A point in time cannot be read, or lies outside the years that a database can hold."""

    code = "instant_invalid"
    retriable = False
    text = "{value!r} is not a usable point in time: {reason}."
    hint = "Pass an aware datetime, an ISO 8601 text with offset, or milliseconds since 1970."


class InvalidEvent(DurableError):
    """An event has a missing, reserved or malformed field."""

    code = "event_invalid"
    retriable = False
    text = "The event {where}is not valid: {reason}."


class EventTooLarge(DurableError):
    """An event is larger than ``EVENT_BYTES``."""

    code = "event_too_large"
    retriable = False
    text = "The event {name!r} has {size} bytes; the limit is {limit}."
    hint = "Store the payload elsewhere and send its key."


class TooManyEvents(DurableError):
    """More events than ``EVENTS_PER_REQUEST`` were sent in one call."""

    code = "events_too_many"
    retriable = False
    text = "{count} events were sent at once; the limit is {limit}."
    hint = "Send them in several calls."


class InvalidExpression(DurableError):
    """A CEL expression does not compile, uses something that is not allowed, or is not boolean."""

    code = "expression_invalid"
    retriable = False
    text = "The expression {source!r} is not valid at column {column}: {reason}."


class MatchUnbound(DurableError):
    """``match`` names a field that the triggering event lacks, so it would match everything or nothing."""

    code = "match_unbound"
    retriable = False
    text = "wait {step!r}: the triggering event has no value at {path!r} to match with."
    hint = "Send that field with the triggering event, or use if_exp."


class InvalidSubject(DurableError):
    """Something that is not a saved model instance was given as the subject of a run."""

    code = "subject_invalid"
    retriable = False
    text = "A run cannot be linked to {subject}: {reason}."
    hint = "Pass a saved instance, or a model class and a primary key."


class InvalidSignal(DurableError):
    """A signal has a malformed name, or more data than ``EVENT_BYTES``."""

    code = "signal_invalid"
    retriable = False
    text = "The signal {name!r} is not valid: {reason}."


class Unserializable(DurableError):
    """A value cannot make the trip through the codec."""

    code = "output_unserializable"
    retriable = False
    text = "{what}the value at {path} cannot be stored: {reason}."
    hint = "Return JSON types, datetime, Decimal or UUID; use output_type for your own classes."


class StoredValueUnreadable(DurableError):
    """A stored value was damaged, or written by a newer release of this package."""

    code = "stored_value_unreadable"
    text = "A stored value cannot be read: {reason}."
    hint = "Was this process started with an older release than the one that wrote it?"


class OutputTooLarge(DurableError):
    """A step returned more than ``STEP_OUTPUT_BYTES``."""

    code = "output_too_large"
    retriable = False
    text = "{what}returned {size} bytes; the limit is {limit}."
    hint = "Store the result elsewhere and return its key."


class StateTooLarge(DurableError):
    """All results of one run together exceed ``RUN_STATE_BYTES``."""

    code = "state_too_large"
    retriable = False
    text = "The results of run {run} have {size} bytes; the limit is {limit}."
    hint = "Store large results elsewhere and return their keys."
