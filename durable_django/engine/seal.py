"""Stored text through the hooks: seal what goes to the store, unseal what comes from it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from ..define.calls import Call, InvokeCall, WaitCall
from ..define.endings import LIFECYCLE
from ..define.hooks import Place
from ..define.registry import registry
from ..exceptions import DurableError, HookFailed
from ..store.base import Parent
from ..types import Event
from .answer import change_parts
from .call_hook import call_hook
from .codec import decode, encode
from .find_hooks import Hooks, find_hooks, is_own
from .interrupts import Fatal, HookStopped, Interrupt
from .slice import Slice, decode_event

SEALED: Final = frozenset({"run", "wrap", "fetch", "infer"})
"""The kinds of steps whose outputs come from outside the engine, or from the user's functions."""


def seal(hooks: Hooks, text: str, place: Place) -> str:
    """Return what is stored for an encoded output.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    value = decode(text)
    for hook in reversed(hooks):
        value = call_hook(hook, "encode_output", value, place)
    return _encode(value)


def unseal(hooks: Hooks, text: str, place: Place) -> str:
    """Return the encoded output that ``seal`` was given.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    value = decode(text)
    for hook in hooks:
        value = call_hook(hook, "decode_output", value, place)
    return _encode(value)


def receive(hooks: Hooks, event: Event) -> Event:
    """Return what a workflow sees of a stored event; its data cannot be told from unhooked data.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    if is_own(event.name):
        return receive_ending(event) if event.name.startswith(LIFECYCLE) else event
    for hook in hooks:
        event = call_hook(hook, "receive_event", event)
    return dataclasses.replace(event, data=decode(_encode(dict(event.data))))


def receive_ending(event: Event) -> Event:
    """Return a lifecycle event with the event and the result of the run that ended as its workflow saw them.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    data: dict[str, Any] = dict(event.data)
    hooks = find_hooks(registry.find(data["workflow"]))
    if not hooks:
        return event
    first: dict[str, Any] = data["event"]
    started = Event(name=first["name"], data=first["data"], id=first["id"], ts=first["ts"])
    data["event"] = {**first, "data": receive(hooks, started).data}
    if data["result"] is not None:
        data["result"] = decode(unseal_result(data["run_id"], data["workflow"], encode(data["result"])))
    return dataclasses.replace(event, data=data)


def seal_step(part: Slice, name: str, index: int, text: str) -> str:
    """Return what is stored for the output of a step of the slice."""
    return seal(part.hooks, text, Place("step", str(part.claimed.id), name, index))


def unseal_memo(part: Slice, call: Call, name: str, index: int, text: str | None) -> str | None:
    """Return the memo of a finished call as the codec wrote it.

    Raises:
        Fatal, HookStopped: A hook failed, so the workflow cannot go on in this slice.
    """
    if text is None:
        return None
    try:
        if isinstance(call, WaitCall):
            return change_parts(call.kind, text, lambda kind, answer: _unseal_answer(part, kind, answer))
        if call.kind in SEALED:
            return unseal(part.hooks, text, Place("step", str(part.claimed.id), name, index))
    except DurableError as error:
        raise stop_slice(error) from None
    return text


def unseal_child(part: Slice, call: InvokeCall, name: str, index: int, text: str) -> str:
    """Return the output of the run that a step started; that run's own hooks sealed it for the step.

    Raises:
        Fatal, HookStopped: A hook failed, so the workflow cannot go on in this slice.
    """
    hooks = find_hooks(registry.find(call.workflow))
    try:
        return unseal(hooks, text, Place("step", str(part.claimed.id), name, index)) if hooks else text
    except DurableError as error:
        raise stop_slice(error) from None


def seal_for_parent(run_id: str, workflow: str, parent: Parent, text: str) -> str:
    """Return the stored output of a run as it is stored for the step that waits for it.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    hooks = find_hooks(registry.find(workflow))
    if not hooks:
        return text
    place = Place("step", str(parent.run_id), parent.step, parent.index)
    return seal(hooks, unseal(hooks, text, Place("run", run_id, workflow)), place)


def unseal_result(run_id: str, workflow: str, text: str) -> str:
    """Return the output of an ended run as the codec wrote it.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    hooks = find_hooks(registry.find(workflow))
    return unseal(hooks, text, Place("run", run_id, workflow)) if hooks else text


def stop_slice(error: DurableError) -> Interrupt:
    """Return the interrupt for a failure that the workflow must not take for its own."""
    return HookStopped(error) if error.retriable else Fatal(error)


def seal_signal(name: str, data: Any) -> Any:
    """Return what is stored of the data of a signal, by the project's hooks: its sender knows no workflow.

    Raises:
        HookFailed: A hook raised, or returned what cannot be stored.
    """
    hooks = find_hooks()
    return decode(seal(hooks, encode(data), Place("signal", name, name))) if hooks else data


def _unseal_answer(part: Slice, kind: str, text: str) -> str:
    return _unseal_event(part, text) if kind == "event" else _unseal_signal(text)


def _unseal_signal(text: str) -> str:
    found, hooks = decode(text), find_hooks()
    if found is None or not hooks:
        return text
    data = unseal(hooks, encode(found["data"]), Place("signal", found["signal"], found["signal"]))
    return _encode({**found, "data": decode(data)})


def _unseal_event(part: Slice, text: str) -> str:
    event = decode_event(text)
    if event is None:
        return text
    seen = receive(part.hooks, event)
    head = json.dumps({"name": seen.name, "id": seen.id, "ts": seen.ts})
    extra = {"v": seen.v, "user": None if seen.user is None else dict(seen.user)}
    return f'{head[:-1]},"data":{_encode(seen.data)},"extra":{_encode(extra)}}}'


def _encode(value: Any) -> str:
    try:
        return encode(value)
    except DurableError as error:
        failed = HookFailed(hook="HOOKS", reason=f"what they return cannot be stored, {error.code}")
    raise failed
