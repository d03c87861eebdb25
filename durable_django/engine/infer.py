"""Carry out ``step.ai.infer``: send the body through the adapter, judge the status, return what is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from ..conf import settings
from ..define.ai import Adapter
from ..define.calls import InferCall
from ..exceptions import AiRefused, AiUnavailable, DurableError, RetryAfterError
from .http_exchange import Answer, Request, exchange
from .http_rules import read_rules, show_url

BUSY: Final = frozenset({408, 409, 425, 429})
SHORTEST_SECRET: Final = 8
_SAID: Final = 500


def infer(call: InferCall, content: bytes, timeout: float | None, key: str) -> dict[str, Any]:
    """Ask the model and return the memo: request, answer, model and token use, without credentials.

    Raises:
        AiRefused: The provider refused the request for good.
        AiUnavailable, RetryAfterError: It could not answer now.
        FetchRefused, FetchFailed, FetchTooLarge: There is no answer.
    """
    adapter = call.adapter
    secret = read_key(adapter)
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, **adapter.headers}
    headers |= adapter.authorize(secret) if secret else {}
    request = Request(
        url=adapter.url,
        method="POST",
        headers=headers,
        body=content,
        timeout=settings.FETCH_TIMEOUT_SECONDS if timeout is None else timeout,
        max_bytes=settings.FETCH_MAX_BYTES if call.max_bytes is None else call.max_bytes,
    )
    answer = exchange(request, read_rules(settings.FETCH_ALLOW, [adapter.base_url]))
    body = read_answer(answer, [secret, *adapter.headers.values()])
    return {
        "request": {"url": show_url(adapter.url), "body": dict(call.body)},
        "answer": body,
        "model": str(body.get("model") or call.body.get("model") or ""),
        "usage": adapter.read_usage(body),
    }


def read_key(adapter: Adapter) -> str:
    """Return the provider's key, empty if there is none, as for a server of one's own."""
    key = settings.AI_KEYS.get(adapter.name) if adapter.api_key is None else adapter.api_key
    secret = key() if callable(key) else key
    if secret is not None and not isinstance(secret, str):
        raise ImproperlyConfigured(
            f"The API key for {adapter.name!r} is a {type(secret).__name__}, not text."
        )
    return secret or ""


def read_answer(answer: Answer, secrets: list[str]) -> dict[str, Any]:
    """Return the body of a successful answer.

    Raises:
        AiRefused: The status says that the same request will be refused again.
        AiUnavailable, RetryAfterError: The status says that it may be answered later, or it is not JSON.
    """
    body = _parse(answer.body)
    if answer.status == 200 and body is not None:
        return body
    said = _read_message(answer, body)
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            said = said.replace(secret, "…")  # some providers repeat the key that they refuse
    details: dict[str, Any] = {"url": show_url(answer.url), "status": answer.status, "said": said}
    if answer.status in BUSY or answer.status >= 500 or answer.status == 200:
        raise _postpone(answer, details)
    raise AiRefused(**details)


def _postpone(answer: Answer, details: dict[str, Any]) -> DurableError:
    when = _read_delay(answer.headers)
    busy = AiUnavailable(**details)
    return busy if when is None else RetryAfterError(busy.message, when)


def _read_delay(headers: Mapping[str, str]) -> float | datetime | None:
    for name, scale in (("retry-after-ms", 1), ("retry-after", 1000)):
        value = headers.get(name, "")
        if value.replace(".", "", 1).isdecimal() and len(value) < 12:
            return float(value) * scale
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return date if date.tzinfo is not None else None


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _read_message(answer: Answer, body: dict[str, Any] | None) -> str:
    error = (body or {}).get("error")
    told = error.get("message") if isinstance(error, dict) else error
    return str(told or answer.body[:_SAID].decode("utf-8", "replace"))[:_SAID]
