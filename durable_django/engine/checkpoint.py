"""The one door through which results of steps are written, those of concurrent runs together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections

from ..store.base import StepWrite
from ..store.checkpoint import read_step, write_steps
from ..store.connections import refresh_connections
from .desk import Desk, count_leaders, forget_in_child
from .interrupts import LeaseLost
from .keeper import keeper

Recorded = tuple[str, str | None, str | None]
"""What is stored for a step: status, output, error."""


def make_desk(using: str, relaxed: bool = False) -> Desk[StepWrite]:
    """Return a desk for the steps of a database."""
    return Desk(
        lambda steps: write_steps(using, steps, relaxed, wait=False),
        begin=refresh_connections,
        leaders=count_leaders(using),
    )


_desks: dict[tuple[str, bool], Desk[StepWrite]] = {}
forget_in_child(_desks)


def get_desk(using: str, relaxed: bool = False) -> Desk[StepWrite]:
    """Return this process's desk for a database; a forked child has its own.

    Relaxed checkpoints have a desk of their own, so that none of the others is committed with them.
    """
    key = (using, relaxed)
    desk = _desks.get(key)
    return desk if desk is not None else _desks.setdefault(key, make_desk(using, relaxed))


def write_checkpoint(
    using: str, step: StepWrite, relaxed: bool = False, *, grouped: bool = False
) -> Recorded:
    """Write a step and return what is stored for it then; inside a transaction it is never relaxed.

    ``grouped`` says that this thread is in no transaction, for those who know.

    Raises:
        LeaseLost: The run is owned by somebody else, or was cancelled.
    """
    if not grouped and connections[using].in_atomic_block:
        return settle(using, step, write_here(using, step))
    return settle(using, step, get_desk(using, relaxed).write(step) or write_here(using, step))


async def awrite_checkpoint(
    using: str, step: StepWrite, ask: Callable[..., Any], relaxed: bool = False
) -> Recorded:
    """Write a step from an event loop; ``ask`` runs a database function in a thread."""
    if await get_desk(using, relaxed).awrite(step):
        return step.status, step.output, step.error
    recorded: Recorded = await ask(_settle_refused, using, step)
    return recorded


def _settle_refused(using: str, step: StepWrite) -> Recorded:
    return settle(using, step, write_here(using, step))


def write_here(using: str, step: StepWrite) -> bool:
    """Write a step on this thread's connection, past the desk; return whether it was written."""
    return write_steps(using, [step])[0] or write_held(using, step)


def write_held(using: str, step: StepWrite) -> bool:
    """Write a step that was refused if it was because the run is to stop, and let its slice do so.

    See Note [A held slice stops at its next checkpoint].
    """
    if not write_steps(using, [step], held=True)[0]:
        return False
    keeper.stop_slice(using, step.run_id, step.token)
    return True


def settle(using: str, step: StepWrite, written: bool) -> Recorded:
    """Return what is stored: the step itself, or the result that was there before (law 4).

    Raises:
        LeaseLost: The run is owned by somebody else, or was cancelled.
    """
    if written:
        return step.status, step.output, step.error
    owned, stored = read_step(using, step.run_id, step.token, step.name, step.index)
    if not owned or stored is None:
        raise LeaseLost
    return stored  # type: ignore[no-any-return]
