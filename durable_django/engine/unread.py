"""Which code of a replay has run in an earlier slice: the code before memos that are not read yet.

Note [Code before a memo has run before]
    A memo of a call, be it finished, or of a sleep, wait or attempt that is due, proves that an earlier slice
    came to that call. So code is old as long as its branch, one around it or one inside it has unread
    memos; branches beside it say nothing. After a call that has no memo the branch is in new code, whatever
    is left unread: those are memos of steps that the code has lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..store.base import Memo
from .scope import read_index

Path = tuple[int, ...]


class Unread:
    """The memos that the workflow has not asked for yet, counted for each branch."""

    def __init__(self, memos: Sequence[Memo]) -> None:
        self._counts = Counter(read_index(memo.index)[0] for memo in memos if _proves(memo))
        self._new: set[Path] = set()

    def read(self, memo: Memo) -> None:
        """Note that a call has found its memo."""
        if not _proves(memo):
            return
        path = read_index(memo.index)[0]
        self._counts[path] -= 1
        if self._counts[path] <= 0:
            del self._counts[path]

    def begin(self, path: Path) -> None:
        """Note that a call of the branch has no memo."""
        if self._counts:
            self._new.add(path)

    def covers(self, path: Path) -> bool:
        """Tell whether the code that the branch is in has run in an earlier slice."""
        if not self._counts or path in self._new:
            return False
        return any(each == path[: len(each)] or path == each[: len(path)] for each in list(self._counts))


def _proves(memo: Memo) -> bool:
    return memo.status in ("completed", "failed") or (memo.due and memo.ready_in is not None)
