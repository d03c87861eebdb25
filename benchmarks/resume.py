"""W4: a batch of events that ends as many waits; from the first event to the end of the last run.

Options: ``runs``, ``rounds``.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks import feed
from benchmarks.crew import workers
from benchmarks.machine import Meter
from benchmarks.rounds import Sample, find_peers, run_peer, summarize, take_turns
from benchmarks.scratch import empty, scratch_database


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a contender."""
    runs = options.get("runs", 1_000)
    with scratch_database(DISPATCHER="local") as url:
        told = {"url": url, "tasks": 128, "durable": {"DISPATCHER": "local"}}
        contenders: dict[str, Any] = {"waits": partial(_measure, told, runs)}
        if python := find_peers().get("dbos"):
            peer = {"runs": runs // 5, "steps": 0, "kind": "wait", "threads": runs}
            contenders["DBOS"] = partial(run_peer, "dbos_worker", python, peer, runs // 5)
        found = take_turns(contenders, options.get("rounds", 3))
    return [{"case": name, "runs": runs, **summarize(samples)} for name, samples in found.items()]


def _measure(told: dict[str, Any], runs: int) -> Sample:
    empty()
    with workers(told) as (worker,):
        worker.ask("go")
        feed.send("bench/wait", runs)
        _wait_until_parked(runs)
        meter = Meter([worker.pid])
        feed.send("bench/answer", runs)
        feed.wait_for_end()
        used = meter.stop()
    if feed.count_runs("status = 'completed'") != runs:
        raise SystemExit("runs are missing: no figure")
    return {
        "rate": runs / used["seconds"],
        "seconds": used["seconds"],
        "client_us": used["client"] / runs * 1e6,
        "server_us": 0.0,
        "others": used["others"],
    }


def _wait_until_parked(runs: int) -> None:
    until = time.monotonic() + 120
    while feed.count_runs("status = 'waiting' AND crash_count = 0") < runs:
        if time.monotonic() > until:
            raise SystemExit("the runs did not park in 120 s: no figure")
        time.sleep(0.05)
