"""``step.sleep`` and ``step.sleep_until``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..clock import read_now
from ..define.calls import SleepCall
from ..duration import MAX_DURATION, parse_duration, parse_instant
from ..exceptions import DurableError, InvalidDuration
from .effects import Do, Suspend
from .interrupts import Fatal
from .pending import Pending
from .replay import Slot
from .slice import Slice
from .tools import Tool, ask_owner, build_step, write


def sleep(part: Slice, call: SleepCall, slot: Slot) -> Tool:
    """Park until the time has come; a memo that is due ends the sleep without a further write."""
    if slot.memo is not None:
        return None
    yield from ask_owner(part)
    until = read_until(call)
    if until is None:
        seconds = parse_duration_or_fail(call.name, call.duration).total_seconds()
    else:
        seconds = (until - (yield Do(read_now, (part.using,)))).total_seconds()
        _check_length(call, seconds)
    if seconds <= 0:
        step = build_step(part, slot, call.kind, "completed", output="null")
        return (yield from write(part, call, step))
    step = build_step(
        part, slot, call.kind, "waiting", ready_at=until, ready_in=seconds if until is None else None
    )
    yield Suspend(Pending(waits_for="sleep", wake_in=seconds, step=step))


def parse_duration_or_fail(name: str, value: Any) -> Any:
    """Return the duration.

    Raises:
        Fatal: It cannot be read; the run fails at once.
    """
    try:
        return parse_duration(value)
    except DurableError as error:
        raise Fatal(_place(name, error)) from error


def read_until(call: SleepCall) -> datetime | None:
    """Return the instant that the sleep ends at, or None if it has a duration.

    Raises:
        Fatal: It cannot be read or has no time zone.
    """
    if call.until is None:
        return None
    try:
        return parse_instant(call.until)
    except DurableError as error:
        raise Fatal(_place(call.name, error)) from error


def _place(name: str, error: DurableError) -> DurableError:
    return type(error)(f"step {name!r}: {error.message}", **error.details)


def _check_length(call: SleepCall, seconds: float) -> None:
    if seconds > MAX_DURATION.total_seconds():
        error = InvalidDuration(value=call.until, reason="it is more than 366 days away")
        raise Fatal(_place(call.name, error))
