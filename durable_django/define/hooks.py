"""Hooks: the project's own code around what goes into a workflow, comes out of it, and is stored.

Note [The first hook stands next to the store]
    Values on their way in (events, stored outputs) pass the hooks in the order of the list, values on their
    way out (outputs, sent events) in reverse. So what the first hook wrote is what the first hook reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..exceptions import InvalidDefinition
from ..types import Event


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored value belongs; only signals of one name share a place.

    ``kind`` is "step" (``id`` is the run's, ``name`` the step's), "run" (an output: ``id`` is the run's,
    ``name`` the workflow's), "event" (``id`` and ``name`` are the event's) or "signal" (both are its name).
    """

    kind: Literal["step", "run", "event", "signal"]
    id: str
    name: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class SliceInfo:
    """One execution of a run in a worker; ``attempt`` counts failed attempts of the code between steps."""

    run_id: str
    workflow: str
    attempt: int


class Hook:
    """Base of hooks; override what you need.

    One object serves all runs, threads and event loops of a process, so keep nothing of a run on it. The
    methods compute and return: in an ``async def`` workflow they are called on the event loop.
    """

    def receive_event(self, event: Event) -> Event:
        """Return what the workflow sees of an event: its input, and what its waits give it."""
        return event

    def send_event(self, event: Event) -> Event:
        """Return what is stored of an event; ``data``, ``user`` and ``v`` are taken, the rest stays."""
        return event

    def encode_output(self, value: Any, place: Place) -> Any:
        """Return what is stored for the output of a step or a run; the value has been through the codec."""
        return value

    def decode_output(self, value: Any, place: Place) -> Any:
        """Return the output that ``encode_output`` was given for the place."""
        return value

    def begin_slice(self, info: SliceInfo) -> None:
        """Called when a worker begins to execute a run, before its function is called."""

    def begin_new_code(self, info: SliceInfo) -> None:
        """Called in each slice when the replay is over and code follows that has not run before."""

    def end_slice(self, info: SliceInfo, result: str) -> None:
        """Called when the slice is over, before its end is stored; ``result`` is returned, raised or left."""


def check_hooks(hooks: Sequence[Any], where: str) -> tuple[Hook, ...]:
    """Return the hooks of a workflow.

    Raises:
        InvalidDefinition: One is not an instance of Hook.
    """
    for each in hooks:
        if not isinstance(each, Hook):
            raise InvalidDefinition(where=where, reason=f"hooks: {each!r} is not an instance of Hook")
    return tuple(hooks)
