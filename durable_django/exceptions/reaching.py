"""Errors on the way to the outside: HTTP and AI steps, hooks, requests, keys, webhooks."""

from __future__ import annotations

from .base import DurableError


class FetchRefused(DurableError):
    """A request was not sent because of its URL, its arguments or the address that its host leads to."""

    code = "fetch_refused"
    retriable = False
    text = "The request to {url} was refused: {reason}."
    hint = "FETCH_ALLOW lists what may be reached besides public addresses over https."


class FetchFailed(DurableError):
    """A request got no complete answer: no address, no connection, a broken answer, or no time left."""

    code = "fetch_failed"
    text = "The request to {url} got no answer: {reason}."


class FetchTooLarge(DurableError):
    """The body of an answer is larger than ``max_bytes``."""

    code = "fetch_too_large"
    retriable = False
    text = "The answer from {url} has more than {limit} bytes."
    hint = "Pass a larger max_bytes, or let a step store the body elsewhere."


class AiRefused(DurableError):
    """A model provider refused the request; the same request would be refused again."""

    code = "ai_refused"
    retriable = False
    text = "{url} answered {status}: {said}"


class AiUnavailable(DurableError):
    """A model provider could not answer now: an error of its own, or an answer that is not JSON."""

    code = "ai_unavailable"
    text = "{url} answered {status}: {said}"


class HookFailed(DurableError):
    """A hook raised; the value that it was given is neither stored, passed on nor shown."""

    code = "hook_failed"
    text = "The hook {hook} failed: {reason}. The payload is withheld."
    hint = "Mend the hook; runs that failed by it can be retried."


class PayloadUnreadable(DurableError):
    """An encrypted value cannot be decrypted: its key is missing here, or it was damaged."""

    code = "payload_unreadable"
    text = "The encrypted value of {place} cannot be decrypted with the keys of this process."
    hint = "Add the key that it was written with, then retry the run."


class PayloadMisplaced(DurableError):
    """An encrypted value was written for another place than the one that it is stored in."""

    code = "payload_misplaced"
    retriable = False
    text = "The encrypted value of {place} was written for another place; it was moved or exchanged."
    hint = "Somebody changed the database by hand: restore the row."


class RequestInvalid(DurableError):
    """The body, a header or a parameter of a request cannot be used."""

    code = "request_invalid"
    retriable = False
    text = "{reason}"


class KeyNotFound(DurableError):
    """No access key, or more than one, goes by that prefix or name."""

    code = "key_not_found"
    retriable = False
    text = "{count} live access keys go by {name!r}."
    hint = "`manage.py durable keys list` shows their prefixes."


class InvalidKey(DurableError):
    """An access key was to be made with a scope, a pattern or a network that cannot be."""

    code = "key_invalid"
    retriable = False
    text = "The access key cannot be made: {reason}."


class RateExceeded(DurableError):
    """A key has sent more events than its rate allows."""

    code = "rate_exceeded"
    text = "Too many events: the key {key!r} may send {rate} a second."
    hint = "Try again after Retry-After seconds; `manage.py durable keys` sets the rate."


class BacklogFull(DurableError):
    """More events wait to be routed than ``EVENT_BACKLOG_LIMIT``."""

    code = "backlog_full"
    text = "Too many events wait to be routed: more than {limit}."
    hint = "Does a worker or a tick run? Send again after Retry-After seconds."


class WebhookRefused(DurableError):
    """A webhook delivery is unsigned, wrongly signed, or signed too long ago."""

    code = "webhook_refused"
    retriable = False
    text = "The delivery was not taken: {reason}."
