"""Steps of a group that other workers carry out: ``ctx.group.parallel(..., where="workers")``.

Note [A step elsewhere is a run of its own]
    The branch's step becomes a run of the engine's own workflow ``durable/step``, whose end answers the step
    as a child's does: claim, lease, retries and take-over are those of every run, and the workflow is not
    replayed to get there. It finds the function by the name under which ``@step`` noted it; what
    cannot make the trip (other functions, arguments that the codec refuses) is carried out here.

Note [A step elsewhere ends with the run that asked]
    The end of that run closes the wait. A step whose wait is closed before it begins is not begun (law 8):
    the worker that takes it cancels it instead.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ..conf import settings
from ..define.calls import RunCall
from ..define.context import Context
from ..define.registry import registry
from ..define.step_index import find_step, name_step
from ..define.workflow import Workflow
from ..exceptions import DurableError
from ..ids import derive_id, new_id
from ..store.base import Claimed, Parent, WaitWrite
from ..store.child import ChildStart, is_asked
from ..store.event import StartRow
from .cancel import end_cancelled, lock_run
from .effects import Suspend
from .find_hooks import REQUEST_NAME
from .pending import Pending
from .receive import prepare_event
from .replay import Slot
from .slice import Slice
from .tools import Tool, ask_owner, build_step

WORKFLOW_ID = "durable/step"
ORIGIN = "step"
LONGEST = 366 * 86_400.0


def carry_out_step(ctx: Context) -> Any:
    """Call the step function that the run's event names."""
    data = ctx.event.data
    options = {key: data[key] for key in ("retries", "backoff", "atomic", "timeout")}
    return ctx.step.run(data["id"], find_step(data["function"]), *data["args"], **options, **data["kwargs"])


STEP_WORKFLOW: Workflow[Any, Any] = Workflow(id=WORKFLOW_ID, function=carry_out_step, retries=4)


def find_workflow(id: str) -> Workflow[Any, Any] | None:
    """Return what a run executes: a workflow of the project, or the engine's own, which nobody can start."""
    return STEP_WORKFLOW if id == WORKFLOW_ID else registry.find(id)


def plan_remote(part: Slice, call: RunCall, slot: Slot) -> ChildStart | None:
    """Return the run that carries out the step elsewhere, or None if it has to be carried out here."""
    name = name_step(call.function)
    if name is None or call.output_type is not None or part.hooks:
        return None
    policy = part.policy(call.retries, call.backoff)
    data = {
        "function": name,
        "id": call.name,
        "args": list(call.args),
        "kwargs": dict(call.kwargs),
        "retries": policy.retries,
        "backoff": call.backoff if call.backoff is not None else part.workflow.backoff,
        "atomic": call.atomic,
        "timeout": call.timeout,
    }
    key = (part.claimed.id, slot.name, slot.index)
    try:
        event = prepare_event({"name": REQUEST_NAME, "data": data}, "", "run", new_id(), internal=True)
    except DurableError:
        return None  # what cannot be stored as an event can still be an argument here
    start = StartRow(
        id=new_id(),
        workflow=WORKFLOW_ID,
        event_id=event.id,
        start_key=derive_id("step-key", *key),
        key="",
        origin=ORIGIN,
        queue=part.workflow.queue or settings.DEFAULT_QUEUE,
    )
    parent = Parent(part.claimed.id, slot.name, slot.index)
    return ChildStart(event=event, start=start, parent=parent, depth=part.claimed.depth + 1)


def run_elsewhere(part: Slice, call: RunCall, slot: Slot, child: ChildStart) -> Tool:
    """Park the branch until the run that carries out its step has ended."""
    yield from ask_owner(part)
    wait = WaitWrite(name=slot.name, index=slot.index, kind="child")
    step = build_step(part, slot, call.kind, "waiting", ready_in=LONGEST)
    yield Suspend(Pending(waits_for="child", wake_in=LONGEST, step=step, waits=(wait,), children=(child,)))


def cancel_unasked(using: str, claimed: Claimed) -> bool:
    """Cancel the run of a step that nobody waits for any more; tell whether it was one."""
    parent = claimed.parent
    if claimed.origin != ORIGIN or parent is None or is_asked(using, parent):
        return False
    with transaction.atomic(using=using):
        run = lock_run(using, claimed.id)
        # Before it was locked an operator may have retried the run that asks.
        if run is None or run.token != claimed.token or is_asked(using, parent):
            return False
        return end_cancelled(using, run, "the run that asked for the step has ended")
