"""The input that an operator gives a step in place of what the code gives: checked, kept, and used."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from ..conf import settings
from ..define.calls import Call, InferCall, InvokeCall, RunCall
from ..define.hooks import Place
from ..define.registry import registry
from ..exceptions import DurableError, InvalidStepInput
from ..models import Run, Step, StepKind
from .codec import decode, encode
from .find_hooks import find_hooks
from .replay import Slot
from .seal import seal, stop_slice, unseal
from .slice import Slice

CALLED: Final = (StepKind.RUN, StepKind.WRAP)
SENT: Final = (StepKind.INFER, StepKind.INVOKE)


def takes_input(kind: str) -> bool:
    """Tell whether steps of a kind can be given another input."""
    return kind in CALLED or kind in SENT


def encode_input(run: Run, step: Step, value: Any) -> str:
    """Return the input as it is stored with a step of a run.

    Args:
        value: For functions the positional arguments as a list, or ``{"args": […], "kwargs": {…}}``; for the
            others the object that is the request's body, or the data of the run that is started.

    Raises:
        InvalidStepInput: The kind of step takes none, or not this one.
        Unserializable: It cannot be stored.
    """
    reason = _find_fault(step.kind, value)
    if reason:
        raise InvalidStepInput(step=step.name, reason=reason)
    text = encode(value, what=f"step {step.name!r}: the input, ")
    if len(text) > settings.EVENT_BYTES:
        reason = f"it has {len(text)} bytes, at most {settings.EVENT_BYTES}"
        raise InvalidStepInput(step=step.name, reason=reason)
    hooks = find_hooks(registry.find(run.workflow))
    return seal(hooks, text, Place("step", str(run.id), step.name, step.index)) if hooks else text


def _find_fault(kind: str, value: Any) -> str:
    if not takes_input(kind):
        return f"steps of the kind {kind!r} have none"
    if kind in SENT:
        return "" if isinstance(value, Mapping) else "it must be an object"
    if isinstance(value, (list, tuple)):
        return ""
    named = value if isinstance(value, Mapping) else {}
    fits = named.keys() == {"args", "kwargs"} and isinstance(named["args"], (list, tuple))
    if fits and isinstance(named["kwargs"], Mapping) and all(isinstance(key, str) for key in named["kwargs"]):
        return ""
    return 'it must be a list of arguments, or {"args": […], "kwargs": {…}}'


def use_input(part: Slice, call: Call, slot: Slot) -> Call:
    """Return the call with the input that an operator gave.

    Raises:
        Fatal, HookStopped: A hook failed on it.
    """
    assert slot.memo is not None
    text = slot.memo.input or "null"
    if part.hooks:
        try:
            text = unseal(part.hooks, text, Place("step", str(part.claimed.id), slot.name, slot.index))
        except DurableError as error:
            raise stop_slice(error) from None
    return replace_input(call, decode(text))


def replace_input(call: Call, value: Any) -> Call:
    """Return the call with another input."""
    if isinstance(call, RunCall):
        if isinstance(value, list):
            return dataclasses.replace(call, args=tuple(value))
        return dataclasses.replace(call, args=tuple(value["args"]), kwargs=value["kwargs"])
    if isinstance(call, InferCall):
        return dataclasses.replace(call, body=value)
    return dataclasses.replace(call, data=value) if isinstance(call, InvokeCall) else call
