"""JSON that a person typed, piped in or put into a file; and stored JSON, made readable again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
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
    value = {} if text is None else _parse(text, "the data")
    if not isinstance(value, dict):
        raise CommandError(f"the data must be a JSON object such as '{{\"id\": 1}}', not {_kind(value)}")
    return value


def read_value(text: str) -> Any:
    """Return the JSON value of an argument.

    Raises:
        CommandError: It is not JSON; names line and column.
    """
    return _parse(text, "the value")


def read_events(source: str) -> list[dict[str, Any]]:
    """Return the events of a file, or of standard input for ``-``: one JSON value, or JSON lines.

    Raises:
        CommandError: It cannot be read; names the line.
    """
    text = sys.stdin.read() if source == "-" else _read_file(source)
    events = _split(text)
    if not events:
        raise CommandError("there is no event in the input")
    for number, event in enumerate(events, 1):
        if not isinstance(event, dict):
            raise CommandError(f"event {number} must be a JSON object with a name, not {_kind(event)}")
    return events


def open_stored(text: str | None) -> Any:
    """Return the value of stored text, masked by REDACT; one that cannot be read is shown, not hidden."""
    if text is None:
        return None
    try:
        return redact(decode(text))
    except StoredValueUnreadable as error:
        return {"unreadable": str(error), "stored": redact_text(text[:500])}


def _split(text: str) -> list[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) == 1:
            return [_parse(text, "the input")]
        return [_parse(line, f"line {number}") for number, line in lines]
    return value if isinstance(value, list) else [value]


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise CommandError(f"{what} is not valid JSON: {error.msg} at {place}") from error
    except RecursionError as error:
        raise CommandError(f"{what} is not valid JSON: it is nested too deeply") from error


def _read_file(source: str) -> str:
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{source} cannot be read: {error}") from error


def _kind(value: Any) -> str:
    return {list: "an array", str: "a text", type(None): "null"}.get(type(value), f"a {type(value).__name__}")
