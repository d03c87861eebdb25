"""Those who execute claimed runs in a worker: threads, or tasks on one event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from ..engine.adrive import ask_on
from ..engine.aexecute import aexecute_run
from ..engine.execute import execute_run
from ..engine.faults import faults
from ..store.base import Claimed, Memo
from ..store.connections import refresh_connections
from .pools import close_pool

logger = logging.getLogger("durable_django.worker")

ASK_THREADS = 4
"""Threads that make the database calls of one event loop."""


Taken = tuple[Claimed, list[Memo] | None]
"""A claimed run and its memos, if they were loaded with those of others."""


class Crew(Protocol):
    """Executes claimed runs, ``free`` more of them now; ``hungry`` if work was left for want of slots."""

    hungry: bool

    @property
    def free(self) -> int: ...

    @property
    def active(self) -> int: ...

    @property
    def worth(self) -> int: ...

    def execute(self, runs: Sequence[Taken]) -> None: ...

    def close(self) -> None: ...


class _Slots:
    def __init__(self, size: int, freed: Callable[[Any], None]) -> None:
        self._size = size
        self._freed = freed
        self._lock = threading.Lock()
        self._active = 0
        self.hungry = False

    @property
    def free(self) -> int:
        return self._size - self._active

    @property
    def active(self) -> int:
        return self._active

    @property
    def worth(self) -> int:
        """The free slots that are worth a claim at once; see Note [A claim waits for more free slots]."""
        return max(1, self._size // 4)

    def _take(self, count: int) -> None:
        with self._lock:
            self._active += count

    def _give_back(self, future: Future[Any] | asyncio.Task[Any]) -> None:
        with self._lock:
            self._active -= 1
        if not future.cancelled() and future.exception() is not None:
            # The run keeps its lease until that ends; then the tick gives it to a worker again.
            error = future.exception()
            logger.error("a slice ended with an error of the engine", exc_info=error)
            if error is not None:
                faults.note(error)
        self._freed(self)


class ThreadCrew(_Slots):
    """Executes ``def`` runs, one a thread."""

    def __init__(self, using: str, size: int, freed: Callable[[Any], None]) -> None:
        super().__init__(size, freed)
        self._using = using
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="durable-run")

    def execute(self, runs: Sequence[Taken]) -> None:
        """Execute each run on a free thread."""
        self._take(len(runs))
        for claimed, memos in runs:
            self._pool.submit(self._execute, claimed, memos).add_done_callback(self._give_back)

    def _execute(self, claimed: Claimed, memos: list[Memo] | None) -> None:
        refresh_connections()
        execute_run(self._using, claimed, lend=True, memos=memos)

    def close(self) -> None:
        """Let the threads end when their runs have."""
        close_pool(self._pool)


class AsyncCrew(_Slots):
    """Executes ``async def`` runs as tasks of one event loop, which is started with the first of them."""

    def __init__(self, using: str, size: int, freed: Callable[[Any], None]) -> None:
        super().__init__(size, freed)
        self._using = using
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._running: set[asyncio.Task[None]] = set()

    def execute(self, runs: Sequence[Taken]) -> None:
        """Execute each run as a task; the loop is woken once for all of them."""
        self._take(len(runs))
        loop = self._loop or self._start()
        loop.call_soon_threadsafe(self._begin, runs)

    def _begin(self, runs: Sequence[Taken]) -> None:
        assert self._pool is not None
        ask = ask_on(self._pool)
        for claimed, memos in runs:
            task = asyncio.create_task(aexecute_run(self._using, claimed, ask, grouped=True, memos=memos))
            self._running.add(task)  # the loop itself keeps none alive
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._give_back(task)

    def _start(self) -> asyncio.AbstractEventLoop:
        self._pool = ThreadPoolExecutor(ASK_THREADS, thread_name_prefix="durable-ask")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, args=(self._loop,), name="durable-loop", daemon=True).start()
        return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not _run_to_stop(loop):
            continue
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    def close(self) -> None:
        """End the loop and its threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._pool is not None:
            close_pool(self._pool)


def _run_to_stop(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        loop.run_forever()
    except (SystemExit, KeyboardInterrupt):
        # A task of a workflow's own raised it. Its run is told as well; the loop belongs to all runs.
        logger.warning("a task of a workflow tried to end the worker", exc_info=True)
        return False
    return True
