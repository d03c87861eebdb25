"""W12: what a worker without work asks of the database, and its CPU.

Statements are counted by the server (``pg_stat_database``: each is a transaction of its own). Options: ``seconds``.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

from benchmarks.crew import workers
from benchmarks.machine import Meter
from benchmarks.scratch import list_servers, scratch_database


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a number of workers."""
    seconds = options.get("seconds", 30)
    rows = []
    with scratch_database(DISPATCHER="local") as url:
        for count in (1, 2):
            with workers({"url": url, "durable": {"DISPATCHER": "local"}}, count) as crew:
                for worker in crew:
                    worker.ask("go")
                time.sleep(5)
                meter = Meter([worker.pid for worker in crew], list_servers())
                before = _read_transactions()
                began = time.perf_counter()
                time.sleep(seconds)
                after = _read_transactions()
                took, used = time.perf_counter() - began, meter.stop()
            rows.append(
                {
                    "workers": count,
                    "statements_per_s": round((after - before) / took, 2),
                    "cpu_percent": round(used["client"] / used["seconds"] * 100, 2),
                    "server_cpu_percent": round(used["server"] / used["seconds"] * 100, 2),
                }
            )
    return rows


def _read_transactions() -> int:
    """Return the transactions that other connections have made on this database."""
    time.sleep(1.5)  # the server reports them once a second
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])
