"""JSON that a person typed, piped in or put into a file; and stored JSON, made readable again."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError

from ..engine.codec import decode
from ..engine.redact import redact, redact_text
from ..exceptions import StoredValueUnreadable


def read_object(text: str | None) -> dict[str, Any]:
    """Return the JSON object of an argument; nothing is the empty one.

    Raises:
        CommandError: It is not a JSON object; names line and column.
    """
    value = {} if text is None else parse_json(text, "the data")
    if not isinstance(value, dict):
        raise CommandError(f"the data must be a JSON object such as '{{\"id\": 1}}', not {name_kind(value)}")
    return value


def read_value(text: str) -> Any:
    """Return the JSON value of an argument.

    Raises:
        CommandError: It is not JSON; names line and column.
    """
    return parse_json(text, "the value")


def open_stored(text: str | None) -> Any:
    """Return the value of stored text, masked by REDACT; one that cannot be read is shown, not hidden."""
    if text is None:
        return None
    try:
        return redact(decode(text))
    except StoredValueUnreadable as error:
        return {"unreadable": str(error), "stored": redact_text(text[:500])}


def parse_json(text: str, what: str) -> Any:
    """Return the value of JSON text; ``what`` names it in the error.

    Raises:
        CommandError: It is not JSON; names line and column.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise CommandError(f"{what} is not valid JSON: {error.msg} at {place}") from error
    except RecursionError as error:
        raise CommandError(f"{what} is not valid JSON: it is nested too deeply") from error


def name_kind(value: Any) -> str:
    """Return what sort of JSON value it is, with its article."""
    return {list: "an array", str: "a text", type(None): "null"}.get(type(value), f"a {type(value).__name__}")
