"""W10: the memory of a worker with and without sleepers, and after many runs.

Options: ``sleepers``, ``runs``.
"""

from __future__ import annotations

from typing import Any

from benchmarks import feed
from benchmarks.crew import Worker, workers
from benchmarks.scratch import scratch_database
from benchmarks.timers import fill_sleepers

MB = 2**20
PART = 2_000


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a moment."""
    sleepers, runs = options.get("sleepers", 100_000), options.get("runs", 20_000)
    with scratch_database(DISPATCHER="local") as url:
        told = {"url": url, "threads": 8, "tasks": 128, "durable": {"DISPATCHER": "local"}}
        with workers(told) as (worker,):
            worker.ask("go")
            rows = [_work(worker, 2 * PART, "warm")]
            fill_sleepers(sleepers)
            rows.append(_work(worker, PART, f"{sleepers} sleepers"))
            rows.append(_work(worker, runs, f"{runs} runs later"))
    for row in rows:
        row["growth_mb"] = round(row["mb"] - rows[0]["mb"], 1)
    return rows


def _work(worker: Worker, runs: int, name: str) -> dict[str, Any]:
    for start in range(0, runs, PART):
        for kind in ("bench/def", "bench/async"):
            feed.send(kind, min(PART, runs - start) // 2, steps=3)
        _wait()
    return {"case": name, "runs": runs, "mb": round(worker.ask("tell")["memory"] / MB, 1)}


def _wait() -> None:
    import time

    until = time.monotonic() + 300
    while feed.count_runs("status IN ('queued', 'running')"):
        if time.monotonic() > until:
            raise SystemExit("the runs have not ended in 300 s: no figure")
        time.sleep(0.05)
