"""``step.run``: call a function, memoize its result or its last error, plan the attempts between."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ..clock import read_now
from ..define.calls import RunCall, TriedCall, WrapCall
from ..exceptions import DurableError, OutputTooLarge, RetryAfterError, StepUsage
from ..store.base import AttemptWrite, StepWrite
from ..store.failure import write_failure
from .codec import encode, encode_output
from .describe_error import describe
from .effects import Do, Invoke, InvokeAtomic, Suspend
from .frame import Frame
from .identity import get_owner
from .interrupts import Fatal, LeaseLost
from .pending import Pending
from .replay import Slot
from .retry import Retry, RetryPolicy, decide
from .slice import Slice, step_attempt
from .tool_sleep import parse_duration_or_fail
from .tools import Tool, ask_owner, build_step, read_stored, write

INPUT_BYTES = 256 * 1024
"""The largest arguments of ``step.ai.wrap`` that are kept."""


def run_function(part: Slice, call: RunCall, slot: Slot) -> Tool:
    """Run one attempt of the step."""
    _check_function(call)
    policy = read_policy(part, call)
    frame = _build_frame(part, call, slot)
    yield from ask_owner(part)
    token = step_attempt.set(slot.memo.attempt if slot.memo else 0)
    began = time.monotonic()
    encode = build_encoder(part, call, slot, began)
    try:
        if call.atomic:
            recorded = yield InvokeAtomic(call, frame, encode)
        else:
            step = encode((yield Invoke(call, frame)))
    except Exception as error:  # noqa: BLE001  the user's code may raise anything
        failure: Exception | None = error
    else:
        failure = None
    finally:
        step_attempt.reset(token)  # here, since a generator that is left suspended ends in another context
    if failure is not None:
        return (yield from fail(part, call, slot, policy, failure, time.monotonic() - began))
    if not call.atomic:
        return (yield from write(part, call, step))
    part.confirm()
    part.replay.add_bytes(len(recorded[1] or ""))
    return read_stored(part, call, slot.name, slot.index, recorded)


def build_encoder(part: Slice, call: TriedCall, slot: Slot, began: float) -> Callable[[Any], StepWrite]:
    def build(value: Any) -> StepWrite:
        output = encode_value(call, value, part.output_limit)
        seconds = time.monotonic() - began
        attempt = slot.memo.attempt if slot.memo else 0
        return build_step(part, slot, call.kind, "completed", output=output, attempt=attempt, seconds=seconds)

    return build


def encode_value(call: TriedCall, value: Any, limit: int) -> str:
    """Return the memo of a step's result.

    Raises:
        Unserializable, OutputTooLarge: It cannot be stored; no attempt will change that.
    """
    what = f"step {call.name!r}: "
    if isinstance(call, WrapCall):
        output = encode({"input": show_input(call), "answer": value}, what=what)
    elif getattr(call, "output_type", None) is None:
        output = encode(value, what=what)
    else:
        output = encode_output(value, getattr(call, "output_type", None), what=what)
    if len(output) > limit:
        raise OutputTooLarge(what=what, size=len(output), limit=limit)
    return output


def show_input(call: WrapCall) -> Any:
    """Return the arguments of a wrapped call for its memo, or why they cannot be kept."""
    given = {"args": list(call.args), "kwargs": dict(call.kwargs)}
    try:
        size = len(encode(given))
    except DurableError as error:
        return {"not_kept": error.message}
    return given if size <= INPUT_BYTES else {"not_kept": f"the arguments have {size} bytes"}


def _check_function(call: RunCall) -> None:
    given: Any = call.function
    if not callable(given):
        kind = type(given).__name__
        raise Fatal(
            StepUsage(step=call.name, reason=f"pass a function, not what it returned; this is a {kind}")
        )


def _build_frame(part: Slice, call: RunCall, slot: Slot) -> Frame:
    return Frame(part.claimed.id, slot.name, slot.index, read_timeout(call.name, call.timeout))


def read_timeout(name: str, timeout: Any) -> float | None:
    """Return the timeout of a step in seconds.

    Raises:
        Fatal: It is not a duration above zero.
    """
    if timeout is None:
        return None
    seconds: float = parse_duration_or_fail(name, timeout).total_seconds()
    if seconds <= 0:
        raise Fatal(StepUsage(step=name, reason=f"timeout={timeout!r} leaves no time"))
    return seconds


def read_policy(part: Slice, call: TriedCall) -> RetryPolicy:
    """Return the retry policy of a step.

    Raises:
        Fatal: Its options cannot work.
    """
    try:
        if call.retries is None and call.backoff is None:
            return part.own_policy
        return part.policy(call.retries, call.backoff)
    except DurableError as error:
        raise Fatal(error) from error


def fail(
    part: Slice, call: TriedCall, slot: Slot, policy: RetryPolicy, error: Exception, seconds: float
) -> Tool:
    number = slot.memo.attempt if slot.memo else 0
    now = yield Do(read_decision_time, (part.using, error))
    decision = decide(policy, number, error, now=now, jitter=random.random)
    delay = decision.delay if isinstance(decision, Retry) else None
    attempt = build_attempt(error, slot.name, slot.index, number, seconds, delay)
    if delay is not None:
        wake_in = delay.total_seconds()
        step = build_step(
            part, slot, call.kind, "retrying", attempt=number + 1, ready_in=wake_in, seconds=seconds
        )
        yield Suspend(Pending(waits_for="retry", wake_in=wake_in, step=step, attempt=attempt))
    stored = {**describe_step_error(error, slot), "limit": policy.retries + 1}
    step = build_step(
        part, slot, call.kind, "failed", attempt=number + 1, seconds=seconds, error=json.dumps(stored)
    )
    recorded = yield Do(write_failure, (part.using, step, attempt))
    if recorded is None:
        raise LeaseLost
    part.doubt()  # a failure is stored whether or not the run is to stop
    return read_stored(part, call, slot.name, slot.index, recorded)


_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def read_decision_time(using: str, error: BaseException) -> Any:
    """Return the instant that a RetryAfterError's date is compared with: the database's."""
    if isinstance(error, (RetryAfterError, BaseExceptionGroup)):
        return read_now(using)
    return _ANY_TIME


def build_attempt(
    error: BaseException, name: str, index: int, number: int, seconds: float, delay: timedelta | None
) -> AttemptWrite:
    """Return the row that keeps a failed attempt."""
    told = describe(error)
    return AttemptWrite(
        name=name,
        index=index,
        number=number,
        error_type=told["name"][:255],
        message=told["message"],
        traceback=told["stack"],
        worker=get_owner(),
        seconds=seconds,
        retry_in=None if delay is None else delay.total_seconds(),
    )


def describe_step_error(error: BaseException, slot: Slot) -> dict[str, Any]:
    """Return the memo of a failed step: the arguments of its StepError."""
    told = describe(error)
    return {
        "message": told["message"],
        "name": told["name"],
        "stack": told["stack"],
        "step": slot.name,
        "index": slot.index,
        "error_code": told.get("code", ""),
    }
