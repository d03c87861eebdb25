"""Pure: policy + attempt + error → when to try again, or give up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

from durable_django.duration import Duration, parse_duration, parse_instant
from durable_django.exceptions import DurableError, InvalidDefinition, RetryAfterError

Backoff = Duration | Sequence[Duration] | Callable[[int], Duration] | None

MAX_RETRIES: Final = 20
SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(hours=24)
JITTER: Final = timedelta(seconds=30)
DELAYS: Final = tuple(
    timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 300, 600, 1_200, 2_400, 3_600, 7_200)
)
_MAX_LEAVES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a step or segment is tried again, and after which delays.

    Args:
        retries: further attempts after the first, 0 to 20.
        backoff: None for the default table with jitter; a duration for a constant delay; a sequence of
            durations, whose last one repeats; or a function of the attempt (0-based) that failed.

    Raises:
        InvalidDefinition: retries is out of range or backoff is of no such form.
        InvalidDuration: a duration in backoff cannot be read.
    """

    retries: int = 4
    backoff: Backoff = None

    def __post_init__(self) -> None:
        if isinstance(self.retries, bool) or not isinstance(self.retries, int):
            _refuse(f"retries is {self.retries!r}, not an int")
        if not 0 <= self.retries <= MAX_RETRIES:
            _refuse(f"retries is {self.retries}, not 0 to {MAX_RETRIES}")
        object.__setattr__(self, "backoff", _read_backoff(self.backoff))


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt; ``reason`` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after ``delay``; ``reason`` says what was wrong with a delay that was asked for."""

    delay: timedelta
    reason: str = ""


def decide(
    policy: RetryPolicy, attempt: int, error: BaseException, *, now: datetime, jitter: Callable[[], float]
) -> GiveUp | Retry:
    """Decide what follows a failed attempt.

    Args:
        policy: the policy of the step or segment.
        attempt: the attempt that failed, 0-based.
        error: what it raised; an exception group is judged by the errors in it.
        now: the database's time, aware.
        jitter: returns a random number from 0 to 1, such as ``random.random``.

    Returns:
        GiveUp, or Retry with a delay from 1 second to 24 hours.
    """
    leaves = list(_walk_leaves(error))
    final = next((leaf for leaf in leaves if isinstance(leaf, DurableError) and not leaf.retriable), None)
    if final is not None:
        return GiveUp(f"{type(final).__name__} is never retried ({final.code})")
    if attempt >= policy.retries:
        return GiveUp(f"attempt {attempt + 1} of {policy.retries + 1} failed")
    asked = next((leaf for leaf in leaves if isinstance(leaf, RetryAfterError)), None)
    if asked is None:
        return _back_off(policy, attempt, jitter)
    return _obey(asked, now) or _with_reason(_back_off(policy, attempt, jitter), asked)


def _obey(error: RetryAfterError, now: datetime) -> Retry | None:
    try:
        when = error.when
        delay = parse_instant(when) - now if isinstance(when, datetime) else parse_duration(when)
    except (DurableError, AttributeError):  # a subclass may have skipped our __init__
        return None
    return Retry(_clamp(delay))


def _with_reason(retry: Retry, error: RetryAfterError) -> Retry:
    refused = f"RetryAfterError has an unusable `when`: {_show(getattr(error, 'when', None))}"
    return Retry(retry.delay, "; ".join(filter(None, (refused, retry.reason))))


def _back_off(policy: RetryPolicy, attempt: int, jitter: Callable[[], float]) -> Retry:
    backoff = policy.backoff
    if isinstance(backoff, timedelta):
        return Retry(_clamp(backoff))
    if isinstance(backoff, tuple):
        return Retry(_clamp(backoff[min(attempt, len(backoff) - 1)]))
    if not callable(backoff):
        return Retry(_look_up(attempt, jitter))
    try:
        return Retry(_clamp(parse_duration(backoff(attempt))))
    except Exception as error:  # noqa: BLE001  the user's function must not turn a retry into a crash
        return Retry(_look_up(attempt, jitter), f"backoff({attempt}) is unusable: {_show(error)}")


def _look_up(attempt: int, jitter: Callable[[], float]) -> timedelta:
    return _clamp(DELAYS[min(attempt, len(DELAYS) - 1)] + JITTER * jitter())


def _clamp(delay: timedelta) -> timedelta:
    return min(max(delay, SHORTEST), LONGEST)


def _read_backoff(backoff: Backoff) -> Backoff:
    if backoff is None or callable(backoff):
        return backoff
    if isinstance(backoff, str | int | float | timedelta):
        return parse_duration(backoff)
    if not isinstance(backoff, Sequence) or not backoff:
        _refuse(f"backoff is {_show(backoff)}, not a duration, a list of durations or a function")
    return tuple(parse_duration(delay) for delay in backoff)


def _refuse(reason: str) -> NoReturn:
    raise InvalidDefinition(where="RetryPolicy", reason=reason)


def _walk_leaves(error: BaseException) -> Iterator[BaseException]:
    waiting = deque([error])
    for _ in range(_MAX_LEAVES):
        if not waiting:
            return
        leaf = waiting.popleft()
        if isinstance(leaf, BaseExceptionGroup):
            waiting.extend(leaf.exceptions)
        else:
            yield leaf


def _show(value: object) -> str:
    try:
        return f"{type(value).__name__} {str(value)[:200]}"
    except Exception:  # noqa: BLE001  its __str__ is the user's
        return type(value).__name__
