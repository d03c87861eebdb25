"""A stored event once more, as a new one: what hooks have written of it is bound to its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..define.workflow import Workflow
from ..ids import new_id
from ..models import Event
from ..store.base import EventRow
from .event_row import to_row
from .find_hooks import find_hooks, is_own
from .operate import UNCHANGED, UnchangedType
from .receive import prepare_event
from .seal import receive
from .slice import read_event


def renew_event(
    event: Event,
    data: Mapping[str, Any] | UnchangedType = UNCHANGED,
    workflow: Workflow[Any, Any] | None = None,
) -> EventRow:
    """Return a new event, of now and without the sender's id, with the data of a stored one or other data.

    Args:
        workflow: Whose hooks, besides the project's, have seen the event.

    Raises:
        HookFailed, InvalidEvent, EventTooLarge, Unserializable: The data cannot be read or stored.
    """
    hooks = find_hooks(workflow)
    stored = read_event(to_row(event))
    if data is UNCHANGED:
        data = stored.data if is_own(event.name) else receive(hooks, stored).data
    given = {"name": event.name, "data": data, "v": stored.v, "user": stored.user}
    return prepare_event(given, "", "operator", new_id(), internal=True, hooks=hooks)
