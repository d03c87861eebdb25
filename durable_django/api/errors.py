"""Errors as answers: what the client did wrong in words, what we did wrong as a number to ask about."""

from __future__ import annotations

import logging
import math
import uuid
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.http import Http404
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.response import Response

from .. import exceptions
from ..exceptions import DurableError

logger = logging.getLogger("durable_django.api")

_STATUS: Final[dict[type[DurableError], int]] = {
    exceptions.RunNotFound: 404,
    exceptions.UnknownWorkflow: 404,
    exceptions.SignalNotAwaited: 404,
    exceptions.WaitNotFound: 404,
    exceptions.StepNotFound: 404,
    exceptions.EventNotFound: 404,
    exceptions.OperationRefused: 409,
    exceptions.WaitRefused: 409,
    exceptions.StepRefused: 409,
    exceptions.WorkflowRefused: 409,
    exceptions.EventRefused: 409,
    exceptions.InvalidStepInput: 400,
    exceptions.InvalidAttempts: 400,
    exceptions.InvalidExpression: 400,
    exceptions.OutputTooLarge: 400,
    exceptions.BulkNotFound: 404,
    exceptions.BulkRefused: 409,
    exceptions.BulkInvalid: 400,
    exceptions.WorkerNotFound: 404,
    exceptions.WorkerRefused: 409,
    exceptions.KeyInUse: 409,
    exceptions.WebhookRefused: 401,
    exceptions.RateExceeded: 429,
    exceptions.BacklogFull: 429,
    exceptions.RequestInvalid: 400,
    exceptions.InvalidEvent: 400,
    exceptions.EventTooLarge: 400,
    exceptions.TooManyEvents: 400,
    exceptions.InvalidSignal: 400,
    exceptions.InvalidInstant: 400,
    exceptions.InvalidDuration: 400,
    exceptions.NaiveDatetime: 400,
    exceptions.Unserializable: 400,
}
"""Any other error is ours."""


class KeyInvalid(AuthenticationFailed):
    """No key, or none that is live; the same words for all."""

    status_code = 401
    default_detail = "Event key not found"
    default_code = "key_unknown"


class KeysMissing(APIException):
    """Keys are required and none was ever made."""

    status_code = 503
    default_detail = "Event keys are required to process events securely"
    default_code = "keys_missing"


class ScopeMissing(APIException):
    """The key is live but may not do this."""

    status_code = 403
    default_detail = "The key may not do this"
    default_code = "key_scope"


class NoSuchRow(APIException):
    """Nothing is stored under that id."""

    status_code = 404
    default_detail = "Nothing is stored under that id"
    default_code = "not_found"


def answer_error(error: Exception, context: dict[str, Any]) -> Response:
    """Return the answer to an error; DRF calls this for every exception of a view."""
    if isinstance(error, DurableError):
        return _answer_ours(error, context)
    if isinstance(error, APIException):
        return _answer_rest(error)
    if isinstance(error, Http404):
        return _answer(404, "Not found", "not_found")
    if isinstance(error, PermissionDenied):
        return _answer(403, "Forbidden", "forbidden")
    return _answer_failure(error)


def _answer_ours(error: DurableError, context: dict[str, Any]) -> Response:
    inner = error.details.get("of")
    first = inner if isinstance(inner, DurableError) else error
    status = _STATUS.get(type(first))
    if status is None:
        return _answer_failure(first)
    answer = _answer(status, error.message, first.code)
    if status == 429:
        answer["Retry-After"] = str(math.ceil(first.details["seconds"]))
    return answer


def _answer_rest(error: APIException) -> Response:
    detail = error.detail if isinstance(error.detail, str) else error.default_detail
    answer = _answer(error.status_code, str(detail), error.default_code)
    if getattr(error, "auth_header", None):
        answer["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        answer["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]
    return answer


def _answer_failure(error: Exception) -> Response:
    request_id = uuid.uuid4().hex
    logger.error("a request failed", exc_info=error, extra={"request_id": request_id})
    if isinstance(error, (DatabaseError, InterfaceError)):
        answer = _answer(503, f"The store cannot be used now; request {request_id}", "unavailable")
        answer["Retry-After"] = "1"
        return answer
    return _answer(500, f"Internal error; request {request_id}", "internal")


def _answer(status: int, error: str, code: str) -> Response:
    return Response({"error": error, "status": status, "code": code}, status=status)
