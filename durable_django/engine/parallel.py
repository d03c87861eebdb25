"""``ctx.group.parallel`` in ``def`` workflows: branches on a few threads of this process.

Note [Whoever waits for a group works on it]
    The caller takes branches from the same list as the helping threads. So nested groups cannot starve
    each other on a bounded pool, and a group goes on even if no helper is free. A helper that has not begun
    by the time that the list is empty is not waited for: it may stand behind branches that take hours.
"""

from __future__ import annotations

import contextvars
import inspect
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import connections

from ..conf import settings
from ..exceptions import StepUsage
from ..store.connections import refresh_connections
from .interrupts import Fatal, Interrupt, LeaseLost, Released, Suspended
from .invoke import no_exits, restored_connections
from .outside import WaitingPool
from .pending import Pending
from .scope import Scope, current_scope

MODES = ("wait", "race")
PLACES = ("here", "workers")

Branch = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a branch ended: a value, an error of the user's code, or an interrupt."""

    value: Any = None
    error: Exception | None = None
    interrupt: Interrupt | None = None


def check_group(branches: Sequence[Any], mode: str, where: str) -> list[Branch]:
    """Return the branches as a list.

    Raises:
        Fatal: The mode or the place is unknown, or a branch cannot be called.
    """
    if mode not in MODES:
        raise Fatal(StepUsage(step="parallel", reason=f"mode is {mode!r}, not one of {', '.join(MODES)}"))
    if where not in PLACES:
        raise Fatal(StepUsage(step="parallel", reason=f"where is {where!r}, not one of {', '.join(PLACES)}"))
    listed = list(branches)
    for each in listed:
        if not callable(each):
            raise Fatal(StepUsage(step="parallel", reason=f"{each!r} is not a callable"))
    return listed


def run_branches(
    using: str,
    branches: Sequence[Branch],
    scopes: Sequence[Scope],
    find_left: Callable[[], Interrupt | None],
) -> list[Ended]:
    """Run all branches to their end or to a wait, and return how each ended, in order.

    Once ``find_left`` returns the interrupt by which the slice is left, no further branch begins.
    """
    ended: list[Ended] = [Ended()] * len(branches)
    waiting = deque(range(len(branches)))

    def work() -> None:
        while True:
            try:
                number = waiting.popleft()
            except IndexError:
                return
            left = find_left()
            if left is not None:
                ended[number] = Ended(interrupt=left)
                continue
            context = contextvars.copy_context()
            ended[number] = context.run(_run, branches[number], scopes[number])

    helpers = _start_helpers(using, work, len(branches) - 1)
    try:
        work()
    finally:
        waiting.clear()
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()
    return ended


def _run(branch: Branch, scope: Scope) -> Ended:
    current_scope.set(scope)
    try:
        # A transaction that a branch leaves open must not swallow the steps of the next one on this thread.
        with restored_connections(), no_exits("a branch of a parallel group"):
            value = _refuse_awaitable(branch())
    except Interrupt as interrupt:
        return Ended(interrupt=interrupt)
    except Exception as error:  # noqa: BLE001  the user's code may raise anything
        return Ended(error=error) if scope.left is None else Ended(interrupt=scope.left)
    return Ended(value=value) if scope.left is None else Ended(interrupt=scope.left)


def _refuse_awaitable(value: Any) -> Any:
    if not inspect.isawaitable(value):
        return value
    if inspect.iscoroutine(value):
        value.close()
    raise Fatal(StepUsage(step="parallel", reason="a branch of a def workflow returned an awaitable"))


def join(ended: Sequence[Ended]) -> tuple[Any, ...]:
    """Return the values of all branches, in order.

    Raises:
        Interrupt: A branch left the slice, or some wait: then with all that they wait for.
        Exception: The first error, once no branch waits any more.
    """
    interrupts = [each.interrupt for each in ended if each.interrupt is not None]
    if interrupts:
        raise combine(interrupts)
    for each in ended:
        if each.error is not None:
            raise each.error
    return tuple(each.value for each in ended)


def combine(interrupts: Sequence[Interrupt]) -> Interrupt:
    """Return the interrupt by which a slice is left whose branches were left by these."""
    pending = [each for found in interrupts if isinstance(found, Suspended) for each in found.pending]
    others = [found for found in interrupts if not isinstance(found, Suspended)]
    for found in sorted(others, key=lambda each: not isinstance(each, LeaseLost)):
        if not isinstance(found, Released):
            return found
    if not others:
        return Suspended(*pending)
    if not pending:
        return others[0]
    # What the other branches wait for, and how often they failed, is stored before the run is given back.
    return Suspended(*pending, Pending(waits_for="release", wake_in=0.0))


_pools: dict[int, WaitingPool] = {}


def _start_helpers(using: str, work: Callable[[], None], count: int) -> list[Future[Any]]:
    # Another thread would not see what an open transaction of this one has written.
    if count <= 0 or connections[using].in_atomic_block:
        return []
    pool = _pools.get(os.getpid())
    if pool is None:
        pool = _pools.setdefault(os.getpid(), WaitingPool(settings.PARALLEL_THREADS, "durable-branch"))
    helpers: list[Future[Any]] = []
    with suppress(RuntimeError):  # the interpreter shuts down and starts no more threads
        for _ in range(min(count, settings.PARALLEL_THREADS)):
            helpers.append(pool.submit(contextvars.copy_context().run, _help, work))
    return helpers


def _help(work: Callable[[], None]) -> None:
    refresh_connections()
    work()
