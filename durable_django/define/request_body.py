"""The body of a request, from text, bytes or a value."""

from __future__ import annotations

from json import dumps
from typing import Any

from ..exceptions import StepUsage


def read_content(id: str, body: str | bytes | None, json: Any) -> tuple[bytes | None, str]:
    """Return the body as it is sent, and the content type that goes without saying.

    Raises:
        StepUsage: Both are given, or one is of a kind that cannot be sent.
    """
    if json is not None:
        if body is not None:
            raise StepUsage(step=id, reason="give body or json, not both")
        return _encode(id, json), "application/json"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    if body is not None and not isinstance(body, bytes):
        raise StepUsage(step=id, reason=f"body is a {type(body).__name__}, neither text nor bytes")
    return body, ""


def _encode(id: str, value: Any) -> bytes:
    try:
        return dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StepUsage(step=id, reason=f"json cannot be sent, {error}") from error
