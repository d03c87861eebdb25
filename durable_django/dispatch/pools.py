"""End a pool of threads that hold database connections."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

PATIENCE = 2.0
"""Seconds for which idle threads wait for busy ones, so that each thread closes its own connections."""


def close_pool(pool: ThreadPoolExecutor) -> None:
    """Let every thread of the pool close its connections and end; does not wait for them."""
    threads = len(pool._threads)
    barrier = threading.Barrier(max(threads, 1))
    for _ in range(threads):
        pool.submit(_close, barrier)
    pool.shutdown(wait=False)


def _close(barrier: threading.Barrier) -> None:
    connections.close_all()
    # A thread that is done waits here, so that it cannot take the task that is meant for another.
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
