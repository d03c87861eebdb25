"""An event on its way to the store, through the hooks."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..exceptions import DurableError, HookFailed
from ..store.base import EventRow
from .call_hook import call_hook
from .codec import encode
from .find_hooks import Hooks
from .slice import read_event


def hook_event(hooks: Hooks, row: EventRow) -> EventRow:
    """Return the row with the ``data``, ``user`` and ``v`` that the hooks make of it.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored; nothing of the event is.
    """
    event = read_event(row)
    for hook in reversed(hooks):
        event = call_hook(hook, "send_event", event)
    extra: dict[str, Any] = {} if event.v is None else {"v": event.v}
    if event.user:
        extra["user"] = dict(event.user)
    failed = None
    try:
        data = encode(dict(event.data))
        return dataclasses.replace(row, data=data, extra=encode(extra) if extra else None)
    except DurableError as error:
        failed = HookFailed(hook="HOOKS", reason=f"what they return cannot be stored, {error.code}")
    raise failed
