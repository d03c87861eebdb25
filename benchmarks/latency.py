"""W2: from the sending of an event, by another process, to the first step and to the end of its run.

One event at a time on an idle system. Options: ``count``.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

from django.db import connection

from benchmarks.crew import workers
from benchmarks.scratch import scratch_database

PAUSE = 0.0005


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row."""
    with scratch_database(DISPATCHER="local") as url:
        return [{"case": "local", **measure(url, options.get("count", 200))}]


def measure(url: str, count: int) -> dict[str, Any]:
    """Send ``count`` events to a worker of its own process, one after the other."""
    with workers({"url": url, "durable": {"DISPATCHER": "local"}}) as crew:
        crew[0].ask("go")
        times = [send_one() for _ in range(count + 10)][10:]
    return describe_latency(times)


def send_one() -> tuple[float, float]:
    """Send an event and return the milliseconds to its first step and to its end, as the rows tell them."""
    from durable_django import send_event

    began = time.time()
    event_id = send_event("bench/stamp")
    result = _wait_for_result(event_id)
    return (float(json.loads(result[0])) - began) * 1_000, (result[1] - began) * 1_000


def _wait_for_result(event_id: str) -> tuple[str, float]:
    key = event_id if connection.vendor == "postgresql" else event_id.replace("-", "")
    until = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(
                "SELECT s.output FROM durable_django_runresult s JOIN durable_django_run r ON r.id = s.run_id "
                "WHERE r.event_id = %s",
                [key],
            )
            row = cursor.fetchone()
            if row is not None:
                return row[0], time.time()
            time.sleep(PAUSE)
    raise SystemExit("a run has not ended in 30 s: no figure")


def describe_latency(times: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the quantiles of both distances."""
    row: dict[str, Any] = {"events": len(times)}
    for name, values in zip(("entered", "ended"), map(sorted, zip(*times, strict=True)), strict=True):
        row[f"{name}_p50_ms"] = round(statistics.median(values), 1)
        row[f"{name}_p95_ms"] = round(values[int(len(values) * 0.95) - 1], 1)
    return row
