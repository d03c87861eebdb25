"""The memo of a step that waited: what it means to the workflow, and which events are inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .codec import decode
from .slice import decode_event

Change = Callable[[str, str], str]


def read_answer(kind: str, output: str | None) -> Any:
    """Return what the workflow gets: an event, a signal, (branch, either), a list of either, or None."""
    text = output or "null"
    if kind == "event":
        return decode_event(text)
    if kind == "signal":
        return decode(text)
    found = json.loads(text)
    if kind == "all":
        return [_read_part(part) for part in found]
    return None if found is None else (found["branch"], _read_part(found["value"]))


def _read_part(part: dict[str, Any] | None) -> Any:
    if part is None:
        return None
    ((kind, value),) = part.items()
    return read_answer(kind, json.dumps(value))


def change_parts(kind: str, text: str, change: Change) -> str:
    """Return the memo with each event and signal in it replaced by what ``change(kind, text)`` returns."""
    if kind in ("event", "signal"):
        return change(kind, text)
    found = json.loads(text)
    if found is None:
        return text
    if kind == "all":
        return json.dumps([_change_part(part, change) for part in found])
    return json.dumps({**found, "value": _change_part(found["value"], change)})


def _change_part(part: dict[str, Any] | None, change: Change) -> dict[str, Any] | None:
    if part is None:
        return None
    ((kind, value),) = part.items()
    return {kind: json.loads(change(kind, json.dumps(value)))}
