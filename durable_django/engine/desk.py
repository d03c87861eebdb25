"""A desk: where writes of many runs meet, so that one commit serves them all.

Note [Checkpoints of concurrent runs are committed together]
    The fixed cost of a transaction is the limit, not the rows in it. Whoever comes to the desk first
    commits for all who are waiting by then; those who come meanwhile form the next batch, and one of them
    commits it. A run goes on only when the commit that holds its own checkpoint has returned, so
    durability is that of a commit of its own. Alone, a run pays nothing: it commits on its own thread.

Note [The one that must wait waits alone]
    A run's row may be locked for long, say by a transaction of the project that cancels the run and goes on. So
    the commit of a desk passes over what is locked; the writer then takes its second look on its own
    connection, where it waits without keeping the others.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from django.db import InterfaceError, OperationalError

T = TypeVar("T")

BATCH = 256

logger = logging.getLogger("durable_django.execute")


class Ticket(Generic[T]):
    """One write that waits for its commit."""

    __slots__ = ("done", "error", "future", "item", "lead", "wake", "written")

    def __init__(
        self,
        item: T,
        wake: Callable[[], object],
        lead: Callable[[], None],
        future: asyncio.Future[None] | None = None,
    ) -> None:
        self.item = item
        self.wake = wake
        self.lead = lead
        self.future = future
        self.written = False
        self.done = False
        self.error: Exception | None = None


class Desk(Generic[T]):
    """Where the writes of one kind to one database meet in this process.

    Args:
        commit: Writes a batch in one commit and returns the keys of what it wrote.
        read_key: Returns the key of an item.
    """

    def __init__(
        self, commit: Callable[[Sequence[T]], Collection[Hashable]], read_key: Callable[[T], Hashable]
    ) -> None:
        self._write = commit
        self._read_key = read_key
        self._lock = threading.Lock()
        self._waiting: list[Ticket[T]] = []
        self._led = False
        self._leader: ThreadPoolExecutor | None = None

    def write(self, item: T) -> bool:
        """Commit an item from a thread; return whether it was written, False asking for a second look."""
        latch = threading.Lock()
        latch.acquire()
        ticket = Ticket(item, latch.release, latch.release)
        if not self._join(ticket):
            latch.acquire()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.written

    async def awrite(self, item: T) -> bool:
        """Commit an item from an event loop; a thread of the desk's own does the work."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket = Ticket(item, _nothing, self._start_leader, future)
        if self._join(ticket):
            self._start_leader()
        await future
        if ticket.error is not None:
            raise ticket.error
        return ticket.written

    def _join(self, ticket: Ticket[T]) -> bool:
        with self._lock:
            self._waiting.append(ticket)
            if self._led:
                return False
            self._led = True
            return True

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            self._commit(batch)
        except BaseException:
            # The leader's thread is being ended; whoever relied on it must not take that for a lost lease.
            _fail(batch, OperationalError("the thread that committed the checkpoint was ended"))
            raise
        finally:
            self._hand_over()
            _wake_all(batch)

    def _commit(self, batch: list[Ticket[T]]) -> None:
        try:
            written = self._write([ticket.item for ticket in batch])
        except (OperationalError, InterfaceError) as error:
            _fail(batch, error)  # the server's fault, which the next ones would only wait for again
        except Exception as error:  # noqa: BLE001  each of the batch is told
            if len(batch) == 1:
                return _fail(batch, error)
            # One bad row must not fail its neighbours: each is written alone.
            for ticket in batch:
                self._commit([ticket])
        else:
            for ticket in batch:
                ticket.written = self._read_key(ticket.item) in written

    def _hand_over(self) -> None:
        with self._lock:
            if not self._waiting:
                self._led = False
                return
            heir = self._waiting[0]
        heir.lead()

    def _start_leader(self) -> None:
        if self._leader is None:
            self._leader = ThreadPoolExecutor(1, thread_name_prefix="durable-desk")
        try:
            self._leader.submit(self._lead)
        except RuntimeError:  # the interpreter shuts down and takes no more work; threads may still wait
            self._lead()


def forget_in_child(desks: dict[Any, Any]) -> None:
    """Let a forked child make desks of its own: the threads of these are its parent's."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=desks.clear)


def _fail(batch: list[Ticket[T]], error: Exception) -> None:
    for ticket in batch:
        ticket.error = error


def _nothing() -> None:
    """Wake nobody: the loop settles the future of the ticket."""


def _wake_all(batch: list[Ticket[T]]) -> None:
    """Wake the threads one by one, and each event loop once for all of its coroutines."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for ticket in batch:
        ticket.done = True
        if ticket.future is None:
            wake(ticket.wake)
        else:
            loops.setdefault(ticket.future.get_loop(), []).append(ticket.future)
    for loop, futures in loops.items():
        wake(functools.partial(loop.call_soon_threadsafe, _settle, futures))


def wake(tell: Callable[[], object]) -> None:
    """Tell a writer that its commit is over, if it is still there to hear it."""
    try:
        tell()
    except RuntimeError:
        logger.info("the event loop that waited for a checkpoint is closed")


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
