"""Replay: which memo belongs to which call. Pure; one object a slice."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ..define.calls import Call
from ..exceptions import StateTooLarge, StepKindChanged, StepLimitReached, StepUsage
from ..store.base import Memo
from .interrupts import Fatal
from .order import Order
from .scope import Scope
from .unread import Unread

NAME_LENGTH = 255


@dataclass(slots=True)
class Slot:
    """The place of one call: its name, how often the name was used before, and the memo if there is one."""

    name: str
    index: int
    memo: Memo | None


class Replay:
    """Hands each call its slot, in the order of the calls, and keeps the limits of a run."""

    def __init__(self, memos: Sequence[Memo], *, run: str, step_limit: int, byte_limit: int) -> None:
        self._memos = {(memo.name, memo.index): memo for memo in memos}
        self._uses: dict[tuple[int, str], int] = {}
        self._lock = threading.Lock()
        self._run = run
        self._step_limit = step_limit
        self._byte_limit = byte_limit
        self.steps = len(memos)
        self.bytes = sum(len(memo.output or "") for memo in memos)
        self.unread = Unread(memos)
        self.order = Order(memos)

    def open(self, call: Call, scope: Scope) -> Slot:
        """Return the slot of the next call of this name in its scope.

        Raises:
            Fatal: The name is unusable, a limit is passed, or the memo is of another step tool.
        """
        _check_name(call.name)
        with self._lock:
            return self._open(call, scope)

    def _open(self, call: Call, scope: Scope) -> Slot:
        use = (scope.index(0), call.name)
        count = self._uses.get(use, 0)
        self._uses[use] = count + 1
        index = scope.index(count)
        memo = self._memos.get((call.name, index))
        if memo is None:
            self._count(call.name)
            self.unread.begin(scope.path)
            return Slot(call.name, index, None)
        if memo.kind != call.kind:
            raise Fatal(StepKindChanged(step=call.name, found=call.kind, stored=memo.kind))
        self.unread.read(memo)
        self.order.read(memo)
        return Slot(call.name, index, memo)

    def _count(self, name: str) -> None:
        if self.steps >= self._step_limit:
            raise Fatal(StepLimitReached(limit=self._step_limit, step=name))
        self.steps += 1

    def add_bytes(self, count: int) -> None:
        """Count a new result.

        Raises:
            Fatal: All results together are too large.
        """
        with self._lock:
            self.bytes += count
        if self.bytes > self._byte_limit:
            raise Fatal(StateTooLarge(run=self._run, size=self.bytes, limit=self._byte_limit))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
        raise Fatal(StepUsage(step=name, reason=f"a step id is text of 1 to {NAME_LENGTH} characters"))
    if "\x00" in name or (not name.isascii() and any("\ud800" <= char <= "\udfff" for char in name)):
        raise Fatal(StepUsage(step=ascii(name), reason="a step id has no NUL and no lone surrogate"))
