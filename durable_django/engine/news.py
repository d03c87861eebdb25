"""News of a slice for the one who watches it."""

from __future__ import annotations

import asyncio


class News:
    """An event of one waiter, for whom no task has to be made."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Settle what is expected, and what will be until it is cleared."""
        self._is_set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Let the next one who expects something wait."""
        self._is_set = False

    def expect(self) -> asyncio.Future[None]:
        """Return a future that is settled when there is news."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self._is_set:
            self._waiter.set_result(None)
        return self._waiter
