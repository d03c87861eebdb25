from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections

from durable_django.engine.keeper import keeper

ASKING = ("durable-bulk", "durable-runner", "durable-ticker")
"""Threads that ask the database unasked, and that a worker which stops waits for, but not for ever."""


def run_together(calls: Sequence[Callable[[], Any]], timeout: float = 90.0) -> list[Any]:
    """Start the calls at one moment, each in a thread with its own connections; return the results in order.

    The first exception that a call raised is raised here.
    """
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(timeout)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(run, call) for call in calls]
        return [future.result(timeout) for future in futures]


def end_threads(timeout: float = 60.0) -> None:
    """Return when no thread of the engine in this process asks the database by itself; raise if one goes on.

    A thread that asked later would fail in another test, as the error of that test.
    """
    keeper.close(timeout)
    asking = [each for each in threading.enumerate() if each.name in (*ASKING, "durable-keeper")]
    for each in asking:
        each.join(timeout)
    if left := [each.name for each in asking if each.is_alive()]:
        raise AssertionError(f"a test has left threads that ask the database: {left}")
