"""The tools that wait for events and signals: ask, park, and let the time-out end what nothing answered.

Note [A wait ends once]
    An event, the time-out, an operator and the end of the run all claim the wait by one conditional update
    on its row, holding the run's row; the one that changes it writes the memo in the same transaction.
"""

from __future__ import annotations

from ..define.calls import WaitCall
from ..store.checkpoint import read_step
from ..store.park import end_wait
from .build_waits import build_waits
from .effects import Do, Suspend
from .interrupts import LeaseLost
from .look import look
from .pending import Pending
from .replay import Slot
from .route import route_stored
from .slice import Slice
from .tool_sleep import parse_duration_or_fail
from .tools import Tool, ask_owner, build_step, read_stored, write


def wait(part: Slice, call: WaitCall, slot: Slot) -> Tool:
    """Park until the waits end; a memo that is due times out unless an event or a signal is quicker."""
    if slot.memo is not None:
        return (yield from _time_out(part, call, slot))
    yield from ask_owner(part)
    seconds = parse_duration_or_fail(call.name, call.timeout).total_seconds()
    waits = build_waits(part, call, slot)
    if seconds <= 0 and not call.looks_back:
        nothing = f"[{','.join(['null'] * len(waits))}]" if call.mode == "all" else "null"
        step = build_step(part, slot, call.kind, "completed", output=nothing)
        return (yield from write(part, call, step))
    seconds = max(seconds, 0.0)
    step = build_step(part, slot, call.kind, "waiting", ready_in=seconds)
    yield Suspend(Pending(waits_for=call.waits_for, wake_in=seconds, step=step, waits=waits))


def _time_out(part: Slice, call: WaitCall, slot: Slot) -> Tool:
    # An event that was received in time wins, though it is not routed yet (its sender died, the tick lags)
    # or the look that was to find it was cut off.
    for name in call.event_names:
        yield Do(route_stored, (part.using, name))
    claimed = part.claimed
    if call.looks_back:
        yield Do(look, (part.using, claimed.id))
    key = (part.using, claimed.id, claimed.token, slot.name, slot.index)
    ended = yield Do(end_wait, (*key, None if call.mode == "all" else "null"))
    if ended:
        part.confirm()
        if call.mode != "all":
            return None
    owned, stored = yield Do(read_step, key)
    if not owned or stored is None or stored[0] == "waiting":
        raise LeaseLost
    return read_stored(part, call, slot.name, slot.index, stored)
