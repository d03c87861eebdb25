"""``Cancel``: an event that ends the runs of a workflow, wherever they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..duration import parse_duration
from ..exceptions import InvalidDefinition, InvalidDuration
from ..types import Duration

MAX_RULES = 5
LONGEST = "366 days"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a run when this event comes, with the conditions of ``wait_for_event``.

    Args:
        event: The event's exact name.
        match: A path that must be equal in the event that started the run and in this one.
        if_exp: A CEL condition on ``event`` (which started the run) and ``async`` (this one).
        timeout: How long after its start the run can be cancelled so; 366 days if not given.

    Raises:
        InvalidDefinition: Both conditions are given, or the name or the time-out is unusable.
    """

    event: str
    match: str | None = None
    if_exp: str | None = None
    timeout: Duration = LONGEST

    def __post_init__(self) -> None:
        where = f"Cancel({self.event!r})"
        if not isinstance(self.event, str) or not 0 < len(self.event) <= 255 or "*" in self.event:
            raise InvalidDefinition(
                where=where, reason="an exact event name of 1 to 255 characters is needed"
            )
        if self.match is not None and self.if_exp is not None:
            raise InvalidDefinition(where=where, reason="give match or if_exp, not both")
        try:
            seconds = self.seconds
        except InvalidDuration as error:
            raise InvalidDefinition(where=where, reason=f"timeout: {error.message}") from error
        if seconds <= 0:
            raise InvalidDefinition(where=where, reason="the time-out is not above zero")

    @property
    def seconds(self) -> float:
        """Return the time-out in seconds."""
        return parse_duration(self.timeout).total_seconds()


def read_rules(given: Cancel | Sequence[Cancel] | None, where: str) -> tuple[Cancel, ...]:
    """Return the cancel rules of a workflow.

    Raises:
        InvalidDefinition: There are more than 5, or one is of another type.
    """
    rules: tuple[Any, ...] = (given,) if isinstance(given, (Cancel, str)) else tuple(given or ())
    if len(rules) > MAX_RULES:
        raise InvalidDefinition(where=where, reason=f"{len(rules)} cancel rules; at most {MAX_RULES}")
    for rule in rules:
        if not isinstance(rule, Cancel):
            raise InvalidDefinition(where=where, reason=f"{rule!r} is not a Cancel")
    return rules
