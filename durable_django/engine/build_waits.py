"""Check what a step waits for and turn it into the rows that it is stored as."""

from __future__ import annotations

from ..define.calls import WaitCall
from ..define.waits import MOST_WAITS, EventWait, SignalWait
from ..exceptions import DurableError, StepUsage
from ..store.base import WaitWrite
from .codec import encode
from .interrupts import Fatal
from .matching import bind_wait, list_keys, list_path_sets
from .receive import check_name
from .replay import Slot
from .scope import COUNT_BITS
from .send_signal import check_signal
from .slice import Slice


def build_waits(part: Slice, call: WaitCall, slot: Slot) -> tuple[WaitWrite, ...]:
    """Return the rows of the waits, in order.

    Raises:
        Fatal: The call makes no sense, a name or expression is not valid, or ``match`` finds no value.
    """
    _check_number(call)
    try:
        return tuple(_build(part, call, slot, number) for number in range(len(call.waits)))
    except DurableError as error:
        raise Fatal(error) from error


def _check_number(call: WaitCall) -> None:
    if not 0 < len(call.waits) <= MOST_WAITS:
        reason = f"it has {len(call.waits)} waits, a step can have 1 to {MOST_WAITS}"
        raise Fatal(StepUsage(step=call.name, reason=reason))
    signals = [wait.signal for wait in call.waits if isinstance(wait, SignalWait)]
    for signal in signals:
        if signals.count(signal) > 1:
            raise Fatal(StepUsage(step=call.name, reason=f"it waits for the signal {signal!r} twice"))


def _build(part: Slice, call: WaitCall, slot: Slot, number: int) -> WaitWrite:
    wait, mode = call.waits[number], call.mode
    if isinstance(wait, SignalWait):
        return _build_signal(wait, slot, number, mode)
    if isinstance(wait, EventWait):
        return _build_event(part, wait, slot, number, mode)
    raise StepUsage(step=slot.name, reason=f"{wait!r} is neither an EventWait nor a SignalWait")


def _build_signal(wait: SignalWait, slot: Slot, number: int, mode: str) -> WaitWrite:
    check_signal(wait.signal)
    if wait.on_conflict not in ("fail", "replace"):
        raise StepUsage(step=slot.name, reason=f"on_conflict is {wait.on_conflict!r}, not fail or replace")
    return WaitWrite(
        name=slot.name,
        index=slot.index,
        branch=number,
        kind="signal",
        mode=mode,
        signal=wait.signal,
        replaces=wait.on_conflict == "replace",
    )


def _build_event(part: Slice, wait: EventWait, slot: Slot, number: int, mode: str) -> WaitWrite:
    if wait.match is not None and wait.if_exp is not None:
        raise StepUsage(step=slot.name, reason="give match or if_exp, not both")
    if wait.since not in (None, "run"):
        raise StepUsage(step=slot.name, reason=f"since is {wait.since!r}; it can be 'run' or None")
    check_name(wait.event, where=f"of step {slot.name!r} ")
    if "*" in wait.event:
        raise StepUsage(step=slot.name, reason=f"a wait needs an exact event name, {wait.event!r} has a star")
    bound = bind_wait(wait, part.stored_event, step=slot.name)
    return WaitWrite(
        name=slot.name,
        index=slot.index,
        branch=number,
        mode=mode,
        event_name=wait.event,
        match=wait.match or "",
        expression=wait.if_exp or "",
        bound=encode(bound.bound),
        keys=list_keys(bound),
        path_sets=list_path_sets(bound),
        # Note [A look back takes each event once]: where the uses of the id in this scope begin.
        looks_from=None if wait.since is None else slot.index >> COUNT_BITS << COUNT_BITS,
    )
