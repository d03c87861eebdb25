"""Threads that wait for answers from outside, so that neither workflows nor database calls wait with them.

Note [A process does not wait for answers when it ends]
    The threads of ``concurrent.futures`` are joined at exit, so a worker that is told to stop would stay
    until a model has answered. These are daemons: their runs were given back, and their answers would be
    refused.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final

from django.db import connections

from ..conf import settings

NAME_THREADS: Final = 8
IDLE_SECONDS: Final = 5.0
"""How long a thread that has nothing to do keeps its database connections, and stays."""

_pools: dict[tuple[int, str], WaitingPool] = {}


def get_pool(kind: str) -> WaitingPool:
    """Return the threads that wait for ``answers`` or ``names``; a forked child has its own."""
    key = (os.getpid(), kind)
    pool = _pools.get(key)
    if pool is None:
        size = settings.ANSWER_THREADS if kind == "answers" else NAME_THREADS
        pool = _pools.setdefault(key, WaitingPool(size, f"durable-{kind}"))
    return pool


class WaitingPool(Executor):
    """At most ``size`` daemon threads, started as they are needed, ended with their connections when idle."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._ready = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._jobs: deque[Callable[[], None]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Let a thread call the function; return its future.

        Raises:
            RuntimeError: The interpreter shuts down and starts no more threads.
        """
        future: Future[Any] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  it is raised where the result is read
                future.set_exception(error)

        with self._ready:
            # A thread that was notified counts as idle until it has taken its job off the list.
            if len(self._jobs) >= self._idle and self._threads < self._size:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._threads += 1
            self._jobs.append(call)
            self._ready.notify()
        return future

    def _work(self) -> None:
        while (job := self._take()) is not None:
            job()
            del job
        connections.close_all()

    def _take(self) -> Callable[[], None] | None:
        with self._ready:
            while not self._jobs:
                self._idle += 1
                notified = self._ready.wait(IDLE_SECONDS)
                self._idle -= 1
                if not notified and not self._jobs:
                    self._threads -= 1
                    return None
            return self._jobs.popleft()
