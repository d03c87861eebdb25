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

Note [Under load two commits are in flight]
    A leader that wakes the next one and lies down costs two changes of threads a batch, and the next one waits for
    the interpreter behind all whom the last commit woke. So whoever finds others waiting when its own commit is
    over leaves them to a thread of the desk's own, which goes on as long as somebody waits, on one connection.
    While it waits for the disk, WORTH others are worth a commit beside it, by a second such thread: the server
    lets commits share a flush. Fewer wait for the next batch. Whoever leads last looks whether somebody is left.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from django.db import InterfaceError, OperationalError

from ..store.base import is_postgres

T = TypeVar("T")

BATCH = 256
WORTH = 16
"""Waiting writers that are worth a second commit in flight; 8 to 32 gained the same."""

logger = logging.getLogger("durable_django.execute")


class Ticket(Generic[T]):
    """One write that waits for its commit."""

    __slots__ = ("error", "item", "waiter", "written")

    def __init__(self, item: T, waiter: threading.Lock | asyncio.Future[None]) -> None:
        self.item = item
        self.waiter = waiter
        self.written = False
        self.error: Exception | None = None


class Desk(Generic[T]):
    """Where the writes of one kind to one database meet in this process.

    Args:
        commit: Writes a batch in one commit and returns for each item whether it was written.
        begin: Called on the desk's own thread before it commits for others.
        leaders: The commits that may be in flight at once; 1 where the database takes one writer.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Sequence[bool]],
        *,
        begin: Callable[[], object],
        leaders: int = 1,
    ) -> None:
        self._write = commit
        self._begin = begin
        self._leaders = leaders
        self._lock = threading.Lock()
        self._waiting: list[Ticket[T]] = []
        self._leading = 0
        self._threads: ThreadPoolExecutor | None = None

    def write(self, item: T) -> bool:
        """Commit an item from a thread; return whether it was written, False asking for a second look."""
        latch = threading.Lock()
        latch.acquire()
        ticket = Ticket(item, latch)
        if self._join(ticket):
            self._lead(on=False)
        else:
            latch.acquire()
        if ticket.error is not None:
            raise ticket.error
        return ticket.written

    async def awrite(self, item: T) -> bool:
        """Commit an item from an event loop; a thread of the desk does the work."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket = Ticket(item, future)
        if self._join(ticket):
            self._start_leader()
        await future
        if ticket.error is not None:
            raise ticket.error
        return ticket.written

    @property
    def threads(self) -> ThreadPoolExecutor:
        """The desk's own threads, made when they are first needed."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._leaders, thread_name_prefix="durable-desk")
            return self._threads

    def _join(self, ticket: Ticket[T]) -> bool:
        """Let the ticket wait; return whether its writer is to lead."""
        with self._lock:
            self._waiting.append(ticket)
            if self._leading == 0:
                self._leading = 1
                return True
            if self._leading == self._leaders or len(self._waiting) < WORTH:
                return False
            self._leading += 1
        self._start_leader()
        return False

    def _lead(self, *, on: bool) -> None:
        """Commit what waits by now, and ``on`` as long as more does; else leave that to the desk's thread."""
        more = True
        try:
            if on:
                self._begin()
            more = self._commit_next()
            while more and on:
                more = self._commit_next()
        finally:
            if more:
                self._start_leader()

    def _commit_next(self) -> bool:
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            if batch:
                self._commit(batch)
        except BaseException:
            # The leader's thread is being ended; whoever relied on it must not take that for a lost lease.
            # The lead itself is kept, for the thread that ``_lead`` passes it to.
            _fail(batch, OperationalError("the thread that committed the checkpoint was ended"))
            _wake_all(batch)
            raise
        with self._lock:
            more = len(self._waiting) >= (1 if self._leading == 1 else WORTH)
            self._leading -= not more
        _wake_all(batch)
        return more

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
            for ticket, each in zip(batch, written, strict=True):
                ticket.written = each

    def _start_leader(self) -> None:
        try:
            self.threads.submit(self._lead, on=True)
        except RuntimeError:  # the interpreter shuts down and takes no more work; threads may still wait
            self._lead(on=True)


def count_leaders(using: str) -> int:
    """Return how many commits to a database may be in flight: SQLite takes one writer."""
    return 2 if is_postgres(using) else 1


def forget_in_child(desks: dict[Any, Any]) -> None:
    """Let a forked child make desks of its own: the threads of these are its parent's."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=desks.clear)


def _fail(batch: list[Ticket[T]], error: Exception) -> None:
    for ticket in batch:
        ticket.error = error


def _wake_all(batch: list[Ticket[T]]) -> None:
    """Wake the threads one by one, and each event loop once for all of its coroutines."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for ticket in batch:
        if isinstance(ticket.waiter, asyncio.Future):
            loops.setdefault(ticket.waiter.get_loop(), []).append(ticket.waiter)
        else:
            ticket.waiter.release()
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, futures)
        except RuntimeError:
            logger.info("the event loop that waited for a checkpoint is closed")


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
