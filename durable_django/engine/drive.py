"""Drive a ``def`` workflow: carry out the effects of its steps on the thread that it runs on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from django.db import connections

from ..define.calls import Call
from ..exceptions import StepInTransaction, StepUsage
from .checkpoint import write_checkpoint
from .effects import Do, Effect, Exchange, Invoke, InvokeAtomic, Suspend, Write, tell_failure
from .interrupts import Fatal, Interrupt, Suspended
from .invoke import (
    call_atomic,
    call_function,
    read_depth,
    refuse_nested,
    restore,
    restored_connections,
)
from .parallel import check_group, combine, join, run_branches
from .pending import Pending
from .scope import Scope, current_scope
from .slice import Slice
from .tools import Tool, run_tool


class Driver:
    """The engine behind the step tools of a ``def`` workflow; ``lends`` lets it leave what awaits answers."""

    def __init__(self, part: Slice, *, lends: bool = False) -> None:
        self._part = part
        self._lends = lends
        self._left: Interrupt | None = None
        self._root = Scope()
        self._thread = threading.get_ident()
        self._connection = connections[part.using]
        self._depth = read_depth(self._connection)
        self._alone = len(list(connections)) == 1

    @property
    def attempt(self) -> int:
        """The failed attempts of the current step or segment."""
        return self._part.attempt

    @property
    def left(self) -> Interrupt | None:
        """The interrupt by which the workflow was left, even if it swallowed it."""
        return self._left

    @property
    def scope(self) -> Scope:
        """The scope of the workflow function itself."""
        return self._root

    def perform(self, call: Call) -> Any:
        """Carry out a step and return its value."""
        refuse_nested(call.name)
        scope = self._enter()
        try:
            self._refuse_in_transaction(call.name)
            return self._drive(call)
        except Interrupt as interrupt:
            self._leave(scope, interrupt)
            raise

    def parallel(self, branches: Sequence[Any], mode: str, where: str) -> Any:
        """Run branches side by side and return their values as a tuple."""
        refuse_nested("parallel")
        scope = self._enter()
        try:
            listed = check_group(branches, mode, where)
            scopes = scope.split(len(listed), remote=where == "workers")
            return join(run_branches(self._part.using, listed, scopes, lambda: self._left))
        except Interrupt as interrupt:
            self._leave(scope, interrupt)
            raise

    def _refuse_in_transaction(self, name: str) -> None:
        # What the step writes could be rolled back by the workflow's own block, and replayed differently.
        if self._is_own_thread:
            inside = read_depth(self._connection) > self._depth
        else:
            inside = read_depth(connections[self._part.using]) > 0
        if inside:
            raise Fatal(StepInTransaction(step=name))

    @property
    def _is_own_thread(self) -> bool:
        return threading.get_ident() == self._thread

    def _enter(self) -> Scope:
        scope = _find_scope()
        left = self._left or scope.left
        if left is not None:
            raise left
        return scope

    def _leave(self, scope: Scope, interrupt: Interrupt) -> None:
        if not isinstance(interrupt, Suspended):
            self._left = interrupt if self._left is None else combine([self._left, interrupt])
            return
        # Only this branch waits; the others go on.
        scope.left = interrupt
        if scope is self._root:
            self._left = interrupt

    def _drive(self, call: Call) -> Any:
        return self.finish(run_tool(self._part, call))

    def finish(self, tool: Tool) -> Any:
        """Carry out a tool, or an errand, to its end, here."""
        try:
            return self._run(tool)
        finally:
            tool.close()

    def _run(self, tool: Tool) -> Any:
        answer: Any = None
        failure: BaseException | None = None
        while True:
            try:
                effect = tool.send(answer) if failure is None else tool.throw(failure)
            except StopIteration as done:
                return done.value
            answer, failure = None, None
            try:
                answer = self._carry_out(effect)
            except Exception as error:  # noqa: BLE001  the user's code may raise anything
                failure = tell_failure(effect, error)

    def _carry_out(self, effect: Effect) -> Any:
        using = self._part.using
        match effect:
            case Write(step):
                # Between steps the depth is that of the beginning, which is refused and restored otherwise.
                depth = self._depth if self._is_own_thread else read_depth(connections[using])
                return write_checkpoint(using, step, self._part.relaxed, grouped=depth == 0)
            case Invoke(call, frame) if self._alone and self._is_own_thread:
                try:
                    return call_function(call, frame)
                finally:
                    restore(self._connection, self._depth)
            case Invoke(call, frame):
                with restored_connections():
                    return call_function(call, frame)
            case InvokeAtomic():
                with restored_connections():
                    return call_atomic(using, effect)
            case Exchange(_, again) if self._lends:
                raise Suspended(Pending(waits_for="fetch", wake_in=0.0, errand=again))
            case Exchange(ask):
                return ask()
            case Do(function, args):
                return function(*args)
            case Suspend(pending):
                raise Suspended(pending)


def _find_scope() -> Scope:
    scope = current_scope.get(None)
    if scope is None:
        # A thread of the workflow's own would take memos in whatever order threads run.
        raise Fatal(
            StepUsage(step="parallel", reason="use ctx.group.parallel to call steps on other threads")
        )
    return scope
