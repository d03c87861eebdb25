"""The step tools, as generators over effects: what each does on its first call and on replay."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from ..define.calls import (
    AllCall,
    AnyCall,
    Call,
    EventCall,
    FetchCall,
    InferCall,
    InvokeCall,
    LinkCall,
    RunCall,
    SendCall,
    SignalCall,
    SleepCall,
    WaitCall,
    WrapCall,
)
from ..store.base import Memo, StepWrite
from ..store.load import is_held, is_owned
from .answer import read_answer
from .checkpoint import Recorded
from .effects import Do, Effect, Suspend, Write
from .interrupts import LeaseLost, Released
from .pending import Pending
from .replay import Slot
from .scope import current_scope
from .seal import SEALED, seal_step, unseal_child, unseal_memo
from .slice import Slice, read_result
from .watch import watch_replay

Tool = Generator[Effect, Any, Any]


def run_tool(part: Slice, call: Call) -> Tool:
    """Carry out a call; returns its value or raises what the workflow is to see."""
    if isinstance(call, LinkCall):
        from .tool_link import link

        return (yield from link(part, call))
    slot = part.replay.open(call, current_scope.get())
    memo = slot.memo
    if part.hooks:
        watch_replay(part)
    if memo is not None and memo.status in ("completed", "failed"):
        return read_stored(part, call, slot.name, slot.index, (memo.status, memo.output, memo.error))
    if part.stopping:
        raise Released
    if memo is not None and not memo.due:
        yield Suspend(_read_pending(call, memo))
    if memo is not None and memo.input is not None:
        from .step_input import use_input

        call = use_input(part, call, slot)
    if memo is None and current_scope.get().remote and type(call) is RunCall:
        from .remote import plan_remote, run_elsewhere

        child = plan_remote(part, call, slot)
        if child is not None:
            return (yield from run_elsewhere(part, call, slot, child))
    return (yield from (_tools or _load_tools())[type(call)](part, call, slot))


_WAITS_FOR = {
    ("retrying", "run"): "retry",
    ("retrying", "send"): "retry",
    ("retrying", "fetch"): "retry",
    ("retrying", "infer"): "retry",
    ("retrying", "wrap"): "retry",
    ("waiting", "sleep"): "sleep",
    ("waiting", "invoke"): "child",
    ("waiting", "run"): "child",
    ("retrying", "invoke"): "retry",
}


def _read_pending(call: Call, memo: Memo) -> Pending:
    wake_in = memo.ready_in or 0.0
    if isinstance(call, WaitCall):
        return Pending(waits_for=call.waits_for, wake_in=wake_in, event_names=call.event_names)
    return Pending(waits_for=_WAITS_FOR[memo.status, memo.kind], wake_in=wake_in)


_tools: dict[type[Call], Callable[[Slice, Any, Slot], Tool]] = {}


def _load_tools() -> dict[type[Call], Callable[[Slice, Any, Slot], Tool]]:
    """Return the tool of each call; each is built from what stands in this file, so they are found late."""
    from .tool_exchange import await_answer
    from .tool_invoke import invoke
    from .tool_run import run_function
    from .tool_send import send_events
    from .tool_sleep import sleep
    from .tool_wait import wait

    known: dict[type[Call], Callable[[Slice, Any, Slot], Tool]] = {
        RunCall: run_function,
        SleepCall: sleep,
        EventCall: wait,
        SignalCall: wait,
        AnyCall: wait,
        AllCall: wait,
        SendCall: send_events,
        InvokeCall: invoke,
        FetchCall: await_answer,
        InferCall: await_answer,
        WrapCall: run_function,
    }
    _tools.update(known)
    return _tools


def read_stored(part: Slice, call: Call, name: str, index: int, recorded: Recorded) -> Any:
    """Return the value of what is stored for a finished call, through the hooks, or raise its StepError."""
    status, output, error = recorded
    if isinstance(call, InvokeCall) and output is not None:
        output = unseal_child(part, call, name, index, output)
    elif part.hooks:
        output = unseal_memo(part, call, name, index, output)
    return read_memo(call, status, output, error)


def read_memo(call: Call, status: str, output: str | None, error: str | None) -> Any:
    """Return the value of a finished call, or raise its StepError."""
    if isinstance(call, WaitCall):
        return read_answer(call.kind, output)
    value = read_result(status, output, error, getattr(call, "output_type", None))
    return value["answer"] if isinstance(call, (InferCall, WrapCall)) else value


def ask_owner(part: Slice) -> Tool:
    """Let no step begin on a lease that was lost, or of a run that was cancelled (law 8) or paused."""
    if not part.must_ask():
        return
    claimed = part.claimed
    key = (part.using, claimed.id, claimed.token)
    if part.lost or not (yield Do(is_owned, key)):
        if not part.lost and (yield Do(is_held, key)):
            part.stopping = True
            raise Released
        raise LeaseLost
    part.confirm()


def write(part: Slice, call: Call, step: StepWrite) -> Tool:
    """Write a checkpoint and return the value of whatever is stored then (law 4)."""
    recorded = yield Write(step)
    part.confirm()
    part.replay.add_bytes(len(recorded[1] or ""))
    return read_stored(part, call, step.name, step.index, recorded)


def build_step(part: Slice, slot: Slot, kind: str, status: str, **fields: Any) -> StepWrite:
    """Return the row of a slot under the slice's fencing token, its output through the hooks."""
    if part.hooks and status == "completed" and kind in SEALED:
        fields["output"] = seal_step(part, slot.name, slot.index, fields["output"])
    claimed = part.claimed
    return StepWrite(
        run_id=claimed.id,
        token=claimed.token,
        name=slot.name,
        index=slot.index,
        kind=kind,
        status=status,
        **fields,
    )
