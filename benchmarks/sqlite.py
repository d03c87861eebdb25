"""W11: W1 and W2 on SQLite (WAL, synchronous=FULL), beside the peer on SQLite with WAL.

Options: ``runs``, ``steps``, ``rounds``, ``threads``, ``tasks``, ``count``.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.crew import Worker
from benchmarks.latency import measure as measure_latency
from benchmarks.rounds import Sample, find_peers, summarize, take_turns
from benchmarks.scratch import empty, scratch_database
from benchmarks.throughput import measure


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a contender and one for the latency."""
    runs, steps = options.get("runs", 300), options.get("steps", 10)
    told: dict[str, Any] = {"threads": options.get("threads", 64), "tasks": options.get("tasks", 128)}
    with scratch_database(store="sqlite", DISPATCHER="local") as url:
        told |= {"url": url, "durable": {"DISPATCHER": "local"}}
        contenders: dict[str, Any] = {
            "def": partial(measure, told, runs, steps, "bench/def"),
            "async": partial(measure, told, runs, steps, "bench/async"),
        }
        if python := find_peers().get("dbos"):
            contenders["DBOS"] = partial(_run_peer, python, max(runs // 3, 20), steps)
        found = take_turns(contenders, options.get("rounds", 3))
        empty()
        rows: list[dict[str, Any]] = [{"case": name, **summarize(samples)} for name, samples in found.items()]
        peer = rows[-1]["rate"] if "DBOS" in found else 0
        for row in rows:
            row["of_peer"] = round(row["rate"] / peer, 1) if peer else ""
        return [*rows, {"case": "event to end", **measure_latency(url, options.get("count", 100))}]


def _run_peer(python: str, runs: int, steps: int) -> Sample:
    with tempfile.TemporaryDirectory(prefix="durable-benchmark-") as folder:
        told = {
            "url": f"sqlite:///{Path(folder) / 'peer.sqlite3'}",
            "runs": runs,
            "steps": steps,
            "kind": "def",
        }
        worker = Worker({**told, "threads": 16}, "benchmarks.peers.dbos_worker", python)
        try:
            found = worker.ask("go")
        finally:
            worker.kill()
    total = runs * steps
    return {
        "rate": total / found["seconds"],
        "seconds": found["seconds"],
        "client_us": found["cpu"] / total * 1e6,
    }
