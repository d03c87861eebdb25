"""``Cron``: start a workflow at the times of a cron expression, as people on the spot read their clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..duration import parse_duration
from ..exceptions import InvalidDefinition, InvalidDuration
from ..types import Duration

Catchup = Literal["last", "all", "none"]

CRON_FIRED: Final = "durable/cron.fired"
CATCHUPS: Final = ("last", "all", "none")
MAX_LENGTH: Final = 255
MAX_JITTER: Final = timedelta(days=1)

_PREFIXES: Final = ("TZ=", "CRON_TZ=")
_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """Start at each time that a cron expression names: one run a time, however many schedulers there are.

    Args:
        cron: Minute, hour, day of month, month, day of week; or an alias such as ``@daily``. Day of month and
            day of week are OR-ed if both are restricted. ``TZ=Area/City `` may stand before it.
        tz: The time zone whose clock is meant; UTC if not given. A time that a clock change skips runs at
            its end, one that it repeats runs the first time only.
        catchup: What to do about times that passed while nobody looked: run for the "last" one, for "all" of
            them in order, or for "none".
        jitter: Each run starts up to so much later, by an amount that is fixed for each time.

    Raises:
        InvalidDefinition: The expression has no meaning or names no time, or the zone is unknown.
    """

    cron: str
    tz: str = ""
    catchup: Catchup = "last"
    jitter: Duration | None = None
    expression: str = field(init=False, repr=False, compare=False)
    jitter_ms: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        where = f"Cron({self.cron!r})"
        if not isinstance(self.cron, str) or len(self.cron) > MAX_LENGTH:
            raise InvalidDefinition(where=where, reason=f"it is not text of at most {MAX_LENGTH} characters")
        zone, expression = _split_zone(where, self.cron, self.tz)
        if self.catchup not in CATCHUPS:
            raise InvalidDefinition(where=where, reason=f"catchup={self.catchup!r} is not one of {CATCHUPS}")
        object.__setattr__(self, "tz", zone)
        object.__setattr__(self, "expression", _read_expression(where, expression))
        object.__setattr__(self, "jitter_ms", _read_jitter(where, self.jitter))
        _load_zone(where, zone)
        self.find_next(datetime.now(UTC))

    @property
    def event(self) -> str:
        """Return the name of the event that a run of it gets."""
        return CRON_FIRED

    @property
    def if_exp(self) -> None:
        """Return no condition."""
        return

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what no two triggers of a workflow may have in common."""
        return ("cron", self.expression, self.tz)

    def fits(self, name: str) -> bool:
        """Tell whether an event of this name may be meant."""
        return name == CRON_FIRED

    def find_next(self, after: datetime) -> datetime:
        """Return the first time after ``after``, in UTC.

        Raises:
            InvalidDefinition: There is none within 50 years.
        """
        where = f"Cron({self.cron!r})"
        try:
            for moment in CronSim(self.expression, after.astimezone(_load_zone(where, self.tz))):
                found: datetime = moment.astimezone(UTC)
                if found > after:  # in a repeated hour the search begins before ``after``
                    return found
        except CronSimError as error:
            raise InvalidDefinition(where=where, reason=str(error)) from error
        raise InvalidDefinition(where=where, reason="it names no time in the next 50 years")


def _split_zone(where: str, cron: str, tz: str) -> tuple[str, str]:
    text = cron.strip()
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            named, _, rest = text.removeprefix(prefix).partition(" ")
            if tz and tz != named:
                raise InvalidDefinition(where=where, reason=f"it names two zones, {named!r} and {tz!r}")
            return named, rest
    return tz or "UTC", text


def _read_expression(where: str, text: str) -> str:
    expression = " ".join(text.split())
    if expression.startswith("@"):
        if expression.lower() not in _ALIASES:
            raise InvalidDefinition(where=where, reason=f"known aliases are {', '.join(_ALIASES)}")
        return _ALIASES[expression.lower()]
    fields = len(expression.split())
    if fields != 5:
        raise InvalidDefinition(where=where, reason=f"it has {fields} fields instead of 5")
    return expression.upper()


def _read_jitter(where: str, jitter: Duration | None) -> int:
    if jitter is None:
        return 0
    try:
        length = parse_duration(jitter)
    except InvalidDuration as error:
        raise InvalidDefinition(where=where, reason=f"jitter: {error.message}") from error
    if not timedelta(0) <= length <= MAX_JITTER:
        raise InvalidDefinition(where=where, reason=f"jitter={jitter!r} is not between 0 and 1 day")
    return length // timedelta(milliseconds=1)


def _load_zone(where: str, name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError, TypeError) as error:
        raise InvalidDefinition(where=where, reason=f"the time zone {name!r} is unknown here") from error
