"""What a step tool asks of its driver. The tools are generators that yield these, so that ``def`` and
``async def`` workflows share every rule and differ only in how an effect is carried out.

See Note [Values of the hot path are not frozen].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..define.calls import RunCall
from ..store.base import StepWrite
from .frame import Frame
from .interrupts import StoreFailed
from .pending import Errand, Pending


@dataclass(slots=True)
class Invoke:
    """Call the user's function within ``frame``; its exceptions come back into the tool."""

    call: RunCall
    frame: Frame


@dataclass(slots=True)
class InvokeAtomic:
    """Call the user's function and write what ``encode`` makes of its result in one transaction."""

    call: RunCall
    frame: Frame
    encode: Callable[[Any], StepWrite]


@dataclass(slots=True)
class Exchange:
    """Call a function of ours that awaits an answer from outside; its exceptions come back into the tool.

    ``again`` begins the attempt anew, as an errand, if it cannot be made here.
    """

    function: Callable[[], Any]
    again: Errand


@dataclass(slots=True)
class Write:
    """Write a checkpoint; gives the Recorded that is stored afterwards."""

    step: StepWrite


@dataclass(slots=True)
class Do:
    """Call a function of ours that talks to the database."""

    function: Callable[..., Any]
    args: tuple[Any, ...]


@dataclass(slots=True)
class Suspend:
    """Wait; in this slice the branch does not go on."""

    pending: Pending


Effect = Invoke | InvokeAtomic | Exchange | Write | Do | Suspend


def tell_failure(effect: Effect, error: Exception) -> BaseException:
    """Return what the tool is to see: the user's own error, or the interrupt for one of the store's."""
    return error if isinstance(effect, (Invoke, InvokeAtomic, Exchange)) else StoreFailed(error)
