"""``step.invoke``: start another workflow and wait for its result.

Note [A step has one child at a time]
    The child's start key is derived from run, step, index and the number of the attempt, and the child is
    stored together with the wait for it, under the fence of the parent. So a slice that is executed again
    starts no second child, and an operator's retry of the step starts a new one (see reopen.py).
"""

from __future__ import annotations

import json
from typing import Any

from ..conf import settings
from ..define.calls import InvokeCall
from ..define.registry import registry
from ..define.timeouts import NO_TIMEOUTS
from ..define.workflow import Workflow
from ..exceptions import DurableError, InvokeTimeoutError, InvokeTooDeep, StepUsage, UnknownWorkflow
from ..ids import derive_id, new_id
from ..store.base import Parent, WaitWrite
from ..store.checkpoint import read_step
from ..store.child import ChildStart
from ..store.event import StartRow
from ..store.park import end_wait
from .effects import Do, Suspend
from .find_hooks import REQUEST_NAME, find_hooks
from .interrupts import Fatal, LeaseLost
from .lifecycle import ORIGIN
from .pending import Pending
from .receive import prepare_event
from .replay import Slot
from .slice import Slice
from .tool_run import describe_step_error
from .tool_sleep import parse_duration_or_fail
from .tools import Tool, ask_owner, build_step, read_memo, read_stored, write

LONGEST = "366 days"


def invoke(part: Slice, call: InvokeCall, slot: Slot) -> Tool:
    """Park until the child has ended; its start and the wait for it are one transaction."""
    if slot.memo is not None and slot.memo.status == "waiting":
        return (yield from _time_out(part, call, slot))
    _check_workflow(call)
    yield from ask_owner(part)
    timeout = LONGEST if call.timeout is None else call.timeout
    seconds = max(parse_duration_or_fail(call.name, timeout).total_seconds(), 0.001)
    workflow = registry.find(call.workflow)
    refusal = _find_refusal(part, call, workflow)
    if refusal is not None:
        return (yield from _fail(part, call, slot, refusal))
    assert workflow is not None
    child = _build_child(part, call, slot, workflow)
    wait = WaitWrite(name=slot.name, index=slot.index, kind="child")
    step = build_step(part, slot, call.kind, "waiting", ready_in=seconds, attempt=_read_number(slot))
    yield Suspend(Pending(waits_for="child", wake_in=seconds, step=step, waits=(wait,), children=(child,)))


def _check_workflow(call: InvokeCall) -> None:
    given: Any = call.workflow
    if not isinstance(given, str):
        kind = type(given).__name__
        raise Fatal(
            StepUsage(step=call.name, reason=f"only what @workflow declares can be invoked, not a {kind}")
        )


def _read_number(slot: Slot) -> int:
    return slot.memo.attempt if slot.memo is not None else 0


def _find_refusal(part: Slice, call: InvokeCall, workflow: Workflow[Any, Any] | None) -> DurableError | None:
    if workflow is None:
        try:
            registry.get(call.workflow)
        except UnknownWorkflow as error:
            return error
    if part.claimed.depth >= settings.INVOKE_DEPTH:
        return InvokeTooDeep(id=call.workflow, limit=settings.INVOKE_DEPTH)
    return None


def _fail(part: Slice, call: InvokeCall, slot: Slot, error: DurableError) -> Tool:
    stored = json.dumps(describe_step_error(error, slot))
    step = build_step(part, slot, call.kind, "failed", error=stored, attempt=_read_number(slot))
    return (yield from write(part, call, step))


def _build_child(part: Slice, call: InvokeCall, slot: Slot, workflow: Workflow[Any, Any]) -> ChildStart:
    claimed = part.claimed
    try:
        event = prepare_event(
            {"name": REQUEST_NAME, "data": call.data},
            f"of step {call.name!r} ",
            "run",
            new_id(),
            internal=True,
            hooks=find_hooks(workflow),
        )
    except DurableError as error:
        raise Fatal(error) from error
    limits = workflow.timeouts or NO_TIMEOUTS
    start = StartRow(
        id=new_id(),
        workflow=workflow.id,
        event_id=event.id,
        start_key=derive_id("invoke", claimed.id, slot.name, slot.index, _read_number(slot)),
        key="",
        origin=ORIGIN if claimed.origin == ORIGIN else "invoke",  # what it leads to is as quiet as its parent
        queue=workflow.queue or settings.DEFAULT_QUEUE,
        version=workflow.version,
        start_within=limits.start_seconds,
        finish_within=limits.finish_seconds,
    )
    parent = Parent(claimed.id, slot.name, slot.index)
    return ChildStart(event=event, start=start, parent=parent, depth=claimed.depth + 1)


def _time_out(part: Slice, call: InvokeCall, slot: Slot) -> Tool:
    claimed = part.claimed
    error = describe_step_error(InvokeTimeoutError(id=call.workflow), slot)
    key = (part.using, claimed.id, claimed.token, slot.name, slot.index)
    if (yield Do(end_wait, (*key, None, "failed", json.dumps(error)))):
        part.confirm()
        return read_memo(call, "failed", None, json.dumps(error))
    owned, stored = yield Do(read_step, key)
    if not owned or stored is None or stored[0] == "waiting":
        raise LeaseLost
    return read_stored(part, call, slot.name, slot.index, stored)
