"""Drive an ``async def`` workflow: the effects of its steps are awaited, many runs share one event loop.

Note [An async workflow parks when nothing of it can go on]
    A branch that has to wait awaits a future that never ends. When no step is being carried out, and some
    branch waits, the slice is over as soon as the workflow's task has had its chance to go on: it is
    cancelled and the run parked with all that its branches wait for. A branch that is left for another reason
    lets the steps of the others come to their end, so that none of them is done twice; only a lost lease
    does not wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Any

from asgiref.sync import sync_to_async

from ..define.calls import Call, LinkCall, RunCall
from ..store.connections import refresh_connections
from .checkpoint import awrite_checkpoint, write_checkpoint
from .effects import Do, Effect, Exchange, Invoke, InvokeAtomic, Suspend, Write, tell_failure
from .frame import Frame
from .interrupts import Interrupt, LeaseLost, Suspended
from .invoke import (
    acall_function,
    call_atomic,
    call_function,
    no_exits,
    refuse_nested,
    restored_connections,
)
from .news import News
from .outside import get_pool
from .parallel import Ended, check_group, combine, join
from .pending import Pending
from .scope import Scope, current_scope
from .slice import Slice
from .tools import Tool, run_tool

Ask = Callable[..., Awaitable[Any]]
"""Calls a blocking function, given with its arguments, off the event loop."""


class AsyncDriver:
    """The engine behind the step tools of an ``async def`` workflow.

    ``grouped`` sends checkpoints to the desk, where those of many runs are committed together; without it
    they are written through ``ask``, on the caller's own connection. ``lends`` lets it leave what
    awaits answers.
    """

    def __init__(self, part: Slice, ask: Ask, *, grouped: bool, lends: bool = False) -> None:
        self._part = part
        self._lends = lends
        self._ask = ask
        self.grouped = grouped
        self._busy = 0
        self.begun = 0
        self.pending: list[Pending] = []
        self.scope = Scope()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.waiting_tasks: set[asyncio.Task[Any]] = set()
        self.left: Interrupt | None = None
        self.changed = News()
        self.refused = asyncio.Event()
        self._unbegun: dict[object, tuple[str, Coroutine[Any, Any, Any]]] = {}

    @property
    def attempt(self) -> int:
        """The failed attempts of the current step or segment."""
        return self._part.attempt

    @property
    def blocked(self) -> bool:
        """Tell whether some branch waits and no step is being carried out."""
        return self._busy == 0 and bool(self.pending)

    @property
    def must_leave(self) -> bool:
        """Tell whether the slice is to be left now."""
        return self.left is not None and (self._busy == 0 or isinstance(self.left, LeaseLost))

    @property
    def outcome(self) -> Interrupt | None:
        """The interrupt by which the slice is left, with all that its branches wait for."""
        if self.left is None:
            return None
        waiting = self.pending and not isinstance(self.left, Suspended)
        return combine([self.left, Suspended(*self.pending)]) if waiting else self.left

    def perform(self, call: Call) -> Awaitable[Any]:
        """Return what carries out a step when it is awaited, and gives its value."""
        return self._note(call.name, self._perform, call)

    def parallel(self, branches: Sequence[Any], mode: str, where: str) -> Awaitable[Any]:
        """Return what runs branches side by side when it is awaited, and gives their values as a tuple."""
        return self._note("parallel", self._parallel, branches, mode, where)

    def _note(self, name: str, make: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Awaitable[Any]:
        mark = object()
        made = make(mark, *args)
        self._unbegun[mark] = (name, made)
        return made

    @property
    def has_unbegun(self) -> bool:
        """Tell whether some call was made that has not begun."""
        return bool(self._unbegun)

    def find_forgotten(self) -> str | None:
        """Return the name of a call that the workflow made and did not await; none of them begins any more."""
        made = [
            each
            for each in self._unbegun.values()
            if inspect.getcoroutinestate(each[1]) == inspect.CORO_CREATED
        ]
        for _, call in made:
            call.close()
        return made[0][0] if made else None

    async def _perform(self, mark: object, call: Call) -> Any:  # noqa: RET503  nothing ends the wait at its end
        del self._unbegun[mark]
        refuse_nested(call.name)
        if not isinstance(call, LinkCall):
            self._enter(call.name)
        if self.left is not None:
            self.refused.set()
            await _wait_for_ever()
        self._busy += 1
        self.begun += 1
        try:
            return await self._drive(call)
        except Interrupt as interrupt:
            self.leave(interrupt)
        finally:
            self._busy -= 1
            if self.pending or self.left is not None:
                self.changed.set()
        await _wait_for_ever()

    async def _parallel(self, mark: object, branches: Sequence[Any], mode: str, where: str) -> Any:
        del self._unbegun[mark]
        refuse_nested("parallel")
        own = self._enter("")
        try:
            listed = check_group(branches, mode, where)
            scopes = current_scope.get().split(len(listed), remote=where == "workers")
        except Interrupt as interrupt:
            self.leave(interrupt)
            await _wait_for_ever()
        tasks = [asyncio.create_task(self._run_branch(*each)) for each in zip(listed, scopes, strict=True)]
        self.tasks.update(tasks)
        self.waiting_tasks.add(own)
        try:
            ended = await asyncio.gather(*tasks)
        finally:
            self.waiting_tasks.discard(own)
            self.tasks.difference_update(task for task in tasks if task.done())
            for task in tasks:
                task.cancel()
        return join(ended)

    async def _run_branch(self, branch: Callable[[], Any], scope: Scope) -> Ended:
        scope.owner = _current_task()
        current_scope.set(scope)
        try:
            with no_exits("a branch of a parallel group", ctrl_c=not self.grouped):
                value = branch()
                return Ended(value=await value if inspect.isawaitable(value) else value)
        except Exception as error:  # noqa: BLE001  the user's code may raise anything
            return Ended(error=error)

    def _enter(self, name: str) -> asyncio.Task[Any]:
        """Give a task that the workflow made itself a scope of its own, and return the calling task."""
        task, scope = _current_task(), current_scope.get()
        if scope.owner is not task:
            self.tasks.add(task)
            current_scope.set(scope.adopt(task, name))
        return task

    def leave(self, interrupt: Interrupt) -> None:
        """Let the slice be left by an interrupt."""
        self.left = interrupt if self.left is None else combine([self.left, interrupt])
        self.changed.set()

    @property
    def surely_blocked(self) -> bool:
        """Tell whether every task that the workflow is known to have waits for a step or a group."""
        return self.blocked and not self.list_free()

    def list_free(self) -> list[asyncio.Task[Any]]:
        """Return the tasks known that await something else, which may be each other."""
        return [task for task in self.tasks - self.waiting_tasks if not task.done()]

    async def _drive(self, call: Call) -> Any:
        tool = run_tool(self._part, call)
        try:
            return await self._run(tool)
        finally:
            tool.close()

    async def _run(self, tool: Tool) -> Any:
        answer: Any = None
        failure: BaseException | None = None
        while True:
            try:
                effect = tool.send(answer) if failure is None else tool.throw(failure)
            except StopIteration as done:
                return done.value
            answer, failure = None, None
            try:
                answer = await self._carry_out(effect)
            except Exception as error:  # noqa: BLE001  the user's code may raise anything
                failure = tell_failure(effect, error)

    async def _carry_out(self, effect: Effect) -> Any:  # noqa: PLR0911  one for each kind of effect
        using = self._part.using
        match effect:
            case Write(step) if self.grouped:
                return await awrite_checkpoint(using, step, self._ask, self._part.relaxed)
            case Write(step):
                return await self._ask(write_checkpoint, using, step, self._part.relaxed)
            case Invoke(call, frame):
                return await self._invoke(call, frame)
            case InvokeAtomic():
                return await self._ask(_call_clean, call_atomic, using, effect)
            case Exchange(_, again) if self._lends:
                await self._suspend(Pending(waits_for="fetch", wake_in=0.0, errand=again))
            case Exchange(ask):
                return await _await_answer(ask)
            case Do(function, args):
                return await self._ask(function, *args)
            case Suspend(pending):
                await self._suspend(pending)
        return None

    async def _invoke(self, call: RunCall, frame: Frame) -> Any:
        if not inspect.iscoroutinefunction(call.function):
            return await self._ask(_call_clean, call_function, call, frame)
        return await acall_function(call, frame.start(), ctrl_c=not self.grouped)

    async def _suspend(self, pending: Pending) -> None:
        task = _current_task()
        self.pending.append(pending)
        self.waiting_tasks.add(task)
        self._busy -= 1
        self.changed.set()
        try:
            await _wait_for_ever()
        finally:
            # The workflow cancelled the task that asked: it is not to be waited for any more.
            self._busy += 1
            self.waiting_tasks.discard(task)
            self.pending = [each for each in self.pending if each is not pending]


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _await_answer(ask: Callable[[], Any]) -> Any:
    return await ask_on(get_pool("answers"))(ask)


async def _wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def _call_clean(function: Callable[..., Any], *args: Any) -> Any:
    with restored_connections():
        return function(*args)


def ask_on(executor: Executor) -> Ask:
    """Return an ``Ask`` that uses the threads of an executor, which have connections of their own."""

    async def ask(function: Callable[..., Any], *args: Any) -> Any:
        context = contextvars.copy_context()
        call = functools.partial(context.run, _call_with_connections, function, *args)
        return await asyncio.get_running_loop().run_in_executor(executor, call)

    return ask


async def ask_caller(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function on the thread, and so on the connection, that ``async_to_sync`` was called from."""
    return await sync_to_async(function)(*args)


def _call_with_connections(function: Callable[..., Any], *args: Any) -> Any:
    refresh_connections()
    return function(*args)
