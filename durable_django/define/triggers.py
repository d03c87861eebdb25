"""What starts a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..exceptions import InvalidDefinition
from .cron import Cron
from .model_change import ModelChange

MAX_TRIGGERS = 10
RESERVED = ("durable/", "inngest/")


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Start on an event of this name, or of a prefix such as ``app/*``, for which ``if_exp`` is true.

    ``*`` alone means every event that was sent, but none of the engine's own.

    Raises:
        InvalidDefinition: The name is empty, too long, or has ``*`` elsewhere than at the end after
            ``/`` or ``.``.
    """

    event: str
    if_exp: str | None = None

    def __post_init__(self) -> None:
        prefix = self.event.removesuffix("*")
        where = f"EventTrigger({self.event!r})"
        if not self.event or len(self.event) > 255:
            raise InvalidDefinition(where=where, reason="a name has 1 to 255 characters")
        if "*" in prefix or (prefix != self.event and prefix and prefix[-1] not in "/."):
            raise InvalidDefinition(where=where, reason="* may only stand at the end, after / or .")

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what no two triggers of a workflow may have in common."""
        return ("event", self.event, self.if_exp)

    def fits(self, name: str) -> bool:
        """Tell whether an event of this name is meant."""
        if self.event == "*":
            return not name.startswith(RESERVED)
        if not self.event.endswith("*"):
            return name == self.event
        prefix = self.event[:-1]
        # The engine's own events are for those who ask for them by name, not for those who ask for all.
        return name.startswith(prefix) and (not name.startswith(RESERVED) or prefix.startswith(RESERVED))


Trigger = EventTrigger | Cron | ModelChange


def read_triggers(given: str | Trigger | Sequence[str | Trigger] | None, where: str) -> tuple[Trigger, ...]:
    """Return the triggers of a workflow; a bare string is an EventTrigger.

    Raises:
        InvalidDefinition: There are too many, one is given twice, or one is of another type.
    """
    listed: Sequence[Any] = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    triggers = tuple(EventTrigger(each) if isinstance(each, str) else each for each in listed)
    if len(triggers) > MAX_TRIGGERS:
        raise InvalidDefinition(where=where, reason=f"{len(triggers)} triggers; at most {MAX_TRIGGERS}")
    for each in triggers:
        if not isinstance(each, (EventTrigger, Cron, ModelChange)):
            raise InvalidDefinition(where=where, reason=f"{each!r} is not a trigger")
        if sum(each.identity == other.identity for other in triggers if isinstance(other, type(each))) > 1:
            raise InvalidDefinition(where=where, reason=f"the trigger {each!r} is given twice")
    return triggers
