"""W7: kill -9 of a worker in the middle of a step while a second one is alive; then an orderly stop.

Options: ``rounds``; the lease is 2 s.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from benchmarks.crew import Worker
from benchmarks.feed import send, wait_for_end
from benchmarks.scratch import empty, scratch_database

LEASE = 2.0


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a way of ending."""
    durable = {"DISPATCHER": "local", "LEASE_SECONDS": LEASE}
    with scratch_database(**durable) as url:
        told = {"url": url, "threads": 4, "durable": durable}
        rounds = range(options.get("rounds", 5))
        return [
            {"case": "kill -9 mid-step to step again", **_describe([_kill(told) for _ in rounds])},
            {"case": "stop, longest gap between steps", **_describe([_stop(told) for _ in rounds])},
        ]


def _describe(seconds: list[float]) -> dict[str, Any]:
    return {
        "lease_s": LEASE,
        "median_s": round(statistics.median(seconds), 2),
        "longest_s": round(max(seconds), 2),
    }


def _kill(told: dict[str, Any]) -> float:
    """Return the seconds from the end of the first worker to the second beginning of the step."""
    empty()
    with tempfile.TemporaryDirectory() as folder, _two(told) as (first, second):
        trace = Path(folder) / "trace"
        first.ask("go")
        send("bench/crash", 1, trace=str(trace), seconds=600)
        _wait_for(trace, 1)
        second.ask("go")
        time.sleep(1.0)
        ended = time.time()
        first.kill()
        _wait_for(trace, 2)
        wait_for_end()
        return float(trace.read_text().splitlines()[1]) - ended


def _stop(told: dict[str, Any]) -> float:
    """Return the longest time between two steps of a run whose worker is stopped in an orderly way."""
    empty()
    with _two(told) as (first, second):
        first.ask("go")
        send("bench/steady", 1, steps=100)
        time.sleep(0.5)
        second.ask("go")
        first.say("stop")
        wait_for_end()
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXTRACT(EPOCH FROM ended_at), token FROM durable_django_step ORDER BY id")
            rows = cursor.fetchall()
    if len(rows) != 100 or rows[0][1] == rows[-1][1]:
        raise SystemExit("the run did not go on in the other worker: no figure")
    return max(float(after[0] - before[0]) for before, after in itertools.pairwise(rows))


@contextmanager
def _two(told: dict[str, Any]) -> Iterator[list[Worker]]:
    crew = [Worker(told), Worker(told)]
    try:
        yield crew
    finally:
        for worker in crew:
            worker.kill()


def _wait_for(trace: Path, lines: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if trace.exists() and len(trace.read_text().splitlines()) >= lines:
            return
        time.sleep(0.005)
    raise SystemExit("the step was not begun again in 60 s: no figure")
