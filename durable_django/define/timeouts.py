"""``Timeouts``: how long a run may wait for its start, and how long it may take then."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..duration import parse_duration
from ..exceptions import InvalidDefinition, InvalidDuration
from ..types import Duration


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Cancel a run that does not start, or does not finish, in time.

    Args:
        start: From the moment at which it was to start until a worker takes it.
        finish: From then until its end, with all that it waits for.

    Raises:
        InvalidDefinition: One of them is not a duration above zero.
    """

    start: Duration | None = None
    finish: Duration | None = None
    start_seconds: float | None = field(init=False, repr=False, compare=False)
    finish_seconds: float | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_seconds", _read_seconds("start", self.start))
        object.__setattr__(self, "finish_seconds", _read_seconds("finish", self.finish))


def _read_seconds(name: str, value: Duration | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = parse_duration(value).total_seconds()
    except InvalidDuration as error:
        raise InvalidDefinition(where=f"Timeouts({name}=)", reason=error.message) from error
    if seconds <= 0:
        raise InvalidDefinition(where=f"Timeouts({name}=)", reason=f"{value!r} leaves no time")
    return seconds


NO_TIMEOUTS = Timeouts()
