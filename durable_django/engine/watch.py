"""Tell the hooks when a slice begins, when its replay is over, and when it ends."""

from __future__ import annotations

from ..define.hooks import SliceInfo
from ..exceptions import DurableError
from .call_hook import tell_hook
from .outcome import Errored, Outcome, Returned
from .seal import receive
from .slice import Slice


def open_slice(part: Slice) -> DurableError | None:
    """Let the hooks see a slice and its input first; return the error that keeps it from beginning."""
    info = _describe(part)
    for hook in part.hooks:
        tell_hook(hook, "begin_slice", info)
    try:
        part.event = receive(part.hooks, part.stored_event)
    except DurableError as error:
        return error
    watch_replay(part)
    return None


def watch_replay(part: Slice) -> None:
    """Tell the hooks, once a slice, that the replay is over."""
    if part.begun or part.replaying:
        return
    part.begun = True
    info = _describe(part)
    for hook in part.hooks:
        tell_hook(hook, "begin_new_code", info)


def close_slice(part: Slice, outcome: Outcome) -> None:
    """Tell the hooks how the workflow function was left."""
    info = _describe(part)
    result = (
        "returned" if isinstance(outcome, Returned) else "raised" if isinstance(outcome, Errored) else "left"
    )
    for hook in reversed(part.hooks):
        tell_hook(hook, "end_slice", info, result)


def _describe(part: Slice) -> SliceInfo:
    return SliceInfo(str(part.claimed.id), part.workflow.id, part.segment_attempt)
