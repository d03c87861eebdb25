"""The order of a replay: does the code still take its steps in the order in which the run took them?

Note [Order is a matter of one task]
    Code that does one thing at a time stores the memo of a step before it begins the next, so a replay that
    reads an older memo after a younger one shows that the code was changed. Branches of a group and asyncio
    tasks pass each other in any order, so each is compared with itself alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ..store.base import Memo
from .scope import read_index

SHOWN = 80
"""Characters of a step's id in the warning."""

_Youngest = dict[tuple[int, ...], tuple[int, str]]


class Order:
    """Compares the order of memos, as they were first written, with the order in which code reads them."""

    def __init__(self, memos: Sequence[Memo]) -> None:
        self._numbers = {(memo.name, memo.index): number for number, memo in enumerate(memos)}
        self._outside: _Youngest = {}
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], _Youngest] = WeakKeyDictionary()
        self.warning = ""

    def read(self, memo: Memo) -> None:
        """Note that a call has found its memo."""
        task = _find_task()
        youngest = self._outside if task is None else self._tasks.setdefault(task, {})
        path = read_index(memo.index)[0]
        number = self._numbers[memo.name, memo.index]
        before = youngest.get(path)
        if before is None or before[0] < number:
            youngest[path] = (number, memo.name)
        elif not self.warning:
            self.warning = (
                f"The code takes step {_shorten(before[1])} before step {_shorten(memo.name)} now; "
                "this run took them the other way round."
            )


def _find_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None  # no event loop runs on this thread


def _shorten(name: str) -> str:
    shown = repr(name)  # which may be longer than the name
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…"
