"""Execute one slice of an ``async def`` workflow."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from contextlib import ExitStack
from typing import Any

from ..define.context import current_context
from ..exceptions import StepUsage
from ..store.base import Claimed, Memo
from .adrive import Ask, AsyncDriver
from .conclude import aconclude, conclude
from .errand import hand_over
from .execute import build_context, prepare, prepare_at_once
from .interrupts import Fatal, Released, Suspended
from .invoke import no_exits
from .keeper import keeper
from .outcome import Errored, Left, Outcome, Returned
from .scope import current_scope
from .slice import Slice
from .watch import close_slice

logger = logging.getLogger("durable_django.execute")

SETTLE_ROUNDS = 10
"""Turns of the event loop that a workflow gets to begin another step before it is parked."""
SETTLE_SECONDS = 0.05
"""The same while its task may await tasks of its own, or something else."""
FOREIGN_SECONDS = 1.0
"""The same while a branch that calls steps awaits something that is not a step."""
CANCEL_SECONDS = 5.0
CANCEL_TIMES = 100


async def aexecute_run(
    using: str,
    claimed: Claimed,
    ask: Ask,
    *,
    grouped: bool,
    lend: bool = False,
    memos: list[Memo] | None = None,
) -> None:
    """Execute a claimed run on this event loop until it ends or has to wait; see ``execute_run``."""
    current: Claimed | None = claimed
    while current is not None:
        part = prepare_at_once(using, current, memos) if current is claimed else None
        if part is None:
            part = await ask(_prepare, using, current, current is not claimed)
        current = await _execute_slice(part, ask, grouped, lend) if part is not None else None


def _prepare(using: str, claimed: Claimed, again: bool) -> Slice | None:
    return prepare(using, claimed, again=again)


async def _execute_slice(part: Slice, ask: Ask, grouped: bool, lend: bool) -> Claimed | None:
    began = time.monotonic()
    with ExitStack() as held:
        held.enter_context(keeper.hold(part))
        outcome = await _call(part, AsyncDriver(part, ask, grouped=grouped, lends=lend))
        if part.hooks:
            close_slice(part, outcome)
        if lend and hand_over(part, outcome, held):
            return None
        seconds = time.monotonic() - began
        if grouped:
            wakeups = await aconclude(part, outcome, seconds, ask)
        else:
            wakeups = await ask(conclude, part, outcome, seconds)
    return None if wakeups is None else dataclasses.replace(part.claimed, wakeups=wakeups)


async def _call(part: Slice, driver: AsyncDriver) -> Outcome:
    context = build_context(part, driver)

    async def main() -> Any:
        current_context.set(context)
        driver.scope.owner = asyncio.current_task()
        current_scope.set(driver.scope)
        with no_exits(f"workflow {part.workflow.id!r}", ctrl_c=not driver.grouped):
            return await part.workflow.function(context)

    task = asyncio.create_task(main(), name=f"durable {part.claimed.id}")
    driver.tasks.add(task)
    try:
        while not task.done() and not driver.must_leave and not await _is_stuck(driver, task):
            await _watch(driver, {task})
        return await _read_outcome(driver, task)
    finally:
        for each in driver.tasks:
            each.cancel()


async def _watch(driver: AsyncDriver, tasks: set[asyncio.Task[Any]], seconds: float | None = None) -> None:
    """Return when one of the tasks has ended, the driver has news, or the time is over."""
    news = driver.changed.expect()
    await asyncio.wait({*tasks, news}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    news.cancel()
    driver.changed.clear()


async def _is_stuck(driver: AsyncDriver, task: asyncio.Task[Any]) -> bool:
    """Tell whether the workflow waits and has had its chance to begin another step."""
    for _ in range(SETTLE_ROUNDS):
        if not driver.blocked or task.done() or driver.left is not None:
            return False
        await asyncio.sleep(0)
    while not driver.surely_blocked:
        begun, others = driver.begun, set(driver.list_free()) - {task}
        await _watch(driver, others or {task}, FOREIGN_SECONDS if others else SETTLE_SECONDS)
        if not driver.blocked or task.done() or driver.left is not None:
            return False
        if begun == driver.begun and others == set(driver.list_free()) - {task}:
            return True
    return True


async def _read_outcome(driver: AsyncDriver, task: asyncio.Task[Any]) -> Outcome:
    if not task.done():
        driver.leave(Suspended(*driver.pending))
    left, driver.left = driver.outcome, driver.left or Released()  # no task begins a further step
    if left is not None:
        await _cancel(driver, task)
        return Left(left)
    error = task.exception()
    if isinstance(error, Exception):
        return Errored(error)
    if error is not None:
        raise error
    return await _refuse_forgotten(driver) or Returned(task.result())


async def _refuse_forgotten(driver: AsyncDriver) -> Left | None:
    """Fail a run that returned without having awaited a step: it would seem done and was not."""
    if not driver.has_unbegun:
        return None
    await asyncio.sleep(0)  # tasks that were left behind are cancelled, calls that nobody has are not
    name = driver.find_forgotten()
    if name is None:
        return None
    reason = "it was never awaited, so it was not carried out; write `await` before the call"
    return Left(Fatal(StepUsage(step=name, reason=reason)))


async def _cancel(driver: AsyncDriver, task: asyncio.Task[Any]) -> None:
    # A bare `except:` swallows the cancellation; then the next step is refused and it is told again.
    refused = asyncio.ensure_future(_cancel_again(driver, task))
    tasks = {task, *driver.tasks}
    for each in tasks:
        each.cancel()
    await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    refused.cancel()
    for each in tasks:
        if not each.done():
            logger.error("a workflow does not let itself be cancelled", extra={"task": task.get_name()})
        elif not each.cancelled():
            each.exception()  # what its clean-up raised is of no account, and asyncio must not complain


async def _cancel_again(driver: AsyncDriver, task: asyncio.Task[Any]) -> None:
    for _ in range(CANCEL_TIMES):
        await driver.refused.wait()
        driver.refused.clear()
        for each in {task, *driver.tasks}:
            each.cancel()
