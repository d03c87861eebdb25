"""What an operator supplies in place of the world: stored as what it stands for would have been."""

from __future__ import annotations

from typing import Any

from ..clock import read_now
from ..conf import settings
from ..define.hooks import Place
from ..define.registry import registry
from ..exceptions import OutputTooLarge
from ..ids import new_id
from ..models import Run, Step, StepKind, Wait
from .codec import encode
from .find_hooks import Hooks, find_hooks
from .receive import prepare_event
from .seal import SEALED, seal
from .send_signal import encode_signal
from .slice import encode_event


def build_answer(using: str, run: Run, wait: Wait, value: Any) -> str:
    """Return the memo of a wait that ended with a value.

    Raises:
        InvalidEvent, InvalidSignal, EventTooLarge, OutputTooLarge, Unserializable: It does not fit the wait.
    """
    if wait.signal:
        return encode_signal(wait.signal, value)
    if wait.kind != "child":
        now = int(read_now(using).timestamp() * 1000)
        given = {"name": wait.event_name, "data": value, "ts": now}
        return encode_event(prepare_event(given, "", "operator", new_id(), internal=True))
    kind = Step.objects.using(using).values_list("kind", flat=True)
    found = kind.filter(run_id=run.id, name=wait.name, index=wait.index).first()
    return build_output(using, run, found or StepKind.INVOKE, wait.name, wait.index, value)


def build_output(using: str, run: Run, kind: str, name: str, index: int, value: Any) -> str:
    """Return the memo of a step of this kind that returned a value.

    Raises:
        OutputTooLarge, Unserializable: It cannot be stored.
    """
    what = f"step {name!r}: "
    text = encode({"answer": value} if kind in (StepKind.WRAP, StepKind.INFER) else value, what=what)
    if len(text) > settings.STEP_OUTPUT_BYTES:
        raise OutputTooLarge(what=what, size=len(text), limit=settings.STEP_OUTPUT_BYTES)
    hooks = find_sealing(using, run, kind, name, index)
    return seal(hooks, text, Place("step", str(run.id), name, index)) if hooks else text


def find_sealing(using: str, run: Run, kind: str, name: str, index: int) -> Hooks:
    """Return the hooks by which the output of a step is sealed: for a child's, those of its workflow."""
    if kind in SEALED:
        return find_hooks(registry.find(run.workflow))
    if kind != StepKind.INVOKE:
        return ()
    children = Run.objects.using(using).filter(parent_id=run.id, parent_step=name, parent_index=index)
    child = children.order_by("created_at", "id").values_list("workflow", flat=True).last()
    return find_hooks(registry.find(child) if child else None)


def mark_supplied(using: str, run: Run, name: str, index: int, actor: str) -> None:
    """Note with the step who supplied its result."""
    steps = Step.objects.using(using).filter(run_id=run.id, name=name, index=index)
    steps.update(supplied_by=actor[:120])
