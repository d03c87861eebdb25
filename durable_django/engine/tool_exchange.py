"""``step.fetch`` and ``step.ai.infer``: await an answer from outside, on a thread kept for that.

Note [A run that awaits an answer holds no slot]
    In an ``async def`` workflow the answer is awaited. A ``def`` workflow is left, as if it were parked, but
    its lease is kept: the attempt goes on as an errand under the same fence, on a thread that does nothing
    else, and the run is queued again when the memo is stored. See errand.py.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from typing import Any

from ..define.calls import FetchCall, InferCall, TriedCall
from ..exceptions import DurableError, StepUsage
from ..ids import derive_id
from .codec import encode
from .effects import Exchange
from .fetch import fetch
from .infer import infer
from .interrupts import Fatal
from .replay import Slot
from .retry import RetryPolicy
from .slice import Slice
from .tool_run import build_encoder, fail, read_policy, read_timeout
from .tools import Tool, ask_owner, write

Ask = Callable[[], Any]


def await_answer(part: Slice, call: FetchCall | InferCall, slot: Slot) -> Tool:
    """Make one attempt of the exchange."""
    policy = read_policy(part, call)
    key = str(derive_id("step", part.claimed.id, slot.name, slot.index))
    ask = _prepare_fetch(call, key) if isinstance(call, FetchCall) else _prepare_infer(call, key)
    yield from ask_owner(part)
    return (yield from _attempt(part, call, slot, policy, ask))


def _prepare_fetch(call: FetchCall, key: str) -> Ask:
    _check_limit(call.name, "max_bytes", call.max_bytes, 0)
    _check_limit(call.name, "redirects", call.redirects, 0)
    return functools.partial(fetch, call, read_timeout(call.name, call.timeout), key)


def _prepare_infer(call: InferCall, key: str) -> Ask:
    _check_limit(call.name, "max_bytes", call.max_bytes, 0)
    if call.body.get("stream"):
        raise Fatal(StepUsage(step=call.name, reason="a step keeps whole answers, so stream cannot be set"))
    try:
        encode(dict(call.body), what=f"step {call.name!r}: the request, ")
        content = json.dumps(dict(call.body), allow_nan=False).encode()
    except DurableError as error:
        raise Fatal(error) from error
    except (TypeError, ValueError) as error:
        raise Fatal(StepUsage(step=call.name, reason=f"the request is no JSON: {error}")) from error
    return functools.partial(infer, call, content, read_timeout(call.name, call.timeout), key)


def _check_limit(name: str, what: str, value: Any, low: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
        raise Fatal(StepUsage(step=name, reason=f"{what}={value!r} is not a whole number of at least {low}"))


def _attempt(part: Slice, call: TriedCall, slot: Slot, policy: RetryPolicy, ask: Ask) -> Tool:
    began = time.monotonic()
    again = functools.partial(_attempt, part, call, slot, policy, ask)
    build = build_encoder(part, call, slot, began)
    try:
        step = build((yield Exchange(ask, again)))
    except Exception as error:  # noqa: BLE001  judged by the policy of the step
        return (yield from fail(part, call, slot, policy, error, time.monotonic() - began))
    return (yield from write(part, call, step))
