"""A soak: a steady stream of runs for some minutes; each minute latency, memory, and bytes a live row.

Runs that ended more than a minute ago are pruned, so the tables hold about as many rows all the time and what
grows is bloat. Options: ``minutes``, ``rate`` in runs a second (of 5 steps). Wants a server that vacuums.
"""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from django.db import connection

from benchmarks import feed
from benchmarks.crew import Worker, workers
from benchmarks.latency import send_one
from benchmarks.machine import Meter
from benchmarks.scratch import scratch_database

TABLES = ("run", "step", "event", "runresult")
MB = 2**20


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Soak and return one row a minute."""
    rows = []
    rate = options.get("rate", 100)
    with scratch_database(DISPATCHER="local") as url, _start(url) as (worker,):
        _demand_vacuum()
        worker.ask("go")
        for minute in range(options.get("minutes", 5)):
            meter = Meter([worker.pid])
            times = _stream(rate, 60.0)
            used = meter.stop()
            _prune()
            row = {"minute": minute + 1, "runs": round(rate * 60), **_describe(times)}
            row |= {
                "cpu_percent": round(used["client"] / used["seconds"] * 100),
                "others": round(used["others"], 1),
            }
            row |= {"worker_mb": round(worker.ask("tell")["memory"] / MB, 1), **_read_sizes()}
            print(row, flush=True)
            rows.append(row)
    return rows


def _demand_vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW autovacuum")
        if cursor.fetchone() == ("off",):
            raise SystemExit("the server's autovacuum is off, so its tables only grow: no figure")


def _start(url: str) -> AbstractContextManager[list[Worker]]:
    return workers({"url": url, "threads": 8, "durable": {"DISPATCHER": "local"}})


def _stream(rate: int, seconds: float) -> list[float]:
    """Send runs at a rate and return the milliseconds that one of each second took from event to end."""
    times = []
    began = time.monotonic()
    for second in range(int(seconds)):
        time.sleep(max(0.0, began + second - time.monotonic()))
        times.append(send_one()[1])
        for part in range(10):
            feed.send("bench/def" if part % 2 else "bench/async", rate // 10, steps=5)
            time.sleep(max(0.0, began + second + (part + 1) / 10 - time.monotonic()))
    return times


def _describe(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(len(times) * 0.95) - 1], 1),
    }


def _prune() -> None:
    from durable_django.engine.prune import prune

    for _ in prune("default", timedelta(minutes=1)):
        continue


def _read_sizes() -> dict[str, int]:
    """Return the bytes of each table, with its indexes, for each of its live rows."""
    row: dict[str, int] = {}
    with connection.cursor() as cursor:
        for name in TABLES:
            table = f"durable_django_{name}"
            cursor.execute(
                f"SELECT COUNT(*), pg_table_size('{table}'), pg_indexes_size('{table}') FROM {table}"
            )
            count, heap, indexes = cursor.fetchone()
            row[f"{name}_bytes"] = round(heap / max(count, 1))
            row[f"{name}_index_bytes"] = round(indexes / max(count, 1))
    return row
